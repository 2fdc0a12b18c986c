/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img rebase: another backing file below an image, which goes on to show
 * the same.  What the old and the new one have different is copied into the
 * image first; until its header names the new one, nothing it shows changes.
 */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE ((int64_t)2 << 20)
#define SECTOR ((int64_t)BDRV_SECTOR_SIZE)

typedef struct Rebase {
    ImgSource source;
    const char *filename, *cache, *new_cache;
    const char *base, *base_format;    /* base "": none from now on */
    bool unsafe, progress, quiet;

    BlockBackend *blk, *opened;        /* opened: the new one, unless it is in the chain */
    BlockDriverState *below, *target;  /* the old and the new backing file; NULL: none */
    int64_t below_length, target_length;
    uint8_t *buf, *target_buf;
} Rebase;

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- the new backing file ---- */

static bool open_new(Rebase *r, const char *path, int flags)
{
    QDict *options = qdict_new();
    Error *err = NULL;

    if (r->base_format) {
        qdict_put(options, "driver", qstring_from_str(r->base_format));
    }
    if (r->source.force_share) {
        qdict_put(options, "force-share", qbool_from_bool(true));
    }
    r->opened = blk_new_open(path, NULL, options, flags, &err);
    if (!r->opened) {
        error_reportf_err(err, "Could not open new backing file '%s': ", r->base);
        return false;
    }
    r->target = blk_bs(r->opened);
    return true;
}

static bool find_new(Rebase *r, int flags)
{
    BlockDriverState *bs = blk_bs(r->blk);
    char *path;
    bool good = true;

    if (!*r->base) {
        return true;
    }
    r->target = bdrv_find_backing_image(bs, r->base);
    if (!r->target) {
        path = bdrv_resolve_backing_filename(bdrv_filename(bs), r->base);
        good = open_new(r, path, flags);
        free(path);
    }
    return good;
}

static bool find_length(BlockDriverState *bs, const char *name, int64_t *length)
{
    *length = bs ? bdrv_getlength(bs) : 0;
    if (*length < 0) {
        error_report("Could not get size of '%s': %s", name, strerror((int)-*length));
        return false;
    }
    return true;
}

/* ---- copying ---- */

/* Sets *n to how far the answer is the same: 1: it comes from the old backing file, and the new
 * one may have something else; 0: nothing to do; -errno. */
static int must_compare(Rebase *r, int64_t offset, int64_t bytes, int64_t *n)
{
    BlockDriverState *bs = blk_bs(r->blk);
    int depth, ret = bdrv_block_status_above(bs, r->below, offset, bytes, n, NULL, NULL, &depth);

    if (ret < 0 || (ret & BDRV_BLOCK_ALLOCATED)) {
        return ret < 0 ? ret : 0;
    }
    if (!r->target || r->opened || offset >= r->below_length) {
        return 1;
    }
    /* The new one is further down the chain: only what lies between the two can differ. */
    bytes = min_of(*n, r->below_length - offset);
    if (r->below == r->target) {
        *n = bytes;
        return 0;
    }
    ret = bdrv_block_status_above(r->below, r->target, offset, bytes, n, NULL, NULL, &depth);
    return ret < 0 ? ret : (ret & BDRV_BLOCK_ALLOCATED) != 0;
}

/* Behind its end a backing file reads as zeroes. */
static int read_backing(BlockDriverState *bs, int64_t offset, int64_t bytes, uint8_t *buf)
{
    if (!bs) {
        memset(buf, 0, (size_t)bytes);
        return 0;
    }
    return bdrv_pread(bs, offset, bytes, buf);
}

/* How many bytes are all equal, or all sectors different; *differ: which. */
static int64_t compare_run(const uint8_t *a, const uint8_t *b, int64_t bytes, bool *differ)
{
    int64_t n = 0;

    while (n < bytes) {
        int64_t len = min_of(bytes - n, SECTOR);
        bool different = memcmp(a + n, b + n, (size_t)len) != 0;

        if (n == 0) {
            *differ = different;
        } else if (different != *differ) {
            break;
        }
        n += len;
    }
    return n;
}

static int write_run(Rebase *r, int64_t offset, int64_t bytes, const uint8_t *buf)
{
    int ret = buffer_is_zero(buf, (size_t)bytes)
              ? blk_pwrite_zeroes(r->blk, offset, bytes, 0)
              : blk_pwrite(r->blk, offset, buf, (int)bytes);

    if (ret < 0) {
        error_report("Error while writing to COW image: %s", strerror(-ret));
        return ret;
    }
    return 0;
}

/* Copies what differs in [offset, offset + bytes), which fits into the buffers. */
static int copy_differences(Rebase *r, int64_t offset, int64_t bytes)
{
    int ret = read_backing(r->below, offset, bytes, r->buf);

    if (ret < 0) {
        error_report("error while reading from old backing file");
        return ret;
    }
    ret = read_backing(r->target, offset, bytes, r->target_buf);
    if (ret < 0) {
        error_report("error while reading from new backing file");
        return ret;
    }
    for (int64_t at = 0, n; at < bytes && ret == 0; at += n) {
        bool differ;

        n = compare_run(r->buf + at, r->target_buf + at, bytes - at, &differ);
        ret = differ ? write_run(r, offset + at, n, r->buf + at) : 0;
    }
    return ret;
}

static int copy_all(Rebase *r, int64_t length)
{
    int ret = 0;

    for (int64_t offset = 0, n; offset < length && ret == 0; offset += n) {
        ret = must_compare(r, offset, min_of(BUFFER_SIZE, length - offset), &n);
        if (ret < 0) {
            error_report("error while reading image metadata: %s", strerror(-ret));
        } else if (ret > 0) {
            ret = copy_differences(r, offset, n);
        }
        img_progress_set(100.0 * (double)(offset + n) / (double)length);
    }
    if (ret == 0) {
        ret = blk_flush(r->blk);
        if (ret < 0) {
            error_report("Error while flushing the COW image: %s", strerror(-ret));
        }
    }
    return ret;
}

/* What the image shows must not depend on the new backing file being like the old one. */
static bool make_independent(Rebase *r, int flags)
{
    BlockDriverState *bs = blk_bs(r->blk);
    int64_t length;
    bool good;

    r->below = bdrv_backing(bs);
    if (!find_new(r, flags) || !find_length(bs, r->filename, &length) ||
        !find_length(r->below, bdrv_get_backing_filename(bs), &r->below_length) ||
        !find_length(r->target, r->base, &r->target_length)) {
        return false;
    }
    r->buf = blk_blockalign(r->blk, (size_t)BUFFER_SIZE);
    r->target_buf = blk_blockalign(r->blk, (size_t)BUFFER_SIZE);
    good = copy_all(r, length) == 0;
    qemu_vfree(r->buf);
    qemu_vfree(r->target_buf);
    return good;
}

/* ---- the header ---- */

static bool change_header(Rebase *r)
{
    bool none = !r->base || !*r->base;
    Error *err = NULL;
    int ret = -EINVAL;

    if (none || r->base_format) {
        ret = bdrv_change_backing_file(blk_bs(r->blk), none ? NULL : r->base,
                                       none ? NULL : r->base_format, &err);
    }
    error_free(err);
    if (ret == 0) {
        return true;
    }
    error_report("Could not change the backing file to '%s': %s", r->base ? r->base : "(null)",
                 ret == -ENOSPC ? "No space left in the file header"
                 : ret == -EINVAL && !none && !r->base_format
                   ? "backing format must be specified"
                   : strerror(-ret));
    return false;
}

/* ---- the command ---- */

static bool rebase(Rebase *r)
{
    int flags = BDRV_O_RDWR | (r->unsafe ? BDRV_O_NO_BACKING : 0), new_flags = 0;
    bool good;

    if (!img_parse_cache("cache", r->cache, &flags) ||
        !img_parse_cache("source cache", r->new_cache, &new_flags)) {
        return false;
    }
    r->blk = img_open(&(ImgSource){ .format = r->source.format,
                                    .image_opts = r->source.image_opts }, r->filename, flags);
    if (!r->blk) {
        return false;
    }
    if (r->base_format && !bdrv_find_format(r->base_format)) {
        error_report("Invalid format name: '%s'", r->base_format);
        return false;
    }
    good = (r->unsafe || make_independent(r, new_flags)) && change_header(r);
    img_progress_set(100);
    return good;
}

static bool parse_words(Rebase *r, int argc, char **argv, int *first)
{
    const ImgOption options[] = {
        IMG_OPTION_OBJECT,
        IMG_OPTION_FMT(&r->source),
        IMG_OPTION_IMAGE_OPTS(&r->source),
        IMG_OPTION_FORCE_SHARE(&r->source),
        { .letter = 'F', .string = &r->base_format },
        { .letter = 'b', .string = &r->base },
        { .letter = 'u', .flag = &r->unsafe },
        { .letter = 'p', .flag = &r->progress },
        { .letter = 't', .string = &r->cache },
        { .letter = 'T', .string = &r->new_cache },
        { .letter = 'q', .flag = &r->quiet },
        { 0 },
    };

    return img_parse_options(argc, argv, options, first);
}

int img_rebase(int argc, char **argv)
{
    Rebase r = { .cache = "writeback", .new_cache = "writeback" };
    bool good;
    int first;

    if (!parse_words(&r, argc, argv, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    if (!r.unsafe && !r.base) {
        img_error_exit("Must specify backing file (-b) or use unsafe mode (-u)");
    }
    r.filename = argv[first];
    img_progress_init(r.progress && !r.quiet, 2.0);
    img_progress_set(0);
    good = rebase(&r);
    img_progress_end();
    blk_unref(r.opened);
    blk_unref(r.blk);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
