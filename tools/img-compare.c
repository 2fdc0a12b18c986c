/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img compare: whether two images have the same content.
 *
 * Exit status: 0 the same, 1 different, 2 could not be opened, 3 the status of
 * blocks is not known, 4 could not be read.
 */
#include "tools/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_DIFFERENT = 1, STATUS_NO_OPEN = 2, STATUS_NO_BLOCKS = 3, STATUS_NO_READ = 4 };

#define CHUNK (INT64_C(2) << 20)       /* bytes, most that is read at once */

typedef struct Image {
    const char *filename;
    BlockBackend *blk;
    int64_t length;
    int status;                        /* BDRV_BLOCK_* of the next `run` bytes */
    int64_t run;
    uint8_t *buf;
} Image;

typedef struct Compare {
    Image image[2];
    bool strict, quiet;
    int64_t offset, end;               /* end: of the longer image */
} Compare;

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int ask_status(Image *image, int64_t offset)
{
    int depth;

    image->status = bdrv_block_status_above(blk_bs(image->blk), NULL, offset,
                                            image->length - offset, &image->run, NULL, NULL,
                                            &depth);
    if (image->status < 0) {
        error_report("Sector allocation test failed for %s", image->filename);
        return STATUS_NO_BLOCKS;
    }
    return 0;
}

static int read_chunk(Image *image, int64_t offset, int64_t bytes)
{
    int ret = blk_pread(image->blk, offset, image->buf, (int)bytes);

    if (ret < 0) {
        error_report("Error while reading offset %" PRId64 " of %s: %s", offset, image->filename,
                     strerror(-ret));
        return STATUS_NO_READ;
    }
    return 0;
}

static int tell_mismatch(const Compare *c, int64_t offset)
{
    img_qprintf(c->quiet, "Content mismatch at offset %" PRId64 "!\n", offset);
    return STATUS_DIFFERENT;
}

/* Differences are told by the sector. */
static int check_equal(Compare *c, int64_t bytes)
{
    int ret = read_chunk(&c->image[0], c->offset, bytes);

    if (ret == 0) {
        ret = read_chunk(&c->image[1], c->offset, bytes);
    }
    if (ret) {
        return ret;
    }
    for (int64_t i = 0; i < bytes; i += BDRV_SECTOR_SIZE) {
        if (memcmp(c->image[0].buf + i, c->image[1].buf + i,
                   min_of(BDRV_SECTOR_SIZE, bytes - i)) != 0) {
            return tell_mismatch(c, c->offset + i);
        }
    }
    return 0;
}

static int check_zero(Compare *c, Image *image, int64_t bytes)
{
    static const uint8_t zeroes[BDRV_SECTOR_SIZE];
    int ret = read_chunk(image, c->offset, bytes);

    for (int64_t i = 0; ret == 0 && i < bytes; i += BDRV_SECTOR_SIZE) {
        if (memcmp(image->buf + i, zeroes, min_of(BDRV_SECTOR_SIZE, bytes - i)) != 0) {
            ret = tell_mismatch(c, c->offset + i);
        }
    }
    return ret;
}

static void advance(Compare *c, int64_t bytes)
{
    c->offset += bytes;
    img_progress_set((double)c->offset / (double)c->end * 100);
}

static int compare_chunk(Compare *c)
{
    Image *a = &c->image[0], *b = &c->image[1];
    bool in_a = a->status & BDRV_BLOCK_ALLOCATED, in_b = b->status & BDRV_BLOCK_ALLOCATED;
    int64_t bytes = min_of(a->run, b->run);
    int ret = 0;

    if (c->strict && a->status != b->status) {
        img_qprintf(c->quiet, "Strict mode: Offset %" PRId64 " block status mismatch!\n",
                    c->offset);
        return STATUS_DIFFERENT;
    }
    if (!(a->status & b->status & BDRV_BLOCK_ZERO) && (in_a || in_b)) {
        bytes = min_of(bytes, CHUNK);
        ret = in_a && in_b ? check_equal(c, bytes) : check_zero(c, in_a ? a : b, bytes);
    }
    advance(c, bytes);
    return ret;
}

/* What one has more than the other must be zero. */
static int compare_rest(Compare *c)
{
    Image *longer = &c->image[c->image[0].length < c->image[1].length];
    int ret = 0;

    img_qprintf(c->quiet, "Warning: Image size mismatch!\n");
    while (ret == 0 && c->offset < c->end) {
        int64_t bytes;

        ret = ask_status(longer, c->offset);
        bytes = longer->run;
        if (ret == 0 && (longer->status & BDRV_BLOCK_ALLOCATED) &&
            !(longer->status & BDRV_BLOCK_ZERO)) {
            bytes = min_of(bytes, CHUNK);
            ret = check_zero(c, longer, bytes);
        }
        if (ret == 0) {
            advance(c, bytes);
        }
    }
    return ret;
}

static int compare_content(Compare *c)
{
    int64_t common = min_of(c->image[0].length, c->image[1].length);
    int ret = 0;

    while (ret == 0 && c->offset < common) {
        ret = ask_status(&c->image[0], c->offset);
        if (ret == 0) {
            ret = ask_status(&c->image[1], c->offset);
        }
        if (ret == 0) {
            ret = compare_chunk(c);
        }
    }
    if (ret == 0 && common < c->end) {
        ret = compare_rest(c);
    }
    if (ret == 0) {
        img_qprintf(c->quiet, "Images are identical.\n");
    }
    return ret;
}

static int compare_images(Compare *c)
{
    for (int i = 0; i < 2; i++) {
        Image *image = &c->image[i];

        image->length = blk_getlength(image->blk);
        if (image->length < 0) {
            error_report("Can't get size of %s: %s", image->filename,
                         strerror((int)-image->length));
            return STATUS_NO_READ;
        }
        image->buf = blk_blockalign(image->blk, CHUNK);
        c->end = image->length > c->end ? image->length : c->end;
    }
    img_progress_set(0);
    if (c->strict && c->image[0].length != c->image[1].length) {
        img_qprintf(c->quiet, "Strict mode: Image size mismatch!\n");
        return STATUS_DIFFERENT;
    }
    return compare_content(c);
}

static int open_and_compare(Compare *c, const ImgSource source[2], int flags)
{
    int status = STATUS_NO_OPEN;

    for (int i = 0; i < 2; i++) {
        c->image[i].blk = img_open(&source[i], c->image[i].filename, flags);
        if (!c->image[i].blk) {
            break;
        }
    }
    if (c->image[1].blk) {
        status = compare_images(c);
    }
    for (int i = 0; i < 2; i++) {
        qemu_vfree(c->image[i].buf);
        blk_unref(c->image[i].blk);
    }
    return status;
}

int img_compare(int argc, char **argv)
{
    ImgSource source[2] = { 0 };
    Compare compare = { 0 };
    const char *cache = "writeback";
    bool progress = false;
    int flags = 0, first, status = STATUS_NO_OPEN;
    const ImgOption options[] = {
        IMG_OPTION_FMT(&source[0]),
        { .letter = 'F', .string = &source[1].format },
        IMG_OPTION_IMAGE_OPTS(&source[0]),
        IMG_OPTION_FORCE_SHARE(&source[0]),
        IMG_OPTION_OBJECT,
        { .letter = 'T', .string = &cache },
        { .letter = 'p', .flag = &progress },
        { .letter = 'q', .flag = &compare.quiet },
        { .letter = 's', .flag = &compare.strict },
        { 0 },
    };

    if (!img_parse_options(argc, argv, options, &first)) {
        return STATUS_NO_OPEN;
    }
    if (first != argc - 2) {
        img_error_exit("Expecting two image file names");
    }
    source[1].image_opts = source[0].image_opts;
    source[1].force_share = source[0].force_share;
    compare.image[0].filename = argv[first];
    compare.image[1].filename = argv[first + 1];
    img_progress_init(progress && !compare.quiet, 2);
    if (img_parse_cache("source cache", cache, &flags)) {
        status = open_and_compare(&compare, source, flags);
    }
    img_progress_end();
    return status;
}
