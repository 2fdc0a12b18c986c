/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events, a line each. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

static bool is_wanted(const Ctl *ctl, const char *name)
{
    for (unsigned i = 0; i < ctl->n_words; i++) {
        if (strcasecmp(ctl->words[i], name) == 0) {
            return true;
        }
    }
    return ctl->n_words == 0;
}

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        auto_free char *safe = ctl_escape(json_string_value(value));

        fputs(safe, stdout);
    } else {
        json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    }
}

/* "2026-11-23 07:33:00.123 NAME key=value ..." */
static void print_event(json_t *event)
{
    const json_t *stamp = json_object_get(event, "timestamp");
    time_t seconds = (time_t)ctl_int(stamp, "seconds");
    auto_free char *name = ctl_escape(ctl_str(event, "event"));
    const char *key;
    json_t *value;
    char when[32];
    struct tm tm;

    localtime_r(&seconds, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s.%03" PRId64 " %s", when, ctl_int(stamp, "microseconds") / 1000, name);
    json_object_foreach(json_object_get(event, "data"), key, value) {
        auto_free char *safe = ctl_escape(key);

        printf(" %s=", safe);
        print_value(value);
    }
    putchar('\n');
}

int ctl_run_events(Ctl *ctl)
{
    bool follow = ctl_option(ctl, "follow") != NULL, done = false;
    Error *err = NULL;

    if (!ctl_connect(ctl)) {
        return CTL_FAILED;
    }
    while (!done && !ferror(stdout)) {
        json_t *event = ctl_qmp_event(ctl->qmp, follow ? -1 : ctl->timeout_ms, &err);

        if (err) {
            int status = ctl_error(ctl, "NoAnswer", NULL, "%s", error_get_pretty(err));

            error_free(err);
            return status;
        } else if (!event) {
            return ctl_error(ctl, "NoAnswer", NULL, "no event came in %d s",
                             ctl->timeout_ms / 1000);
        }
        if (is_wanted(ctl, ctl_str(event, "event"))) {
            if (ctl->json) {
                ctl_print_json(event);
            } else {
                print_event(event);
            }
            fflush(stdout);
            done = !follow;
        }
        json_decref(event);
    }
    return CTL_OK;
}
