/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The medium of an export: what its image is like, and how it is exchanged while clients are
 * connected.
 *
 * To the library an export is a drive with a tray, and what the tray does decides about requests:
 *
 *     closed, with a medium ── open: drain, flush ──▶ open ── remove ──▶ open and empty
 *              ▲                                       │                      │
 *              └────────────── close ──────────────────┴────── insert ◀───────┘
 *
 * A client keeps what it was told of the first medium; what does not fit the one that is in gets
 * the protocol's error.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "config.h"
#include "meta-context.h"
#include "nbd-server/qmp/qmp.h"
#include "view.h"

/* ---- what it is like ---- */

static void set_size(Export *export, int64_t size)
{
    uint64_t old;

    if (size < 0) {
        return;     /* requests will tell what is the matter */
    }
    old = atomic_exchange(&export->size, (uint64_t)size);
    if (old != (uint64_t)size && export->server) {
        qmp_event(export->server, "X_EXPORT_RESIZED",
                  json_pack("{s:s, s:I}", "id", export->id, "size", (json_int_t)size));
        log_msg(LOG_LEVEL_INFO, export, NULL, "the image has %" PRId64 " bytes now, %" PRIu64
                " before", size, old);
    }
}

void coroutine_fn export_refresh_size(Export *export)
{
    set_size(export, blk_getlength(export->blk));
}

/* proto.md, "Size constraints": a power of two, at least 512. */
static uint32_t preferred_block(BlockBackend *blk)
{
    int64_t opt = blk_get_opt_transfer(blk);

    if (opt > NBD_DEFAULT_PREF_BLOCK_SIZE && opt <= NBD_MAX_REQUEST && (opt & (opt - 1)) == 0) {
        return (uint32_t)opt;
    }
    return NBD_DEFAULT_PREF_BLOCK_SIZE;
}

void export_medium_changed(Export *export)
{
    const ExportConfig *cfg = export->cfg;
    BlockDriverState *bs = blk_bs(export->blk);

    export->read_only = cfg->read_only || (bs && bdrv_is_read_only(bs));
    if (bs) {
        set_size(export, bdrv_getlength(bs));
        export->rotational = cfg->rotational == ROTATIONAL_ON ||
                             (cfg->rotational == ROTATIONAL_AUTO &&
                              export_is_rotational(export->blk));
        export->pref_block = preferred_block(export->blk);
    }
}

bool export_has_medium(Export *export)
{
    return !export->tray_open && blk_is_inserted(export->blk);
}

/* ---- the tray ---- */

static bool is_tray_open(void *opaque)
{
    Export *export = opaque;

    return atomic_load_explicit(&export->tray_open, memory_order_relaxed);
}

static void move_tray(void *opaque, bool load)
{
    Export *export = opaque;

    export->tray_open = !load;
    qmp_event(export->server, "DEVICE_TRAY_MOVED",
              json_pack("{s:s, s:s, s:b}", "device", export->id, "id", export->id, "tray-open",
                        !load));
}

static const BlockDevOps drive_ops = {
    .change_media_cb = move_tray,
    .is_tray_open = is_tray_open,
};

void export_follow_tray(Export *export)
{
    if (export->cfg->on_eject == EJECT_WAIT && !export_has_medium(export)) {
        export_gate(export, GATE_NO_MEDIUM);
    } else {
        export_ungate(export, GATE_NO_MEDIUM);
    }
}

/* Until end_handling(), nothing is in flight, nothing begins, and the library sees a drive. */
static bool begin_handling(Export *export, Error **errp)
{
    export_gate(export, GATE_MEDIUM);
    if (!export_drain(export, 0)) {
        error_setg(errp, "Requests of clients of export '%s' do not come to an end", export->name);
        export_ungate(export, GATE_MEDIUM);
        return false;
    }
    blk_drained_begin(export->blk);
    blk_set_dev_ops(export->blk, &drive_ops, export);
    return true;
}

/* Each request asks for the tray, if there is one: so it is not there as long as it is closed. */
static void end_handling(Export *export)
{
    if (!export->tray_open) {
        blk_set_dev_ops(export->blk, NULL, NULL);
    }
    blk_drained_end(export->blk);
    export_follow_tray(export);
    export_ungate(export, GATE_MEDIUM);
}

static bool flush_before_opening(Export *export, bool force, Error **errp)
{
    int ret = export_flush_medium(export);

    if (ret < 0 && !force) {
        error_setg_errno(errp, -ret, "The medium of export '%s' stays in: what was written could "
                         "not be flushed", export->name);
        error_append_hint(errp, "With force it is taken out all the same, and that is lost.\n");
        return false;
    }
    if (ret < 0) {
        log_msg(LOG_LEVEL_ERROR, export, NULL, "flush failed, and the medium is taken out by "
                "force; written data may be lost: %s", strerror(-ret));
        export->server->data_lost = true;
    }
    return true;
}

static bool open_tray(Export *export, bool force, Error **errp)
{
    return (export->tray_open || flush_before_opening(export, force, errp)) &&
           blk_open_tray(export->blk, force, errp) == 0;
}

bool export_open_tray(Export *export, bool force, Error **errp)
{
    bool ok;

    if (!begin_handling(export, errp)) {
        return false;
    }
    ok = open_tray(export, force, errp);
    end_handling(export);
    return ok;
}

bool export_close_tray(Export *export, Error **errp)
{
    bool ok;

    if (!begin_handling(export, errp)) {
        return false;
    }
    ok = blk_close_tray(export->blk, errp) == 0;
    end_handling(export);
    return ok;
}

/* ---- out and in ---- */

/* Somebody relies on this medium. */
static bool is_bound(Export *export, Error **errp)
{
    if (!blk_bs(export->blk)) {
        return false;
    }
    for (unsigned i = 0; i < export->n_contexts; i++) {
        const BdrvDirtyBitmap *bitmap = export->contexts[i].bitmap;

        if (bitmap) {
            error_setg(errp, "The medium of export '%s' must stay in: clients may read its bitmap "
                       "'%s'", export->name, bdrv_dirty_bitmap_name(bitmap));
            return true;
        }
    }
    return blk_op_is_blocked(export->blk, BLOCK_OP_TYPE_EJECT, errp);
}

static bool check_tray(const Export *export, Error **errp)
{
    if (!export->tray_open) {
        error_setg(errp, "The tray of export '%s' is not open", export->name);
        error_append_hint(errp, "blockdev-open-tray opens it.\n");
        return false;
    }
    return true;
}

static bool remove_medium(Export *export, Error **errp)
{
    if (!check_tray(export, errp) || is_bound(export, errp) ||
        blk_remove_medium(export->blk, errp) < 0) {
        return false;
    }
    export_medium_changed(export);
    return true;
}

bool export_remove_medium(Export *export, Error **errp)
{
    bool ok;

    if (!begin_handling(export, errp)) {
        return false;
    }
    ok = remove_medium(export, errp);
    end_handling(export);
    return ok;
}

bool export_eject(Export *export, bool force, Error **errp)
{
    bool ok;

    if (!begin_handling(export, errp)) {
        return false;
    }
    ok = !is_bound(export, errp) && open_tray(export, force, errp) && remove_medium(export, errp);
    end_handling(export);
    return ok;
}

static bool insert_medium(Export *export, BlockDriverState *bs, Error **errp)
{
    int64_t size = bdrv_getlength(bs);

    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Cannot find out the size of node '%s'",
                         bdrv_get_node_name(bs));
        return false;
    }
    if (!check_tray(export, errp)) {
        return false;
    }
    if (blk_bs(export->blk)) {
        error_setg(errp, "Export '%s' has a medium already", export->name);
        error_append_hint(errp, "blockdev-remove-medium takes it out.\n");
        return false;
    }
    if (blk_insert_medium(export->blk, bs, errp) < 0) {
        return false;
    }
    export->medium++;
    blk_set_enable_write_cache(export->blk, !export->write_through);
    export_medium_changed(export);
    return true;
}

bool export_insert_medium(Export *export, BlockDriverState *bs, Error **errp)
{
    bool ok;

    if (!begin_handling(export, errp)) {
        return false;
    }
    ok = insert_medium(export, bs, errp);
    end_handling(export);
    return ok;
}

/* ---- another one instead ---- */

/* The settings of the export for another image. */
static ExportConfig *settings_for(Export *export, const char *filename, const char *format,
                                  bool read_only)
{
    ExportConfig *cfg = export_config_copy(export->cfg);

    free(take_ptr(cfg->node_name));
    free(cfg->image);
    free(cfg->format);
    cfg->image = xstrdup(filename);
    cfg->format = xstrdup(format);
    cfg->image_opts = false;
    cfg->read_only = read_only;
    cfg->open_flags = (cfg->open_flags & ~BDRV_O_RDWR) | (read_only ? 0 : BDRV_O_RDWR);
    return cfg;
}

static BlockDriverState *open_another(Export *export, const char *filename, const char *format,
                                      BlockdevChangeReadOnlyMode mode, Error **errp)
{
    bool read_only = mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN
                     ? blk_is_read_only(export->blk)
                     : mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY;
    auto_free char *guessed = NULL;
    BlockDriverState *bs;
    ExportConfig *cfg;

    if (export->cfg->read_only && mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_WRITE) {
        error_setg(errp, "Export '%s' is read-only, whatever its medium", export->name);
        return NULL;
    }
    cfg = settings_for(export, filename, format, read_only);
    bs = view_open(cfg, &guessed, errp);
    if (bs && !read_only && bdrv_is_read_only(bs)) {
        error_setg(errp, "The image '%s' can only be read", filename);
        error_append_hint(errp, "Use the read-only-mode 'read-only'.\n");
        bdrv_unref(bs);
        bs = NULL;
    }
    export_config_unref(cfg);
    export_warn_if_guessed(export, bs ? guessed : NULL);
    return bs;
}

bool export_change_medium(Export *export, const char *filename, const char *format,
                          BlockdevChangeReadOnlyMode mode, bool force, Error **errp)
{
    BlockDriverState *bs;
    bool ok;

    if (is_bound(export, errp)) {
        return false;
    }
    bs = open_another(export, filename, format, mode, errp);
    if (!bs) {
        return false;
    }
    ok = begin_handling(export, errp);
    if (ok) {
        ok = open_tray(export, force, errp) && remove_medium(export, errp) &&
             insert_medium(export, bs, errp) && blk_close_tray(export->blk, errp) == 0;
        end_handling(export);
    }
    bdrv_unref(bs);
    return ok;
}

/* ---- another size ---- */

static bool may_resize(Export *export, int64_t size, bool force, Error **errp)
{
    unsigned clients = export->clients;

    if (!blk_bs(export->blk)) {
        error_setg(errp, "Export '%s' has no medium", export->name);
        return false;
    }
    if (view_is_window(export->cfg)) {
        error_setg(errp, "Export '%s' shows a part of its image, which cannot be resized",
                   export->name);
        error_append_hint(errp, "Export the whole image for it.\n");
        return false;
    }
    if (clients > 0 && size < (int64_t)export->size && !force) {
        error_setg(errp, "Clients are connected to export '%s': %u. They were told of %" PRIu64
                   " bytes, and %" PRId64 " are less", export->name, clients, export->size, size);
        error_append_hint(errp, "What is cut off is lost; x-force does it all the same.\n");
        return false;
    }
    return !blk_op_is_blocked(export->blk, BLOCK_OP_TYPE_RESIZE, errp);
}

bool export_resize(Export *export, int64_t size, bool force, Error **errp)
{
    BlockDriverState *bs = blk_bs(export->blk);
    int ret;

    if (!may_resize(export, size, force, errp)) {
        return false;
    }
    bdrv_drained_begin(bs);
    ret = bdrv_truncate(bs, size, PREALLOC_MODE_OFF, errp);
    export_medium_changed(export);
    bdrv_drained_end(bs);
    return ret == 0;
}
