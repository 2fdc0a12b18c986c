/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arguments of a command, which have been checked.
 */
#include "schema.h"

#include <string.h>

bool qmp_has(const json_t *args, const char *key)
{
    return json_object_get(args, key) != NULL;
}

const char *qmp_str(const json_t *args, const char *key, const char *def)
{
    const char *value = json_string_value(json_object_get(args, key));

    return value ? value : def;
}

int64_t qmp_int(const json_t *args, const char *key, int64_t def)
{
    const json_t *value = json_object_get(args, key);

    return value ? json_integer_value(value) : def;
}

bool qmp_bool(const json_t *args, const char *key, bool def)
{
    const json_t *value = json_object_get(args, key);

    return value ? json_is_true(value) : def;
}

unsigned qmp_enum(const json_t *args, const char *key, const char *type, unsigned def)
{
    const char *value = qmp_str(args, key, NULL);
    const SchemaType *each;

    for (size_t i = 0; value && (each = schema_type(i)); i++) {
        if (strcmp(each->name, type) != 0) {
            continue;
        }
        for (size_t k = 0; k < each->n; k++) {
            if (strcmp(each->members[k].name, value) == 0) {
                return (unsigned)k;
            }
        }
    }
    return def;
}
