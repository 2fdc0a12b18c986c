/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img amend: other options for an image that is there. */
#include "tools/img.h"

#include <stdlib.h>

typedef struct Amend {
    ImgSource source;
    char *text;                        /* -o */
    const char *cache;
    bool progress, quiet, force;
} Amend;

static int print_help(const char *format)
{
    const BlockDriver *drv = bdrv_find_format(format);
    const BdrvOption *table = drv ? bdrv_amend_options(drv) : NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", format);
        return EXIT_FAILURE;
    }
    if (!table) {
        error_report("Format driver '%s' does not support option amendment", format);
        return EXIT_FAILURE;
    }
    printf("Amend options for '%s':\n", format);
    img_print_option_table(table, NULL, 2);
    return EXIT_SUCCESS;
}

/* False: reported. */
static bool check_options(const BlockDriver *drv, const QDict *options)
{
    const BdrvOption *table = bdrv_amend_options(drv);
    QDict *copy = json_copy((QDict *)options), *again = json_copy((QDict *)options);
    Error *err = NULL;
    bool good = bdrv_check_options(table, NULL, copy, &err) == 0;

    if (!good) {
        if (bdrv_check_options(table, bdrv_create_options(drv), again, NULL) == 0) {
            error_append_hint(&err, "This option is only supported for image creation\n");
        }
        error_reportf_err(err, "%s", "");
    }
    QDECREF(copy);
    QDECREF(again);
    return good;
}

static int amend(BlockDriverState *bs, const Amend *a)
{
    const char *format = bdrv_get_format_name(bs);
    const BlockDriver *drv = bdrv_find_format(format);
    QDict *options = qdict_new();
    Error *err = NULL;
    int ret = -1;

    if (!bdrv_amend_options(drv)) {
        error_report("Format driver '%s' does not support option amendment", format);
    } else if (tool_parse_image_options(options, a->text) && check_options(drv, options)) {
        img_progress_set(0);
        ret = bdrv_amend(bs, options, a->force, img_progress_report, NULL, &err);
        img_progress_set(100);
        if (ret < 0) {
            error_reportf_err(err, "%s", "");
        }
    }
    QDECREF(options);
    return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int amend_file(const Amend *a, int n_words, const char *filename)
{
    bool help = img_wants_help(a->text);
    int flags = BDRV_O_RDWR, status;
    BlockBackend *blk;

    if (a->source.format && help) {
        return print_help(a->source.format);
    }
    if (n_words != 1) {
        error_report("Expecting one image file name");
        return EXIT_FAILURE;
    }
    if (!img_parse_cache("cache", a->cache, &flags)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&a->source, filename, flags);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = help ? print_help(bdrv_get_format_name(blk_bs(blk))) : amend(blk_bs(blk), a);
    blk_unref(blk);
    return status;
}

int img_amend(int argc, char **argv)
{
    Amend a = { .cache = "writeback" };
    const ImgOption options[] = {
        IMG_OPTION_FMT(&a.source),
        IMG_OPTION_IMAGE_OPTS(&a.source),
        IMG_OPTION_OBJECT,
        { .letter = 'o', .fn = img_parse_o, .opaque = &a.text },
        { .letter = 't', .string = &a.cache },
        { .letter = 'p', .flag = &a.progress },
        { .letter = 'q', .flag = &a.quiet },
        { .name = "force", .flag = &a.force },
        { 0 },
    };
    int first, status = EXIT_FAILURE;

    if (img_parse_options(argc, argv, options, &first)) {
        if (!a.text) {
            img_error_exit("Must specify options (-o)");
        }
        img_progress_init(a.progress && !a.quiet, 1);
        status = amend_file(&a, argc - first, argv[first]);
        img_progress_end();
    }
    free(a.text);
    return status;
}
