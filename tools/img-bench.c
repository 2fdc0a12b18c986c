/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img bench: how long an image takes for so many requests, so many of them at once. */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

typedef struct Bench {
    ImgSource source;
    bool quiet, write, native, no_drain;
    int flags;
    int64_t offset, size, step;        /* bytes */
    unsigned count, depth, pattern, flush_interval;

    BlockBackend *blk;
    int64_t length;
    uint8_t *buf;
    struct iovec *iovs;
    QEMUIOVector *vectors;
    unsigned left, in_flight;          /* left: those in flight are among them */
    bool in_flush;                     /* nothing else is in flight then */
    int ret;                           /* the first error */
    unsigned flushes;                  /* those that nothing waits for, in flight */
} Bench;

/* ---- requests ---- */

static void request_done(void *opaque, int ret);

static void fail(Bench *b, const char *what, int ret)
{
    if (b->ret == 0) {
        error_report("%s: %s", what, strerror(-ret));
        b->ret = ret;
    }
}

static void submit(Bench *b)
{
    while (b->ret == 0 && b->left > b->in_flight && b->in_flight < b->depth) {
        QEMUIOVector *vector = &b->vectors[b->in_flight];
        int64_t offset = b->offset;

        b->in_flight++;
        b->offset = b->length ? (b->offset + b->step) % b->length : 0;
        if (b->write) {
            blk_aio_pwritev(b->blk, offset, vector, 0, request_done, b);
        } else {
            blk_aio_preadv(b->blk, offset, vector, 0, request_done, b);
        }
    }
}

static void drained_flush_done(void *opaque, int ret)
{
    Bench *b = opaque;

    b->in_flush = false;
    if (ret < 0) {
        fail(b, "Failed request", ret);
    }
    submit(b);
}

static void flush_done(void *opaque, int ret)
{
    Bench *b = opaque;

    b->flushes--;
    if (ret < 0) {
        fail(b, "Failed flush request", ret);
    }
}

/* A flush is due; true: nothing may be submitted before it is done. */
static bool flush(Bench *b)
{
    if (b->no_drain) {
        b->flushes++;
        blk_aio_flush(b->blk, flush_done, b);
        return false;
    }
    if (b->in_flight == 0) {
        b->in_flush = true;
        blk_aio_flush(b->blk, drained_flush_done, b);
    }
    return true;
}

static void request_done(void *opaque, int ret)
{
    Bench *b = opaque;
    unsigned to_submit = b->left - b->in_flight;

    b->left--;
    b->in_flight--;
    if (ret < 0) {
        fail(b, "Failed request", ret);
    }
    if (b->flush_interval && to_submit % b->flush_interval == 0 && flush(b)) {
        return;
    }
    submit(b);
}

static bool is_busy(const Bench *b)
{
    return b->in_flight || b->in_flush || b->flushes;
}

/* ---- the run ---- */

static void make_buffers(Bench *b)
{
    size_t total = (size_t)b->size * b->depth;

    b->buf = blk_blockalign(b->blk, total ? total : 1);
    memset(b->buf, (int)b->pattern, total);
    b->iovs = xcalloc(b->depth + 1, sizeof(*b->iovs));
    b->vectors = xcalloc(b->depth + 1, sizeof(*b->vectors));
    for (unsigned i = 0; i < b->depth; i++) {
        b->iovs[i] = (struct iovec){ b->buf + i * (size_t)b->size, (size_t)b->size };
        qemu_iovec_init_external(&b->vectors[i], &b->iovs[i], 1);
    }
}

static void free_buffers(Bench *b)
{
    qemu_vfree(b->buf);
    free(b->iovs);
    free(b->vectors);
}

static int measure(Bench *b)
{
    int64_t start;

    printf("Sending %u %s requests, %" PRId64 " bytes each, %u in parallel "
           "(starting at offset %" PRId64 ", step size %" PRId64 ")\n",
           b->count, b->write ? "write" : "read", b->size, b->depth, b->offset, b->step);
    if (b->flush_interval) {
        printf("Sending flush every %u requests\n", b->flush_interval);
    }
    make_buffers(b);
    b->left = b->count;
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    submit(b);
    while (is_busy(b)) {
        main_loop_wait(false);
    }
    if (b->ret == 0) {
        printf("Run completed in %3.3f seconds.\n",
               (double)(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start) / 1e9);
    }
    free_buffers(b);
    return b->ret;
}

static int run(Bench *b, const char *filename)
{
    int ret = -EIO;

    b->flags |= b->native ? BDRV_O_NATIVE_AIO : 0;
    b->flags |= b->write ? BDRV_O_RDWR : 0;
    b->blk = img_open(&b->source, filename, b->flags);
    if (!b->blk) {
        return EXIT_FAILURE;
    }
    b->length = blk_getlength(b->blk);
    if (b->length >= 0) {
        ret = measure(b);
    }
    blk_unref(b->blk);
    return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the command line ---- */

static bool parse_number(const char *arg, unsigned long max, const char *what, unsigned *number)
{
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(arg, &end, 0);
    if (errno || end == arg || *end || value > max) {
        error_report("Invalid %s specified", what);
        return false;
    }
    *number = (unsigned)value;
    return true;
}

static bool parse_count(void *opaque, const char *arg)
{
    return parse_number(arg, INT_MAX, "request count", &((Bench *)opaque)->count);
}

static bool parse_depth(void *opaque, const char *arg)
{
    return parse_number(arg, INT_MAX, "queue depth", &((Bench *)opaque)->depth);
}

static bool parse_pattern(void *opaque, const char *arg)
{
    return parse_number(arg, 0xff, "pattern byte", &((Bench *)opaque)->pattern);
}

static bool parse_interval(void *opaque, const char *arg)
{
    return parse_number(arg, INT_MAX, "flush interval", &((Bench *)opaque)->flush_interval);
}

static bool parse_offset(void *opaque, const char *arg)
{
    return (((Bench *)opaque)->offset = img_cvtnum("offset", arg)) >= 0;
}

static bool parse_size(void *opaque, const char *arg)
{
    return (((Bench *)opaque)->size = img_cvtnum_full("buffer size", arg, 0, INT_MAX)) >= 0;
}

static bool parse_step(void *opaque, const char *arg)
{
    return (((Bench *)opaque)->step = img_cvtnum_full("step_size", arg, 0, INT_MAX)) >= 0;
}

static bool parse_cache(void *opaque, const char *arg)
{
    if (bdrv_parse_cache_mode(arg, &((Bench *)opaque)->flags) < 0) {
        error_report("Invalid cache mode");
        return false;
    }
    return true;
}

static bool parse_aio(void *opaque, const char *arg)
{
    if (tool_parse_aio(arg, &((Bench *)opaque)->flags) < 0) {
        error_report("Invalid aio option: %s", arg);
        return false;
    }
    return true;
}

static bool parse_words(Bench *b, int argc, char **argv, int *first)
{
    const ImgOption options[] = {
        IMG_OPTION_FMT(&b->source),
        IMG_OPTION_IMAGE_OPTS(&b->source),
        IMG_OPTION_FORCE_SHARE(&b->source),
        { .letter = 'c', .fn = parse_count, .opaque = b },
        { .letter = 'd', .fn = parse_depth, .opaque = b },
        { .letter = 'n', .flag = &b->native },
        { .letter = 'i', .fn = parse_aio, .opaque = b },
        { .letter = 'o', .fn = parse_offset, .opaque = b },
        { .letter = 'q', .flag = &b->quiet },
        { .letter = 's', .fn = parse_size, .opaque = b },
        { .letter = 'S', .fn = parse_step, .opaque = b },
        { .letter = 't', .fn = parse_cache, .opaque = b },
        { .letter = 'w', .flag = &b->write },
        { .name = "pattern", .fn = parse_pattern, .opaque = b },
        { .name = "flush-interval", .fn = parse_interval, .opaque = b },
        { .name = "no-drain", .flag = &b->no_drain },
        { 0 },
    };

    return img_parse_options(argc, argv, options, first);
}

int img_bench(int argc, char **argv)
{
    Bench b = { .flags = BDRV_O_CACHE_WB, .count = 75000, .depth = 64, .size = 4096 };
    int first;

    if (!parse_words(&b, argc, argv, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    if (!b.write && b.flush_interval) {
        error_report("--flush-interval is only available in write tests");
        return EXIT_FAILURE;
    }
    if (b.flush_interval && b.flush_interval < b.depth) {
        error_report("Flush interval can't be smaller than depth");
        return EXIT_FAILURE;
    }
    b.step = b.step ? b.step : b.size;
    return run(&b, argv[first]);
}
