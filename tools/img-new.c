/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New images that a subcommand fills: which options they get. */
#include "tools/img.h"

#include <string.h>

static bool has_option(const BdrvOption *table, const char *name)
{
    for (; table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL: reported. */
static const BdrvOption *options_of_format(const char *format)
{
    const BlockDriver *drv = bdrv_find_format(format);
    const BdrvOption *table = drv ? bdrv_create_options(drv) : NULL;

    if (!drv) {
        error_report("Unknown file format '%s'", format);
    } else if (!table) {
        error_report("Format driver '%s' does not support image creation", format);
    }
    return table;
}

QDict *img_new_options(const char *format, const char *filename, const char *list, int64_t size)
{
    const BdrvOption *table = options_of_format(format), *more;
    QDict *options;
    Error *err = NULL;

    if (!table || !(more = img_protocol_options(filename))) {
        return NULL;
    }
    options = qdict_new();
    if (list && (!tool_parse_image_options(options, list) ||
                 bdrv_check_options(table, more, options, &err) < 0)) {
        if (err) {
            error_reportf_err(err, "%s", "");
        }
        QDECREF(options);
        return NULL;
    }
    qdict_put(options, "size", qint_from_int(size));
    return options;
}

bool img_new_backing(QDict *options, const char *format, const char *backing,
                     const char *backing_format)
{
    const BdrvOption *table = bdrv_create_options(bdrv_find_format(format));

    if (backing && !has_option(table, "backing_file")) {
        error_report("Backing file not supported for file format '%s'", format);
        return false;
    }
    if (backing_format && !has_option(table, "backing_fmt")) {
        error_report("Backing file format not supported for file format '%s'", format);
        return false;
    }
    if (backing) {
        qdict_put(options, "backing_file", qstring_from_str(backing));
    }
    if (backing_format) {
        qdict_put(options, "backing_fmt", qstring_from_str(backing_format));
    }
    return true;
}
