/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of commands and events; schema.c makes them, others walk through them.
 */
#ifndef NBD_EXPORT_QMP_SCHEMA_H
#define NBD_EXPORT_QMP_SCHEMA_H

#include "qmp-int.h"

#define SCHEMA_EMPTY "q_empty"       /* the struct without members */

enum schema_kind {
    SCHEMA_STR, SCHEMA_INT, SCHEMA_SIZE, SCHEMA_NUMBER, SCHEMA_BOOL, SCHEMA_NULL, SCHEMA_ANY,
    SCHEMA_STRUCT, SCHEMA_ENUM, SCHEMA_LIST,
};

/* Of a struct; or a value of an enum, which has a name only. */
typedef struct SchemaMember {
    char *name;
    const SchemaType *type;
    bool optional;
} SchemaMember;

struct SchemaType {
    char *name;
    enum schema_kind kind;
    SchemaMember *members;
    size_t n;
    bool open;                       /* a struct that may have more members */
    const SchemaType *element;       /* of a list */
};

/* The i-th of all; NULL: there are no more. */
const SchemaType *schema_type(size_t i);
const SchemaType *schema_command_args(const QmpCommand *command);
const SchemaType *schema_command_returns(const QmpCommand *command);
const SchemaType *schema_event_data(const QmpEventType *event);

#endif
