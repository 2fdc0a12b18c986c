/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img convert: images, one behind the other, as a new image of any format. */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>

#include "common/xalloc.h"
#include "tools/img-copy.h"

#define DEFAULT_SPARSE 4096
#define BUFFER_SIZE (2 << 20)
#define THROTTLE_GROUP "img_convert"

typedef struct Convert {
    ImgSource source;
    const char *cache, *source_cache;
    char **names;                      /* of the sources */
    const char *snapshot;              /* the argument of -l */

    const char *target, *format;
    const char *backing, *backing_format;
    char *options;                     /* of -o */
    bool no_create, target_image_opts, target_is_zero;
    QDict *create;

    bool bitmaps, skip_broken_bitmaps;
    bool sparse_given, out_of_order, progress;
    int64_t rate;                      /* bytes a second; 0: as fast as it can be */
    ImgCopy copy;
} Convert;

/* ---- the command line ---- */

static bool parse_sparse(void *opaque, const char *arg)
{
    Convert *c = opaque;
    int64_t size = img_cvtnum("buffer size for sparse output", arg);

    if (size < 0) {
        return false;
    }
    if (size % (int64_t)BDRV_SECTOR_SIZE || size > IMG_COPY_MAX_BUFFER) {
        error_report("Invalid buffer size for sparse output specified. Valid sizes are multiples "
                     "of %llu up to %d. Select 0 to disable sparse detection (fully allocates "
                     "output).", BDRV_SECTOR_SIZE, IMG_COPY_MAX_BUFFER);
        return false;
    }
    c->copy.min_sparse = size;
    c->sparse_given = true;
    return true;
}

static bool parse_workers(void *opaque, const char *arg)
{
    Convert *c = opaque;
    char *end;
    long n;

    errno = 0;
    n = strtol(arg, &end, 0);
    if (errno || end == arg || *end || n < 1 || n > IMG_COPY_MAX_WORKERS) {
        error_report("Invalid number of coroutines. Allowed number of coroutines is between 1 "
                     "and %d", IMG_COPY_MAX_WORKERS);
        return false;
    }
    c->copy.workers = (int)n;
    return true;
}

static bool parse_rate(void *opaque, const char *arg)
{
    Convert *c = opaque;

    c->rate = img_cvtnum("rate limit", arg);
    return c->rate >= 0;
}

static bool parse_words(Convert *c, int argc, char **argv, int *first)
{
    const ImgOption options[] = {
        IMG_OPTION_OBJECT,
        IMG_OPTION_FMT(&c->source),
        IMG_OPTION_IMAGE_OPTS(&c->source),
        IMG_OPTION_FORCE_SHARE(&c->source),
        { .letter = 'O', .string = &c->format },
        { .letter = 'B', .string = &c->backing },
        { .letter = 'F', .string = &c->backing_format },
        { .letter = 'C', .flag = &c->copy.offload },
        { .letter = 'c', .flag = &c->copy.compressed },
        { .letter = 'o', .fn = img_parse_o, .opaque = &c->options },
        { .letter = 'l', .fn = img_parse_snapshot, .opaque = &c->snapshot },
        { .letter = 'S', .fn = parse_sparse, .opaque = c },
        { .letter = 'p', .flag = &c->progress },
        { .letter = 't', .string = &c->cache },
        { .letter = 'T', .string = &c->source_cache },
        { .letter = 'q', .flag = &c->copy.quiet },
        { .letter = 'n', .flag = &c->no_create },
        { .letter = 'm', .fn = parse_workers, .opaque = c },
        { .letter = 'W', .flag = &c->out_of_order },
        { .letter = 'r', .fn = parse_rate, .opaque = c },
        { .name = "target-image-opts", .flag = &c->target_image_opts },
        { .name = "target-is-zero", .flag = &c->target_is_zero },
        { .name = "bitmaps", .flag = &c->bitmaps },
        { .name = "skip-broken-bitmaps", .flag = &c->skip_broken_bitmaps },
        { .name = "salvage", .flag = &c->copy.salvage },
        { 0 },
    };

    return img_parse_options(argc, argv, options, first);
}

/* NULL, or why the options do not go together. */
static const char *contradiction(const Convert *c)
{
    if (c->copy.compressed && c->copy.offload) {
        return "Cannot enable copy offloading when -c is used";
    }
    if (c->sparse_given && c->copy.offload) {
        return "Cannot enable copy offloading when -S is used";
    }
    if (c->copy.offload && c->copy.salvage) {
        return "Cannot use copy offloading in salvaging mode";
    }
    if (c->skip_broken_bitmaps && !c->bitmaps) {
        return "Use of --skip-broken-bitmaps requires --bitmaps";
    }
    if (c->target_image_opts && !c->no_create) {
        return "--target-image-opts requires use of -n flag";
    }
    if (c->no_create && c->options) {
        return "-o has no effect when skipping image creation";
    }
    if (c->target_is_zero && !c->no_create) {
        return "--target-is-zero requires use of -n flag";
    }
    return NULL;
}

/* True: go on.  False: *status says how it ends. */
static bool check_words(Convert *c, int argc, char **argv, int first, int *status)
{
    const char *error;
    int n = argc - first - 1;

    *status = EXIT_FAILURE;
    if (!c->format && !c->target_image_opts) {
        c->format = "raw";
    }
    error = contradiction(c);
    if (!error && c->options && img_wants_help(c->options)) {
        *status = img_print_create_help(n >= 1 ? argv[argc - 1] : NULL, c->format);
        return false;
    }
    if (!error && n < 1) {
        error = "Must specify image file name";
    }
    if (error) {
        error_report("%s", error);
        return false;
    }
    c->copy.src_num = n;
    c->names = argv + first;
    c->target = argv[argc - 1];
    return true;
}

/* ---- the sources ---- */

static bool open_source(Convert *c, int i, int flags)
{
    ImgCopySource *src = &c->copy.src[i];
    BlockDriverInfo info;

    src->blk = img_open(&c->source, c->names[i], flags);
    if (!src->blk) {
        return false;
    }
    src->length = blk_getlength(src->blk);
    if (src->length < 0) {
        error_report("Could not get size of %s: %s", c->names[i], strerror((int)-src->length));
        return false;
    }
    src->alignment = blk_get_request_alignment(src->blk);
    if (bdrv_get_info(blk_bs(src->blk), &info) == 0 && info.cluster_size > src->alignment) {
        src->alignment = info.cluster_size;
    }
    return true;
}

static bool open_sources(Convert *c)
{
    int flags = 0;

    if (!img_parse_cache("source cache", c->source_cache, &flags)) {
        return false;
    }
    c->copy.src = xcalloc((size_t)c->copy.src_num, sizeof(*c->copy.src));
    for (int i = 0; i < c->copy.src_num; i++) {
        if (!open_source(c, i, flags)) {
            return false;
        }
    }
    if (c->snapshot && c->copy.src_num > 1) {
        error_report("No support for concatenating multiple snapshot");
        return false;
    }
    if (c->snapshot && !img_load_snapshot(blk_bs(c->copy.src[0].blk), c->snapshot)) {
        return false;
    }
    if (c->snapshot) {
        c->copy.src[0].length = blk_getlength(c->copy.src[0].blk);
    }
    for (int i = 0; i < c->copy.src_num; i++) {
        c->copy.total += c->copy.src[i].length;
    }
    return true;
}

/* ---- the new image ---- */

/* What is to be made, without making it yet. */
static bool plan_target(Convert *c)
{
    c->create = img_new_options(c->format, c->target, c->options, c->copy.total);
    return c->create && img_new_backing(c->create, c->format, c->backing, c->backing_format);
}

static bool check_backing(Convert *c)
{
    const char *named = c->create ? qdict_get_try_str(c->create, "backing_file") : NULL;

    c->copy.target_has_backing = named || c->backing;
    if (named && !qdict_get_try_str(c->create, "backing_fmt")) {
        error_report("Use of backing file requires explicit backing format");
        return false;
    }
    if (c->target_is_zero && c->copy.target_has_backing) {
        error_report("Cannot use --target-is-zero when the destination image has a backing file");
        return false;
    }
    if (c->copy.src_num > 1 && c->copy.target_has_backing) {
        error_report("Having a backing file for the target makes no sense when concatenating "
                     "multiple input images");
        return false;
    }
    return true;
}

static bool can_compress(const BlockDriver *drv)
{
    if (drv && !drv->bdrv_co_pwritev_compressed) {
        error_report("Compression not supported for this file format");
        return false;
    }
    return true;
}

static bool check_compression(Convert *c)
{
    const char *prealloc = c->create ? qdict_get_try_str(c->create, "preallocation") : NULL;

    if (!c->copy.compressed) {
        return true;
    }
    if (c->create && !can_compress(bdrv_find_format(c->format))) {
        return false;
    }
    if (prealloc && strcmp(prealloc, "off") != 0) {
        error_report("Compression and preallocation not supported at the same time");
        return false;
    }
    return true;
}

static bool check_bitmaps(Convert *c)
{
    if (c->bitmaps && c->copy.src_num > 1) {
        error_report("Copying bitmaps only possible with single source");
        return false;
    }
    return !c->bitmaps || img_check_bitmaps(blk_bs(c->copy.src[0].blk), c->skip_broken_bitmaps);
}

static bool create_target(Convert *c)
{
    Error *err = NULL;

    if (bdrv_create(bdrv_find_format(c->format), c->target, c->create, &err) < 0) {
        error_reportf_err(err, "%s: error while converting %s: ", c->target, c->format);
        return false;
    }
    return true;
}

/* ---- the target, opened ---- */

static bool open_target(Convert *c)
{
    ImgSource target = { .format = c->format, .image_opts = c->target_image_opts };
    int flags = BDRV_O_RDWR | (c->copy.min_sparse ? BDRV_O_UNMAP : 0);

    if (bdrv_parse_cache_mode(c->cache, &flags) < 0) {
        error_report("Invalid cache option: %s", c->cache);
        return false;
    }
    c->copy.target = img_open(&target, c->target, flags);
    if (c->copy.target && c->bitmaps &&
        !bdrv_supports_persistent_dirty_bitmap(blk_bs(c->copy.target))) {
        error_report("Format driver '%s' does not support bitmaps",
                     bdrv_get_format_name(blk_bs(c->copy.target)));
        return false;
    }
    return c->copy.target != NULL;
}

static const BlockDriver *driver_of(BlockDriverState *bs)
{
    return bdrv_find_format(bdrv_get_format_name(bs));
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t power_of_two_below(int64_t n)
{
    return n ? (int64_t)1 << (63 - __builtin_clzll((unsigned long long)n)) : 0;
}

static void choose_sizes(Convert *c)
{
    const BlockLimits *limits = bdrv_limits(blk_bs(c->copy.target));
    int64_t wish = max_of(limits->opt_transfer, limits->pdiscard_alignment);

    c->copy.buf_size = max_of(BUFFER_SIZE, wish < IMG_COPY_MAX_BUFFER ? wish : IMG_COPY_MAX_BUFFER);
    c->copy.buf_size -= c->copy.buf_size % (int64_t)BDRV_SECTOR_SIZE;
    c->copy.alignment = max_of(power_of_two_below(c->copy.min_sparse),
                               limits->request_alignment);
}

static bool choose_clusters(Convert *c)
{
    BlockDriverInfo info;

    if (!c->copy.compressed) {
        return true;
    }
    if (!can_compress(driver_of(blk_bs(c->copy.target)))) {
        return false;
    }
    if (bdrv_get_info(blk_bs(c->copy.target), &info) < 0) {
        error_report("could not get block driver info");
        return false;
    }
    if (info.cluster_size <= 0 || info.cluster_size > c->copy.buf_size) {
        error_report("invalid cluster size");
        return false;
    }
    c->copy.cluster_size = info.cluster_size;
    c->copy.buf_size -= c->copy.buf_size % info.cluster_size;
    return true;
}

static bool check_room(Convert *c)
{
    int64_t length = blk_getlength(c->copy.target);

    if (length < 0) {
        error_report("unable to get output image length: %s", strerror((int)-length));
        return false;
    }
    if (length < c->copy.total) {
        error_report("output file is smaller than input file");
        return false;
    }
    return true;
}

/* What need not be written because it is there already. */
static void look_at_content(Convert *c)
{
    BlockDriverState *bs = blk_bs(c->copy.target);
    const BlockDriver *drv = driver_of(bs);
    bool is_new = !c->no_create;

    c->copy.zero_init = c->target_is_zero ||
                        (is_new && c->copy.min_sparse && !c->copy.target_has_backing &&
                         drv->bdrv_has_zero_init && drv->bdrv_has_zero_init(bs));
    c->copy.target_backing_length = is_new && c->copy.target_has_backing && bdrv_backing(bs)
                                    ? bdrv_getlength(bdrv_backing(bs)) : -1;
}

static void limit_rate(Convert *c)
{
    ThrottleConfig config;

    throttle_config_init(&config);
    config.buckets[THROTTLE_BPS_WRITE].avg = (double)c->rate;
    blk_io_limits_enable(c->copy.target, THROTTLE_GROUP);
    blk_set_io_limits(c->copy.target, &config);
}

static bool copy(Convert *c)
{
    int ret;

    if (c->rate) {
        limit_rate(c);
    }
    if (img_copy(&c->copy) < 0) {
        return false;
    }
    if (c->bitmaps && !img_copy_bitmaps(blk_bs(c->copy.src[0].blk), blk_bs(c->copy.target))) {
        return false;
    }
    ret = blk_flush(c->copy.target);
    if (ret < 0) {
        error_report("error while flushing '%s': %s", c->target, strerror(-ret));
    }
    return ret == 0;
}

/* ---- the steps ---- */

static bool convert(Convert *c)
{
    if (!open_sources(c) || (!c->no_create && !plan_target(c)) || !check_backing(c) ||
        !check_compression(c) || !check_bitmaps(c) ||
        (!c->no_create && !create_target(c)) || !open_target(c)) {
        return false;
    }
    choose_sizes(c);
    if (!choose_clusters(c) || (c->no_create && !check_room(c))) {
        return false;
    }
    look_at_content(c);
    return copy(c);
}

static void close_all(Convert *c)
{
    if (c->copy.target && c->rate) {
        blk_io_limits_disable(c->copy.target);
    }
    blk_unref(c->copy.target);
    for (int i = 0; c->copy.src && i < c->copy.src_num; i++) {
        blk_unref(c->copy.src[i].blk);
    }
    free(c->copy.src);
    QDECREF(c->create);
}

static int run(Convert *c)
{
    bool good;

    img_progress_init(c->progress && !c->copy.quiet, 1.0);
    img_progress_set(0);
    c->copy.in_order = !c->out_of_order;
    good = convert(c);
    if (good) {
        img_progress_set(100);
    }
    img_progress_end();
    close_all(c);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int img_convert(int argc, char **argv)
{
    Convert c = { .cache = "unsafe", .source_cache = "writeback",
                  .copy = { .min_sparse = DEFAULT_SPARSE, .workers = 8 } };
    int first, status = EXIT_FAILURE;

    if (parse_words(&c, argc, argv, &first) && check_words(&c, argc, argv, first, &status)) {
        status = run(&c);
    }
    free(c.options);
    return status;
}
