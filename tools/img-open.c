/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images of a command line: named by a file or by options. */
#include "tools/img.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

QDict *img_parse_image_opts(const char *text)
{
    static const char file_key[] = "file=";
    auto_free char *full = xcalloc(1, sizeof(file_key) + strlen(text));
    bool implied = text[strcspn(text, "=,")] != '=';
    QDict *options;

    if (img_wants_help(text)) {
        error_report("There are no options for source yet.");
        return NULL;
    }
    options = qdict_new();
    stpcpy(stpcpy(full, implied ? file_key : ""), text);
    if (!tool_parse_options(options, full)) {
        QDECREF(options);
        return NULL;
    }
    return options;
}

static BlockBackend *open_image(const char *filename, QDict *options, int flags,
                                const char *shown)
{
    Error *err = NULL;
    BlockBackend *blk = blk_new_open(filename, NULL, options, flags, &err);

    if (!blk) {
        error_reportf_err(err, "Could not open '%s': ", shown);
    }
    return blk;
}

static BlockBackend *open_options(const char *text, int flags, bool force_share)
{
    QDict *options = img_parse_image_opts(text);

    if (!options) {
        return NULL;
    }
    if (force_share && !tool_force_share(options)) {
        error_report("--force-share/-U conflicts with image options");
        QDECREF(options);
        return NULL;
    }
    return open_image(NULL, options, flags, text);
}

BlockBackend *img_open_file(const char *filename, QDict *options, const char *format, int flags,
                            bool force_share)
{
    BlockBackend *blk;

    if (!options) {
        options = qdict_new();
    }
    if (format) {
        qdict_put(options, "driver", qstring_from_str(format));
    }
    if (force_share) {
        qdict_put(options, "force-share", qbool_from_bool(true));
    }
    blk = open_image(filename, options, flags, filename);
    if (blk && !format) {
        tool_warn_of_guess(blk, filename);
    }
    return blk;
}

BlockBackend *img_open(const ImgSource *source, const char *filename, int flags)
{
    if (!source->image_opts) {
        return img_open_file(filename, NULL, source->format, flags, source->force_share);
    }
    if (source->format) {
        error_report("--image-opts and --format are mutually exclusive");
        return NULL;
    }
    return open_options(filename, flags, source->force_share);
}

/* ---- help on options of images ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const BdrvOption *const *)a)->name, (*(const BdrvOption *const *)b)->name);
}

static size_t table_size(const BdrvOption *table)
{
    size_t n = 0;

    while (table && table[n].name) {
        n++;
    }
    return n;
}

static void print_option(const BdrvOption *option, unsigned indent)
{
    static const char *const types[] = {
        [BDRV_OPTION_STRING] = "str",
        [BDRV_OPTION_BOOL] = "bool (on/off)",
        [BDRV_OPTION_NUMBER] = "num",
        [BDRV_OPTION_SIZE] = "size",
    };
    char text[128];

    snprintf(text, sizeof(text), "%s=<%s>", option->name, types[option->type]);
    printf("%*s%-22s - %s\n", (int)indent, "", text, option->help);
}

/* An option that both have is the first table's. */
void img_print_option_table(const BdrvOption *table, const BdrvOption *more, unsigned indent)
{
    size_t n = table_size(table), m = table_size(more), all = 0;
    auto_free const BdrvOption **rows = xcalloc(n + m + 1, sizeof(*rows));

    for (size_t i = 0; i < n; i++) {
        rows[all++] = &table[i];
    }
    for (size_t i = 0; i < m; i++) {
        bool twice = false;

        for (size_t j = 0; j < n; j++) {
            twice = twice || strcmp(table[j].name, more[i].name) == 0;
        }
        if (!twice) {
            rows[all++] = &more[i];
        }
    }
    qsort(rows, all, sizeof(rows[0]), compare_names);
    for (size_t i = 0; i < all; i++) {
        print_option(rows[i], indent);
    }
}

const BdrvOption *img_protocol_options(const char *filename)
{
    Error *err = NULL;
    const BlockDriver *protocol = bdrv_protocol_of(filename, &err);
    const BdrvOption *options = protocol ? bdrv_create_options(protocol) : NULL;

    if (!protocol) {
        error_reportf_err(err, "%s", "");
    } else if (!options) {
        error_report("Protocol driver '%s' does not support image creation",
                     protocol->format_name);
    }
    return options;
}

int img_print_create_help(const char *filename, const char *format)
{
    const BlockDriver *drv = bdrv_find_format(format);
    const BdrvOption *table = drv ? bdrv_create_options(drv) : NULL, *more = NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", format);
        return EXIT_FAILURE;
    }
    if (!table) {
        error_report("Format driver '%s' does not support image creation", format);
        return EXIT_FAILURE;
    }
    if (filename && !(more = img_protocol_options(filename))) {
        return EXIT_FAILURE;
    }
    printf(filename ? "Supported options:\n" : "Supported %s options:\n", format);
    img_print_option_table(table, more, 2);
    if (!filename) {
        printf("\nThe protocol level may support further options.\n"
               "Specify the target filename to include those options.\n");
    }
    return EXIT_SUCCESS;
}
