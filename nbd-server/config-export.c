/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings of an export as a whole: made from the defaults, checked, shared.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "view.h"

void config_export_clear(ExportConfig *export)
{
    free(export->name);
    free(export->id);
    free(export->description);
    free(export->image);
    free(export->node_name);
    free(export->format);
    free(export->throttle_group);
    free(export->load_snapshot);
    name_list_clear(&export->bitmaps);
    access_rules_clear(&export->access);
}

ExportConfig *export_config_ref(ExportConfig *cfg)
{
    atomic_fetch_add(&cfg->refs, 1);
    return cfg;
}

void export_config_unref(ExportConfig *cfg)
{
    if (cfg && atomic_fetch_sub(&cfg->refs, 1) == 1) {
        config_export_clear(cfg);
        free(cfg);
    }
}

ExportConfig *export_config_copy(const ExportConfig *from)
{
    ExportConfig *export = xcalloc(1, sizeof(*export));
    const size_t rest = offsetof(ExportConfig, name);

    /* Without the references, which others may take and drop meanwhile. */
    memcpy((char *)export + rest, (const char *)from + rest, sizeof(*from) - rest);
    atomic_init(&export->refs, 1);
    export->name = xstrdup(from->name);
    export->id = xstrdup(from->id);
    export->node_name = xstrdup(from->node_name);
    export->description = xstrdup(from->description);
    export->image = xstrdup(from->image);
    export->format = xstrdup(from->format);
    export->throttle_group = xstrdup(from->throttle_group);
    export->load_snapshot = xstrdup(from->load_snapshot);
    name_list_copy(&export->bitmaps, &from->bitmaps);
    access_rules_inherit(&export->access, &from->access);
    export->access.inherited = from->access.inherited;
    return export;
}

ExportConfig *config_new_export(const Config *config)
{
    ExportConfig *export = export_config_copy(&config->defaults);

    free(take_ptr(export->name));
    free(take_ptr(export->id));
    free(take_ptr(export->description));
    free(take_ptr(export->image));
    export->access.inherited = true;
    return export;
}

/* ---- checks that need more than one setting ---- */

static int open_flags(const Config *config, const ExportConfig *export)
{
    static const int cache_flags[] = {
        [CACHE_WRITEBACK] = BDRV_O_CACHE_WB,
        [CACHE_WRITETHROUGH] = 0,
        [CACHE_NONE] = BDRV_O_NOCACHE | BDRV_O_CACHE_WB,
        [CACHE_DIRECTSYNC] = BDRV_O_NOCACHE,
        [CACHE_UNSAFE] = BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH,
    };
    /* Without a flush that a client could send, what is answered must be stable. */
    bool write_through = export->sync || !export->flush;
    int flags = cache_flags[export->cache];

    flags &= write_through && !(flags & BDRV_O_NO_FLUSH) ? ~BDRV_O_CACHE_WB : ~0;
    flags |= export->read_only ? 0 : BDRV_O_RDWR;
    flags |= export->discard == DISCARD_UNMAP ? BDRV_O_UNMAP : 0;
    flags |= config->aio == AIO_NATIVE ? BDRV_O_NATIVE_AIO : 0;
    return flags;
}

void config_set_write_cache(ExportConfig *export, bool on)
{
    bool direct = export->open_flags & BDRV_O_NOCACHE;

    export->cache = direct ? (on ? CACHE_NONE : CACHE_DIRECTSYNC)
                           : (on ? CACHE_WRITEBACK : CACHE_WRITETHROUGH);
    export->flush |= on;
    export->sync &= !on;
    export->open_flags = on ? export->open_flags | BDRV_O_CACHE_WB
                            : export->open_flags & ~BDRV_O_CACHE_WB;
}

bool config_same_limits(const ThrottleConfig *a, const ThrottleConfig *b)
{
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        const LeakyBucket *x = &a->buckets[i], *y = &b->buckets[i];

        if (x->avg != y->avg || x->max != y->max || x->burst_length != y->burst_length) {
            return false;
        }
    }
    return a->op_size == b->op_size;
}

/* A group has one set of limits; an export that names none of its own takes the group's. */
static bool check_group(Config *config, ExportConfig *export, Error **errp)
{
    ExportConfig *other;

    STAILQ_FOREACH(other, &config->exports, link) {
        if (other != export && export->throttle_group && other->throttle_group &&
            strcmp(other->throttle_group, export->throttle_group) == 0 &&
            throttle_enabled(&other->limits) && throttle_enabled(&export->limits) &&
            !config_same_limits(&other->limits, &export->limits)) {
            error_setg(errp, "exports \"%s\" and \"%s\" have different limits for throttle group "
                       "\"%s\"", other->name, export->name, export->throttle_group);
            error_append_hint(errp, "Give the limits of a group once, or alike everywhere.\n");
            return false;
        }
    }
    return true;
}

bool config_complete_export(const Config *config, ExportConfig *export, Error **errp)
{
    if (export->image_opts && export->format) {
        error_setg(errp, "--image-opts and --format do not go together");
        error_append_hint(errp, "Name the format in the image's options: driver=FORMAT,...\n");
        return false;
    }
    if (config->aio == AIO_NATIVE && export->cache != CACHE_NONE &&
        export->cache != CACHE_DIRECTSYNC) {
        error_setg(errp, "--aio=native works only past the host's cache");
        error_append_hint(errp, "Add --cache=none or --cache=directsync.\n");
        return false;
    }
    if (!throttle_is_valid(&export->limits, errp)) {
        error_prepend(errp, "--throttle: ");
        return false;
    }
    if (!throttle_is_valid(&export->client_limits, errp)) {
        error_prepend(errp, "--throttle-client: ");
        return false;
    }
    export->read_only |= export->load_snapshot != NULL;
    export->open_flags = open_flags(config, export);
    return view_check(export, errp);
}

bool config_add_export(Config *config, ExportConfig *export, Error **errp)
{
    ExportConfig *other;

    STAILQ_INSERT_TAIL(&config->exports, export, link);
    STAILQ_FOREACH(other, &config->exports, link) {
        if (other != export && strcmp(other->name, export->name) == 0) {
            error_setg(errp, "two exports have the name \"%s\"", export->name);
            error_append_hint(errp, "Give each its own: --export name=NAME,image=PATH,...\n");
            return false;
        }
    }
    return config_complete_export(config, export, errp) && check_group(config, export, errp);
}
