/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An export: a name on the network for one BlockBackend, which all its
 * connections share.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/accounting.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "config.h"
#include "meta-context.h"
#include "throttle.h"
#include "view.h"

/* ---- life ---- */

/* A client may write what looks like another format: the next guess would be another one. */
void export_warn_if_guessed(const Export *export, const char *guessed)
{
    if (guessed) {
        log_msg(LOG_LEVEL_WARNING, export, NULL,
                "the image's format was guessed; name it: --format=%s", guessed);
    }
}

uint16_t export_flags(Export *export, bool read_only)
{
    ExportConfig *cfg = export_settings(export);
    unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_CACHE |
                     NBD_FLAG_CAN_MULTI_CONN;   /* one BlockBackend: a flush covers them all */

    /* That is how a client learns that what is answered is stable: there is nothing to flush. */
    flags |= export->write_through ? 0 : NBD_FLAG_SEND_FLUSH;
    flags |= export->rotational ? NBD_FLAG_ROTATIONAL : 0;
    flags |= cfg->fua ? NBD_FLAG_SEND_FUA : 0;
    if (read_only) {
        flags |= NBD_FLAG_READ_ONLY;
    } else {
        flags |= NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
        flags |= cfg->trim ? NBD_FLAG_SEND_TRIM : 0;
    }
    export_config_unref(cfg);
    return (uint16_t)flags;
}

/* Latencies are there to be asked for from the start, until somebody sets other boundaries. */
static void start_accounting(BlockAcctStats *stats)
{
    block_acct_init(stats, true, true);
    for (int type = 0; type < BLOCK_MAX_IOTYPE; type++) {
        block_latency_histogram_set(stats, (enum BlockAcctType)type, stats_bounds_ns,
                                    STATS_BOUNDS);
    }
}

static bool describe(Export *export, Error **errp)
{
    BlockBackend *blk = export->blk;
    int64_t size;

    if (!export->read_only && blk_is_read_only(blk)) {
        error_setg(errp, "The image can only be read");
        error_append_hint(errp, "Export it with --read-only.");
        return false;
    }
    size = blk_getlength(blk);
    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Cannot find out the size of the image");
        return false;
    }
    export->size = (uint64_t)size;
    export->write_through = !blk_enable_write_cache(blk);
    export->min_block = 1;      /* the block layer serves any alignment */
    export->max_block = NBD_MAX_REQUEST;
    export_medium_changed(export);
    blk_iostatus_enable(blk);
    start_accounting(blk_get_stats(blk));
    return true;
}

/* A drive, with the image as its medium. */
static bool open_image(Export *export, Error **errp)
{
    auto_free char *guessed = NULL;
    BlockDriverState *bs = view_open(export->cfg, &guessed, errp);

    if (!bs) {
        return false;
    }
    export->blk = blk_new(NULL);
    blk_attach_dev_nofail(export->blk, export);
    blk_insert_bs(export->blk, bs);
    export->opened = export_config_ref(export->cfg);
    export->opened_node = xstrdup(bdrv_get_node_name(bs));
    bdrv_unref(bs);
    if (export->cfg->node_name) {
        blk_set_enable_write_cache(export->blk, export->cfg->open_flags & BDRV_O_CACHE_WB);
    }
    export_warn_if_guessed(export, guessed);
    return true;
}

void export_set_config(Export *export, ExportConfig *cfg)
{
    ExportConfig *old = export->cfg;

    pthread_mutex_lock(&export->lock);
    export->cfg = export_config_ref(cfg);
    pthread_mutex_unlock(&export->lock);
    export_config_unref(old);
}

/* In this order: a write that has not seen the switch was done before the flush began. */
static bool switch_write_cache(Export *export, bool on, Error **errp)
{
    int ret;

    if (blk_get_flags(export->blk) & BDRV_O_NO_FLUSH) {
        error_setg(errp, "Nothing of the image is ever flushed: its write cache has no switch");
        error_append_hint(errp, "It was opened with cache=unsafe; another mode takes opening it "
                          "anew.\n");
        return false;
    }
    blk_set_enable_write_cache(export->blk, on);
    atomic_store(&export->write_through, !on);
    ret = on ? 0 : export_flush_medium(export);
    if (ret < 0) {
        export->server->data_lost = true;
        error_setg_errno(errp, -ret, "The write cache is off now, but what was written before "
                         "could not be flushed");
        error_append_hint(errp, "It may be lost if the power fails. Have clients write it "
                          "again.\n");
    }
    return ret >= 0;
}

bool export_set_write_cache(Export *export, bool on, Error **errp)
{
    bool ok = switch_write_cache(export, on, errp);

    if (on != export->write_through) {
        ExportConfig *cfg = export_config_copy(export->cfg);

        config_set_write_cache(cfg, on);
        export_set_config(export, cfg);
        export_config_unref(cfg);
    }
    return ok;
}

int export_flush_medium(Export *export)
{
    BlockDriverState *bs = blk_bs(export->blk);

    return bs && !bdrv_is_read_only(bs) ? bdrv_flush(bs) : 0;
}

bool export_flush(Export *export)
{
    int ret = export_flush_medium(export);

    if (ret < 0) {
        log_msg(LOG_LEVEL_ERROR, export, NULL, "flush failed, written data may be lost: %s",
                strerror(-ret));
    }
    return ret >= 0;
}

Export *export_new(ExportConfig *cfg, Error **errp)
{
    Export *export = xcalloc(1, sizeof(*export));

    atomic_init(&export->refs, 1);
    export->file = -1;
    pthread_mutex_init(&export->lock, NULL);
    TAILQ_INIT(&export->conns);
    export->cfg = export_config_ref(cfg);
    throttle_init_export(export);
    export->name = xstrdup(cfg->name);
    export->id = xstrdup(cfg->id ? cfg->id : cfg->name);
    export->read_only = cfg->read_only;
    if (!open_image(export, errp) || !describe(export, errp) ||
        !meta_contexts_init(export, cfg, errp)) {
        error_prepend(errp, "Export '%s': %s '%s': ", export->name,
                      cfg->node_name ? "node" : "image",
                      cfg->node_name ? cfg->node_name : cfg->image);
        if (cfg->format) {
            error_append_hint(errp, "It was opened with --format=%s.\n", cfg->format);
        }
        export_free(export);
        return NULL;
    }
    return export;
}

void export_free(Export *export)
{
    if (export) {
        meta_contexts_free(export);
        throttle_free_export(export);
        timer_free(export->deadline);
        if (export->blk) {
            blk_detach_dev(export->blk, export);
            blk_unref(export->blk);
        }
        if (export->file >= 0) {
            close(export->file);
        }
        export_config_unref(export->cfg);
        export_config_unref(export->configured);
        export_config_unref(export->opened);
        pthread_mutex_destroy(&export->lock);
        free(export->name);
        free(export->id);
        free(export->opened_node);
        free(export->unnamed);
        free(export);
    }
}

/* At one moment: a client that comes gets the limits of cfg, or is there to be given them. */
static void publish(Export *export, ExportConfig *cfg)
{
    ExportConfig *old = export->cfg;

    pthread_mutex_lock(&export->lock);
    throttle_apply(export, cfg);
    export->cfg = export_config_ref(cfg);
    pthread_mutex_unlock(&export->lock);
    export_config_unref(old);
}

bool export_apply(Export *export, ExportConfig *cfg, Error **errp)
{
    bool switched = (cfg->open_flags ^ export->cfg->open_flags) & BDRV_O_CACHE_WB;
    bool ok;

    publish(export, cfg);
    ok = !switched || switch_write_cache(export, cfg->open_flags & BDRV_O_CACHE_WB, errp);
    if (!ok) {
        error_prepend(errp, "Export '%s': ", export->name);
    }
    blk_set_on_error(export->blk, (BlockdevOnError)cfg->on_read_error,
                     (BlockdevOnError)cfg->on_write_error);
    export_medium_changed(export);
    export_follow_tray(export);
    return ok;
}

bool export_can_take(const Export *export, const ExportConfig *cfg)
{
    auto_free char *not_live = config_export_changes(export->cfg, cfg, CHANGES_REOPEN);

    /* A medium that was put in since may be read-only as it likes. */
    return !not_live && (cfg->read_only || !export->cfg->read_only ||
                         !blk_is_read_only(export->blk));
}

ExportConfig *export_settings(Export *export)
{
    ExportConfig *cfg;

    pthread_mutex_lock(&export->lock);
    cfg = export_config_ref(export->cfg);
    pthread_mutex_unlock(&export->lock);
    return cfg;
}

/* ---- clients ---- */

bool export_enter(Export *export)
{
    unsigned n = atomic_fetch_add(&export->clients, 1) + 1;
    ExportConfig *cfg = export_settings(export);
    bool ok = !export->removed && (cfg->max_clients == 0 || n <= cfg->max_clients);

    export_config_unref(cfg);
    if (!ok) {
        export_leave(export);
    }
    return ok;
}

void export_leave(Export *export)
{
    atomic_fetch_sub(&export->clients, 1);
}
