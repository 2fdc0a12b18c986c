/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chain of images of an export, which a snapshot makes longer and a commit shorter while
 * clients are connected.
 *
 * The settings name the image that was at the top when the export was opened.  Were it opened by
 * that name again, for a reload or a new try, its clients would find the disk as it was before the
 * snapshot: so the export's settings follow the chain, and what they said before is kept, to see
 * whether a reload says anything else.
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

static ExportConfig *with_image(const ExportConfig *cfg, const char *image, const char *format)
{
    ExportConfig *copy = export_config_copy(cfg);

    free(copy->image);
    free(copy->format);
    copy->image = xstrdup(image);
    copy->format = xstrdup(format);
    copy->image_opts = false;
    return copy;
}

void chain_top_changed(Export *export)
{
    BlockDriverState *bs = blk_bs(export->blk);
    const char *name = image_filename(bs);
    auto_free char *path = realpath(name, NULL);
    ExportConfig *cfg;

    export_medium_changed(export);
    log_msg(LOG_LEVEL_NOTICE, export, NULL, "its image is \"%s\" (%s) now", name,
            bdrv_get_format_name(bs));
    if (export->cfg->node_name) {
        return;                 /* of a node: no file of settings has it */
    }
    if (!export->configured) {
        export->configured = export_config_ref(export->cfg);
    }
    cfg = with_image(export->cfg, path ? path : name, bdrv_get_format_name(bs));
    export_set_config(export, cfg);
    export_config_unref(cfg);
}

ExportConfig *chain_follow(const Export *export, ExportConfig *cfg)
{
    return export->configured && same_image(export->configured, cfg)
           ? with_image(cfg, export->cfg->image, export->cfg->format) : export_config_ref(cfg);
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
