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

void blk_io_plug(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = batching_node(blk_look_begin(blk, &shard));

    if (atomic_fetch_add(&blk->plug, 1) == 0 && bs) {
        bs->drv->bdrv_io_plug(bs);
    }
    blk_look_end(shard);
}

void blk_io_unplug(BlockBackend *blk)
{
    BlkShard *shard;
    BlockDriverState *bs = batching_node(blk_look_begin(blk, &shard));
    int depth = atomic_fetch_sub(&blk->plug, 1);

    BLK_PRECONDITION(depth > 0, "unplugged more often than plugged");
    if (depth == 1 && bs) {
        bs->drv->bdrv_io_unplug(bs);
    }
    blk_look_end(shard);
}
