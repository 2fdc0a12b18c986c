/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img commit: what an image has goes into one that it is based on. */
#include "tools/img.h"

#include <errno.h>
#include <stdlib.h>

typedef struct Commit {
    ImgSource source;
    const char *cache, *base;
    bool keep_content, progress, quiet;
    int64_t rate;                      /* bytes a second; 0: as fast as it can be */
} Commit;

static bool parse_rate(void *opaque, const char *arg)
{
    Commit *c = opaque;

    c->rate = img_cvtnum("rate limit", arg);
    return c->rate >= 0;
}

static bool parse_words(Commit *c, int argc, char **argv, int *first)
{
    const ImgOption options[] = {
        IMG_OPTION_OBJECT,
        IMG_OPTION_FMT(&c->source),
        IMG_OPTION_IMAGE_OPTS(&c->source),
        { .letter = 't', .string = &c->cache },
        { .letter = 'b', .string = &c->base },
        { .letter = 'd', .flag = &c->keep_content },
        { .letter = 'p', .flag = &c->progress },
        { .letter = 'q', .flag = &c->quiet },
        { .letter = 'r', .fn = parse_rate, .opaque = c },
        { 0 },
    };

    return img_parse_options(argc, argv, options, first);
}

/* NULL: the image below it. */
static BlockDriverState *find_base(BlockDriverState *top, const char *base, const char *filename,
                                   Error **errp)
{
    BlockDriverState *bs = base ? bdrv_find_backing_image(top, base) : bdrv_backing(top);

    if (!bs && base) {
        error_setg(errp, "Did not find '%s' in the backing chain of '%s'", base, filename);
    } else if (!bs) {
        error_setg(errp, "Image does not have a backing file");
    }
    return bs;
}

/* What lies in the base now need not lie in the image too. */
static int empty(BlockDriverState *top, Error **errp)
{
    Error *err = NULL;
    int ret = bdrv_make_empty(top, &err);

    if (ret == -ENOTSUP) {
        error_free(err);
        return 0;
    }
    error_propagate(errp, err);
    return ret;
}

static int commit(const Commit *c, BlockDriverState *top, const char *filename, Error **errp)
{
    BlockDriverState *base = find_base(top, c->base, filename, errp);
    int ret;

    if (!base) {
        return -ENOENT;
    }
    ret = bdrv_commit_to(top, base, c->rate, img_progress_report, NULL, errp);
    if (ret < 0) {
        return ret;
    }
    img_progress_set(100);
    /* With -b the images between would show through. */
    return c->keep_content || c->base ? 0 : empty(top, errp);
}

static int run(const Commit *c, const char *filename)
{
    int flags = BDRV_O_RDWR | BDRV_O_UNMAP, ret;
    BlockBackend *blk;
    Error *err = NULL;

    if (!img_parse_cache("cache", c->cache, &flags)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&c->source, filename, flags);
    if (!blk) {
        return EXIT_FAILURE;
    }
    img_progress_init(c->progress && !c->quiet, 1.0);
    img_progress_set(0);
    ret = commit(c, blk_bs(blk), filename, &err);
    img_progress_end();
    blk_unref(blk);
    if (ret < 0) {
        error_reportf_err(err, "%s", "");
        return EXIT_FAILURE;
    }
    img_qprintf(c->quiet, "Image committed.\n");
    return EXIT_SUCCESS;
}

int img_commit(int argc, char **argv)
{
    Commit c = { .cache = "writeback" };
    int first;

    if (!parse_words(&c, argc, argv, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    return run(&c, argv[first]);
}
