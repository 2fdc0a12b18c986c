/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new image as a user asks for it: names and a size beside the options; the
 * backing file is looked at before anything is written.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

#define OPT_SIZE "size"
#define OPT_BACKING_FILE "backing_file"
#define OPT_BACKING_FMT "backing_fmt"

typedef struct NewImage {
    const char *filename;
    const BlockDriver *drv, *protocol;
    QDict *options;                     /* of the types that the tables say */
    Error **errp;
} NewImage;

static bool has_option(const BdrvOption *table, const char *name)
{
    while (table && table->name && strcmp(table->name, name) != 0) {
        table++;
    }
    return table && table->name;
}

/* ---- the arguments ---- */

static int find_drivers(NewImage *image, const char *fmt)
{
    image->drv = bdrv_find_format(fmt);
    if (!image->drv) {
        error_setg(image->errp, "Unknown file format '%s'", fmt);
        return -EINVAL;
    }
    image->protocol = bdrv_protocol_of(image->filename, image->errp);
    if (!image->protocol) {
        return -EINVAL;
    }
    if (!bdrv_create_options(image->drv)) {
        error_setg(image->errp, "Format driver '%s' does not support image creation",
                   image->drv->format_name);
        return -ENOTSUP;
    }
    if (!bdrv_create_options(image->protocol)) {
        error_setg(image->errp, "Protocol driver '%s' does not support image creation",
                   image->protocol->format_name);
        return -ENOTSUP;
    }
    return 0;
}

static int take_size(NewImage *image, int64_t size)
{
    if (size < 0) {
        return 0;
    }
    if (qdict_haskey(image->options, OPT_SIZE)) {
        error_setg(image->errp, "The image size must be specified only once");
        return -EINVAL;
    }
    qdict_put(image->options, OPT_SIZE, qint_from_int(size));
    return 0;
}

static int take_base(NewImage *image, const char *option, const char *what, const char *value)
{
    if (!value) {
        return 0;
    }
    if (!has_option(image->drv->create_options, option)) {
        error_setg(image->errp, "%s not supported for file format '%s'", what,
                   image->drv->format_name);
        return -ENOTSUP;
    }
    qdict_put(image->options, option, qstring_from_str(value));
    return 0;
}

/* ---- the backing file ---- */

static int check_backing_name(NewImage *image, const char *name)
{
    if (strcmp(name, image->filename) == 0) {
        error_setg(image->errp, "Error: Trying to create an image with the same filename as the "
                   "backing file");
        return -EINVAL;
    }
    if (!*name) {
        error_setg(image->errp, "Expected backing file name, got empty string");
        return -EINVAL;
    }
    return 0;
}

static int open_backing(NewImage *image, const char *name, int flags, BlockDriverState **bs)
{
    const char *format = qdict_get_try_str(image->options, OPT_BACKING_FMT);
    char *full = bdrv_resolve_backing_filename(image->filename, name);
    QDict *options = qdict_new();
    int ret;

    if (format) {
        qdict_put(options, "driver", qstring_from_str(format));
    }
    flags &= ~(BDRV_O_RDWR | BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING);
    ret = bdrv_open(bs, full ? full : name, NULL, options, flags, image->errp);
    if (ret < 0) {
        error_append_hint(image->errp, "Could not open backing image.\n");
    }
    free(full);
    return ret;
}

static int size_from_backing(NewImage *image, const char *name, BlockDriverState *bs)
{
    int64_t size = bdrv_getlength(bs);

    if (size < 0) {
        error_setg_errno(image->errp, (int)-size, "Could not get size of '%s'", name);
        return (int)size;
    }
    qdict_put(image->options, OPT_SIZE, qint_from_int(size));
    return 0;
}

static int look_at_backing(NewImage *image, const char *name, int flags)
{
    bool has_format = qdict_haskey(image->options, OPT_BACKING_FMT);
    BlockDriverState *bs = NULL;
    int ret = 0;

    if (!(flags & BDRV_O_NO_BACKING)) {
        ret = open_backing(image, name, flags, &bs);
    }
    if (ret == 0 && !has_format) {
        error_setg(image->errp, "Backing file specified without backing format");
        if (bs) {
            error_append_hint(image->errp, "Detected format of %s.", bdrv_get_format_name(bs));
        }
        ret = -EINVAL;
    }
    if (ret == 0 && bs && !qdict_haskey(image->options, OPT_SIZE)) {
        ret = size_from_backing(image, name, bs);
    }
    bdrv_unref(bs);
    return ret;
}

/* ---- the line that says what is being done ---- */

/* A comma in a name is doubled, as one writes it on the command line. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        fputs(*text == ',' ? ",," : (char[]){ *text, '\0' }, out);
    }
}

static void print_option(FILE *out, const BdrvOption *option, const QDict *options)
{
    const QObject *value = json_object_get(options, option->name);

    if (!value && !option->def) {
        return;
    }
    fprintf(out, " %s=", option->name);
    if (json_is_integer(value)) {
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "on" : "off", out);
    } else {
        print_text(out, value ? json_string_value(value) : option->def);
    }
}

static void report_formatting(const NewImage *image, BdrvReportFunc *report, void *opaque)
{
    const BdrvOption *option;
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);

    if (!out) {
        return;
    }
    fprintf(out, "Formatting '%s', fmt=%s", image->filename, image->drv->format_name);
    for (option = image->drv->create_options; option->name; option++) {
        print_option(out, option, image->options);
    }
    for (option = image->protocol->create_options; option->name; option++) {
        if (!has_option(image->drv->create_options, option->name)) {
            print_option(out, option, image->options);
        }
    }
    fclose(out);
    report(opaque, line);
    free(line);
}

/* ---- the whole ---- */

static int prepare(NewImage *image, const char *base_filename, const char *base_fmt, int64_t size,
                   int flags)
{
    const char *backing;
    int ret = bdrv_check_options(image->drv->create_options, image->protocol->create_options,
                                 image->options, image->errp);

    if (ret == 0) {
        ret = take_size(image, size);
    }
    if (ret == 0) {
        ret = take_base(image, OPT_BACKING_FILE, "Backing file", base_filename);
    }
    if (ret == 0) {
        ret = take_base(image, OPT_BACKING_FMT, "Backing file format", base_fmt);
    }
    backing = qdict_get_try_str(image->options, OPT_BACKING_FILE);
    if (ret == 0 && backing) {
        ret = check_backing_name(image, backing);
        ret = ret < 0 ? ret : look_at_backing(image, backing, flags);
    }
    if (ret == 0 && !qdict_haskey(image->options, OPT_SIZE)) {
        error_setg(image->errp, "Image creation needs a size parameter");
        ret = -EINVAL;
    }
    return ret;
}

static int create(const NewImage *image)
{
    Error *local_err = NULL;
    int ret = bdrv_create(image->drv, image->filename, image->options, &local_err);

    if (ret == -EFBIG) {
        error_free(local_err);
        local_err = NULL;
        error_setg(&local_err, "The image size is too large for file format '%s'%s",
                   image->drv->format_name,
                   has_option(image->drv->create_options, "cluster_size")
                   ? " (try using a larger cluster size)" : "");
    }
    error_propagate(image->errp, local_err);
    return ret;
}

int bdrv_img_create(const char *filename, const char *fmt, const char *base_filename,
                    const char *base_fmt, const QDict *options, int64_t size, int flags,
                    BdrvReportFunc *report, void *opaque, Error **errp)
{
    NewImage image = { .filename = filename, .errp = errp };
    int ret = find_drivers(&image, fmt);

    if (ret < 0) {
        return ret;
    }
    image.options = options ? json_copy((QDict *)options) : qdict_new();
    ret = prepare(&image, base_filename, base_fmt, size, flags);
    if (ret == 0 && report) {
        report_formatting(&image, report, opaque);
    }
    if (ret == 0) {
        ret = create(&image);
    }
    QDECREF(image.options);
    return ret;
}
