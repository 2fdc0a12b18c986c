/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about dirty bitmaps.
 */
#include <blkbackend/dirty-bitmap.h>

#include "commands.h"

static BdrvDirtyBitmap *find_in_node(QmpSession *session, const char *node, const char *name,
                                     Error **errp)
{
    BlockDriverState *bs = qmp_find_node(session, node, errp);
    BdrvDirtyBitmap *bitmap = bs ? bdrv_find_dirty_bitmap(bs, name) : NULL;

    if (bs && !bitmap) {
        error_setg(errp, "Dirty bitmap '%s' not found on node '%s'", name, node);
    }
    return bitmap;
}

/* The bitmap that node and name mean, if it is in none of these states (BitmapCheckFlags). */
static BdrvDirtyBitmap *find_bitmap(QmpSession *session, const json_t *args, unsigned states,
                                    Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_in_node(session, qmp_str(args, "node", ""),
                                           qmp_str(args, "name", ""), errp);

    return bitmap && bdrv_dirty_bitmap_check(bitmap, states, errp) == 0 ? bitmap : NULL;
}

/* ---- its life ---- */

static bool check_new(BlockDriverState *bs, const char *name, int64_t granularity, bool persistent,
                      Error **errp)
{
    if (!*name) {
        error_setg(errp, "Bitmap name cannot be empty");
        return false;
    }
    if (granularity < 512 || granularity > UINT32_MAX / 2 + 1 ||
        (granularity & (granularity - 1))) {
        error_setg(errp, "Granularity must be a power of 2 from 512 on");
        return false;
    }
    return !persistent || bdrv_can_store_new_dirty_bitmap(bs, name, (uint32_t)granularity, errp);
}

json_t *cmd_block_dirty_bitmap_add(QmpSession *session, const json_t *args, Error **errp)
{
    BlockDriverState *bs = qmp_find_node(session, qmp_str(args, "node", ""), errp);
    const char *name = qmp_str(args, "name", "");
    bool persistent = qmp_bool(args, "persistent", false);
    BdrvDirtyBitmap *bitmap;
    int64_t granularity;

    if (!bs) {
        return NULL;
    }
    granularity = qmp_int(args, "granularity", bdrv_get_default_bitmap_granularity(bs));
    if (!check_new(bs, name, granularity, persistent, errp)) {
        return NULL;
    }
    bitmap = bdrv_create_dirty_bitmap(bs, (uint32_t)granularity, name, errp);
    if (!bitmap) {
        return NULL;
    }
    if (qmp_bool(args, "disabled", false)) {
        bdrv_disable_dirty_bitmap(bitmap);
    }
    bdrv_dirty_bitmap_set_persistence(bitmap, persistent);
    return json_object();
}

json_t *cmd_block_dirty_bitmap_remove(QmpSession *session, const json_t *args, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_bitmap(session, args, BDRV_BITMAP_BUSY | BDRV_BITMAP_RO, errp);

    if (!bitmap) {
        return NULL;
    }
    if (bdrv_dirty_bitmap_get_persistence(bitmap) &&
        bdrv_remove_persistent_dirty_bitmap(qmp_find_node(session, qmp_str(args, "node", ""),
                                                          NULL),
                                            bdrv_dirty_bitmap_name(bitmap), errp) < 0) {
        return NULL;
    }
    bdrv_release_dirty_bitmap(bitmap);
    return json_object();
}

/* ---- what it records ---- */

json_t *cmd_block_dirty_bitmap_clear(QmpSession *session, const json_t *args, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_bitmap(session, args, BDRV_BITMAP_DEFAULT, errp);

    if (!bitmap) {
        return NULL;
    }
    bdrv_clear_dirty_bitmap(bitmap);
    return json_object();
}

json_t *cmd_block_dirty_bitmap_enable(QmpSession *session, const json_t *args, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_bitmap(session, args, BDRV_BITMAP_ALLOW_RO, errp);

    if (!bitmap) {
        return NULL;
    }
    bdrv_enable_dirty_bitmap(bitmap);
    return json_object();
}

json_t *cmd_block_dirty_bitmap_disable(QmpSession *session, const json_t *args, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_bitmap(session, args, BDRV_BITMAP_ALLOW_RO, errp);

    if (!bitmap) {
        return NULL;
    }
    bdrv_disable_dirty_bitmap(bitmap);
    return json_object();
}

/* ---- merging ---- */

/* A name of the target's node, or {"node": ..., "name": ...}. */
static BdrvDirtyBitmap *find_source(QmpSession *session, const char *target_node,
                                    const json_t *source, Error **errp)
{
    const char *name = json_string_value(source), *node = target_node;

    if (json_is_object(source) && json_object_size(source) == 2) {
        node = qmp_str(source, "node", NULL);
        name = qmp_str(source, "name", NULL);
    }
    if (!name || !node) {
        error_setg(errp, "Parameter 'bitmaps' should be names, or objects of 'node' and 'name'");
        return NULL;
    }
    return find_in_node(session, node, name, errp);
}

/* All or none: they meet in a bitmap of nobody's first. */
static bool merge(QmpSession *session, BlockDriverState *bs, BdrvDirtyBitmap *target,
                  const json_t *args, Error **errp)
{
    BdrvDirtyBitmap *sum = bdrv_create_dirty_bitmap(bs, bdrv_dirty_bitmap_granularity(target),
                                                    NULL, errp);
    const json_t *sources = json_object_get(args, "bitmaps");
    bool ok = sum != NULL;

    if (!ok) {
        return false;
    }
    bdrv_disable_dirty_bitmap(sum);
    for (size_t i = 0; i < json_array_size(sources) && ok; i++) {
        BdrvDirtyBitmap *source = find_source(session, qmp_str(args, "node", ""),
                                              json_array_get(sources, i), errp);

        ok = source && bdrv_merge_dirty_bitmap(sum, source, errp);
    }
    ok = ok && bdrv_merge_dirty_bitmap(target, sum, errp);
    bdrv_release_dirty_bitmap(sum);
    return ok;
}

json_t *cmd_block_dirty_bitmap_merge(QmpSession *session, const json_t *args, Error **errp)
{
    const char *node = qmp_str(args, "node", "");
    BlockDriverState *bs = qmp_find_node(session, node, errp);
    BdrvDirtyBitmap *target = bs ? find_in_node(session, node, qmp_str(args, "target", ""), errp)
                                 : NULL;

    if (!target || bdrv_dirty_bitmap_check(target, BDRV_BITMAP_DEFAULT, errp) < 0) {
        return NULL;
    }
    return merge(session, bs, target, args, errp) ? json_object() : NULL;
}
