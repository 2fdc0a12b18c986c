/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is connected, and how to be rid of them. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

static void print_clients(const json_t *clients)
{
    static const char *const heads[] = {
        ">ID", "~EXPORT", "~PEER", "STATE", "TLS", ">FOR", ">REQUESTS", ">IN FLIGHT", ">READ",
        ">WRITTEN",
    };
    CtlTable *table = ctl_table_new(heads, sizeof(heads) / sizeof(heads[0]));
    int64_t now = time(NULL);
    json_t *each;
    size_t i;

    json_array_foreach(clients, i, each) {
        char text[SIZE_STR_LEN], age[32];
        int64_t since = ctl_int(each, "since");

        ctl_table_add(table, "%" PRId64, ctl_int(each, "id"));
        ctl_table_add(table, "%s", ctl_str(each, "export"));
        ctl_table_add(table, "%s", ctl_str(each, "peer"));
        ctl_table_add(table, "%s", ctl_str(each, "state"));
        ctl_table_add(table, "%s", !ctl_bool(each, "tls") ? "no" : *ctl_str(each, "tls-name")
                                   ? ctl_str(each, "tls-name") : "yes");
        ctl_table_add(table, "%s", ctl_duration(now > since ? now - since : 0, age));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "requests"));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "in-flight"));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "bytes-read"), text));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "bytes-written"), text));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

int ctl_run_clients(Ctl *ctl)
{
    json_t *clients = ctl->n_words ? ctl_call(ctl, "x-query-clients", "{s:s}", "export",
                                              ctl->words[0])
                                   : ctl_call(ctl, "x-query-clients", NULL);

    if (clients && !ctl->json && json_array_size(clients) > 0) {
        print_clients(clients);
        json_decref(clients);
        return CTL_OK;
    }
    return ctl_done(ctl, clients, "no clients");
}

/* A client is named by its id, or all of a host are by its address. */
static void put_client(json_t *args, const char *word)
{
    bool is_id = *word && strspn(word, "0123456789") == strlen(word) && strlen(word) < 19;

    json_object_set_new(args, is_id ? "id" : "peer",
                        is_id ? json_integer(strtoll(word, NULL, 10)) : json_string(word));
}

int ctl_run_kick(Ctl *ctl)
{
    const char *export = ctl_option(ctl, "export");
    json_t *args, *result;

    if (!export && !ctl->n_words) {
        return ctl_usage_error(ctl, NULL, "kick needs a CLIENT, or --export=EXPORT for all of its "
                               "clients");
    }
    args = json_pack("{s:b}", "force", ctl_option(ctl, "force") != NULL);
    if (export) {
        json_object_set_new(args, "export", json_string(export));
    }
    if (ctl->n_words) {
        put_client(args, ctl->words[0]);
    }
    result = ctl_call_with(ctl, "x-client-kick", args);
    return ctl_done(ctl, result, "%" PRId64 " kicked", ctl_int(result, "kicked"));
}
