/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What exports and nodes are like: query-block, query-named-block-nodes.
 */
#include <stdlib.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#include "common/image-info.h"
#include "commands.h"

/* ---- a node ---- */

static void put_int(json_t *dict, const char *key, uint64_t value)
{
    qdict_put(dict, key, qint_from_int((int64_t)value));
}

static json_t *describe_cache(int flags)
{
    return json_pack("{s:b, s:b, s:b}", "writeback", flags & BDRV_O_CACHE_WB ? 1 : 0,
                     "direct", flags & BDRV_O_NOCACHE ? 1 : 0,
                     "no-flush", flags & BDRV_O_NO_FLUSH ? 1 : 0);
}

static json_t *describe_bitmap(const BdrvDirtyBitmap *bitmap)
{
    json_t *dict = json_object();
    const char *name = bdrv_dirty_bitmap_name(bitmap);
    bool inconsistent = bdrv_dirty_bitmap_inconsistent(bitmap);

    if (name) {
        qdict_put(dict, "name", qstring_from_str(name));
    }
    put_int(dict, "count", inconsistent ? 0 : (uint64_t)bdrv_get_dirty_count(bitmap));
    put_int(dict, "granularity", bdrv_dirty_bitmap_granularity(bitmap));
    qdict_put(dict, "recording", qbool_from_bool(bdrv_dirty_bitmap_enabled(bitmap)));
    qdict_put(dict, "busy", qbool_from_bool(bdrv_dirty_bitmap_busy(bitmap)));
    qdict_put(dict, "persistent", qbool_from_bool(bdrv_dirty_bitmap_get_persistence(bitmap)));
    if (inconsistent) {
        qdict_put(dict, "inconsistent", qbool_from_bool(true));
    }
    return dict;
}

static void put_bitmaps(json_t *dict, BlockDriverState *bs)
{
    BdrvDirtyBitmap *bitmap = bdrv_dirty_bitmap_first(bs);
    json_t *list;

    if (!bitmap) {
        return;
    }
    list = json_array();
    for (; bitmap; bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        json_array_append_new(list, describe_bitmap(bitmap));
    }
    qdict_put(dict, "dirty-bitmaps", list);
}

/* ---- limits ---- */

/* export NULL: a node by itself has none. */
static void put_export_limits(json_t *dict, Export *export)
{
    ThrottleConfig limits;
    const char *group = NULL;

    throttle_config_init(&limits);
    if (export) {
        export_throttle_config(export, &limits, &group);
    }
    if (group) {
        qdict_put(dict, "group", qstring_from_str(group));
    }
    qmp_put_limits(dict, &limits);
}

/* ---- BlockDeviceInfo ---- */

/* flat: without the images below. */
static json_t *describe_image(BlockDriverState *bs, bool flat, unsigned *depth, Error **errp)
{
    json_t *info = image_info(bs, errp), *image = info;

    *depth = 0;
    while (image && !flat && (bs = bdrv_backing(bs))) {
        json_t *below = image_info(bs, errp);

        if (!below) {
            json_decref(info);
            return NULL;
        }
        qdict_put(image, "backing-image", below);
        image = below;
        ++*depth;
    }
    return info;
}

static json_t *describe_node(BlockDriverState *bs, Export *export, bool flat, Error **errp)
{
    static const char *const detect_zeroes[] = {
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF] = "off",
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_ON] = "on",
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP] = "unmap",
    };
    unsigned depth;
    json_t *image = describe_image(bs, flat, &depth, errp), *info;

    if (!image) {
        return NULL;
    }
    info = json_pack("{s:s, s:s, s:b, s:s, s:b, s:s, s:i, s:o, s:o, s:i}",
                     "file", image_filename(bs), "node-name", bdrv_get_node_name(bs),
                     "ro", bdrv_is_read_only(bs), "drv", bdrv_get_format_name(bs),
                     "encrypted", 0, "detect_zeroes", detect_zeroes[bdrv_get_detect_zeroes(bs)],
                     "backing_file_depth", (int)depth, "image", image,
                     "cache", describe_cache(bdrv_get_flags(bs)), "write_threshold", 0);
    if (bdrv_backing(bs)) {
        qdict_put(info, "backing_file", qstring_from_str(image_filename(bdrv_backing(bs))));
    }
    put_export_limits(info, export);
    put_bitmaps(info, bs);
    return info;
}

json_t *cmd_query_named_block_nodes(QmpSession *session, const json_t *args, Error **errp)
{
    bool flat = qmp_bool(args, "flat", false);
    BlockDriverState *bs = NULL;
    json_t *list = json_array();

    (void)session;
    while ((bs = bdrv_next_node(bs))) {
        json_t *info;

        if (!bdrv_get_format_name(bs) || !*bdrv_get_node_name(bs)) {
            continue;        /* without a medium; on its way out */
        }
        info = describe_node(bs, NULL, flat, errp);
        if (!info) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, info);
    }
    return list;
}

/* ---- BlockInfo ---- */

static json_t *describe_export(Export *export, Error **errp)
{
    static const char *const io_status[] = {
        [BLOCK_DEVICE_IO_STATUS_OK] = "ok",
        [BLOCK_DEVICE_IO_STATUS_FAILED] = "failed",
        [BLOCK_DEVICE_IO_STATUS_NOSPACE] = "nospace",
    };
    BlockDriverState *bs = blk_bs(export->blk);
    json_t *inserted = bs ? describe_node(bs, export, false, errp) : NULL;
    json_t *info;

    if (bs && !inserted) {
        return NULL;
    }
    info = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "device", export->id, "qdev", export->id,
                     "type", "unknown", "removable", 1, "locked", 0,
                     "tray_open", (int)export->tray_open);
    if (inserted) {
        qdict_put(info, "inserted", inserted);
    }
    if (blk_iostatus_is_enabled(export->blk)) {
        qdict_put(info, "io-status", qstring_from_str(io_status[blk_iostatus(export->blk)]));
    }
    return info;
}

json_t *cmd_query_block(QmpSession *session, const json_t *args, Error **errp)
{
    Export **all = exports_snapshot(qmp_session_server(session));
    json_t *list = json_array();

    (void)args;
    for (Export **next = all; next && *next && list; next++) {
        json_t *info = describe_export(*next, errp);

        if (info) {
            json_array_append_new(list, info);
        } else {
            json_decref(list);
            list = NULL;
        }
    }
    exports_snapshot_free(all);
    return list;
}
