/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img dd: a part of an image as a new image, in words of dd(1). */
#include "tools/img.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define BUFFER_SIZE ((int64_t)2 << 20)

typedef struct Dd {
    ImgSource source;
    const char *format;                /* of the output */
    const char *in, *out;
    int64_t block;                     /* bytes */
    int64_t count, skip;               /* blocks; count negative: all */
} Dd;

/* ---- operands ---- */

static bool take_block(Dd *dd, const char *value)
{
    dd->block = img_cvtnum_full("bs", value, 1, INT_MAX);
    return dd->block >= 0;
}

static bool take_count(Dd *dd, const char *value)
{
    dd->count = img_cvtnum("count", value);
    return dd->count >= 0;
}

static bool take_skip(Dd *dd, const char *value)
{
    dd->skip = img_cvtnum("skip", value);
    return dd->skip >= 0;
}

static bool take_in(Dd *dd, const char *value)
{
    dd->in = value;
    return true;
}

static bool take_out(Dd *dd, const char *value)
{
    dd->out = value;
    return true;
}

static const struct {
    const char *name;
    bool (*take)(Dd *dd, const char *value);
} operands[] = {
    { "bs", take_block }, { "count", take_count }, { "if", take_in }, { "of", take_out },
    { "skip", take_skip },
};

static bool take_operand(Dd *dd, const char *word)
{
    size_t len = strcspn(word, "=");

    for (size_t i = 0; word[len] && i < sizeof(operands) / sizeof(operands[0]); i++) {
        if (strlen(operands[i].name) == len && strncmp(word, operands[i].name, len) == 0) {
            return operands[i].take(dd, word + len + 1);
        }
    }
    error_report("unrecognized operand %.*s", (int)len, word);
    return false;
}

static bool parse_words(Dd *dd, int argc, char **argv)
{
    const ImgOption options[] = {
        IMG_OPTION_OBJECT,
        IMG_OPTION_FMT(&dd->source),
        IMG_OPTION_IMAGE_OPTS(&dd->source),
        IMG_OPTION_FORCE_SHARE(&dd->source),
        { .letter = 'O', .string = &dd->format },
        { 0 },
    };
    int first;
    bool good = img_parse_options(argc, argv, options, &first);

    for (int i = first; good && i < argc; i++) {
        good = take_operand(dd, argv[i]);
    }
    if (good && (!dd->in || !dd->out)) {
        error_report("Must specify both input and output files");
        return false;
    }
    return good;
}

/* ---- copying ---- */

static BlockBackend *create_output(const Dd *dd, int64_t size)
{
    const BlockDriver *drv = bdrv_find_format(dd->format);
    QDict *options;
    Error *err = NULL;
    int ret;

    if (!drv) {
        error_report("Unknown file format");
        return NULL;
    }
    options = img_new_options(dd->format, dd->out, NULL, size);
    if (!options) {
        return NULL;
    }
    ret = bdrv_create(drv, dd->out, options, &err);
    QDECREF(options);
    if (ret < 0) {
        error_reportf_err(err, "%s: error while creating output image: ", dd->out);
        return NULL;
    }
    return img_open_file(dd->out, NULL, dd->format, BDRV_O_RDWR | BDRV_O_CACHE_WB, false);
}

/* Block by block or in larger pieces: the result is the same. */
static bool copy(BlockBackend *in, BlockBackend *out, int64_t from, int64_t end)
{
    auto_free uint8_t *buf = xcalloc(1, (size_t)BUFFER_SIZE);
    int ret;

    for (int64_t at = from; at < end; at += BUFFER_SIZE) {
        int n = (int)(end - at < BUFFER_SIZE ? end - at : BUFFER_SIZE);

        ret = blk_pread(in, at, buf, n);
        if (ret < 0) {
            error_report("error while reading from input image file: %s", strerror(-ret));
            return false;
        }
        ret = blk_pwrite(out, at - from, buf, n);
        if (ret < 0) {
            error_report("error while writing to output image file: %s", strerror(-ret));
            return false;
        }
    }
    ret = blk_flush(out);
    if (ret < 0) {
        error_report("error while flushing the output image file: %s", strerror(-ret));
    }
    return ret == 0;
}

static bool run(const Dd *dd, BlockBackend *in)
{
    int64_t end, from;
    BlockBackend *out;
    bool beyond, good;

    end = blk_getlength(in);
    if (end < 0) {
        error_report("Failed to get size for '%s'", dd->in);
        return false;
    }
    /* As in QEMU, count is how far to read, and not how much. */
    if (dd->count >= 0 && dd->count <= INT64_MAX / dd->block && dd->count * dd->block < end) {
        end = dd->count * dd->block;
    }
    beyond = dd->skip > INT64_MAX / dd->block || dd->skip * dd->block > end;
    from = beyond ? end : dd->skip * dd->block;
    out = create_output(dd, end - from);
    if (!out) {
        return false;
    }
    if (beyond) {
        error_report("%s: cannot skip to specified offset", dd->in);
    }
    good = copy(in, out, from, end);
    blk_unref(out);
    return good;
}

int img_dd(int argc, char **argv)
{
    Dd dd = { .format = "raw", .block = 512, .count = -1 };
    BlockBackend *in;
    bool good;

    if (!parse_words(&dd, argc, argv)) {
        return EXIT_FAILURE;
    }
    in = img_open(&dd.source, dd.in, BDRV_O_CACHE_WB);
    if (!in) {
        return EXIT_FAILURE;
    }
    good = run(&dd, in);
    blk_unref(in);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
