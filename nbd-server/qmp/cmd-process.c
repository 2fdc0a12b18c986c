/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands about the process: how it is, what it logs, reading its files again.
 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "nbd-server/config.h"
#include "nbd-server/reload.h"
#include "nbd-server/tls.h"
#include "nbd-server/uri.h"

/* ---- x-query-server ---- */

/* Where it listens, as URIs of the default export. */
static json_t *list_uris(Server *server)
{
    const bool tls = server->config->tls == TLS_REQUIRE;
    json_t *uris = json_array();
    struct sockaddr_storage addr;
    Listener *l = NULL;
    socklen_t len;

    while (listen_next(server, &l, &addr, &len)) {
        auto_free char *uri = uri_make((struct sockaddr *)&addr, len, tls, "");

        json_array_append_new(uris, json_string(uri));      /* NULL is no harm */
    }
    return uris;
}

static json_t *describe_handshakes(const HandshakeStats *stats)
{
    return json_pack("{s:I,s:I,s:I}", "ok", (json_int_t)stats->ok, "failed",
                     (json_int_t)stats->failed, "left", (json_int_t)stats->left);
}

static json_t *count_exports(Server *server)
{
    Export **all = exports_snapshot(server);
    json_int_t n = 0;

    while (all && all[n]) {
        n++;
    }
    exports_snapshot_free(all);
    return json_integer(n);
}

json_t *cmd_x_query_server(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);
    int64_t age_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - server->since_ns;

    (void)args;
    (void)errp;
    return json_pack("{s:s,s:i,s:I,s:o,s:o,s:i,s:i,s:I,s:I,s:i,s:o,s:o}",
                     "version", PACKAGE_VERSION,
                     "pid", (int)getpid(),
                     "uptime", (json_int_t)(age_ns / 1000000000),
                     "uris", list_uris(server),
                     "exports", count_exports(server),
                     "clients", (int)iothreads_connections(server),
                     "max-clients", (int)server->config->max_clients,
                     "memory", (json_int_t)server->memory,
                     "max-memory", (json_int_t)server->max_memory,
                     "threads", (int)server->n_threads,
                     "handshakes", describe_handshakes(&server->handshakes),
                     "tls-handshakes", describe_handshakes(&server->tls_handshakes));
}

/* ---- x-log-level ---- */

json_t *cmd_x_log_level(QmpSession *session, const json_t *args, Error **errp)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
    };

    (void)session;
    (void)errp;
    /* The type has the levels in their order. */
    log_threshold = (enum log_level)qmp_enum(args, "level", "XLogLevel", log_threshold);
    return json_pack("{s:s}", "level", names[log_threshold]);
}

/* ---- x-reload, x-tls-reload ---- */

static json_t *list_names(const NameList *names)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < names->n; i++) {
        json_array_append_new(list, json_string(names->names[i]));
    }
    return list;
}

/* "a, b" as two. */
static void append_words(json_t *list, const char *text)
{
    auto_free char *copy = xstrdup(text);
    char *rest = NULL;

    for (char *word = strtok_r(copy, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        json_array_append_new(list, json_string(word));
    }
}

static json_t *describe_report(const ReloadReport *report)
{
    json_t *changed = json_array(), *restart = json_array();

    for (unsigned i = 0; i < report->changed.n; i++) {
        json_t *settings = json_array();

        append_words(settings, report->changes.names[i]);
        json_array_append_new(changed, json_pack("{s:s,s:o}", "export", report->changed.names[i],
                                                 "settings", settings));
    }
    for (unsigned i = 0; i < report->restart.n; i++) {
        append_words(restart, report->restart.names[i]);
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "added", list_names(&report->added), "changed", changed,
                     "removed", list_names(&report->removed), "restart", restart);
}

json_t *cmd_x_reload(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);
    ReloadReport report = { .errors = NULL };
    json_t *told = NULL;

    (void)args;
    if (!server->config->file) {
        error_setg(errp, "without --config there is nothing to reload");
        error_append_hint(errp, "x-tls-reload reads certificates and keys again.\n");
        return NULL;
    }
    reload(server, &report);
    if (report.errors) {
        error_setg(errp, "%s: %s", report.changed_all ? "all is changed, but" :
                   "nothing is changed", report.errors);
    } else {
        told = describe_report(&report);
    }
    reload_report_clear(&report);
    return told;
}

json_t *cmd_x_tls_reload(QmpSession *session, const json_t *args, Error **errp)
{
    Server *server = qmp_session_server(session);

    (void)args;
    if (server->config->tls == TLS_OFF) {
        error_setg(errp, "the server has no TLS");
        return NULL;
    }
    return tls_reload(server, errp) ? json_object() : NULL;
}
