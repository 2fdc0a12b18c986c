/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plugging (§3.15): a hint that more requests follow.  The depth belongs to
 * the backend and goes over to a new root; it takes effect on the topmost node
 * of the file chain whose driver batches.
 */
#include "backend/backend.h"

static BlockDriverState *batching_node(BlockDriverState *bs)
{
    while (bs && !(bs->drv && bs->drv->bdrv_io_plug)) {
        bs = bs->file;
    }
    return bs;
}

/* Whoever changes root_plugged tells the driver, so that it hears of each change once. */
void blk_plug_root(BlockBackend *blk, BlockDriverState *root)
{
    BlockDriverState *bs = batching_node(root);

    if (bs && !atomic_exchange(&blk->root_plugged, true)) {
        bs->drv->bdrv_io_plug(bs);
    }
}

void blk_unplug_root(BlockBackend *blk, BlockDriverState *root)
{
    BlockDriverState *bs = batching_node(root);

    if (bs && atomic_exchange(&blk->root_plugged, false)) {
        bs->drv->bdrv_io_unplug(bs);
    }
}

void blk_io_plug(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);

    if (atomic_fetch_add(&blk->plug, 1) == 0) {
        blk_plug_root(blk, bs);
    }
    blk_look_end(shard);
}

void blk_io_unplug(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int depth = atomic_fetch_sub(&blk->plug, 1);

    BLK_PRECONDITION(depth > 0, "unplugged more often than plugged");
    if (depth == 1) {
        blk_unplug_root(blk, bs);
    }
    blk_look_end(shard);
}
