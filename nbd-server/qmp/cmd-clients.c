/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about the clients that are connected.  What a connection is doing its own thread tells:
 * the main thread asks one after the other, and waits.
 */
#include "commands.h"

#include <string.h>

#include "nbd-server/conn-int.h"

/* ---- telling ---- */

/* Seconds since 1970. */
static json_int_t connected_at(const Client *c)
{
    int64_t age_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - c->since_ns;

    return (json_int_t)((qemu_clock_get_ns(QEMU_CLOCK_HOST) - age_ns) / INT64_C(1000000000));
}

static void add_throttled(json_t *info, const Client *c)
{
    const Request *req;
    int n = 0;

    TAILQ_FOREACH(req, &c->throttled, throttled_link) {
        n++;
    }
    json_object_set_new(info, "throttled", json_integer(n));
    json_object_set_new(info, "throttle-waits", json_integer((json_int_t)c->throttle_waits));
    json_object_set_new(info, "throttle-wait-ns", json_integer((json_int_t)c->throttle_wait_ns));
}

static json_int_t errors(const Client *c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= STATS_COMMANDS; i++) {
        sum += c->stats.commands[i].errors;
    }
    return (json_int_t)sum;
}

static json_t *client_info(const Client *c)
{
    const Conn *conn = &c->conn;
    const char *state = c->stopping ? "ending" : c->transmitting ? "transmission" : "handshake";
    json_t *info = json_pack("{s:I, s:s, s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:I}",
                             "id", (json_int_t)conn->id, "peer", conn->peer, "state", state,
                             "since", connected_at(c), "tls", (int)conn->tls,
                             "read-only", (int)conn->read_only,
                             "requests", (json_int_t)c->n_requests, "errors", errors(c),
                             "bytes-read", (json_int_t)stats_bytes_read(&c->stats),
                             "bytes-written", (json_int_t)stats_bytes_written(&c->stats),
                             "in-flight", (int)c->in_flight, "held", (int)c->n_held,
                             "memory", (json_int_t)c->budget.used);

    add_throttled(info, c);
    if (conn->export) {
        json_object_set_new(info, "export", json_string(conn->export->id));
    }
    if (conn->has_cred) {
        json_object_set_new(info, "uid", json_integer(conn->cred.uid));
        json_object_set_new(info, "pid", json_integer(conn->cred.pid));
    }
    if (conn->tls_name) {
        json_object_set_new(info, "tls-name", json_string(conn->tls_name));
    }
    return info;
}

/* What is asked for, and what was found. */
typedef struct {
    const Export *export;      /* only its clients; NULL: all */
    int64_t id;                /* only this one; 0: all */
    const char *peer;          /* only from there; NULL: all */
    bool force;
    json_t *list;
    unsigned n;
} Ask;

static bool is_from(const Conn *conn, const char *peer)
{
    size_t len = strlen(peer);

    /* With its port, or without. */
    return strncmp(conn->peer, peer, len) == 0 &&
           (!conn->peer[len] || (conn->peer[len] == ':' && !strchr(conn->peer + len + 1, ':')));
}

static bool is_meant(const Ask *ask, const Conn *conn)
{
    return (!ask->export || conn->export == ask->export) &&
           (ask->id == 0 || conn->id == (uint64_t)ask->id) &&
           (!ask->peer || is_from(conn, ask->peer));
}

static void list_client(Conn *conn, void *opaque)
{
    Ask *ask = opaque;

    if (is_meant(ask, conn)) {
        json_array_append_new(ask->list, client_info(client_of(conn)));
    }
}

/* References the export that args name, if they name one; false: there is none. */
static bool find_export(QmpSession *session, const json_t *args, Export **export, Error **errp)
{
    const char *name = qmp_str(args, "export", NULL);

    *export = name ? qmp_find_export(session, name, errp) : NULL;
    return !name || *export;
}

json_t *cmd_x_query_clients(QmpSession *session, const json_t *args, Error **errp)
{
    Ask ask = { .list = NULL };
    Export *export;

    if (!find_export(session, args, &export, errp)) {
        return NULL;
    }
    ask.list = json_array();
    ask.export = export;
    iothreads_visit(qmp_session_server(session), list_client, &ask);
    export_unref(export);
    return ask.list;
}

/* ---- ending ---- */

static void kick_client(Conn *conn, void *opaque)
{
    Ask *ask = opaque;

    if (is_meant(ask, conn)) {
        conn_dismiss(conn, ask->force);
        ask->n++;
    }
}

json_t *cmd_x_client_kick(QmpSession *session, const json_t *args, Error **errp)
{
    Ask ask = {
        .id = qmp_int(args, "id", 0), .peer = qmp_str(args, "peer", NULL),
        .force = qmp_bool(args, "force", false),
    };
    Export *export;

    if (!qmp_has(args, "id") && !qmp_has(args, "peer") && !qmp_has(args, "export")) {
        error_setg(errp, "Which clients: 'id', 'peer' or 'export' says it");
        return NULL;
    }
    if (!find_export(session, args, &export, errp)) {
        return NULL;
    }
    ask.export = export;
    if (!qmp_has(args, "id") || ask.id > 0) {
        iothreads_visit(qmp_session_server(session), kick_client, &ask);
    }
    export_unref(export);
    if (qmp_has(args, "id") && ask.n == 0) {
        error_setg(errp, "There is no such client with the id %" JSON_INTEGER_FORMAT,
                   (json_int_t)ask.id);
        error_append_hint(errp, "x-query-clients lists them.\n");
        return NULL;
    }
    return json_pack("{s:i}", "kicked", (int)ask.n);
}
