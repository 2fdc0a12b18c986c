/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the server, calls its commands, and tells what it refuses and what to do about it. */
#include "tools/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define SOON_MS 500

/* ---- where the server is ---- */

/* Tries one place; what went wrong there is added to the text. */
static bool try_place(Ctl *ctl, const char *path, char **tried)
{
    char *before = *tried;
    Error *err = NULL;
    const char *hint;

    ctl->qmp = ctl_qmp_connect(path, ctl->timeout_ms, &err);
    if (ctl->qmp) {
        return true;
    }
    hint = error_get_hint(err);
    if (asprintf(tried, "%s  %s: %s\n%s", before ? before : "", path, error_get_pretty(err),
                 hint) < 0) {
        xalloc_check(NULL);
    }
    free(before);
    error_free(err);
    return false;
}

/* Who names a server means that one: the usual places are for who names none. */
static bool try_places(Ctl *ctl, char **tried)
{
    const char *named = ctl->socket ? ctl->socket : getenv("NBD_EXPORT_QMP");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    auto_free char *path = NULL;

    if (named && *named) {
        return try_place(ctl, named, tried);
    }
    if (try_place(ctl, "/run/nbd-export/qmp.sock", tried)) {
        return true;
    }
    if (!runtime || !*runtime) {
        return false;
    }
    if (asprintf(&path, "%s/nbd-export/qmp.sock", runtime) < 0) {
        xalloc_check(NULL);
    }
    return try_place(ctl, path, tried);
}

bool ctl_connect(Ctl *ctl)
{
    auto_free char *tried = NULL, *hint = NULL;

    if (ctl->qmp || try_places(ctl, &tried)) {
        return true;
    }
    if (asprintf(&hint, "%sA server has a control socket if it was started with `nbd-export --qmp "
                 "SOCKET ...`;\n--socket or $NBD_EXPORT_QMP says where it is.", tried) < 0) {
        xalloc_check(NULL);
    }
    ctl_error(ctl, "NoServer", hint, "no server answers; tried:");
    return false;
}

/* ---- names ---- */

typedef struct Kind {
    const char *name;
    const char *command;         /* whose result is a list ... */
    const char *key;             /* ... of objects, which are named by this */
} Kind;

static const Kind kinds[] = {
    { "exports", "x-query-exports", "id" },
    { "commands", "query-commands", "name" },
    { "clients", "x-query-clients", "id" },
    { "jobs", "query-jobs", "id" },
    { "nodes", "query-named-block-nodes", "node-name" },
};

/* The names of what a list has: an array of strings. */
static json_t *names_of(const json_t *list, const Kind *kind)
{
    json_t *names = json_array(), *each;
    size_t i;

    json_array_foreach(list, i, each) {
        const json_t *name = json_object_get(each, kind->key);

        if (json_is_integer(name)) {
            json_array_append_new(names, json_sprintf("%" JSON_INTEGER_FORMAT,
                                                      json_integer_value(name)));
        } else if (json_is_string(name)) {
            json_array_append_new(names, json_string(json_string_value(name)));
        }
    }
    return names;
}

/* NULL: reported. */
static json_t *query_names(Ctl *ctl, const Kind *kind)
{
    json_t *list = ctl_call(ctl, kind->command, NULL);
    json_t *names = list ? names_of(list, kind) : NULL;

    json_decref(list);
    return names;
}

int ctl_print_names(Ctl *ctl, const char *kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            json_t *names = query_names(ctl, &kinds[i]), *name;
            size_t j;

            if (!names) {
                return CTL_FAILED;
            }
            json_array_foreach(names, j, name) {
                auto_free char *safe = ctl_escape(json_string_value(name));

                puts(safe);
            }
            json_decref(names);
            return CTL_OK;
        }
    }
    return ctl_usage_error(ctl, NULL, "there is no list of \"%s\"", kind);
}

/* "a", "b", "c" */
static char *list_names(const json_t *names)
{
    char *text = NULL;
    size_t i, len;
    FILE *out = xalloc_check(open_memstream(&text, &len));
    json_t *name;

    json_array_foreach(names, i, name) {
        fprintf(out, "%s\"%s\"", i ? ", " : "", json_string_value(name));
        if (i == 19 && json_array_size(names) > 20) {
            fprintf(out, " and %zu more", json_array_size(names) - 20);
            break;
        }
    }
    fclose(out);
    return text;
}

/* The only export there is: its name, which the caller free()s; NULL: reported. */
static char *only_export(Ctl *ctl)
{
    json_t *names = query_names(ctl, &kinds[0]);
    size_t n = json_array_size(names);
    char *only = NULL;

    if (!names) {
        return NULL;
    } else if (n == 1) {
        only = xstrdup(json_string_value(json_array_get(names, 0)));
    } else if (n == 0) {
        ctl_error(ctl, "DeviceNotFound", "`nbd-ctl export add` adds one.",
                  "the server has no exports");
    } else {
        auto_free char *list = list_names(names);

        ctl_error(ctl, "DeviceNotFound", NULL, "which export?  There are %s.", list);
    }
    json_decref(names);
    return only;
}

const char *ctl_take_export(Ctl *ctl, unsigned others)
{
    if (ctl->n_words > others) {
        ctl->n_words--;
        return *ctl->words++;
    }
    ctl->only_export = only_export(ctl);
    /* Its name alone would be taken for a file's: one more is missing. */
    if (ctl->only_export && ctl->n_words && strcmp(ctl->words[0], ctl->only_export) == 0) {
        ctl_error(ctl, "Usage", NULL, "\"%s\" is the export: %s needs %s", ctl->only_export,
                  ctl->cmd->name, ctl->cmd->words);
        return NULL;
    }
    return ctl->only_export;
}

/* ---- calls ---- */

/* What to do about it, beyond what the server says; or NULL. */
static const char *advice(const Ctl *ctl, const char *error_class)
{
    if (strcmp(error_class, "CommandNotFound") == 0) {
        return "`nbd-ctl qmp query-commands` lists what it has; it may be of another version.";
    }
    return strcmp(error_class, "GenericError") == 0 && ctl->cmd ? ctl->cmd->advice : NULL;
}

/* Takes over err. */
static void report_no_answer(const Ctl *ctl, const char *command, Error *err)
{
    ctl_error(ctl, "NoAnswer", strstr(command, "query") ? NULL : "Whether it was carried out "
              "is not known; `nbd-ctl status` shows what is.", "%s", error_get_pretty(err));
    error_free(err);
}

static json_t *call(Ctl *ctl, const char *command, json_t *args, bool quiet)
{
    json_t *result, *refusal = NULL;
    Error *err = NULL;

    if (!ctl_connect(ctl)) {
        json_decref(args);
        return NULL;
    }
    result = ctl_qmp_execute(ctl->qmp, command, args, &refusal, &err);
    if (err) {
        report_no_answer(ctl, command, err);
    } else if (refusal && !quiet) {
        const char *error_class = ctl_str(refusal, "class");

        ctl_error(ctl, error_class, advice(ctl, error_class), "%s", ctl_str(refusal, "desc"));
    }
    json_decref(refusal);
    return result;
}

json_t *ctl_call_with(Ctl *ctl, const char *command, json_t *args)
{
    return call(ctl, command, args, false);
}

static json_t *call_packed(Ctl *ctl, const char *command, bool quiet, const char *fmt,
                           va_list values)
{
    json_error_t why;
    json_t *args = fmt ? json_vpack_ex(&why, 0, fmt, values) : json_object();

    return call(ctl, command, xalloc_check(args), quiet);
}

json_t *ctl_call(Ctl *ctl, const char *command, const char *fmt, ...)
{
    json_t *result;
    va_list values;

    va_start(values, fmt);
    result = call_packed(ctl, command, false, fmt, values);
    va_end(values);
    return result;
}

json_t *ctl_try(Ctl *ctl, const char *command, const char *fmt, ...)
{
    json_t *result;
    va_list values;

    va_start(values, fmt);
    result = call_packed(ctl, command, true, fmt, values);
    va_end(values);
    return result;
}

bool ctl_try_soon(Ctl *ctl, const char *command, json_t **result)
{
    json_t *refusal;
    Error *err = NULL;
    int before;

    *result = NULL;
    if (!ctl_connect(ctl)) {
        return false;
    }
    before = ctl_qmp_set_timeout(ctl->qmp, SOON_MS);
    *result = ctl_qmp_execute(ctl->qmp, command, NULL, &refusal, &err);
    ctl_qmp_set_timeout(ctl->qmp, before);
    if (err && !ctl_qmp_is_late(ctl->qmp)) {
        report_no_answer(ctl, command, err);
        return false;
    }
    error_free(err);
    if (refusal) {
        ctl_error(ctl, ctl_str(refusal, "class"), NULL, "%s", ctl_str(refusal, "desc"));
        json_decref(refusal);
        return false;
    }
    return true;
}

json_t *ctl_query_export(Ctl *ctl, const char *name)
{
    json_t *list = ctl_call(ctl, "x-query-exports", NULL), *found = NULL, *each;
    size_t i;

    json_array_foreach(list, i, each) {
        /* An id goes before a name. */
        if (strcmp(ctl_str(each, "id"), name) == 0) {
            found = each;
            break;
        } else if (strcmp(ctl_str(each, "name"), name) == 0) {
            found = each;
        }
    }
    if (list && !found) {
        json_t *names = names_of(list, &kinds[0]);
        auto_free char *text = list_names(names);

        ctl_error(ctl, "DeviceNotFound", NULL, "there is no export \"%s\"; there are: %s", name,
                  *text ? text : "none");
        json_decref(names);
    }
    json_incref(found);
    json_decref(list);
    return found;
}

json_t *ctl_query_block(Ctl *ctl, const char *name)
{
    json_t *export = ctl_query_export(ctl, name), *list, *each, *found = NULL;
    size_t i;

    list = export ? ctl_call(ctl, "query-block", NULL) : NULL;
    json_array_foreach(list, i, each) {
        if (strcmp(ctl_str(each, "device"), ctl_str(export, "id")) == 0) {
            found = json_incref(each);
        }
    }
    if (list && !found) {
        ctl_error(ctl, "DeviceNotFound", NULL, "export \"%s\" is being removed", name);
    }
    json_decref(list);
    json_decref(export);
    return found;
}

/* ---- results ---- */

const char *ctl_str(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int64_t ctl_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool ctl_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}
