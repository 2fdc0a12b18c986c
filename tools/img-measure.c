/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img measure: how large a new image would be, empty or with what another one holds. */
#include "tools/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Measure {
    const char *filename;              /* NULL: `size` says it all */
    ImgSource source;
    const char *snapshot;
    int64_t size;                      /* bytes; -1: not given */
    const char *format;                /* of the new image */
    char *options;                     /* -o */
    const char *output;
} Measure;

static void print_measure(const BlockMeasureInfo *info, bool json)
{
    QDict *dict;

    if (!json) {
        printf("required size: %" PRId64 "\nfully allocated size: %" PRId64 "\n", info->required,
               info->fully_allocated);
        if (info->bitmaps >= 0) {
            printf("bitmaps size: %" PRId64 "\n", info->bitmaps);
        }
        return;
    }
    dict = qdict_new();
    qdict_put(dict, "required", qint_from_int(info->required));
    qdict_put(dict, "fully-allocated", qint_from_int(info->fully_allocated));
    if (info->bitmaps >= 0) {
        qdict_put(dict, "bitmaps", qint_from_int(info->bitmaps));
    }
    img_print_json(dict, stdout);
    QDECREF(dict);
}

/* Options of the file below change nothing about the size. */
static void drop_unknown(const BdrvOption *table, QDict *options)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(options, next, key, value) {
        const BdrvOption *option = table;

        while (option->name && strcmp(option->name, key) != 0) {
            option++;
        }
        if (!option->name) {
            qdict_del(options, key);
        }
    }
}

/* What -o and --size say, for the format; NULL: reported. */
static QDict *parse_options(const Measure *m, const BdrvOption *table)
{
    const BdrvOption *more = bdrv_create_options(bdrv_find_format("file"));
    QDict *options = qdict_new();
    Error *err = NULL;
    bool good = true;

    if (m->options) {
        good = tool_parse_image_options(options, m->options);
        if (good && bdrv_check_options(table, more, options, &err) < 0) {
            error_reportf_err(err, "%s", "");
            good = false;
        }
    }
    if (!good) {
        error_report("Invalid options for file format '%s'", m->format);
        QDECREF(options);
        return NULL;
    }
    drop_unknown(table, options);
    if (m->size >= 0) {
        qdict_put(options, "size", qint_from_int(m->size));
    }
    return options;
}

static int measure(const Measure *m, BlockDriverState *from, bool json)
{
    const BlockDriver *drv = bdrv_find_format(m->format);
    const BdrvOption *table = drv ? bdrv_create_options(drv) : NULL;
    BlockMeasureInfo info;
    Error *err = NULL;
    QDict *options;
    int ret;

    if (!drv) {
        error_report("Unknown file format '%s'", m->format);
        return EXIT_FAILURE;
    }
    if (!table) {
        error_report("Format driver '%s' does not support image creation", m->format);
        return EXIT_FAILURE;
    }
    options = parse_options(m, table);
    if (!options) {
        return EXIT_FAILURE;
    }
    ret = bdrv_measure(drv, options, from, &info, &err);
    QDECREF(options);
    if (ret < 0) {
        error_reportf_err(err, "%s", "");
        return EXIT_FAILURE;
    }
    print_measure(&info, json);
    return EXIT_SUCCESS;
}

static int measure_image(const Measure *m, bool json)
{
    BlockBackend *blk = img_open(&m->source, m->filename, BDRV_O_CACHE_WB);
    int status = EXIT_FAILURE;

    if (blk && (!m->snapshot || img_load_snapshot(blk_bs(blk), m->snapshot))) {
        status = measure(m, blk_bs(blk), json);
    }
    blk_unref(blk);
    return status;
}

/* NULL, or what is wrong with the command line. */
static const char *find_fault(const Measure *m, int n_words)
{
    if (n_words > 1) {
        return "At most one filename argument is allowed.";
    }
    if (n_words == 0 && (m->source.image_opts || m->source.format || m->snapshot)) {
        return "--image-opts, -f, and -l require a filename argument.";
    }
    if (n_words == 1 && m->size >= 0) {
        return "--size N cannot be used together with a filename.";
    }
    if (n_words == 0 && m->size < 0) {
        return "Either --size N or one filename must be specified.";
    }
    return NULL;
}

static bool parse_size(void *opaque, const char *arg)
{
    return (*(int64_t *)opaque = img_cvtnum("image size", arg)) >= 0;
}

int img_measure(int argc, char **argv)
{
    Measure m = { .size = -1, .format = "raw" };
    const ImgOption options[] = {
        IMG_OPTION_FMT(&m.source),
        IMG_OPTION_IMAGE_OPTS(&m.source),
        IMG_OPTION_FORCE_SHARE(&m.source),
        IMG_OPTION_OBJECT,
        { .letter = 'O', .string = &m.format },
        { .letter = 'o', .fn = img_parse_o, .opaque = &m.options },
        { .letter = 'l', .fn = img_parse_snapshot, .opaque = &m.snapshot },
        { .name = "output", .string = &m.output },
        { .name = "size", .fn = parse_size, .opaque = &m.size },
        { 0 },
    };
    int first, status = EXIT_FAILURE;
    const char *fault;
    bool json;

    if (!img_parse_options(argc, argv, options, &first) || !img_parse_output(m.output, &json)) {
        free(m.options);
        return EXIT_FAILURE;
    }
    fault = find_fault(&m, argc - first);
    if (fault) {
        error_report("%s", fault);
    } else {
        m.filename = argv[first];
        status = m.filename ? measure_image(&m, json) : measure(&m, NULL, json);
    }
    free(m.options);
    return status;
}
