/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of the protocol: greeting, reply, error, event.
 */
#include "qmp-int.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* Of the QEMU whose definitions the commands follow: clients look what they can expect. */
#define QEMU_MAJOR 7
#define QEMU_MINOR 2
#define QEMU_MICRO 0

json_t *qmp_version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QEMU_MICRO, "minor",
                     QEMU_MINOR, "major", QEMU_MAJOR, "package", "nbd-export " PACKAGE_VERSION);
}

json_t *qmp_greeting(void)
{
    return json_pack("{s:{s:o,s:[s]}}", "QMP", "version", qmp_version(), "capabilities", "oob");
}

/* The id comes back wherever there was one, null too. */
json_t *qmp_reply(json_t *value, json_t *id)
{
    json_t *reply = json_pack("{s:o}", "return", value);

    if (id) {
        json_object_set(reply, "id", id);
    }
    return reply;
}

/* "message", or "message. Hint": there is but one string for both. */
static char *describe(const Error *err)
{
    const char *message = error_get_pretty(err), *hint = error_get_hint(err);
    size_t len = strlen(message), hint_len = strlen(hint);
    char *text = malloc(len + hint_len + 3);

    if (text) {
        memcpy(text, message, len + 1);
        if (hint_len) {
            strcpy(text + len, ". ");
            strcpy(text + len + 2, hint);
        }
        for (char *p = text; (p = strchr(p, '\n')); ) {
            *p = p[1] ? ' ' : '\0';
        }
    }
    return text;
}

/* Of any bytes: what is no UTF-8 cannot be said in JSON. */
static json_t *plain_string(const char *text)
{
    json_t *string = json_string(text);

    return string ? string : json_string("the message is not UTF-8, see the server's log");
}

json_t *qmp_error_reply(const char *error_class, const Error *err, json_t *id)
{
    auto_free char *text = describe(err);
    json_t *reply = json_pack("{s:{s:s,s:o}}", "error", "class", error_class, "desc",
                              plain_string(text ? text : "out of memory"));

    if (id) {
        json_object_set(reply, "id", id);
    }
    return reply;
}

json_t *qmp_event_line(const char *name, json_t *data, int64_t time_us)
{
    json_t *line = json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds",
                             (json_int_t)(time_us / 1000000), "microseconds",
                             (json_int_t)(time_us % 1000000), "event", name);

    if (data) {
        json_object_set_new(line, "data", data);
    }
    return line;
}
