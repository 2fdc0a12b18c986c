/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * query-qmp-schema: all commands, events and types, in QEMU's words for that.
 */
#include "schema.h"

static json_t *describe_members(const SchemaType *type)
{
    json_t *list = json_array();

    for (size_t i = 0; i < type->n; i++) {
        const SchemaMember *member = &type->members[i];
        json_t *each = json_pack("{s:s}", "name", member->name);

        if (member->type) {
            /* How large an integer may be is not told. */
            json_object_set_new(each, "type",
                                json_string(member->type->kind == SCHEMA_SIZE
                                            ? "int" : member->type->name));
        }
        if (member->optional) {
            json_object_set_new(each, "default", json_null());
        }
        json_array_append_new(list, each);
    }
    return list;
}

/* What it was before enums could have more than values. */
static json_t *describe_values(const SchemaType *type)
{
    json_t *list = json_array();

    for (size_t i = 0; i < type->n; i++) {
        json_array_append_new(list, json_string(type->members[i].name));
    }
    return list;
}

static json_t *describe_type(const SchemaType *type)
{
    static const char *const json_types[] = {
        [SCHEMA_STR] = "string", [SCHEMA_INT] = "int", [SCHEMA_NUMBER] = "number",
        [SCHEMA_BOOL] = "boolean", [SCHEMA_NULL] = "null", [SCHEMA_ANY] = "value",
    };
    json_t *info;

    switch (type->kind) {
    case SCHEMA_SIZE:
        return NULL;
    case SCHEMA_STRUCT:
        info = json_pack("{s:s,s:s,s:o}", "name", type->name, "meta-type", "object", "members",
                         describe_members(type));
        if (type->open) {
            json_object_set_new(info, "x-open", json_true());
        }
        return info;
    case SCHEMA_ENUM:
        return json_pack("{s:s,s:s,s:o,s:o}", "name", type->name, "meta-type", "enum",
                         "members", describe_members(type), "values", describe_values(type));
    case SCHEMA_LIST:
        return json_pack("{s:s,s:s,s:s}", "name", type->name, "meta-type", "array",
                         "element-type", type->element->kind == SCHEMA_SIZE
                                         ? "int" : type->element->name);
    default:
        return json_pack("{s:s,s:s,s:s}", "name", type->name, "meta-type", "builtin",
                         "json-type", json_types[type->kind]);
    }
}

json_t *qmp_schema_describe(void)
{
    json_t *list = json_array();
    const SchemaType *type;

    for (size_t i = 0; i < n_qmp_commands; i++) {
        const QmpCommand *command = &qmp_commands[i];
        json_t *info = json_pack("{s:s,s:s,s:s,s:s}", "name", command->name,
                                 "meta-type", "command",
                                 "arg-type", schema_command_args(command)->name,
                                 "ret-type", schema_command_returns(command)->name);

        if (command->allow_oob) {
            json_object_set_new(info, "allow-oob", json_true());
        }
        json_array_append_new(list, info);
    }
    for (size_t i = 0; i < n_qmp_events; i++) {
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", qmp_events[i].name,
                                              "meta-type", "event", "arg-type",
                                              schema_event_data(&qmp_events[i])->name));
    }
    for (size_t i = 0; (type = schema_type(i)); i++) {
        json_array_append_new(list, describe_type(type));    /* NULL is no harm */
    }
    return list;
}
