/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dirty bitmaps that the image keeps: loaded when a node becomes usable, stored
 * before it is let go.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>

/* ---- one bitmap, in a coroutine ---- */

typedef struct StoreCall {
    BlockDriverState *bs;
    const char *name;
    Error **errp;
} StoreCall;

bool bdrv_supports_persistent_dirty_bitmap(BlockDriverState *bs)
{
    return bs->drv && bs->drv->bdrv_supports_persistent_dirty_bitmap &&
           bs->drv->bdrv_supports_persistent_dirty_bitmap(bs);
}

bool bdrv_can_store_new_dirty_bitmap(BlockDriverState *bs, const char *name, uint32_t granularity,
                                     Error **errp)
{
    if (!bs->drv || !bs->drv->bdrv_can_store_new_dirty_bitmap) {
        error_setg_errno(errp, bs->drv ? ENOTSUP : ENOMEDIUM,
                         "Can't store persistent bitmaps to %s", bs->node_name);
        return false;
    }
    return bs->drv->bdrv_can_store_new_dirty_bitmap(bs, name, granularity, errp);
}

static int64_t coroutine_fn remove_entry(void *opaque)
{
    StoreCall *call = opaque;

    return call->bs->drv->bdrv_co_remove_persistent_dirty_bitmap(call->bs, call->name, call->errp);
}

int bdrv_remove_persistent_dirty_bitmap(BlockDriverState *bs, const char *name, Error **errp)
{
    StoreCall call = { .bs = bs, .name = name, .errp = errp };
    int ret;

    if (!bs->drv || !bs->drv->bdrv_co_remove_persistent_dirty_bitmap) {
        return 0;                      /* it holds none */
    }
    if (bs->read_only || (bdrv_get_flags(bs) & BDRV_O_INACTIVE)) {
        error_setg(errp, "'%s' is read-only", bdrv_filename(bs));
        return -EACCES;
    }
    bdrv_drained_begin(bs);
    ret = (int)bdrv_run_sync(remove_entry, &call);
    bdrv_drained_end(bs);
    return ret;
}

/* ---- all of a node ---- */

static void set_all_readonly(BlockDriverState *bs, bool readonly)
{
    for (BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs); bitmap;
         bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (bdrv_dirty_bitmap_get_persistence(bitmap)) {
            bdrv_dirty_bitmap_set_readonly(bitmap, readonly);
        }
    }
}

void bdrv_follow_read_only(BlockDriverState *bs)
{
    set_all_readonly(bs, bs->read_only);
}

int bdrv_load_dirty_bitmaps(BlockDriverState *bs, Error **errp)
{
    int ret = 0;

    if (bs->drv->bdrv_load_dirty_bitmaps && !(bdrv_get_flags(bs) & BDRV_O_INACTIVE)) {
        ret = bs->drv->bdrv_load_dirty_bitmaps(bs, errp);
    }
    if (ret == 0) {
        bdrv_follow_read_only(bs);
    }
    return ret;
}

static int64_t coroutine_fn store_entry(void *opaque)
{
    StoreCall *call = opaque;

    return call->bs->drv->bdrv_co_store_dirty_bitmaps(call->bs, call->errp);
}

int bdrv_store_dirty_bitmaps(BlockDriverState *bs, Error **errp)
{
    StoreCall call = { .bs = bs, .errp = errp };

    if (!bs->drv->bdrv_co_store_dirty_bitmaps || bs->read_only ||
        (bdrv_get_flags(bs) & BDRV_O_INACTIVE)) {
        return 0;
    }
    return (int)bdrv_run_sync(store_entry, &call);
}
