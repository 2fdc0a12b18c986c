/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log of who has asked for what.
 */
#include "qmp-int.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

/* The rest is not worth the room. */
#define MAX_NAME 64
#define MAX_ARGS 1024

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* By its name, which is all there is to go by. */
static bool is_secret(const char *name)
{
    return strstr(name, "pass") || strstr(name, "psk") || strstr(name, "secret") ||
           ends_in(name, "key");
}

/* A new reference to value, but for its secrets. */
static json_t *without_secrets(const json_t *value)
{
    json_t *copy, *each;
    const char *key;
    size_t i;

    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)value, key, each) {
            json_object_set_new(copy, key, is_secret(key) ? json_string("***")
                                                          : without_secrets(each));
        }
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, each) {
            json_array_append_new(copy, without_secrets(each));
        }
        return copy;
    }
    return json_incref((json_t *)value);
}

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
    auto_free char *text = NULL;
    char name[MAX_NAME];
    json_t *shown;

    if (!log_enabled(level)) {
        return;
    }
    shown = without_secrets(request->args);
    text = json_dumps(shown, 0);
    json_decref(shown);
    snprintf(name, sizeof(name), "%s", request->execute);
    log_command(level, name, fields, sizeof(fields) / sizeof(fields[0]),
                "pid %d uid %u gid %u: %.*s%s: %s", (int)peer->pid, (unsigned)peer->uid,
                (unsigned)peer->gid, MAX_ARGS, text ? text : "?",
                text && strlen(text) > MAX_ARGS ? "..." : "", err ? error_get_pretty(err) : "ok");
}
