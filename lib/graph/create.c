/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New images: the options that a driver has for them, brought into their types
 * before the driver sees them, and what an image would take.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

#include "util/options.h"

static const char *const prealloc_words[PREALLOC_MODE__MAX] = {
    [PREALLOC_MODE_OFF] = "off",
    [PREALLOC_MODE_METADATA] = "metadata",
    [PREALLOC_MODE_FALLOC] = "falloc",
    [PREALLOC_MODE_FULL] = "full",
};

const char *prealloc_mode_name(PreallocMode mode)
{
    return prealloc_words[mode];
}

int prealloc_mode_parse(const char *word, PreallocMode *mode)
{
    for (int i = 0; i < PREALLOC_MODE__MAX; i++) {
        if (strcmp(word, prealloc_words[i]) == 0) {
            *mode = (PreallocMode)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- options ---- */

const BdrvOption *bdrv_create_options(const BlockDriver *drv)
{
    return drv->bdrv_create ? drv->create_options : NULL;
}

const BdrvOption *bdrv_amend_options(const BlockDriver *drv)
{
    return drv->bdrv_co_amend ? drv->amend_options : NULL;
}

const BlockDriver *bdrv_protocol_of(const char *filename, Error **errp)
{
    return bdrv_find_protocol(filename, true, errp);
}

static const BdrvOption *find_option(const BdrvOption *table, const char *name)
{
    for (; table && table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

static int check_size(QDict *options, const BdrvOption *option, const char *text, Error **errp)
{
    int64_t value;
    int ret = options_parse_size(text, &value);

    if (ret == -ERANGE) {
        error_setg(errp, "Value '%s' is out of range for parameter '%s'", text, option->name);
    } else if (ret < 0) {
        error_setg(errp, "Parameter '%s' expects a non-negative number below 2^64", option->name);
        error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, "
                          "tera-, peta-\nand exabytes, respectively.\n");
    } else {
        qdict_put(options, option->name, qint_from_int(value));
    }
    return ret < 0 ? -EINVAL : 0;
}

static int check_number(QDict *options, const BdrvOption *option, const char *text, Error **errp)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 0);
    if (errno == ERANGE && !*end) {
        error_setg(errp, "Value '%s' is too large for parameter '%s'", text, option->name);
    } else if (end == text || *end || value < 0) {
        error_setg(errp, "Parameter '%s' expects a number", option->name);
    } else {
        qdict_put(options, option->name, qint_from_int(value));
        return 0;
    }
    return -EINVAL;
}

static int check_bool(QDict *options, const BdrvOption *option, const char *text, Error **errp)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "n", "y"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            qdict_put(options, option->name, qbool_from_bool(i & 1));
            return 0;
        }
    }
    error_setg(errp, "Parameter '%s' expects 'on' or 'off'", option->name);
    return -EINVAL;
}

static bool has_type(const QObject *value, BdrvOptionType type)
{
    switch (type) {
    case BDRV_OPTION_BOOL:
        return json_is_boolean(value);
    case BDRV_OPTION_NUMBER:
    case BDRV_OPTION_SIZE:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case BDRV_OPTION_STRING:
        break;
    }
    return json_is_string(value);
}

/* What has the type already needs no look; else it is a text, or of a wrong type. */
static int check_option(QDict *options, const BdrvOption *option, Error **errp)
{
    const char *text = qdict_get_try_str(options, option->name);

    if (has_type(json_object_get(options, option->name), option->type)) {
        return 0;
    }
    text = text ? text : "";
    switch (option->type) {
    case BDRV_OPTION_BOOL:
        return check_bool(options, option, text, errp);
    case BDRV_OPTION_NUMBER:
        return check_number(options, option, text, errp);
    case BDRV_OPTION_SIZE:
        return check_size(options, option, text, errp);
    case BDRV_OPTION_STRING:
        break;
    }
    error_setg(errp, "Parameter '%s' expects a string", option->name);
    return -EINVAL;
}

static int check_names(const BdrvOption *table, const BdrvOption *more, QDict *options,
                       Error **errp)
{
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (!find_option(table, key) && !find_option(more, key)) {
            error_setg(errp, "Invalid parameter '%s'", key);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_values(const BdrvOption *table, QDict *options, Error **errp)
{
    int ret = 0;

    for (; table && table->name && ret == 0; table++) {
        if (qdict_haskey(options, table->name)) {
            ret = check_option(options, table, errp);
        }
    }
    return ret;
}

int bdrv_check_options(const BdrvOption *table, const BdrvOption *more, QDict *options,
                       Error **errp)
{
    int ret = check_names(table, more, options, errp);

    if (ret == 0) {
        ret = check_values(table, options, errp);
    }
    return ret < 0 ? ret : check_values(more, options, errp);
}

/* ---- creating and measuring ---- */

static int create_checked(const BlockDriver *drv, const BlockDriver *protocol,
                          const char *filename, const QDict *options, Error **errp)
{
    bool existed = !protocol->bdrv_exists || protocol->bdrv_exists(filename);
    int ret = drv->bdrv_create(filename, options, errp);

    if (ret < 0 && !existed) {
        protocol->bdrv_delete(filename);
    }
    return ret;
}

int bdrv_create(const BlockDriver *drv, const char *filename, const QDict *options, Error **errp)
{
    const BlockDriver *protocol = drv->protocol_name ? drv : bdrv_protocol_of(filename, errp);
    Error *local_err = NULL;
    QDict *checked;
    int ret;

    if (!protocol) {
        return -EINVAL;
    }
    if (!drv->bdrv_create) {
        error_setg(errp, "%s driver '%s' does not support image creation",
                   drv->protocol_name ? "Protocol" : "Format", drv->format_name);
        return -ENOTSUP;
    }
    checked = json_copy((QDict *)options);
    ret = bdrv_check_options(drv->create_options, protocol->create_options, checked, &local_err);
    if (ret == 0) {
        ret = create_checked(drv, protocol, filename, checked, &local_err);
    }
    if (ret < 0 && !local_err) {
        error_setg_errno(&local_err, -ret, "Could not create '%s'", filename);
    }
    error_propagate(errp, local_err);
    QDECREF(checked);
    return ret;
}

int bdrv_measure(const BlockDriver *drv, const QDict *options, BlockDriverState *from,
                 BlockMeasureInfo *info, Error **errp)
{
    QDict *checked;
    int ret;

    *info = (BlockMeasureInfo){ .bitmaps = -1 };
    if (!drv->bdrv_measure) {
        error_setg(errp, "Format driver '%s' does not support size measurement", drv->format_name);
        return -ENOTSUP;
    }
    checked = json_copy((QDict *)options);
    ret = bdrv_check_options(drv->create_options, NULL, checked, errp);
    if (ret == 0) {
        ret = drv->bdrv_measure(checked, from, info, errp);
    }
    QDECREF(checked);
    return ret;
}
