/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver's own options: sizes of the caches, and the external data file.
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
    ret = qcow2_cache_init(&s->l2_cache, (uint32_t)sizes.slice, (uint64_t)sizes.l2, &s->map_lock);
    return ret < 0 ? ret : qcow2_cache_init(&s->refcount_cache, s->cluster_size,
                                            (uint64_t)sizes.refcount, NULL);
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
