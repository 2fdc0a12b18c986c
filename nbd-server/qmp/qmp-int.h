/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket from the inside: what commands need not know.
 */
#ifndef NBD_EXPORT_QMP_INT_H
#define NBD_EXPORT_QMP_INT_H

#include <sys/socket.h>

#include "output.h"
#include "qmp.h"

/* ---- session.c ---- */

/* Takes over fd, which does not block; NULL: no memory.  It lives until its client leaves, when it
 * calls qmp_session_gone(). */
QmpSession *qmp_session_new(Server *server, int fd, const struct ucred *peer);
void qmp_session_start(QmpSession *session);
/* Sends what the socket takes, and ends it. */
void qmp_session_stop(QmpSession *session);
/* An event for a session that has negotiated. */
void qmp_session_event(QmpSession *session, QmpText *text);
/* So many were lost on the way to it. */
void qmp_session_lose(QmpSession *session, uint64_t events);
bool qmp_session_is_ready(const QmpSession *session);
/* It has negotiated: from now on it gets events.  oob: it may have commands run out of band. */
void qmp_session_set_ready(QmpSession *session, bool oob);

/* ---- server.c, for sessions ---- */

void qmp_session_gone(QmpSession *session);

/* ---- request.c ---- */

/* What a client asks for; it holds no more than `whole`. */
typedef struct QmpRequest {
    json_t *whole;               /* a reference */
    json_t *id;                  /* NULL: it has none */
    const char *execute;
    bool oob;                    /* out of band */
    json_t *args;
} QmpRequest;

/* allow_oob: it may have been negotiated.  False: errp is set; id and oob are there even so if they
 * could be read. */
bool qmp_request_parse(QmpRequest *request, const char *bytes, size_t len, bool allow_oob,
                       Error **errp);
/* Parsed, a request takes many times the bytes that it came in. */
void qmp_request_keep_id(QmpRequest *request);
void qmp_request_clear(QmpRequest *request);

/* ---- text.c: the lines of the protocol ---- */

json_t *qmp_greeting(void);
json_t *qmp_version(void);
/* Takes over value, not id, which may be NULL. */
json_t *qmp_reply(json_t *value, json_t *id);
/* Its hint becomes part of the description. */
json_t *qmp_error_reply(const char *error_class, const Error *err, json_t *id);
json_t *qmp_event_line(const char *name, json_t *data, int64_t time_us);

/* ---- schema.c ---- */

typedef struct SchemaType SchemaType;

/* What the tables say, once.  False: they contradict themselves. */
bool qmp_schema_init(Error **errp);
void qmp_schema_free(void);
/* NULL: errp names the nearest. */
const QmpCommand *qmp_schema_find(const char *name, Error **errp);
/* query-qmp-schema */
json_t *qmp_schema_describe(void);
/* Whether a command's arguments are of its types; errp says which is not. */
bool qmp_schema_check_args(const QmpCommand *command, const json_t *args, Error **errp);

/* ---- audit.c ---- */

/* A line of the log; err: why it was refused or has failed, or NULL. */
void qmp_audit(const struct ucred *peer, const QmpRequest *request, const Error *err);

#endif
