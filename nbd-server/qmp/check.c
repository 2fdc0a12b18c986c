/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a value is of a type; if not, what in it is not, and what it could be.
 */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "common/edit-distance.h"

/* Where in the value we are: "bitmaps[2].name". */
typedef struct Path {
    const struct Path *parent;
    const char *name;            /* a member; NULL: an element of a list */
    size_t index;
} Path;

static bool check(const SchemaType *type, const json_t *value, const Path *path, Error **errp);

static size_t write_path(const Path *path, char *text, size_t size)
{
    size_t len = path->parent ? write_path(path->parent, text, size) : 0;
    int n = path->name ? snprintf(text + len, size - len, "%s%s", len ? "." : "", path->name)
                       : snprintf(text + len, size - len, "[%zu]", path->index);

    return n > 0 && (size_t)n < size - len ? len + (size_t)n : size - 1;
}

static const char *path_text(const Path *path, char text[256])
{
    text[0] = '\0';
    write_path(path, text, 256);
    return text;
}

/* ---- simple values ---- */

static bool wrong_type(const Path *path, const char *expected, Error **errp)
{
    char text[256];

    error_setg(errp, "Invalid parameter type for '%s', expected: %s", path_text(path, text),
               expected);
    return false;
}

static bool check_size(const json_t *value, const Path *path, Error **errp)
{
    char text[256];

    if (!json_is_integer(value)) {
        return wrong_type(path, "integer", errp);
    }
    if (json_integer_value(value) < 0) {
        error_setg(errp, "Parameter '%s' expects a number from 0 on", path_text(path, text));
        return false;
    }
    return true;
}

static bool check_enum(const SchemaType *type, const json_t *value, const Path *path, Error **errp)
{
    char text[256];

    if (!json_is_string(value)) {
        return wrong_type(path, "string", errp);
    }
    for (size_t i = 0; i < type->n; i++) {
        if (strcmp(type->members[i].name, json_string_value(value)) == 0) {
            return true;
        }
    }
    error_setg(errp, "Parameter '%s' does not accept value '%s'", path_text(path, text),
               json_string_value(value));
    error_append_hint(errp, "It takes");
    for (size_t i = 0; i < type->n; i++) {
        error_append_hint(errp, "%s %s", !i ? "" : i + 1 < type->n ? "," : " or",
                          type->members[i].name);
    }
    error_append_hint(errp, ".\n");
    return false;
}

/* ---- structs and lists ---- */

static const SchemaMember *find_member(const SchemaType *type, const char *name,
                                       const SchemaMember **nearest)
{
    size_t best = strlen(name) / 2 + 1;   /* farther off it would be a wild guess */

    *nearest = NULL;
    for (size_t i = 0; i < type->n; i++) {
        size_t distance = edit_distance(name, type->members[i].name);

        if (distance == 0) {
            return &type->members[i];
        }
        if (distance < best) {
            best = distance;
            *nearest = &type->members[i];
        }
    }
    return NULL;
}

static bool check_given(const SchemaType *type, const json_t *value, const Path *path,
                        Error **errp)
{
    const SchemaMember *member, *nearest;
    const char *key;
    json_t *each;

    json_object_foreach((json_t *)value, key, each) {
        Path here = { .parent = path, .name = key };
        char text[256];

        member = find_member(type, key, &nearest);
        if (!member && !type->open) {
            error_setg(errp, "Parameter '%s' is unexpected", path_text(&here, text));
            if (nearest) {
                error_append_hint(errp, "Did you mean '%s'?\n", nearest->name);
            }
            return false;
        }
        if (member && !check(member->type, each, &here, errp)) {
            return false;
        }
    }
    return true;
}

static bool check_struct(const SchemaType *type, const json_t *value, const Path *path,
                         Error **errp)
{
    if (!json_is_object(value)) {
        return wrong_type(path, "object", errp);
    }
    for (size_t i = 0; i < type->n; i++) {
        const SchemaMember *member = &type->members[i];
        Path here = { .parent = path, .name = member->name };
        char text[256];

        if (!member->optional && !json_object_get(value, member->name)) {
            error_setg(errp, "Parameter '%s' is missing", path_text(&here, text));
            return false;
        }
    }
    return check_given(type, value, path, errp);
}

static bool check_list(const SchemaType *type, const json_t *value, const Path *path, Error **errp)
{
    if (!json_is_array(value)) {
        return wrong_type(path, "array", errp);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        Path here = { .parent = path, .index = i };

        if (!check(type->element, json_array_get(value, i), &here, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- all of them ---- */

static bool check(const SchemaType *type, const json_t *value, const Path *path, Error **errp)
{
    switch (type->kind) {
    case SCHEMA_STR:
        return json_is_string(value) || wrong_type(path, "string", errp);
    case SCHEMA_INT:
        return json_is_integer(value) || wrong_type(path, "integer", errp);
    case SCHEMA_SIZE:
        return check_size(value, path, errp);
    case SCHEMA_NUMBER:
        return json_is_number(value) || wrong_type(path, "number", errp);
    case SCHEMA_BOOL:
        return json_is_boolean(value) || wrong_type(path, "boolean", errp);
    case SCHEMA_NULL:
        return json_is_null(value) || wrong_type(path, "null", errp);
    case SCHEMA_STRUCT:
        return check_struct(type, value, path, errp);
    case SCHEMA_ENUM:
        return check_enum(type, value, path, errp);
    case SCHEMA_LIST:
        return check_list(type, value, path, errp);
    case SCHEMA_ANY:
        break;
    }
    return true;
}

bool qmp_schema_check_args(const QmpCommand *command, const json_t *args, Error **errp)
{
    return check(schema_command_args(command), args, NULL, errp);
}
