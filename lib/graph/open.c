/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a node: from a file name, options and flags to a driver at work.
 *
 *     options, "json:{...}" ─▶ generic options ─▶ a protocol: by name or by file name
 *                                              └▶ a format: its file first, then by name
 *                                                 or by the first bytes
 *       ─▶ driver's open ─▶ limits ─▶ backing file ─▶ no option may be left over ─▶ length
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/options.h"

#define PROBE_SIZE 512

/* What is to be opened; a recursion for the file child has one of its own. */
typedef struct OpenJob {
    BlockDriverState *bs;
    const char *filename;   /* NULL: the options say it all */
    QDict *options;         /* flat; what is understood is removed */
    int flags;
    const BlockDriver *drv; /* NULL until known */
} OpenJob;

/* ---- an existing node instead of a new one ---- */

/* The node, with a reference for the caller; NULL on error. */
static BlockDriverState *find_reference(const char *name, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(name);
    bool is_backend = false;

    if (!bs && bdrv_lookup_backend) {
        bs = bdrv_lookup_backend(name, &is_backend);
    }
    if (bs && bs->drv) {
        bdrv_ref(bs);
        return bs;
    }
    if (bs || is_backend) {
        error_setg(errp, "Device '%s' has no medium", name);
    } else {
        error_setg(errp, "Cannot find device or node '%s'", name);
    }
    return NULL;
}

static int open_reference(BlockDriverState **pbs, const char *filename, const char *reference,
                          const QDict *options, Error **errp)
{
    if (*pbs || filename || (options && qdict_size(options) > 0)) {
        error_setg(errp, "Cannot reference '%s' and give a file name or options too", reference);
        return -EINVAL;
    }
    *pbs = find_reference(reference, errp);
    return *pbs ? 0 : -ENODEV;
}

/* ---- generic options and flags ---- */

static int take_flag(OpenJob *job, const char *key, int flag, bool inverted, Error **errp)
{
    bool value = !(job->flags & flag) == inverted;
    int ret = bdrv_options_take_bool(job->options, key, &value, errp);

    job->flags = value != inverted ? job->flags | flag : job->flags & ~flag;
    return ret;
}

static int take_cache_options(OpenJob *job, Error **errp)
{
    int ret = take_flag(job, "cache.direct", BDRV_O_NOCACHE, false, errp);

    if (ret == 0) {
        ret = take_flag(job, "cache.writeback", BDRV_O_CACHE_WB, false, errp);
    }
    if (ret == 0) {
        ret = take_flag(job, "cache.no-flush", BDRV_O_NO_FLUSH, false, errp);
    }
    return ret;
}

static int take_access_options(OpenJob *job, Error **errp)
{
    int ret = take_flag(job, "read-only", BDRV_O_RDWR, true, errp);

    if (ret == 0) {
        ret = take_flag(job, "auto-read-only", BDRV_O_AUTO_RDONLY, false, errp);
    }
    if (ret == 0) {
        ret = take_flag(job, "force-share", BDRV_O_FORCE_SHARE, false, errp);
    }
    if (ret == 0 && (job->flags & BDRV_O_FORCE_SHARE) && (job->flags & BDRV_O_RDWR)) {
        error_setg(errp, "force-share=on can only be used with read-only images");
        ret = -EINVAL;
    }
    return ret;
}

/* What becomes of discards, and of zeroes that are written as data. */
static int take_zero_options(OpenJob *job, Error **errp)
{
    static const char *const discard_words[] = { "ignore", "off", "unmap", "on", NULL };
    static const char *const detect_words[] = {
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF] = "off",
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_ON] = "on",
        [BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP] = "unmap",
        NULL
    };
    int discard = -1, detect = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;

    if (options_take_word(job->options, "discard", discard_words, &discard, errp) < 0 ||
        options_take_word(job->options, "detect-zeroes", detect_words, &detect, errp) < 0) {
        return -EINVAL;
    }
    if (discard >= 0) {
        job->flags = discard >= 2 ? job->flags | BDRV_O_UNMAP : job->flags & ~BDRV_O_UNMAP;
    }
    if (detect == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && !(job->flags & BDRV_O_UNMAP)) {
        error_setg(errp, "setting detect-zeroes to unmap is not allowed without setting discard "
                   "operation to unmap");
        return -EINVAL;
    }
    atomic_store(&job->bs->detect_zeroes, detect);
    return 0;
}

static int take_node_name(OpenJob *job, Error **errp)
{
    char *name = NULL;
    int ret = bdrv_options_take_str(job->options, "node-name", &name, errp);

    if (ret == 0) {
        ret = bdrv_set_node_name(job->bs, name, errp);
    }
    free(name);
    return ret;
}

static int take_driver(OpenJob *job, Error **errp)
{
    char *name = NULL;
    int ret = bdrv_options_take_str(job->options, "driver", &name, errp);

    if (ret == 0 && name) {
        job->drv = bdrv_find_format(name);
        if (!job->drv) {
            error_setg(errp, "Unknown driver '%s'", name);
            ret = -EINVAL;
        }
    }
    free(name);
    return ret;
}

static int check_flags(OpenJob *job, Error **errp)
{
    if (job->flags & BDRV_O_TEMPORARY) {
        job->flags |= BDRV_O_RDWR;
    }
    if ((job->flags & BDRV_O_COPY_ON_READ) && !(job->flags & BDRV_O_RDWR)) {
        error_setg(errp, "Can't use copy-on-read on read-only device");
        return -EINVAL;
    }
    if ((job->flags & BDRV_O_NATIVE_AIO) && !(job->flags & BDRV_O_NOCACHE)) {
        error_setg(errp, "aio=native was specified, but it requires cache.direct=on, which was "
                   "not specified.");
        return -EINVAL;
    }
    return 0;
}

/* ---- the driver ---- */

static const char *image_name(const OpenJob *job)
{
    const char *name = bdrv_filename(job->bs);

    return name[0] ? name : job->drv->format_name;
}

static int check_left_over_options(const OpenJob *job, Error **errp)
{
    void *first = json_object_iter(job->options);

    if (first) {
        error_setg(errp, job->flags & BDRV_O_PROTOCOL
                             ? "Block protocol '%s' doesn't support the option '%s'"
                             : "Block format '%s' does not support the option '%s'",
                   job->drv->format_name, json_object_iter_key(first));
        return -EINVAL;
    }
    return 0;
}

/* The driver has opened; now the node as a whole. */
static int finish_driver(OpenJob *job, Error **errp)
{
    int64_t length;
    int ret = bdrv_refresh_limits(job->bs, errp);

    if (ret == 0) {
        ret = bdrv_open_backing(job->bs, job->options, job->flags, errp);
    }
    if (ret == 0) {
        ret = bdrv_check_depth(job->bs, 0, errp);
    }
    if (ret == 0) {
        ret = check_left_over_options(job, errp);
    }
    if (ret < 0 || job->bs->sg || !bdrv_is_inserted(job->bs)) {
        return ret;
    }
    length = bdrv_refresh_length(job->bs);
    if (length < 0) {
        error_setg_errno(errp, -length, "Could not get the size of '%s'", image_name(job));
        return length;
    }
    return bdrv_load_dirty_bitmaps(job->bs, errp);
}

/* The option, if it is one of the driver's content_options; NULL: it is not. */
static const char *content_option(const BlockDriver *drv, const char *key)
{
    for (unsigned i = 0; drv->content_options && drv->content_options[i]; i++) {
        size_t len = strlen(drv->content_options[i]);

        if (strncmp(key, drv->content_options[i], len) == 0 &&
            (key[len] == '\0' || key[len] == '.')) {
            return drv->content_options[i];
        }
    }
    return NULL;
}

static void find_unnamed_option(OpenJob *job)
{
    const char *key;
    QObject *value;

    job->bs->unnamed_option = NULL;
    json_object_foreach(job->options, key, value) {
        const char *option = content_option(job->drv, key);

        job->bs->unnamed_option = option ? option : job->bs->unnamed_option;
    }
}

static int call_driver_open(OpenJob *job, Error **errp)
{
    BlockDriverState *bs = job->bs;
    Error *err = NULL;
    int ret = job->drv->bdrv_open ? job->drv->bdrv_open(bs, job->options, job->flags, &err) : 0;

    if (ret < 0 && !err) {
        error_setg_errno(&err, -ret, "Could not open '%s'", image_name(job));
    }
    if (ret == 0 && err) {
        ret = -EINVAL;
    }
    error_propagate(errp, err);
    return ret;
}

static int open_driver(OpenJob *job, Error **errp)
{
    BlockDriverState *bs = job->bs;
    int ret;

    bs->drv = (BlockDriver *)job->drv;
    bs->opaque = bdrv_alloc(bs->drv->instance_size + 1);
    bs->read_only = !(job->flags & BDRV_O_RDWR);
    bs->native_fua = bs->drv->native_fua;
    atomic_store(&bs->open_flags, job->flags);
    atomic_store(&bs->enable_write_cache, (job->flags & BDRV_O_CACHE_WB) != 0);
    atomic_store(&bs->copy_on_read, (job->flags & BDRV_O_COPY_ON_READ) != 0);
    if (bs->drv->is_passthrough && bs->file) {
        bs->sg = bs->file->sg;
    }
    find_unnamed_option(job);
    ret = call_driver_open(job, errp);
    if (ret == 0) {
        ret = finish_driver(job, errp);
        if (ret < 0 && bs->drv->bdrv_close) {
            bs->drv->bdrv_close(bs);
        }
    }
    return ret;
}

/* ---- protocols ---- */

static int parse_filename(OpenJob *job, Error **errp)
{
    const char *rest = NULL;
    Error *err = NULL;

    if (job->drv->protocol_name) {
        rest = bdrv_strip_protocol(job->filename, job->drv->protocol_name);
    }
    rest = rest ? rest : job->filename;
    if (!job->drv->bdrv_parse_filename) {
        qdict_put(job->options, "filename", qstring_from_str(rest));
        return 0;
    }
    job->drv->bdrv_parse_filename(rest, job->options, &err);
    error_propagate(errp, err);
    return err ? -EINVAL : 0;
}

static int open_protocol(OpenJob *job, Error **errp)
{
    const char *option = qdict_get_try_str(job->options, "filename");
    const char *name = job->filename ? job->filename : option;
    int ret = 0;

    if (job->filename && qdict_haskey(job->options, "filename")) {
        error_setg(errp, "'%s' and the option 'filename' both name the file", job->filename);
        return -EINVAL;
    }
    if (!job->drv) {
        if (!name) {
            error_setg(errp, "Must specify either driver or file");
            return -EINVAL;
        }
        job->drv = bdrv_find_protocol(name, name == job->filename, errp);
        if (!job->drv) {
            return -EINVAL;
        }
    }
    job->flags |= BDRV_O_PROTOCOL;
    if (name) {
        job->bs->filename = bdrv_strdup(name);
    }
    if (job->filename) {
        ret = parse_filename(job, errp);
    }
    return ret < 0 ? ret : open_driver(job, errp);
}

/* ---- formats ---- */

static int file_flags(int flags)
{
    flags |= BDRV_O_PROTOCOL | BDRV_O_UNMAP | BDRV_O_CACHE_WB;
    return flags & ~(BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING | BDRV_O_COPY_ON_READ);
}

static int no_file_error(const OpenJob *job, Error **errp)
{
    if (job->drv) {
        error_setg(errp, "Driver '%s' needs a file: a file name or the option 'file'",
                   job->drv->format_name);
    } else {
        error_setg(errp, "Must specify either driver or file");
    }
    return -EINVAL;
}

/* "file", or the driver's own word for it if the options use that. */
static const char *file_option(const OpenJob *job)
{
    const char *own = job->drv ? job->drv->file_option : NULL;
    const char *key;
    QObject *value;

    json_object_foreach(job->options, key, value) {
        size_t len = own ? strlen(own) : 0;

        if (own && strncmp(key, own, len) == 0 && (key[len] == '\0' || key[len] == '.')) {
            return own;
        }
    }
    return "file";
}

/* The file child from "file", "file.*" or the file name. */
static int open_file(OpenJob *job, BlockDriverState **file, Error **errp)
{
    const char *key = file_option(job);
    QDict *options = bdrv_options_extract(job->options, key);
    char *reference = NULL;
    int ret = bdrv_options_take_str(job->options, key, &reference, errp);

    if (ret == 0 && !reference && !job->filename && qdict_size(options) == 0) {
        ret = no_file_error(job, errp);
    }
    if (ret == 0) {
        ret = bdrv_open(file, job->filename, reference, json_incref(options),
                        file_flags(job->flags), errp);
    }
    QDECREF(options);
    free(reference);
    return ret;
}

static int check_file_writable(OpenJob *job, const BlockDriverState *file, Error **errp)
{
    if (!(job->flags & BDRV_O_RDWR) || !file->read_only) {
        return 0;
    }
    if (!(job->flags & BDRV_O_AUTO_RDONLY)) {
        error_setg(errp, "Node '%s' is read-only", file->node_name);
        return -EACCES;
    }
    job->flags &= ~BDRV_O_RDWR;
    return 0;
}

static int probe_format(OpenJob *job, BlockDriverState *file, Error **errp)
{
    const BlockDriver *raw = bdrv_find_format("raw");
    uint8_t buf[PROBE_SIZE];
    int ret = 0;

    if (file->sg || !bdrv_is_inserted(file) || atomic_load(&file->length) == 0) {
        job->drv = raw;
    } else {
        ret = bdrv_pread(file, 0, sizeof(buf), buf);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not read the start of '%s' to find its format",
                             bdrv_filename(file));
            return ret;
        }
        job->drv = bdrv_guess_format(buf, sizeof(buf), bdrv_filename(file));
    }
    if (!job->drv) {
        error_setg(errp, "No driver fits the image '%s'", bdrv_filename(file));
        return -ENOENT;
    }
    job->bs->probed_raw = job->drv == raw;
    return 0;
}

static int open_format(OpenJob *job, Error **errp)
{
    BlockDriverState *bs = job->bs, *file = NULL;
    int ret;

    job->flags &= ~BDRV_O_PROTOCOL;
    if (job->flags & BDRV_O_RDWR) {
        job->flags |= BDRV_O_ALLOW_RDWR;
    }
    ret = open_file(job, &file, errp);
    if (ret < 0) {
        return ret;
    }
    bdrv_attach_file(bs, file);
    bs->ctx = file->ctx;
    if (job->filename || *bdrv_filename(file)) {
        bs->filename = bdrv_strdup(job->filename ? job->filename : bdrv_filename(file));
    }
    ret = check_file_writable(job, file, errp);
    if (ret == 0 && !job->drv) {
        ret = probe_format(job, file, errp);
    }
    return ret < 0 ? ret : open_driver(job, errp);
}

/* ---- the door ---- */

static int open_node(OpenJob *job, Error **errp)
{
    bool is_protocol;
    int ret = take_node_name(job, errp);

    if (ret == 0) {
        ret = take_cache_options(job, errp);
    }
    if (ret == 0) {
        ret = take_access_options(job, errp);
    }
    if (ret == 0) {
        ret = take_zero_options(job, errp);
    }
    if (ret == 0) {
        ret = take_driver(job, errp);
    }
    if (ret == 0) {
        ret = check_flags(job, errp);
    }
    if (ret < 0) {
        return ret;
    }
    is_protocol = job->drv ? !job->drv->has_file_child : (job->flags & BDRV_O_PROTOCOL) != 0;
    return is_protocol ? open_protocol(job, errp) : open_format(job, errp);
}

/* All that is said about the image, in one flat dictionary; consumes options. */
static int collect_options(OpenJob *job, QDict *options, Error **errp)
{
    QDict *json;

    job->options = bdrv_options_flatten(options, errp);
    QDECREF(options);
    if (!job->options) {
        return -EINVAL;
    }
    if (job->filename && strncmp(job->filename, "json:", 5) == 0) {
        json = bdrv_options_from_json(job->filename, errp);
        if (!json) {
            return -EINVAL;
        }
        json_object_update_missing(job->options, json);
        QDECREF(json);
        job->filename = NULL;
    }
    return 0;
}

static int open_new(BlockDriverState **pbs, const char *filename, QDict *options, int flags,
                    Error **errp)
{
    OpenJob job = { .bs = *pbs ? *pbs : bdrv_new(), .filename = filename, .flags = flags };
    int ret = collect_options(&job, options, errp);

    if (ret == 0) {
        ret = open_node(&job, errp);
    }
    QDECREF(job.options);
    if (ret == 0) {
        *pbs = job.bs;
        return 0;
    }
    bdrv_detach_driver(job.bs);
    bdrv_drop_node_name(job.bs);
    if (!*pbs) {
        bdrv_unref(job.bs);
    }
    return ret;
}

int bdrv_open(BlockDriverState **pbs, const char *filename, const char *reference,
              QDict *options, int flags, Error **errp)
{
    int ret;

    BDRV_PRECONDITION(!*pbs || !(*pbs)->drv, "the node is open already");
    if (!reference && (flags & BDRV_O_SNAPSHOT)) {
        return bdrv_open_snapshot(pbs, filename, options, flags, errp);
    }
    if (!reference) {
        return open_new(pbs, filename, options, flags, errp);
    }
    ret = open_reference(pbs, filename, reference, options, errp);
    QDECREF(options);
    return ret;
}
