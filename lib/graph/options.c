/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open options: a dictionary whose nesting is written into its keys
 * ("file.filename"), from which whoever understands an option removes it.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_PREFIX "json:"

static char *join_keys(const char *prefix, const char *key)
{
    char *joined = bdrv_alloc(strlen(prefix) + strlen(key) + 2);

    sprintf(joined, "%s%s%s", prefix, prefix[0] ? "." : "", key);
    return joined;
}

static int flatten_into(QDict *flat, const char *prefix, QObject *value, Error **errp);

static int flatten_member(QDict *flat, const char *prefix, const char *key, QObject *value,
                          Error **errp)
{
    char *path = join_keys(prefix, key);
    int ret = flatten_into(flat, path, value, errp);

    free(path);
    return ret;
}

static int flatten_into(QDict *flat, const char *path, QObject *value, Error **errp)
{
    const char *key;
    QObject *member;
    size_t i;
    int ret = 0;

    if (json_is_object(value)) {
        json_object_foreach(value, key, member) {
            ret = ret < 0 ? ret : flatten_member(flat, path, key, member, errp);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member) {
            char number[24];

            snprintf(number, sizeof(number), "%zu", i);
            ret = ret < 0 ? ret : flatten_member(flat, path, number, member, errp);
        }
    } else if (qdict_haskey(flat, path)) {
        error_setg(errp, "Option '%s' is given twice", path);
        ret = -EINVAL;
    } else {
        qdict_put(flat, path, json_incref(value));
    }
    return ret;
}

QDict *bdrv_options_flatten(const QDict *options, Error **errp)
{
    QDict *flat = qdict_new();

    if (options && flatten_into(flat, "", (QObject *)options, errp) < 0) {
        QDECREF(flat);
        return NULL;
    }
    return flat;
}

QDict *bdrv_options_from_json(const char *filename, Error **errp)
{
    json_error_t why;
    QObject *parsed = json_loads(filename + strlen(JSON_PREFIX), JSON_REJECT_DUPLICATES, &why);
    QDict *flat = NULL;

    if (!parsed) {
        error_setg(errp, "Could not parse '%s': %s at column %d", filename, why.text, why.column);
    } else if (!json_is_object(parsed)) {
        error_setg(errp, "Could not parse '%s': not a JSON object", filename);
    } else {
        flat = bdrv_options_flatten(parsed, errp);
    }
    QDECREF(parsed);
    return flat;
}

QDict *bdrv_options_extract(QDict *options, const char *prefix)
{
    QDict *extracted = qdict_new();
    size_t len = strlen(prefix);
    const char *key;
    QObject *value;
    void *next;

    json_object_foreach_safe(options, next, key, value) {
        if (strncmp(key, prefix, len) == 0 && key[len] == '.') {
            qdict_put(extracted, key + len + 1, json_incref(value));
            qdict_del(options, key);
        }
    }
    return extracted;
}

int bdrv_options_take_str(QDict *options, const char *key, char **value, Error **errp)
{
    if (!qdict_haskey(options, key)) {
        return 0;
    }
    if (!qdict_get_try_str(options, key)) {
        error_setg(errp, "Option '%s' must be a string", key);
        return -EINVAL;
    }
    *value = bdrv_strdup(qdict_get_try_str(options, key));
    qdict_del(options, key);
    return 0;
}

int bdrv_options_take_bool(QDict *options, const char *key, bool *value, Error **errp)
{
    QObject *obj = json_object_get(options, key);
    const char *word = qdict_get_try_str(options, key);

    if (!obj) {
        return 0;
    }
    if (json_is_boolean(obj)) {
        *value = json_is_true(obj);
    } else if (word && (strcmp(word, "on") == 0 || strcmp(word, "off") == 0)) {
        *value = word[1] == 'n';
    } else {
        error_setg(errp, "Option '%s' must be 'on' or 'off'", key);
        return -EINVAL;
    }
    qdict_del(options, key);
    return 0;
}
