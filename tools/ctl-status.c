/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status: the server and its exports, or all about one of them line by line. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"

/* ---- the server ---- */

static void print_server(const json_t *server)
{
    char memory[SIZE_STR_LEN], most[SIZE_STR_LEN], up[32];
    auto_free char *version = ctl_escape(ctl_str(server, "version"));

    printf("%s, pid %" PRId64 ", up %s, %" PRId64 " clients, %s of %s for requests\n", version,
           ctl_int(server, "pid"), ctl_duration(ctl_int(server, "uptime"), up),
           ctl_int(server, "clients"), size_str((uint64_t)ctl_int(server, "memory"), memory),
           size_str((uint64_t)ctl_int(server, "max-memory"), most));
}

static void print_exports(const json_t *exports)
{
    static const char *const heads[] = {
        "~EXPORT", ">SIZE", "MODE", "STATE", ">CLIENTS", ">IN FLIGHT", "CACHE", "~IMAGE",
    };
    CtlTable *table = ctl_table_new(heads, sizeof(heads) / sizeof(heads[0]));
    json_t *each;
    size_t i;

    json_array_foreach(exports, i, each) {
        char size[SIZE_STR_LEN];

        ctl_table_add(table, "%s", ctl_str(each, "name"));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "size"), size));
        ctl_table_add(table, "%s", ctl_bool(each, "read-only") ? "ro" : "rw");
        ctl_table_add(table, "%s", ctl_str(each, "state"));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "clients"));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "in-flight"));
        ctl_table_add(table, "%s", ctl_bool(each, "write-cache") ? "on" : "off");
        ctl_table_add(table, "%s", ctl_str(each, "image"));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

static int whole(Ctl *ctl)
{
    json_t *server = ctl_call(ctl, "x-query-server", NULL), *exports;

    if (!server) {
        return CTL_FAILED;
    }
    exports = ctl_call(ctl, "x-query-exports", NULL);
    if (!exports) {
        json_decref(server);
        return CTL_FAILED;
    }
    if (!ctl->json) {
        print_server(server);
        if (json_array_size(exports) > 0) {
            putchar('\n');
            print_exports(exports);
        }
    } else {
        json_t *both = json_pack("{s:O, s:O}", "server", server, "exports", exports);

        ctl_print_json(both);
        json_decref(both);
    }
    json_decref(server);
    json_decref(exports);
    return CTL_OK;
}

/* ---- one export ---- */

int ctl_run_status(Ctl *ctl)
{
    return whole(ctl);
}
