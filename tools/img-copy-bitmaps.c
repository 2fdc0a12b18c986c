/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The persistent dirty bitmaps of one image in another. */
#include "tools/img-copy.h"

#include <blkbackend/dirty-bitmap.h>

bool img_check_bitmaps(BlockDriverState *bs, bool skip_broken)
{
    BdrvDirtyBitmap *bitmap;

    if (!bdrv_supports_persistent_dirty_bitmap(bs)) {
        error_report("Source lacks bitmap support");
        return false;
    }
    for (bitmap = bdrv_dirty_bitmap_first(bs); bitmap; bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (!skip_broken && bdrv_dirty_bitmap_get_persistence(bitmap) &&
            bdrv_dirty_bitmap_inconsistent(bitmap)) {
            error_report("Cannot copy inconsistent bitmap '%s'", bdrv_dirty_bitmap_name(bitmap));
            error_printf("Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' "
                         "to delete it\n");
            return false;
        }
    }
    return true;
}

/* NULL: reported. */
static BdrvDirtyBitmap *create_like(BlockDriverState *to, const BdrvDirtyBitmap *model)
{
    const char *name = bdrv_dirty_bitmap_name(model);
    uint32_t granularity = bdrv_dirty_bitmap_granularity(model);
    BdrvDirtyBitmap *bitmap = NULL;
    Error *err = NULL;

    if (bdrv_can_store_new_dirty_bitmap(to, name, granularity, &err)) {
        bitmap = bdrv_create_dirty_bitmap(to, granularity, name, &err);
    }
    if (!bitmap) {
        error_reportf_err(err, "Failed to create bitmap %s: ", name);
    }
    return bitmap;
}

static bool copy_bitmap(BlockDriverState *to, const BdrvDirtyBitmap *from)
{
    BdrvDirtyBitmap *bitmap = create_like(to, from);
    Error *err = NULL;

    if (!bitmap) {
        return false;
    }
    if (!bdrv_dirty_bitmap_enabled(from)) {
        bdrv_disable_dirty_bitmap(bitmap);
    }
    if (!bdrv_merge_dirty_bitmap(bitmap, from, &err)) {
        error_reportf_err(err, "Failed to populate bitmap %s: ", bdrv_dirty_bitmap_name(from));
        bdrv_release_dirty_bitmap(bitmap);
        return false;
    }
    bdrv_dirty_bitmap_set_persistence(bitmap, true);
    return true;
}

bool img_copy_bitmaps(BlockDriverState *from, BlockDriverState *to)
{
    BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(from);
    bool good = true;

    for (; bitmap && good; bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        if (!bdrv_dirty_bitmap_get_persistence(bitmap)) {
            continue;
        }
        if (bdrv_dirty_bitmap_inconsistent(bitmap)) {
            warn_report("Skipping inconsistent bitmap '%s'", bdrv_dirty_bitmap_name(bitmap));
            continue;
        }
        good = copy_bitmap(to, bitmap);
    }
    return good;
}
