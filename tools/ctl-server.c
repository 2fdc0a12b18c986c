/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server as a whole: reload, tls-reload, log-level, quit; and any command as it is: qmp. */
#include "tools/ctl.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* "WHAT: a, b", if there are any. */
static void print_names(const char *what, const json_t *names)
{
    json_t *each;
    size_t i;

    json_array_foreach(names, i, each) {
        auto_free char *name = ctl_escape(json_string_value(each));

        printf("%s%s", i ? ", " : what, name);
    }
    if (json_array_size(names) > 0) {
        putchar('\n');
    }
}

static void print_reload(const json_t *result)
{
    const json_t *changed = json_object_get(result, "changed");
    json_t *each;
    size_t i;

    print_names("added: ", json_object_get(result, "added"));
    print_names("removed: ", json_object_get(result, "removed"));
    json_array_foreach(changed, i, each) {
        auto_free char *export = ctl_escape(ctl_str(each, "export"));

        printf("changed: %s", export);
        print_names(": ", json_object_get(each, "settings"));
    }
    print_names("takes a restart: ", json_object_get(result, "restart"));
}

static bool is_empty(const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value) {
        if (json_array_size(value) > 0) {
            return false;
        }
    }
    return true;
}

int ctl_run_reload(Ctl *ctl)
{
    json_t *result = ctl_call(ctl, "x-reload", NULL);

    if (result && !ctl->json && !is_empty(result)) {
        print_reload(result);
        json_decref(result);
        return CTL_OK;
    }
    return ctl_done(ctl, result, "nothing has changed");
}

int ctl_run_tls_reload(Ctl *ctl)
{
    return ctl_done(ctl, ctl_call(ctl, "x-tls-reload", NULL),
                    "new clients get the certificates and keys that are there now");
}

int ctl_run_log_level(Ctl *ctl)
{
    json_t *args = json_object(), *result;

    if (ctl->n_words) {
        json_object_set_new(args, "level", json_string(ctl->words[0]));
    }
    result = ctl_call_with(ctl, "x-log-level", args);
    return ctl_done(ctl, result, "%s", ctl_str(result, "level"));
}

int ctl_run_quit(Ctl *ctl)
{
    json_t *result = ctl_call(ctl, "quit", NULL);

    if (result && !ctl_qmp_wait_end(ctl->qmp)) {
        json_decref(result);
        return ctl_error(ctl, "NoAnswer", "It is answering what its clients have asked.",
                         "the server has not ended yet");
    }
    return ctl_done(ctl, result, "the server has ended");
}

/* Any value, indented: for who looks at the protocol itself. */
int ctl_run_qmp(Ctl *ctl)
{
    json_t *args = NULL, *result;
    json_error_t why;

    if (ctl->n_words > 1) {
        args = json_loads(ctl->words[1], 0, &why);
        if (!json_is_object(args)) {
            json_decref(args);
            return ctl_usage_error(ctl, "An object: '{\"device\": \"d0\"}'.",
                                   "the arguments are no JSON object%s%s", args ? "" : ": ",
                                   args ? "" : why.text);
        }
    }
    result = ctl_call_with(ctl, ctl->words[0], args);
    if (!result) {
        return CTL_FAILED;
    }
    if (ctl->json) {
        ctl_print_json(result);
    } else {
        json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
        putchar('\n');
    }
    json_decref(result);
    return CTL_OK;
}
