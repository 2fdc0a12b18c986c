/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is sent to be run out of band: all that nbd-export allows to, so that it answers while
 * another client's command waits.  Others allow less.
 */
#include "tools/ctl.h"

#include <string.h>

/* query-qmp-schema has "allow-oob" of these. */
static const char *const allowed[] = {
    "query-block-exports", "query-block-jobs", "query-blockstats", "query-commands", "query-jobs",
    "query-qmp-schema", "query-version", "quit", "x-client-kick", "x-export-resume", "x-log-level",
    "x-query-clients", "x-query-exports", "x-query-server", "x-query-throttle",
};

bool ctl_oob_allowed(const char *command)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (strcmp(allowed[i], command) == 0) {
            return true;
        }
    }
    return false;
}

bool ctl_oob_offered(const json_t *greeting)
{
    json_t *each, *offered = json_object_get(json_object_get(greeting, "QMP"), "capabilities");
    size_t i;

    json_array_foreach(offered, i, each) {
        if (json_is_string(each) && strcmp(json_string_value(each), "oob") == 0) {
            return true;
        }
    }
    return false;
}

bool ctl_oob_refused(const json_t *reply)
{
    return strstr(ctl_str(json_object_get(reply, "error"), "desc"), "does not support OOB") != NULL;
}
