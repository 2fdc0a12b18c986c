/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of types, commands and events, understood: what qmp.h calls a text becomes a
 * SchemaType.  They are constants of the program, so that a mistake in them ends its start.
 */
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/edit-distance.h"
#include "common/xalloc.h"

static SchemaType **types;         /* all that have a name */
static size_t n_types;
static const SchemaType **command_args, **command_returns, **event_data;

static const struct {
    const char *name;
    enum schema_kind kind;
} builtins[] = {
    { "str", SCHEMA_STR }, { "int", SCHEMA_INT }, { "size", SCHEMA_SIZE },
    { "number", SCHEMA_NUMBER }, { "bool", SCHEMA_BOOL }, { "null", SCHEMA_NULL },
    { "any", SCHEMA_ANY },
};

/* ---- the list ---- */

static SchemaType *add_type(const char *name, enum schema_kind kind)
{
    SchemaType *type = xcalloc(1, sizeof(*type));

    type->name = xstrdup(name);
    type->kind = kind;
    types = xalloc_check(realloc(types, (n_types + 1) * sizeof(types[0])));
    types[n_types++] = type;
    return type;
}

static SchemaType *find_type(const char *name)
{
    for (size_t i = 0; i < n_types; i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

static void add_member(SchemaType *type, const char *name, const SchemaType *of, bool optional)
{
    type->members = xalloc_check(realloc(type->members,
                                         (type->n + 1) * sizeof(type->members[0])));
    type->members[type->n++] = (SchemaMember){
        .name = xstrdup(name), .type = of, .optional = optional
    };
}

/* ---- texts ---- */

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " ");
    for (len = strlen(text); len && text[len - 1] == ' '; len--) {
    }
    text[len] = '\0';
    return text;
}

/* T or [T] */
static const SchemaType *parse_reference(const char *text, Error **errp)
{
    size_t len = strlen(text);
    SchemaType *type = find_type(text);
    auto_free char *inner = NULL;
    const SchemaType *element;

    if (type) {
        return type;
    }
    if (len < 3 || *text != '[' || text[len - 1] != ']') {
        error_setg(errp, "there is no type \"%s\"", text);
        return NULL;
    }
    inner = xstrndup(text + 1, len - 2);
    element = parse_reference(inner, errp);
    if (element) {
        type = add_type(text, SCHEMA_LIST);
        type->element = element;
    }
    return type;
}

/* "*name T" */
static bool parse_member(SchemaType *type, char *text, Error **errp)
{
    bool optional = *text == '*';
    char *name = text + optional;
    char *space = strchr(name, ' ');
    const SchemaType *of;

    if (strcmp(text, "...") == 0) {
        type->open = true;
        return true;
    }
    if (!space) {
        error_setg(errp, "\"%s\" should be a name and a type", text);
        return false;
    }
    *space = '\0';
    of = parse_reference(trim(space + 1), errp);
    if (of) {
        add_member(type, name, of, optional);
    }
    return of != NULL;
}

static bool parse_struct(SchemaType *type, const char *text, Error **errp)
{
    auto_free char *copy = xstrdup(text);
    char *rest = NULL;

    type->kind = SCHEMA_STRUCT;
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        if (*trim(part) && !parse_member(type, trim(part), errp)) {
            return false;
        }
    }
    return true;
}

static void parse_enum(SchemaType *type, const char *text)
{
    auto_free char *copy = xstrdup(text);
    char *rest = NULL;

    type->kind = SCHEMA_ENUM;
    for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
        add_member(type, trim(part), NULL, false);
    }
}

/* An enum of one value is a word; a member of a struct has two. */
static bool is_enum(const char *text)
{
    return strchr(text, '|') || (*text && !strchr(text, ' ') && strcmp(text, "...") != 0);
}

/* Arguments or data: the name of a struct, or what is in one. */
static const SchemaType *parse_arguments(const char *of, const char *text, Error **errp)
{
    auto_free char *name = NULL;
    SchemaType *type = find_type(text);

    if (type) {
        return type;
    }
    if (!*text) {
        return find_type(SCHEMA_EMPTY);
    }
    if (asprintf(&name, "q_obj_%s-arg", of) < 0) {
        name = NULL;
    }
    type = add_type(xalloc_check(name), SCHEMA_STRUCT);
    return parse_struct(type, text, errp) ? type : NULL;
}

/* ---- the tables ---- */

static bool parse_types(Error **errp)
{
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        add_type(builtins[i].name, builtins[i].kind);
    }
    add_type(SCHEMA_EMPTY, SCHEMA_STRUCT);
    for (size_t i = 0; i < n_qmp_types; i++) {
        if (find_type(qmp_types[i].name)) {
            error_setg(errp, "type %s is there twice", qmp_types[i].name);
            return false;
        }
        add_type(qmp_types[i].name, SCHEMA_STRUCT);
    }
    for (size_t i = 0; i < n_qmp_types; i++) {
        SchemaType *type = find_type(qmp_types[i].name);

        if (is_enum(qmp_types[i].text)) {
            parse_enum(type, qmp_types[i].text);
        } else if (!parse_struct(type, qmp_types[i].text, errp)) {
            error_prepend(errp, "type %s: ", qmp_types[i].name);
            return false;
        }
    }
    return true;
}

static bool parse_commands(Error **errp)
{
    command_args = xcalloc(n_qmp_commands, sizeof(command_args[0]));
    command_returns = xcalloc(n_qmp_commands, sizeof(command_returns[0]));
    for (size_t i = 0; i < n_qmp_commands; i++) {
        const QmpCommand *command = &qmp_commands[i];
        const char *returns = *command->returns ? command->returns : SCHEMA_EMPTY;

        command_args[i] = parse_arguments(command->name, command->args, errp);
        command_returns[i] = command_args[i] ? parse_reference(returns, errp) : NULL;
        if (!command_returns[i]) {
            error_prepend(errp, "command %s: ", command->name);
            return false;
        }
    }
    return true;
}

static bool parse_events(Error **errp)
{
    event_data = xcalloc(n_qmp_events, sizeof(event_data[0]));
    for (size_t i = 0; i < n_qmp_events; i++) {
        event_data[i] = parse_arguments(qmp_events[i].name, qmp_events[i].data, errp);
        if (!event_data[i]) {
            error_prepend(errp, "event %s: ", qmp_events[i].name);
            return false;
        }
    }
    return true;
}

bool qmp_schema_init(Error **errp)
{
    if (!parse_types(errp) || !parse_commands(errp) || !parse_events(errp)) {
        qmp_schema_free();
        return false;
    }
    return true;
}

void qmp_schema_free(void)
{
    for (size_t i = 0; i < n_types; i++) {
        for (size_t k = 0; k < types[i]->n; k++) {
            free(types[i]->members[k].name);
        }
        free(types[i]->members);
        free(types[i]->name);
        free(types[i]);
    }
    free(take_ptr(types));
    n_types = 0;
    free(take_ptr(command_args));
    free(take_ptr(command_returns));
    free(take_ptr(event_data));
}

/* ---- what they say ---- */

const SchemaType *schema_type(size_t i)
{
    return i < n_types ? types[i] : NULL;
}

const SchemaType *schema_command_args(const QmpCommand *command)
{
    return command_args[command - qmp_commands];
}

const SchemaType *schema_command_returns(const QmpCommand *command)
{
    return command_returns[command - qmp_commands];
}

const SchemaType *schema_event_data(const QmpEventType *event)
{
    return event_data[event - qmp_events];
}

const QmpCommand *qmp_schema_find(const char *name, Error **errp)
{
    const QmpCommand *nearest = NULL;
    size_t best = strlen(name) / 2 + 1;   /* farther off it would be a wild guess */

    for (size_t i = 0; i < n_qmp_commands; i++) {
        size_t distance = edit_distance(name, qmp_commands[i].name);

        if (distance == 0) {
            return &qmp_commands[i];
        }
        if (distance < best) {
            best = distance;
            nearest = &qmp_commands[i];
        }
    }
    error_setg(errp, "The command %s has not been found", name);
    if (nearest) {
        error_append_hint(errp, "Did you mean %s?\n", nearest->name);
    }
    return NULL;
}
