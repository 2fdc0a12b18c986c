/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breakpoints: to the first node of the medium's chain that has them. */
#include <errno.h>

#include "backend/backend.h"

static BlockDriverState *find_filter(BlockDriverState *bs)
{
    while (bs && bs->drv && !bs->drv->bdrv_debug_breakpoint) {
        bs = bs->file;
    }
    return bs && bs->drv ? bs : NULL;
}

int blk_debug_breakpoint(BlockBackend *blk, const char *event, const char *tag)
{
    BlkShard *shard;
    BlockDriverState *root = blk_look_begin(blk, &shard), *bs = find_filter(root);
    int ret = bs ? bs->drv->bdrv_debug_breakpoint(bs, event, tag) : root ? -ENOTSUP : -ENOMEDIUM;

    blk_look_end(shard);
    return ret;
}

int blk_debug_remove_breakpoint(BlockBackend *blk, const char *tag)
{
    BlkShard *shard;
    BlockDriverState *root = blk_look_begin(blk, &shard), *bs = find_filter(root);
    int ret = bs ? bs->drv->bdrv_debug_remove_breakpoint(bs, tag) : root ? -ENOTSUP : -ENOMEDIUM;

    blk_look_end(shard);
    return ret;
}

int blk_debug_resume(BlockBackend *blk, const char *tag)
{
    BlkShard *shard;
    BlockDriverState *root = blk_look_begin(blk, &shard), *bs = find_filter(root);
    int ret = bs ? bs->drv->bdrv_debug_resume(bs, tag) : root ? -ENOTSUP : -ENOMEDIUM;

    blk_look_end(shard);
    return ret;
}

bool blk_debug_is_suspended(BlockBackend *blk, const char *tag)
{
    BlkShard *shard;
    BlockDriverState *bs = find_filter(blk_look_begin(blk, &shard));
    bool suspended = bs && bs->drv->bdrv_debug_is_suspended(bs, tag);

    blk_look_end(shard);
    return suspended;
}
