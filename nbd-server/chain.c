/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chain of images of an export, which a snapshot makes longer and a commit shorter while
 * clients are connected.
 *
 * The settings name the image that was at the top when the export was opened.  Were it opened by
 * that name again, for a reload or a new try, its clients would find the disk as it was before the
 * snapshot: so the export's settings follow the chain, and what they said before is kept, to see
 * whether a reload says anything else.
 *
 * An image may be what no name says (a part of a file, behind a filter).  With such a one at the
 * top there is nothing to name, and the export cannot be opened anew.  What was there before a
 * commit would do only where the commit has emptied it.
 */
#include "chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/job.h>

#include "common/cleanup.h"
#include "common/image-info.h"
#include "common/xalloc.h"
#include "config.h"
#include "nodes.h"
#include "view.h"

/* ---- what can have it ---- */

static bool shows_whole_image(Export *export, Error **errp)
{
    const ExportConfig *cfg = export->cfg;

    if (view_is_window(cfg)) {
        error_setg(errp, "Export '%s' shows a part of its image only", export->name);
    } else if (cfg->snapshot) {
        error_setg(errp, "What is written to export '%s' is temporary (--snapshot)", export->name);
    } else if (cfg->load_snapshot) {
        error_setg(errp, "Export '%s' shows an older state of its image (--load-snapshot)",
                   export->name);
    } else {
        return true;
    }
    error_append_hint(errp, "Export the whole image for it.\n");
    return false;
}

bool chain_may_change(Export *export, Error **errp)
{
    if (export->removed) {
        error_setg(errp, "Export '%s' is being removed", export->name);
        return false;
    }
    if (export->transient) {
        error_setg(errp, "Export '%s' is one of --export-dir, and would be opened by its file's "
                   "name the next time", export->name);
        error_append_hint(errp, "Export the image by itself for it.\n");
        return false;
    }
    return shows_whole_image(export, errp);
}

/* ---- settings that follow ---- */

static bool same_string(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_image(const ExportConfig *a, const ExportConfig *b)
{
    return same_string(a->image, b->image) && same_string(a->format, b->format) &&
           a->image_opts == b->image_opts;
}

static ExportConfig *with_image(const ExportConfig *cfg, const char *image, const char *format,
                                bool image_opts)
{
    ExportConfig *copy = export_config_copy(cfg);

    free(copy->image);
    free(copy->format);
    copy->image = xstrdup(image);
    copy->format = xstrdup(format);
    copy->image_opts = image_opts;
    return copy;
}

static ExportConfig *with_image_of(const ExportConfig *cfg, const ExportConfig *of)
{
    return with_image(cfg, of->image, of->format, of->image_opts);
}

/* What is opened by a file's name is its driver on the file, and nothing in between. */
static bool has_filter(BlockDriverState *bs, Error **errp)
{
    bool by_name = true;

    for (; bs; bs = bdrv_backing(bs)) {
        const char *header = bdrv_get_backing_filename(bs);
        BlockDriverState *file = bdrv_file(bs);

        if (by_name && file && bdrv_file(file)) {
            error_setg(errp, "Node '%s' has node '%s' (%s) between itself and its file",
                       bdrv_get_node_name(bs), bdrv_get_node_name(file),
                       bdrv_get_format_name(file));
            return true;
        }
        by_name = !header || strncmp(header, "json:", 5) != 0;
    }
    return false;
}

/* What opens the image as it is, with all that is below it; NULL: nothing does. */
static char *find_name(BlockDriverState *bs, Error **errp)
{
    auto_free char *name = bdrv_name_for_header(bs, errp);

    return name && !has_filter(bs, errp) ? take_ptr(name) : NULL;
}

/* Generated names are not given twice. */
static bool is_as_opened(const Export *export, BlockDriverState *bs)
{
    const char *node = bdrv_get_node_name(bs);

    return node[0] == '#' && strcmp(node, export->opened_node) == 0;
}

static void follow(Export *export, BlockDriverState *bs)
{
    bool as_opened = is_as_opened(export, bs);
    Error *err = NULL;
    auto_free char *name = as_opened ? NULL : find_name(bs, &err);
    ExportConfig *cfg = as_opened ? with_image_of(export->cfg, export->opened)
                        : name ? with_image(export->cfg, name, bdrv_get_format_name(bs), false)
                        : NULL;

    free(take_ptr(export->unnamed));
    if (cfg) {
        export_set_config(export, cfg);
    } else {
        export->unnamed = xstrdup(error_get_pretty(err));
        log_msg(LOG_LEVEL_WARNING, export, NULL, "a reload cannot open its image anew: %s",
                export->unnamed);
    }
    error_free(err);
    export_config_unref(cfg);
}

void chain_top_changed(Export *export)
{
    BlockDriverState *bs = blk_bs(export->blk);

    export_medium_changed(export);
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "its image is \"%s\" (%s) now", image_filename(bs),
            bdrv_get_format_name(bs));
    if (export->cfg->node_name) {
        return;                 /* of a node: no file of settings has it */
    }
    if (!export->configured) {
        export->configured = export_config_ref(export->cfg);
    }
    follow(export, bs);
}

ExportConfig *chain_follow(const Export *export, ExportConfig *cfg)
{
    return export->configured && same_image(export->configured, cfg)
           ? with_image_of(cfg, export->cfg) : export_config_ref(cfg);
}

bool chain_can_open_anew(const Export *export, Error **errp)
{
    if (export->unnamed) {
        error_setg(errp, "Export '%s': since its last snapshot or commit no name opens its image: "
                   "%s", export->name, export->unnamed);
        error_append_hint(errp, "Leave the settings alone that take opening it anew, or name "
                          "another image.\n");
    }
    return !export->unnamed;
}

/* ---- external snapshots ---- */

static bool snapshot_done(Export *export, int ret)
{
    if (ret == 0) {
        chain_top_changed(export);
    }
    return ret == 0;
}

bool chain_snapshot_file(Export *export, const char *filename, const char *format,
                         const char *node_name, bool existing, Error **errp)
{
    return chain_may_change(export, errp) && !nodes_has_other_writers(export, errp) &&
           snapshot_done(export, blk_snapshot_file(export->blk, filename, format, node_name,
                                                   existing, errp));
}

bool chain_snapshot_node(Export *export, BlockDriverState *overlay, Error **errp)
{
    return chain_may_change(export, errp) && !nodes_has_other_writers(export, errp) &&
           snapshot_done(export, blk_snapshot(export->blk, overlay, errp));
}

/* ---- internal snapshots ---- */

/* The image, if this may be done with it. */
static BlockDriverState *internal_image(Export *export, BlockOpType op, Error **errp)
{
    BlockDriverState *bs = blk_bs(export->blk);

    if (!bs) {
        error_setg(errp, "Export '%s' has no medium", export->name);
        return NULL;
    }
    return shows_whole_image(export, errp) && !blk_op_is_blocked(export->blk, op, errp) ? bs : NULL;
}

static bool find_snapshot(BlockDriverState *bs, const char *id, const char *name,
                          QEMUSnapshotInfo *sn)
{
    auto_free QEMUSnapshotInfo *list = NULL;
    int n = bdrv_snapshot_list(bs, &list);

    for (int i = 0; i < n; i++) {
        if ((!id || strcmp(list[i].id_str, id) == 0) &&
            (!name || strcmp(list[i].name, name) == 0)) {
            *sn = list[i];
            return true;
        }
    }
    return false;
}

bool chain_save(Export *export, const char *name, Error **errp)
{
    BlockDriverState *bs = internal_image(export, BLOCK_OP_TYPE_INTERNAL_SNAPSHOT, errp);
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    QEMUSnapshotInfo sn = {
        .date_sec = (uint32_t)(now / 1000000000), .date_nsec = (uint32_t)(now % 1000000000),
        .icount = UINT64_MAX,
    };

    if (!bs) {
        return false;
    }
    if (!*name || strlen(name) >= sizeof(sn.name)) {
        error_setg(errp, *name ? "The name is longer than %zu bytes" : "The name is empty",
                   sizeof(sn.name) - 1);
        return false;
    }
    if (find_snapshot(bs, NULL, name, &sn)) {
        error_setg(errp, "Snapshot with name '%s' already exists on device '%s'", name, export->id);
        return false;
    }
    strcpy(sn.name, name);
    return bdrv_snapshot_create(bs, &sn, errp) == 0;
}

bool chain_delete(Export *export, const char *id, const char *name, QEMUSnapshotInfo *sn,
                  Error **errp)
{
    BlockDriverState *bs = internal_image(export, BLOCK_OP_TYPE_INTERNAL_SNAPSHOT_DELETE, errp);

    if (!bs) {
        return false;
    }
    if (!id && !name) {
        error_setg(errp, "Name or id must be provided");
        return false;
    }
    if (!find_snapshot(bs, id, name, sn)) {
        error_setg(errp, "Snapshot with id '%s' and name '%s' does not exist on device '%s'",
                   id ? id : "", name ? name : "", export->id);
        return false;
    }
    return bdrv_snapshot_delete(bs, sn->id_str, sn->name, errp) == 0;
}
