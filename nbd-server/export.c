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

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "config.h"
#include "meta-context.h"
#include "throttle.h"
#include "view.h"

/* ---- life ---- */

/* A client may write what looks like another format: the next guess would be another one. */
static void warn_if_guessed(const Export *export, const char *guessed)
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

/* proto.md, "Size constraints": a power of two, at least 512. */
static uint32_t preferred_block(BlockBackend *blk)
{
    int64_t opt = blk_get_opt_transfer(blk);

    if (opt > NBD_DEFAULT_PREF_BLOCK_SIZE && opt <= NBD_MAX_REQUEST && (opt & (opt - 1)) == 0) {
        return (uint32_t)opt;
    }
    return NBD_DEFAULT_PREF_BLOCK_SIZE;
}

static bool describe(Export *export, const ExportConfig *cfg, Error **errp)
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
    export->rotational = cfg->rotational == ROTATIONAL_ON ||
                         (cfg->rotational == ROTATIONAL_AUTO && export_is_rotational(blk));
    export->min_block = 1;      /* the block layer serves any alignment */
    export->pref_block = preferred_block(blk);
    export->max_block = NBD_MAX_REQUEST;
    block_acct_init(blk_get_stats(blk), true, true);
    return true;
}

void coroutine_fn export_refresh_size(Export *export)
{
    int64_t size = blk_getlength(export->blk);
    uint64_t old;

    if (size < 0) {
        return;     /* requests will tell what is the matter */
    }
    old = atomic_exchange(&export->size, (uint64_t)size);
    if (old != (uint64_t)size) {
        log_msg(LOG_LEVEL_INFO, export, NULL, "the image has %" PRId64 " bytes now, %" PRIu64
                " before", size, old);
    }
}

bool export_flush(Export *export)
{
    int ret = blk_is_read_only(export->blk) ? 0 : blk_flush(export->blk);

    if (ret < 0) {
        log_msg(LOG_LEVEL_ERROR, export, NULL, "flush failed, written data may be lost: %s",
                strerror(-ret));
    }
    return ret >= 0;
}

Export *export_new(ExportConfig *cfg, Error **errp)
{
    Export *export = xcalloc(1, sizeof(*export));
    auto_free char *guessed = NULL;

    atomic_init(&export->refs, 1);
    export->file = -1;
    pthread_mutex_init(&export->lock, NULL);
    TAILQ_INIT(&export->conns);
    export->cfg = export_config_ref(cfg);
    throttle_init_export(export);
    export->name = xstrdup(cfg->name);
    export->read_only = cfg->read_only;
    export->blk = view_open(cfg, &guessed, errp);
    if (!export->blk || !describe(export, cfg, errp) || !meta_contexts_init(export, cfg, errp)) {
        error_prepend(errp, "Export '%s': image '%s': ", export->name, cfg->image);
        if (cfg->format) {
            error_append_hint(errp, "It was opened with --format=%s.\n", cfg->format);
        }
        export_free(export);
        return NULL;
    }
    warn_if_guessed(export, guessed);
    return export;
}

void export_free(Export *export)
{
    if (export) {
        meta_contexts_free(export);
        throttle_free_export(export);
        timer_free(export->deadline);
        blk_unref(export->blk);
        if (export->file >= 0) {
            close(export->file);
        }
        export_config_unref(export->cfg);
        pthread_mutex_destroy(&export->lock);
        free(export->name);
        free(export);
    }
}

void export_apply(Export *export, ExportConfig *cfg)
{
    ExportConfig *old = export->cfg;

    throttle_apply(export, cfg);
    export->read_only = cfg->read_only;
    pthread_mutex_lock(&export->lock);
    export->cfg = export_config_ref(cfg);
    pthread_mutex_unlock(&export->lock);
    export_config_unref(old);
}

bool export_can_take(const Export *export, const ExportConfig *cfg)
{
    auto_free char *not_live = config_export_changes(export->cfg, cfg, CHANGES_REOPEN);

    return !not_live && (cfg->read_only || !blk_is_read_only(export->blk));
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
