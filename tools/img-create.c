/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img create: a new image, empty or on top of a backing file. */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

typedef struct Create {
    const char *filename;
    const char *format;
    const char *backing, *backing_format;
    char *text;                        /* -o */
    int64_t size;                      /* bytes; -1: not given */
    bool unsafe, quiet;
    const BlockDriver *drv;
    const BdrvOption *table, *more;    /* options of the format, and of the protocol */
    QDict *options;
} Create;

static const BdrvOption *find_option(const BdrvOption *table, const char *name)
{
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

static bool find_drivers(Create *c, Error **errp)
{
    const BlockDriver *protocol;

    c->drv = bdrv_find_format(c->format);
    if (!c->drv) {
        error_setg(errp, "Unknown file format '%s'", c->format);
        return false;
    }
    protocol = bdrv_protocol_of(c->filename, errp);
    if (!protocol) {
        return false;
    }
    c->table = bdrv_create_options(c->drv);
    if (!c->table) {
        error_setg(errp, "Format driver '%s' does not support image creation", c->format);
        return false;
    }
    c->more = bdrv_create_options(protocol);
    if (!c->more) {
        error_setg(errp, "Protocol driver '%s' does not support image creation",
                   protocol->format_name);
        return false;
    }
    return true;
}

/* -o, the size, -b and -F come to be one set of options. */
static bool gather_options(Create *c, Error **errp)
{
    if (bdrv_check_options(c->table, c->more, c->options, errp) < 0) {
        return false;
    }
    if (c->size >= 0 && qdict_haskey(c->options, "size")) {
        error_setg(errp, "The image size must be specified only once");
        return false;
    }
    if (c->size >= 0) {
        qdict_put(c->options, "size", qint_from_int(c->size));
    }
    if (c->backing && !find_option(c->table, "backing_file")) {
        error_setg(errp, "Backing file not supported for file format '%s'", c->format);
        return false;
    }
    if (c->backing_format && !find_option(c->table, "backing_fmt")) {
        error_setg(errp, "Backing file format not supported for file format '%s'", c->format);
        return false;
    }
    qdict_put(c->options, "backing_file", qstring_from_str(c->backing));
    qdict_put(c->options, "backing_fmt", qstring_from_str(c->backing_format));
    return true;
}

/* The backing file must open, and its size is the image's if none was given. */
static bool look_at_backing_file(Create *c, const char *backing, const char *format, Error **errp)
{
    auto_free char *full = bdrv_resolve_backing_filename(c->filename, backing);
    BlockDriverState *bs = NULL;
    QDict *options = qdict_new();
    int64_t size;

    qdict_put(options, "driver", qstring_from_str(format));
    qdict_put(options, "force-share", qbool_from_bool(true));
    if (bdrv_open(&bs, full, NULL, options, BDRV_O_CACHE_WB, errp) < 0) {
        error_append_hint(errp, "Could not open backing image.\n");
        return false;
    }
    size = bdrv_getlength(bs);
    if (!format) {
        error_setg(errp, "Backing file specified without backing format");
        error_append_hint(errp, "Detected format of %s.\n", bdrv_get_format_name(bs));
    } else if (qdict_haskey(c->options, "size")) {
        size = 0;
    } else if (size < 0) {
        error_setg_errno(errp, (int)-size, "Could not get size of '%s'", full);
    } else {
        qdict_put(c->options, "size", qint_from_int(size));
    }
    bdrv_unref(bs);
    return format && size >= 0;
}

static bool check_backing_file(Create *c, Error **errp)
{
    const char *backing = qdict_get_try_str(c->options, "backing_file");
    const char *format = qdict_get_try_str(c->options, "backing_fmt");

    if (!backing) {
        return true;
    }
    if (!*backing) {
        error_setg(errp, "Expected backing file name, got empty string");
        return false;
    }
    if (strcmp(backing, c->filename) == 0) {
        error_setg(errp, "Error: Trying to create an image with the same filename as the backing "
                   "file");
        return false;
    }
    if (!c->unsafe) {
        return look_at_backing_file(c, backing, format, errp);
    }
    if (!format) {
        error_setg(errp, "Backing file specified without backing format");
    }
    return format != NULL;
}

static void print_option(const BdrvOption *option, const QDict *options)
{
    json_t *value = json_object_get(options, option->name);
    const char *text = value ? json_string_value(value) : option->def;

    if (!value && !text) {
        return;
    }
    printf(" %s=", option->name);
    if (json_is_integer(value)) {
        printf("%" PRId64, (int64_t)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "on" : "off", stdout);
    } else {
        for (; *text; text++) {
            fputs(*text == ',' ? ",," : (char[]){ *text, '\0' }, stdout);
        }
    }
}

static void print_formatting(const Create *c)
{
    printf("Formatting '%s', fmt=%s", c->filename, c->format);
    for (const BdrvOption *option = c->table; option->name; option++) {
        print_option(option, c->options);
    }
    for (const BdrvOption *option = c->more; option->name; option++) {
        if (!find_option(c->table, option->name)) {
            print_option(option, c->options);
        }
    }
    putchar('\n');
    fflush(stdout);
}

static bool create(Create *c, Error **errp)
{
    Error *err = NULL;
    int ret;

    if (!find_drivers(c, errp) || !gather_options(c, errp) || !check_backing_file(c, errp)) {
        return false;
    }
    if (!qdict_haskey(c->options, "size")) {
        error_setg(errp, "Image creation needs a size parameter");
        return false;
    }
    if (!c->quiet) {
        print_formatting(c);
    }
    ret = bdrv_create(c->drv, c->filename, c->options, &err);
    if (ret == -EFBIG) {
        error_free(err);
        err = NULL;
        error_setg(&err, "The image size is too large for file format '%s'%s", c->format,
                   find_option(c->table, "cluster_size") ? " (try using a larger cluster size)"
                                                         : "");
    }
    error_propagate(errp, err);
    return ret >= 0;
}

static int create_from_words(Create *c, int n, char **words)
{
    Error *err = NULL;
    bool good;

    if (img_wants_help(c->text)) {
        return img_print_create_help(words[0], c->format);
    }
    if (n == 0) {
        img_error_exit("Expecting image file name");
    }
    c->filename = words[0];
    if (n > 1) {
        c->size = img_cvtnum("image size", words[1]);
        if (c->size < 0) {
            return EXIT_FAILURE;
        }
    }
    if (n > 2) {
        img_error_exit("Unexpected argument: %s", words[2]);
    }
    c->options = qdict_new();
    good = !c->text || tool_parse_options(c->options, c->text);
    if (good && !create(c, &err)) {
        error_reportf_err(err, "%s: ", c->filename);
        good = false;
    }
    QDECREF(c->options);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int img_create(int argc, char **argv)
{
    Create c = { .format = "raw", .size = -1 };
    const ImgOption options[] = {
        { .letter = 'f', .string = &c.format },
        { .letter = 'b', .string = &c.backing },
        { .letter = 'F', .string = &c.backing_format },
        { .letter = 'o', .fn = img_parse_o, .opaque = &c.text },
        { .letter = 'q', .flag = &c.quiet },
        { .letter = 'u', .flag = &c.unsafe },
        IMG_OPTION_OBJECT,
        { 0 },
    };
    int first, status = EXIT_FAILURE;

    if (img_parse_options(argc, argv, options, &first)) {
        status = create_from_words(&c, argc - first, argv + first);
    }
    free(c.text);
    return status;
}
