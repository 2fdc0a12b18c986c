/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A value that a client has sent, understood as a request: {"execute", "arguments", "id"}, with
 * "exec-oob" instead of "execute" if it is to be run out of band.
 */
#include "qmp-int.h"

#include <string.h>

static bool check_members(const json_t *whole, bool allow_oob, Error **errp)
{
    const char *key;
    bool command = false;
    json_t *value;

    json_object_foreach((json_t *)whole, key, value) {
        bool is_command = strcmp(key, "execute") == 0 ||
                          (allow_oob && strcmp(key, "exec-oob") == 0);

        if (!is_command && strcmp(key, "arguments") != 0 && strcmp(key, "id") != 0) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return false;
        }
        if (is_command && !json_is_string(value)) {
            error_setg(errp, "QMP input member '%s' must be a string", key);
            return false;
        }
        if (is_command && command) {
            error_setg(errp, "QMP input member 'execute' clashes with 'exec-oob'");
            return false;
        }
        command |= is_command;
        if (strcmp(key, "arguments") == 0 && !json_is_object(value)) {
            error_setg(errp, "QMP input member 'arguments' must be an object");
            return false;
        }
    }
    if (!command) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

bool qmp_request_parse(QmpRequest *request, const char *bytes, size_t len, bool allow_oob,
                       Error **errp)
{
    json_error_t error;

    *request = (QmpRequest){ .whole = json_loadb(bytes, len, JSON_DECODE_ANY |
                                                 JSON_REJECT_DUPLICATES, &error) };
    if (!request->whole) {
        error_setg(errp, "JSON parse error at byte %d: %s", error.position, error.text);
        return false;
    }
    if (!json_is_object(request->whole)) {
        error_setg(errp, "QMP input must be a JSON object");
        return false;
    }
    request->id = json_object_get(request->whole, "id");
    request->oob = allow_oob && json_object_get(request->whole, "exec-oob") &&
                   !json_object_get(request->whole, "execute");
    if (!check_members(request->whole, allow_oob, errp)) {
        return false;
    }
    request->execute = json_string_value(json_object_get(request->whole, request->oob ? "exec-oob"
                                                                                      : "execute"));
    if (!json_object_get(request->whole, "arguments")) {
        json_object_set_new(request->whole, "arguments", json_object());
    }
    request->args = json_object_get(request->whole, "arguments");
    return true;
}

void qmp_request_keep_id(QmpRequest *request)
{
    json_t *whole = json_object();

    json_object_set(whole, "id", request->id);      /* NULL is no harm */
    json_decref(request->whole);
    *request = (QmpRequest){ .whole = whole, .id = json_object_get(whole, "id") };
}

void qmp_request_clear(QmpRequest *request)
{
    json_decref(request->whole);
    *request = (QmpRequest){ .whole = NULL };
}
