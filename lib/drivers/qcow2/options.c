/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver's own options, which docs/qcow2.md describes: what writes are kept
 * off, which discards are passed on, sizes of the caches, the external data file.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/block-backend.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/options.h"

#define DEFAULT_L2_CACHE (32u << 20)
#define DEFAULT_SLICE (64u << 10)
#define MIN_REFCOUNT_BLOCKS 4u

#define DEFAULT_CLEAN_INTERVAL 600      /* s */

/* ---- metadata that writes are kept off ---- */

#define OVERLAP "overlap-check"

static int parse_template(const char *text, unsigned *areas, Error **errp)
{
    static const struct { const char *word; unsigned areas; } templates[] = {
        { "none", 0 }, { "constant", QCOW2_OL_CONSTANT }, { "cached", QCOW2_OL_CACHED },
        { "all", QCOW2_OL_ALL },
    };

    for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
        if (strcmp(text, templates[i].word) == 0) {
            *areas = templates[i].areas;
            return 0;
        }
    }
    error_setg(errp, "Unsupported value '%s' for qcow2 option '" OVERLAP "'. Allowed are any of "
               "the following: none, constant, cached, all", text);
    return -EINVAL;
}

static int take_template(QDict *options, unsigned *areas, Error **errp)
{
    const char *template = qdict_get_try_str(options, OVERLAP ".template");
    const char *text = qdict_get_try_str(options, OVERLAP);
    int ret;

    if (text && template && strcmp(text, template) != 0) {
        error_setg(errp, "Conflicting values for qcow2 options '" OVERLAP "' ('%s') and '"
                   OVERLAP ".template' ('%s')", text, template);
        return -EINVAL;
    }
    ret = parse_template(text ? text : template ? template : "cached", areas, errp);
    qdict_del(options, OVERLAP);
    qdict_del(options, OVERLAP ".template");
    return ret;
}

static int take_overlap(QDict *options, unsigned *areas, Error **errp)
{
    static const char *const names[] = {
        OVERLAP ".main-header", OVERLAP ".active-l1", OVERLAP ".active-l2",
        OVERLAP ".refcount-table", OVERLAP ".refcount-block", OVERLAP ".snapshot-table",
        OVERLAP ".inactive-l1", OVERLAP ".inactive-l2", OVERLAP ".bitmap-directory",
    };
    int ret = take_template(options, areas, errp);

    for (unsigned i = 0; ret == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        bool on = *areas & (1u << i);

        ret = options_take_bool(options, names[i], &on, errp);
        *areas = (*areas & ~(1u << i)) | (unsigned)on << i;
    }
    return ret;
}

/* ---- what is passed on, what is put off ---- */

static int take_discard(Qcow2State *s, QDict *options, int flags, Error **errp)
{
    bool *pass = s->pass_discard;

    pass[QCOW2_DISCARD_ALWAYS] = true;
    pass[QCOW2_DISCARD_REQUEST] = flags & BDRV_O_UNMAP;
    pass[QCOW2_DISCARD_SNAPSHOT] = true;
    if (options_take_bool(options, "pass-discard-request", &pass[QCOW2_DISCARD_REQUEST],
                          errp) < 0 ||
        options_take_bool(options, "pass-discard-snapshot", &pass[QCOW2_DISCARD_SNAPSHOT],
                          errp) < 0) {
        return -EINVAL;
    }
    return options_take_bool(options, "pass-discard-other", &pass[QCOW2_DISCARD_OTHER], errp);
}

/* Refcounts are always written before what relies on them: there is nothing to put off. */
static int take_lazy_refcounts(const Qcow2State *s, QDict *options, Error **errp)
{
    bool lazy = false;
    int ret = options_take_bool(options, "lazy-refcounts", &lazy, errp);

    if (ret == 0 && lazy && s->hdr.version < 3) {
        error_setg(errp, "Lazy refcounts require a qcow2 image with at least qemu 1.1 "
                   "compatibility level");
        ret = -EINVAL;
    }
    return ret;
}

int qcow2_take_options(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = take_overlap(options, &s->overlap_check, errp);

    if (ret == 0) {
        ret = take_discard(s, options, flags, errp);
    }
    if (ret == 0) {
        ret = take_lazy_refcounts(s, options, errp);
    }
    s->clean_interval = DEFAULT_CLEAN_INTERVAL;
    if (ret == 0) {
        ret = options_take_size(options, "cache-clean-interval", &s->clean_interval, errp);
    }
    if (ret == 0 && s->clean_interval > UINT32_MAX) {
        error_setg(errp, "Cache clean interval too big");
        ret = -EINVAL;
    }
    return ret;
}

/* ---- caches ---- */

typedef struct CacheSizes {
    int64_t total, l2, refcount;        /* bytes; -1: not said */
    int64_t slice;
} CacheSizes;

static int take_sizes(QDict *options, CacheSizes *sizes, Error **errp)
{
    *sizes = (CacheSizes){ .total = -1, .l2 = -1, .refcount = -1, .slice = -1 };
    if (options_take_size(options, "cache-size", &sizes->total, errp) < 0 ||
        options_take_size(options, "l2-cache-size", &sizes->l2, errp) < 0 ||
        options_take_size(options, "refcount-cache-size", &sizes->refcount, errp) < 0 ||
        options_take_size(options, "l2-cache-entry-size", &sizes->slice, errp) < 0) {
        return -EINVAL;
    }
    if (sizes->total >= 0 && sizes->l2 >= 0 && sizes->refcount >= 0) {
        error_setg(errp, "cache-size, l2-cache-size and refcount-cache-size may not be set at the "
                   "same time");
    } else if (sizes->total >= 0 && sizes->l2 > sizes->total) {
        error_setg(errp, "l2-cache-size may not exceed cache-size");
    } else if (sizes->total >= 0 && sizes->refcount > sizes->total) {
        error_setg(errp, "refcount-cache-size may not exceed cache-size");
    } else {
        return 0;
    }
    return -EINVAL;
}

static int check_slice(const Qcow2State *s, CacheSizes *sizes, Error **errp)
{
    if (sizes->slice < 0) {
        sizes->slice = s->cluster_size < DEFAULT_SLICE ? s->cluster_size : DEFAULT_SLICE;
    }
    if (sizes->slice < 512 || sizes->slice > s->cluster_size ||
        (sizes->slice & (sizes->slice - 1))) {
        error_setg(errp, "L2 cache entry size must be a power of two between 512 and the cluster "
                   "size (%u)", s->cluster_size);
        return -EINVAL;
    }
    return 0;
}

/* What was not said follows from what was. */
static void complete_sizes(const Qcow2State *s, CacheSizes *sizes)
{
    int64_t all_of_l2 = (int64_t)(qcow2_clusters_up(s, s->hdr.size) << s->l2_entry_bits);
    int64_t least_refcount = (int64_t)MIN_REFCOUNT_BLOCKS * s->cluster_size;

    if (sizes->total >= 0 && sizes->l2 >= 0) {
        sizes->refcount = sizes->total - sizes->l2;
    } else if (sizes->total >= 0 && sizes->refcount >= 0) {
        sizes->l2 = sizes->total - sizes->refcount;
    } else if (sizes->total >= 0) {
        sizes->l2 = sizes->total >= all_of_l2 + least_refcount ? all_of_l2
                    : sizes->total > least_refcount ? sizes->total - least_refcount : 0;
        sizes->refcount = sizes->total - sizes->l2;
    }
    if (sizes->l2 < 0) {
        sizes->l2 = DEFAULT_L2_CACHE;
    }
    if (sizes->l2 > all_of_l2) {
        /* More could never be used, but whole slices are needed. */
        sizes->l2 = (all_of_l2 / sizes->slice + 2) * sizes->slice;
    }
    if (sizes->refcount < least_refcount) {
        sizes->refcount = least_refcount;
    }
}

int qcow2_open_caches(BlockDriverState *bs, QDict *options, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    CacheSizes sizes;
    int ret = take_sizes(options, &sizes, errp);

    if (ret == 0) {
        ret = check_slice(s, &sizes, errp);
    }
    if (ret < 0) {
        return ret;
    }
    complete_sizes(s, &sizes);
    s->slice_bits = (uint32_t)__builtin_ctzll((uint64_t)sizes.slice) - s->l2_entry_bits;
    ret = qcow2_cache_init(&s->l2_cache, (uint32_t)sizes.slice, (uint64_t)sizes.l2,
                           QCOW2_OL_ACTIVE_L2, &s->map_lock);
    return ret < 0 ? ret : qcow2_cache_init(&s->refcount_cache, s->cluster_size,
                                            (uint64_t)sizes.refcount, QCOW2_OL_REFCOUNT_BLOCK,
                                            NULL);
}

/* ---- the external data file ---- */

#define DATA_FILE "data-file"

/* Moves "data-file.x" to "x" in a new dictionary. */
static QDict *extract_data_file_options(QDict *options)
{
    static const char prefix[] = DATA_FILE ".";
    QDict *extracted = qdict_new();
    const char *key;
    void *tmp;
    json_t *value;

    json_object_foreach_safe(options, tmp, key, value) {
        if (strncmp(key, prefix, sizeof(prefix) - 1) == 0) {
            json_incref(value);
            qdict_put(extracted, key + sizeof(prefix) - 1, value);
            qdict_del(options, key);
        }
    }
    return extracted;
}

static bool is_relative(const char *name)
{
    return name[0] != '/' && name[strcspn(name, ":/")] != ':';
}

/* The header's name; relative to the image if it is relative.  The caller frees. */
static char *name_in_header(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    const char *image = bdrv_filename(bdrv_file(bs)), *slash = strrchr(image, '/');
    const char *name = s->hdr.data_file;
    int dir = slash && is_relative(name) ? (int)(slash - image) + 1 : 0;
    char *full;

    return asprintf(&full, "%.*s%s", dir, image, name) < 0 ? NULL : full;
}

static int data_file_flags(int flags)
{
    flags |= BDRV_O_PROTOCOL | BDRV_O_UNMAP | BDRV_O_CACHE_WB;
    return flags & ~(BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING | BDRV_O_COPY_ON_READ);
}

static int open_data_file(BlockDriverState *bs, QDict *options, const char *reference, int flags,
                          Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    QDict *own = extract_data_file_options(options);
    char *name = NULL;
    int ret = -EINVAL;

    if (reference && qdict_size(own) == 0) {
        ret = bdrv_open(&s->data_file, NULL, reference, NULL, 0, errp);
    } else if (reference || qdict_size(own) > 0) {
        ret = bdrv_open(&s->data_file, reference, NULL, json_incref(own), data_file_flags(flags),
                        errp);
    } else if (s->hdr.data_file) {
        name = name_in_header(bs);
        ret = name ? bdrv_open(&s->data_file, name, NULL, NULL, data_file_flags(flags), errp)
                   : -ENOMEM;
        free(name);
    } else {
        error_setg(errp, "'%s' is required for this image", DATA_FILE);
    }
    QDECREF(own);
    if (ret < 0) {
        s->data_file = NULL;
    } else {
        bdrv_attach_child(bs, s->data_file);
    }
    return ret;
}

int qcow2_open_data_file(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    char *reference = NULL;
    const char *given = qdict_get_try_str(options, DATA_FILE);
    int ret;

    s->external = s->hdr.incompatible & QCOW2_INCOMPAT_DATA_FILE;
    if (!s->external) {
        s->data_file = bdrv_file(bs);
        return 0;   /* an option for one is left over, and refused as such */
    }
    if (given) {
        reference = strdup(given);
        if (!reference) {
            return -ENOMEM;
        }
        qdict_del(options, DATA_FILE);
    }
    ret = open_data_file(bs, options, reference, flags, errp);
    free(reference);
    return ret;
}
