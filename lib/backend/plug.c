/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plugging (§3.15): a hint that more requests follow.  The depth belongs to
 * the backend and goes over to a new root; it takes effect on the topmost node
 * of the file chain whose driver batches.
 *
 * Who waits for requests suspends the plugging meanwhile: what is held back
 * would never end.  Everybody who changes depth, suspension or root afterwards
 * brings the driver up to date, under one lock, so that the driver hears of
 * each change once and in order.
 */
#include "backend/backend.h"

static BlockDriverState *batching_node(BlockDriverState *bs)
{
    while (bs && !(bs->drv && bs->drv->bdrv_io_plug)) {
        bs = bs->file;
    }
    return bs;
}

/* The lock is recursive: what the driver submits may run who plugs. */
static void tell_driver(BlockBackend *blk, BlockDriverState *bs, bool plugged)
{
    if (plugged != blk->root_plugged) {
        blk->root_plugged = plugged;
        if (plugged) {
            bs->drv->bdrv_io_plug(bs);
        } else {
            bs->drv->bdrv_io_unplug(bs);
        }
    }
}

void blk_plug_update(BlockBackend *blk, BlockDriverState *root)
{
    BlockDriverState *bs = batching_node(root);

    if (bs) {
        pthread_mutex_lock(&blk->plug_lock);
        tell_driver(blk, bs, atomic_load(&blk->plug) > 0 &&
                             atomic_load(&blk->plug_suspended) == 0);
        pthread_mutex_unlock(&blk->plug_lock);
    }
}

void blk_plug_forget(BlockBackend *blk, BlockDriverState *root)
{
    BlockDriverState *bs = batching_node(root);

    if (bs) {
        pthread_mutex_lock(&blk->plug_lock);
        tell_driver(blk, bs, false);
        pthread_mutex_unlock(&blk->plug_lock);
    }
}

static void change(BlockBackend *blk, atomic_int *counter, int by)
{
    BlkShard *shard;
    BlockDriverState *bs = blk_look_begin(blk, &shard);
    int before = atomic_fetch_add(counter, by);

    BLK_PRECONDITION(before + by >= 0, "unplugged more often than plugged");
    if (before == 0 || before + by == 0) {
        blk_plug_update(blk, bs);
    }
    blk_look_end(shard);
}

void blk_plug_suspend(BlockBackend *blk)
{
    change(blk, &blk->plug_suspended, 1);
}

void blk_plug_resume(BlockBackend *blk)
{
    change(blk, &blk->plug_suspended, -1);
}

void blk_io_plug(BlockBackend *blk)
{
    change(blk, &blk->plug, 1);
}

void blk_io_unplug(BlockBackend *blk)
{
    change(blk, &blk->plug, -1);
}
