/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM state (§3.10): bytes beside the disk that a format keeps for its user.
 * They are part neither of the disk's content nor of its length.
 */
#include "graph/graph-int.h"

#include <errno.h>

int coroutine_fn bdrv_co_save_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    BlockDriverState *node = bs;
    int ret;

    while (node && !(node->drv && node->drv->bdrv_co_save_vmstate)) {
        node = node->file;
    }
    if (!node) {
        return -ENOTSUP;
    }
    ret = bdrv_check_writable(bs);
    if (ret == 0) {
        ret = node->drv->bdrv_co_save_vmstate(node, qiov, pos);
    }
    if (ret >= 0) {
        ret = atomic_load(&bs->enable_write_cache) ? 0 : bdrv_co_flush(bs);
    }
    return ret;
}

int coroutine_fn bdrv_co_load_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    BlockDriverState *node = bs;
    int ret;

    while (node && !(node->drv && node->drv->bdrv_co_load_vmstate)) {
        node = node->file;
    }
    if (!node) {
        return -ENOTSUP;
    }
    ret = node->drv->bdrv_co_load_vmstate(node, qiov, pos);
    return ret < 0 ? ret : 0;
}
