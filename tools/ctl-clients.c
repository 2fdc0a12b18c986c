/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is connected, and how to be rid of them. */
#include "tools/ctl.h"

#include <inttypes.h>

#include "common/cleanup.h"

static void print_clients(const json_t *clients)
{
    static const char *const heads[] = { ">ID", "~EXPORT", "~CLIENT", "TLS", ">SINCE",
                                         ">IN FLIGHT", ">READ", ">WRITTEN" };
    CtlTable *table = ctl_table_new(heads, 8);
    json_t *each;
    size_t i;

    json_array_foreach(clients, i, each) {
        char text[SIZE_STR_LEN], since[32];

        ctl_table_add(table, "%" PRId64, ctl_int(each, "id"));
        ctl_table_add(table, "%s", ctl_str(each, "export"));
        ctl_table_add(table, "%s", ctl_str(each, "peer"));
        ctl_table_add(table, "%s", ctl_bool(each, "tls") ? "yes" : "no");
        ctl_table_add(table, "%s", ctl_duration(ctl_int(each, "seconds"), since));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "in-flight"));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "bytes-read"), text));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "bytes-written"), text));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

int ctl_run_clients(Ctl *ctl)
{
    json_t *clients = ctl->n_words ? ctl_call(ctl, "x-query-clients", "{s:s}", "device",
                                              ctl->words[0])
                                   : ctl_call(ctl, "x-query-clients", NULL);

    if (clients && !ctl->json && json_array_size(clients) > 0) {
        print_clients(clients);
        json_decref(clients);
        return CTL_OK;
    }
    return ctl_done(ctl, clients, "no clients");
}

int ctl_run_kick(Ctl *ctl)
{
    const char *export = ctl_option(ctl, "export");
    bool force = ctl_option(ctl, "force") != NULL;
    json_t *args = json_pack("{s:b}", "force", force), *result;
    int64_t id;

    if ((export != NULL) + ctl->n_words != 1) {
        json_decref(args);
        return ctl_usage_error(ctl, NULL, "kick needs a CLIENT, or --export=EXPORT for all of its "
                               "clients");
    }
    if (export) {
        json_object_set_new(args, "device", json_string(export));
    } else if (ctl_parse_number(ctl, "CLIENT", ctl->words[0], 0, INT64_MAX, &id)) {
        json_object_set_new(args, "client", json_integer(id));
    } else {
        json_decref(args);
        return CTL_USAGE;
    }
    result = ctl_call_with(ctl, "x-client-kick", args);
    return ctl_done(ctl, result, "%" PRId64 " kicked", ctl_int(result, "kicked"));
}
