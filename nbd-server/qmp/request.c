/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A value that a client has sent, understood as a request: {"execute", "arguments", "id"}.
 */
#include "qmp-int.h"

#include <string.h>

static bool check_members(const json_t *whole, Error **errp)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)whole, key, value) {
        bool is_execute = strcmp(key, "execute") == 0;

        if (!is_execute && strcmp(key, "arguments") != 0 && strcmp(key, "id") != 0) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return false;
        }
        if (is_execute && !json_is_string(value)) {
            error_setg(errp, "QMP input member 'execute' must be a string");
            return false;
        }
        if (strcmp(key, "arguments") == 0 && !json_is_object(value)) {
            error_setg(errp, "QMP input member 'arguments' must be an object");
            return false;
        }
    }
    if (!json_object_get(whole, "execute")) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

bool qmp_request_parse(QmpRequest *request, const char *bytes, size_t len, Error **errp)
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
    if (!check_members(request->whole, errp)) {
        return false;
    }
    request->execute = json_string_value(json_object_get(request->whole, "execute"));
    if (!json_object_get(request->whole, "arguments")) {
        json_object_set_new(request->whole, "arguments", json_object());
    }
    request->args = json_object_get(request->whole, "arguments");
    return true;
}

void qmp_request_clear(QmpRequest *request)
{
    json_decref(request->whole);
    *request = (QmpRequest){ .whole = NULL };
}
