/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img bitmap: changes the persistent dirty bitmaps of an image. */
#include "tools/img.h"

#include <stdlib.h>

#include <blkbackend/dirty-bitmap.h>

#include "common/xalloc.h"

typedef struct Bitmap {
    ImgSource source;
    const char *filename;
    const char *name;
    const char *from_filename;         /* -b: where --merge looks; NULL: the same image */
    ImgSource from_source;
    int64_t granularity;               /* bytes; 0: the default */
    BlockDriverState *bs, *from;
    struct Action *actions;
    size_t n_actions;
} Bitmap;

typedef bool ActionFunc(const Bitmap *b, const char *arg, Error **errp);

struct Action {
    const char *word;
    ActionFunc *run;
    const char *arg;                   /* of --merge */
};

/* ---- what can be done ---- */

static BdrvDirtyBitmap *find(BlockDriverState *bs, const char *name, Error **errp)
{
    BdrvDirtyBitmap *bitmap = bdrv_find_dirty_bitmap(bs, name);

    if (!bitmap) {
        error_setg(errp, "Dirty bitmap '%s' not found", name);
    }
    return bitmap;
}

/* One that may be changed; NULL: errp. */
static BdrvDirtyBitmap *find_usable(const Bitmap *b, uint32_t checks, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find(b->bs, b->name, errp);

    return bitmap && bdrv_dirty_bitmap_check(bitmap, checks, errp) == 0 ? bitmap : NULL;
}

static bool add(const Bitmap *b, const char *arg, Error **errp)
{
    int64_t granularity = b->granularity ? b->granularity
                                         : bdrv_get_default_bitmap_granularity(b->bs);
    BdrvDirtyBitmap *bitmap;

    (void)arg;
    if (!*b->name) {
        error_setg(errp, "Bitmap name cannot be empty");
        return false;
    }
    if (granularity < 512 || granularity > UINT32_MAX || (granularity & (granularity - 1))) {
        error_setg(errp, "Granularity must be power of 2 and at least 512");
        return false;
    }
    if (!bdrv_can_store_new_dirty_bitmap(b->bs, b->name, (uint32_t)granularity, errp)) {
        return false;
    }
    bitmap = bdrv_create_dirty_bitmap(b->bs, (uint32_t)granularity, b->name, errp);
    if (bitmap) {
        bdrv_dirty_bitmap_set_persistence(bitmap, true);
    }
    return bitmap != NULL;
}

static bool remove_bitmap(const Bitmap *b, const char *arg, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_usable(b, BDRV_BITMAP_BUSY | BDRV_BITMAP_RO, errp);

    (void)arg;
    if (!bitmap) {
        return false;
    }
    if (bdrv_dirty_bitmap_get_persistence(bitmap) &&
        bdrv_remove_persistent_dirty_bitmap(b->bs, b->name, errp) < 0) {
        return false;
    }
    bdrv_release_dirty_bitmap(bitmap);
    return true;
}

static bool clear(const Bitmap *b, const char *arg, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_usable(b, BDRV_BITMAP_DEFAULT, errp);

    (void)arg;
    if (bitmap) {
        bdrv_clear_dirty_bitmap(bitmap);
    }
    return bitmap != NULL;
}

static bool enable(const Bitmap *b, const char *arg, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_usable(b, BDRV_BITMAP_ALLOW_RO, errp);

    (void)arg;
    if (bitmap) {
        bdrv_enable_dirty_bitmap(bitmap);
    }
    return bitmap != NULL;
}

static bool disable(const Bitmap *b, const char *arg, Error **errp)
{
    BdrvDirtyBitmap *bitmap = find_usable(b, BDRV_BITMAP_ALLOW_RO, errp);

    (void)arg;
    if (bitmap) {
        bdrv_disable_dirty_bitmap(bitmap);
    }
    return bitmap != NULL;
}

static bool merge(const Bitmap *b, const char *arg, Error **errp)
{
    BdrvDirtyBitmap *dest = find(b->bs, b->name, errp);
    BdrvDirtyBitmap *src = dest ? find(b->from, arg, errp) : NULL;

    return src && bdrv_merge_dirty_bitmap(dest, src, errp);
}

/* ---- the command line ---- */

/* What an option means; opaque of the option's row. */
typedef struct Plan {
    Bitmap *b;
    const char *word;
    ActionFunc *run;
} Plan;

static bool plan(void *opaque, const char *arg)
{
    const Plan *p = opaque;
    Bitmap *b = p->b;

    b->actions = xalloc_check(realloc(b->actions, (b->n_actions + 1) * sizeof(*b->actions)));
    b->actions[b->n_actions++] = (struct Action){ p->word, p->run, arg };
    return true;
}

static bool is_planned(const Bitmap *b, ActionFunc *run)
{
    for (size_t i = 0; i < b->n_actions; i++) {
        if (b->actions[i].run == run) {
            return true;
        }
    }
    return false;
}

static bool parse_granularity(void *opaque, const char *arg)
{
    return (*(int64_t *)opaque = img_cvtnum("granularity", arg)) >= 0;
}

/* NULL, or what is wrong with the command line. */
static const char *find_fault(const Bitmap *b, int n_words)
{
    if (!b->n_actions) {
        return "Need at least one of --add, --remove, --clear, --enable, --disable, or --merge";
    }
    if (b->granularity && !is_planned(b, add)) {
        return "granularity only supported with --add";
    }
    if (b->from_source.format && !b->from_filename) {
        return "-F only supported with -b";
    }
    if (b->from_filename && !is_planned(b, merge)) {
        return "Merge bitmap source file only supported with --merge";
    }
    return n_words == 2 ? NULL : "Expecting filename and bitmap name";
}

/* ---- doing it ---- */

static int run_actions(const Bitmap *b)
{
    for (size_t i = 0; i < b->n_actions; i++) {
        const struct Action *action = &b->actions[i];
        Error *err = NULL;

        if (!action->run(b, action->arg, &err)) {
            error_reportf_err(err, "Operation %s on bitmap %s failed: ", action->word, b->name);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

/* Bitmaps alone are touched, so nothing below an image is opened. */
static int change_bitmaps(Bitmap *b)
{
    int flags = BDRV_O_CACHE_WB | BDRV_O_NO_BACKING, status = EXIT_FAILURE;
    BlockBackend *blk = img_open(&b->source, b->filename, flags | BDRV_O_RDWR), *from = NULL;

    if (blk && b->from_filename) {
        from = img_open(&b->from_source, b->from_filename, flags);
    }
    if (blk && (from || !b->from_filename)) {
        b->bs = blk_bs(blk);
        b->from = from ? blk_bs(from) : b->bs;
        status = run_actions(b);
    }
    blk_unref(from);
    blk_unref(blk);
    return status;
}

int img_bitmap(int argc, char **argv)
{
    Bitmap b = { 0 };
    Plan plans[] = {
        { &b, "add", add },
        { &b, "remove", remove_bitmap },
        { &b, "clear", clear },
        { &b, "enable", enable },
        { &b, "disable", disable },
        { &b, "merge", merge },
    };
    const ImgOption options[] = {
        IMG_OPTION_FMT(&b.source),
        IMG_OPTION_IMAGE_OPTS(&b.source),
        IMG_OPTION_OBJECT,
        { .name = "add", .fn = plan, .opaque = &plans[0], .bare = true },
        { .name = "remove", .fn = plan, .opaque = &plans[1], .bare = true },
        { .name = "clear", .fn = plan, .opaque = &plans[2], .bare = true },
        { .name = "enable", .fn = plan, .opaque = &plans[3], .bare = true },
        { .name = "disable", .fn = plan, .opaque = &plans[4], .bare = true },
        { .name = "merge", .fn = plan, .opaque = &plans[5] },
        { .letter = 'g', .name = "granularity", .fn = parse_granularity,
          .opaque = &b.granularity },
        { .letter = 'b', .name = "source-file", .string = &b.from_filename },
        { .letter = 'F', .name = "source-format", .string = &b.from_source.format },
        { 0 },
    };
    int first, status = EXIT_FAILURE;
    const char *fault;

    if (img_parse_options(argc, argv, options, &first)) {
        fault = find_fault(&b, argc - first);
        if (fault) {
            error_report("%s", fault);
        } else {
            b.filename = argv[first];
            b.name = argv[first + 1];
            status = change_bitmaps(&b);
        }
    }
    free(b.actions);
    return status;
}
