/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket (--qmp): what its parts, and the commands, know of each other.
 *
 *   server.c    listens; who may connect
 *   session.c   one client: bytes to commands, replies and events to bytes
 *   schema.c    what a text like "*device str, size int" means; check.c, introspect.c use that
 *   commands.c  the table of commands;  types.c, events.c: those of types and events
 *   cmd-*.c     the commands
 *
 * All of it runs in the main thread; each command is a job (jobs.h), so that it may open images and
 * drain them, and none begins while another one is at work: but for those that allow to be run out
 * of band, and are.
 */
#ifndef NBD_EXPORT_QMP_H
#define NBD_EXPORT_QMP_H

#include <jansson.h>

#include "nbd-server/server.h"

typedef struct QmpSession QmpSession;

/*
 * Types are written as in QAPI, in one line:
 *
 *   str int number bool null any     as in JSON; int: 64 bits; size: an int from 0 on
 *   [T]                              a list
 *   *name T                          an optional member
 *   ...                              at the end: more members, which the command checks by itself
 *
 * A struct is "member T, *member T"; an enum is "value | value | value".
 */
typedef struct QmpType {
    const char *name;            /* as QEMU's, if it has that type */
    const char *text;
} QmpType;

typedef struct QmpEventType {
    const char *name;
    const char *data;            /* a struct */
    const char *help;            /* one line */
} QmpEventType;

/*
 * args are complete and of the right types when it is called; its result, a new reference, is of
 * the type that its row says: `json_object()` where there is nothing to tell.  NULL: errp is set.
 */
typedef json_t *QmpHandler(QmpSession *session, const json_t *args, Error **errp);

typedef struct QmpCommand {
    const char *name;            /* QEMU's; ours begin with "x-" unless it could be nobody else's */
    const char *args;            /* a struct; "": none */
    const char *returns;         /* a type; "": an empty object */
    QmpHandler *run;
    const char *help;            /* one line */
    /* It may begin while another command waits in the middle of its work.  So it does not wait for
     * images or requests, and takes nothing away that one may be in the middle of: exports, nodes,
     * jobs, media, connections' memory. */
    bool allow_oob;
} QmpCommand;

/* ---- commands.c, types.c, events.c ---- */

extern const QmpCommand qmp_commands[];
extern const size_t n_qmp_commands;
extern const QmpType qmp_types[];
extern const size_t n_qmp_types;
extern const QmpEventType qmp_events[];
extern const size_t n_qmp_events;

/* ---- server.c ---- */

bool qmp_start(Server *server, Error **errp);        /* [main] listens, if --qmp was given */
void qmp_stop(Server *server);                       /* [main] ends all sessions */
void qmp_free(Server *server);                       /* [main] once no other thread is left */
/*
 * Tells all sessions that have negotiated; takes over the reference to data (NULL: {}).  Any
 * thread; nothing if nobody listens.  A session that does not read loses events, not the server.
 */
void qmp_event(Server *server, const char *name, json_t *data);
/* Whether it would reach anybody: before putting much together. */
bool qmp_has_listeners(Server *server);

/* ---- session.c: for commands ---- */

Server *qmp_session_server(QmpSession *session);
/* The class of the error that the command is about to return, instead of GenericError:
 * "DeviceNotFound", "DeviceNotActive", ... */
void qmp_set_error_class(QmpSession *session, const char *error_class);

/* ---- find.c: what the arguments name ---- */

/*
 * A device of QMP is an export: "device" or "id" names it, by its id or else its name.  A
 * reference, for export_unref(); NULL: errp says what there is, class DeviceNotFound.
 */
Export *qmp_find_export(QmpSession *session, const char *name, Error **errp);
/* The export that args name as "id" or "device"; neither: an error. */
Export *qmp_find_device(QmpSession *session, const json_t *args, Error **errp);
/* A node by its name, or the root of an export; lent. */
BlockDriverState *qmp_find_node(QmpSession *session, const char *name, Error **errp);

/* ---- arguments (they have been checked: these do not fail) ---- */

/* What is under key, or def if it was not given. */
const char *qmp_str(const json_t *args, const char *key, const char *def);
int64_t qmp_int(const json_t *args, const char *key, int64_t def);
bool qmp_bool(const json_t *args, const char *key, bool def);
bool qmp_has(const json_t *args, const char *key);
/* The place of an enum's value in its type's text, from 0 on. */
unsigned qmp_enum(const json_t *args, const char *key, const char *type, unsigned def);

#endif
