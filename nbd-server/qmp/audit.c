/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log of who has asked for what.
 */
#include "qmp-int.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "secrets.h"

/* The rest is not worth the room. */
#define MAX_NAME 64
#define MAX_ARGS 1024

/* What only looks is told with --verbose. */
static enum log_level level_of(const char *command)
{
    return strncmp(command, "query-", 6) == 0 || strncmp(command, "x-query-", 8) == 0 ||
           strcmp(command, "qmp_capabilities") == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE;
}

void qmp_audit(const struct ucred *peer, const QmpRequest *request, const Error *err)
{
    const LogField fields[] = {
        { "pid", peer->pid }, { "uid", peer->uid }, { "gid", peer->gid }, { "failed", err != NULL },
    };
    const enum log_level level = level_of(request->execute);
    auto_free char *text = NULL, *result = NULL;
    char name[MAX_NAME];
    json_t *found, *shown;

    if (!log_enabled(level)) {
        return;
    }
    found = json_array();
    shown = secrets_hide(request->args, found);
    text = json_dumps(shown, 0);
    result = secrets_hide_found(err ? error_get_pretty(err) : "ok", found);
    json_decref(shown);
    json_decref(found);
    snprintf(name, sizeof(name), "%s", request->execute);
    log_command(level, name, fields, sizeof(fields) / sizeof(fields[0]),
                "pid %d uid %u gid %u: %.*s%s: %s", (int)peer->pid, (unsigned)peer->uid,
                (unsigned)peer->gid, MAX_ARGS, text ? text : "?",
                text && strlen(text) > MAX_ARGS ? "..." : "", result ? result : "?");
}
