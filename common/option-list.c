/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "KEY=VALUE,KEY=VALUE", with a comma in a value written twice. */
#include "common/option-list.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

/* Everything up to a single comma or the end, with doubled commas undone. */
static char *next_element(const char **cursor)
{
    const char *p = *cursor;
    char *element = xcalloc(1, strlen(p) + 1);
    size_t n = 0;

    for (; *p; p++) {
        if (*p == ',' && *++p != ',') {
            break;
        }
        element[n++] = *p;
    }
    *cursor = p;
    return element;
}

bool option_list_next(const char **cursor, char **key, char **value)
{
    char *equals;

    if (!**cursor) {
        return false;
    }
    *key = next_element(cursor);
    equals = strchr(*key, '=');
    if (equals) {
        *equals = '\0';
    }
    *value = equals ? xstrdup(equals + 1) : NULL;
    return true;
}

static bool put_option(QDict *options, const char *key, const char *value, Error **errp)
{
    if (!value || !*key) {
        error_setg(errp, "Image option '%s' is not of the form key=value", key);
        return false;
    }
    if (qdict_haskey(options, key)) {
        error_setg(errp, "Image option '%s' is given twice", key);
        return false;
    }
    qdict_put(options, key, qstring_from_str(value));
    return true;
}

QDict *option_list_parse(const char *text, Error **errp)
{
    QDict *options = qdict_new();
    char *key, *value;

    while (option_list_next(&text, &key, &value)) {
        bool ok = put_option(options, key, value, errp);

        free(key);
        free(value);
        if (!ok) {
            QDECREF(options);
            return NULL;
        }
    }
    return options;
}
