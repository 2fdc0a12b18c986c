/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dictionaries of options, on jansson's objects.
 *
 * Keys and strings are taken as they come, without a check for UTF-8: a file's
 * name is bytes.  Where memory runs out the process ends, as for all small
 * objects.
 */
#include <stdlib.h>

#include <blkbackend/qdict.h>

static json_t *made(json_t *value)
{
    if (!value) {
        abort();
    }
    return value;
}

QDict *qdict_new(void)
{
    return made(json_object());
}

/* Putting NULL changes nothing. */
void qdict_put(QDict *qdict, const char *key, QObject *value)
{
    if (!qdict || !key || !value) {
        json_decref(value);
    } else if (json_object_set_new_nocheck(qdict, key, value) < 0) {
        abort();
    }
}

bool qdict_haskey(const QDict *qdict, const char *key)
{
    return json_object_get(qdict, key) != NULL;
}

void qdict_del(QDict *qdict, const char *key)
{
    json_object_del(qdict, key);
}

size_t qdict_size(const QDict *qdict)
{
    return json_object_size(qdict);
}

const char *qdict_get_try_str(const QDict *qdict, const char *key)
{
    return json_string_value(json_object_get(qdict, key));
}

QObject *qstring_from_str(const char *str)
{
    return str ? made(json_string_nocheck(str)) : NULL;
}

QObject *qint_from_int(int64_t value)
{
    return made(json_integer(value));
}

QObject *qbool_from_bool(bool value)
{
    return json_boolean(value);
}
