/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening an image, and the views of it:
 *
 *     image ─▶ --load-snapshot: as it was then
 *           └▶ --snapshot: with an overlay for what is written
 *               └▶ --offset, --size, --partition: a raw node that shows a window
 *
 * An export that was added for a node shows that one as it is.
 */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/image.h>

#include "common/cleanup.h"
#include "common/option-list.h"
#include "common/xalloc.h"

#define WINDOW_UNIT 512    /* what a raw node can be cut at */

bool view_is_window(const ExportConfig *cfg)
{
    return cfg->offset > 0 || cfg->size >= 0 || cfg->partition > 0;
}

static bool check_unit(const char *key, int64_t value, Error **errp)
{
    if (value % WINDOW_UNIT) {
        error_setg(errp, "--%s: %" PRId64 " is not a multiple of %d", key, value, WINDOW_UNIT);
        return false;
    }
    return true;
}

bool view_check(const ExportConfig *cfg, Error **errp)
{
    if (cfg->partition > 0 && (cfg->offset > 0 || cfg->size >= 0)) {
        error_setg(errp, "--partition goes without --offset and --size");
        error_append_hint(errp, "The partition table says where the partition is.\n");
        return false;
    }
    if (cfg->snapshot && cfg->load_snapshot) {
        error_setg(errp, "--snapshot and --load-snapshot do not go together");
        error_append_hint(errp, "What --load-snapshot shows can only be read.\n");
        return false;
    }
    if (view_is_window(cfg) && (cfg->bitmaps.n > 0 || cfg->allocation_depth)) {
        error_setg(errp, "--bitmap and --allocation-depth go without --offset, --size and "
                   "--partition");
        error_append_hint(errp, "They speak of the whole image.\n");
        return false;
    }
    return check_unit("offset", cfg->offset, errp) &&
           (cfg->size < 0 || check_unit("size", cfg->size, errp));
}

/* ---- the image ---- */

static BlockDriverState *open_image(const ExportConfig *cfg, int flags, Error **errp)
{
    const char *filename = cfg->image_opts ? NULL : cfg->image;
    QDict *options = cfg->image_opts ? option_list_parse(cfg->image, errp) : qdict_new();
    BlockDriverState *bs = NULL;

    if (!options) {
        return NULL;
    }
    if (cfg->format) {
        qdict_put(options, "driver", qstring_from_str(cfg->format));
    }
    return bdrv_open(&bs, filename, NULL, options, flags, errp) < 0 ? NULL : bs;
}

/* Below the overlay of --snapshot lies the image itself. */
static char *guessed_format(const ExportConfig *cfg, BlockDriverState *bs)
{
    BlockDriverState *image = cfg->snapshot && !cfg->read_only ? bdrv_backing(bs) : bs;

    return cfg->format || cfg->image_opts ? NULL : xstrdup(bdrv_get_format_name(image));
}

/* ---- --load-snapshot ---- */

static void hint_snapshots(BlockDriverState *bs, Error **errp)
{
    auto_free QEMUSnapshotInfo *list = NULL;
    int n = bdrv_snapshot_list(bs, &list);

    if (n == 0) {
        error_append_hint(errp, "The image has no snapshots.\n");
    }
    for (int i = 0; i < n; i++) {
        error_append_hint(errp, "%s snapshot.id=%s,snapshot.name=%s\n",
                          i ? "               " : "The image has:", list[i].id_str, list[i].name);
    }
}

/* NAME (or an ID), or snapshot.id=ID,snapshot.name=NAME with one of them or both. */
static bool parse_snapshot(const char *text, char **id, char **name, Error **errp)
{
    const char *cursor = text;
    char *key, *value;

    if (strncmp(text, "snapshot.", 9) != 0) {
        *name = xstrdup(text);
        return true;
    }
    while (option_list_next(&cursor, &key, &value)) {
        char **field = strcmp(key, "snapshot.id") == 0 ? id
                       : strcmp(key, "snapshot.name") == 0 ? name : NULL;

        free(key);
        if (!field || !value || *field) {
            free(value);
            error_setg(errp, "--load-snapshot: \"%s\" should be NAME or "
                       "snapshot.id=ID,snapshot.name=NAME", text);
            return false;
        }
        *field = value;
    }
    return true;
}

static bool load_snapshot(BlockDriverState *bs, const char *text, Error **errp)
{
    auto_free char *id = NULL, *name = NULL;
    QEMUSnapshotInfo sn;
    int ret;

    if (!parse_snapshot(text, &id, &name, errp)) {
        return false;
    }
    if (strncmp(text, "snapshot.", 9) != 0 && bdrv_snapshot_find(bs, &sn, name) == 0) {
        id = xstrdup(sn.id_str);    /* a plain NAME may be an ID */
        ret = bdrv_snapshot_load_tmp(bs, id, NULL, errp);
    } else {
        ret = bdrv_snapshot_load_tmp(bs, id, name, errp);
    }
    if (ret == -ENOENT) {
        hint_snapshots(bs, errp);
    }
    return ret == 0;
}

/* ---- a window ---- */

static BlockDriverState *open_window(BlockDriverState *bs, const ExportConfig *cfg, Error **errp)
{
    int64_t offset = cfg->offset, size = cfg->size;
    BlockDriverState *window = NULL;
    QDict *options;

    if (cfg->partition > 0 && !partition_find(bs, cfg->partition, &offset, &size, errp)) {
        return NULL;
    }
    options = qdict_new();
    qdict_put(options, "driver", qstring_from_str("raw"));
    qdict_put(options, "file", qstring_from_str(bdrv_get_node_name(bs)));
    qdict_put(options, "offset", qint_from_int(offset));
    if (size >= 0) {
        qdict_put(options, "size", qint_from_int(size));
    }
    bdrv_open(&window, NULL, NULL, options, cfg->open_flags, errp);
    return window;
}

/* ---- a node that is there already ---- */

/* A node is the root of one backend at most. */
static bool is_taken(const char *node_name)
{
    BlockBackend *blk = blk_new_open(NULL, node_name, NULL, 0, NULL);

    blk_unref(blk);
    return !blk;
}

/* Served by another export, too: through a node that passes on. */
static BlockDriverState *open_filter(const ExportConfig *cfg, Error **errp)
{
    QDict *options = qdict_new();
    BlockDriverState *bs = NULL;

    if (cfg->allocation_depth) {
        error_setg(errp, "Node '%s' is in use by another export or job: then clients cannot be "
                   "told its allocation depth", cfg->node_name);
        return NULL;
    }
    qdict_put(options, "driver", qstring_from_str("raw"));
    qdict_put(options, "file", qstring_from_str(cfg->node_name));
    bdrv_open(&bs, NULL, NULL, options, cfg->open_flags, errp);
    return bs;
}

static BlockDriverState *use_node(const ExportConfig *cfg, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(cfg->node_name);

    if (!bs) {      /* it was there when the export was added */
        error_setg(errp, "Cannot find node '%s' any more", cfg->node_name);
        return NULL;
    }
    if (is_taken(cfg->node_name)) {
        return open_filter(cfg, errp);
    }
    bdrv_ref(bs);
    return bs;
}

BlockDriverState *view_open(const ExportConfig *cfg, char **guessed, Error **errp)
{
    bool window = view_is_window(cfg);
    /* Below a window, the window's cache mode decides. */
    int flags = cfg->open_flags | (cfg->snapshot ? BDRV_O_SNAPSHOT : 0) |
                (window ? BDRV_O_CACHE_WB : 0);
    BlockDriverState *bs, *view = NULL;

    *guessed = NULL;
    if (cfg->node_name) {
        return use_node(cfg, errp);
    }
    bs = open_image(cfg, flags, errp);
    if (!bs) {
        return NULL;
    }
    if (!cfg->load_snapshot || load_snapshot(bs, cfg->load_snapshot, errp)) {
        view = window ? open_window(bs, cfg, errp) : bs;
    }
    if (view) {
        *guessed = guessed_format(cfg, bs);
    }
    if (view != bs) {
        bdrv_unref(bs);
    }
    return view;
}
