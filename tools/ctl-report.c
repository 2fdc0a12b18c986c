/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What subcommands say at their end: a result on stdout, or an error on stderr. */
#include "tools/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* Names in messages may hold anything; the lines of a message stay lines. */
static void print_lines(FILE *out, const char *prefix, const char *text)
{
    auto_free char *copy = xstrdup(text);
    char *rest = NULL;

    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        auto_free char *safe = ctl_escape(line);

        fprintf(out, "%s%s\n", prefix, safe);
        prefix = "";
    }
}

static void report(const Ctl *ctl, const char *error_class, const char *hint, const char *message)
{
    ctl_screen_end();
    fflush(stdout);
    if (ctl->json) {
        json_t *error = json_pack("{s:{s:s, s:s}}", "error", "class", error_class,
                                  "desc", message);

        if (hint) {
            json_object_set_new(json_object_get(error, "error"), "hint", json_string(hint));
        }
        json_dumpf(error, stderr, JSON_ENSURE_ASCII);
        fputc('\n', stderr);
        json_decref(error);
    } else {
        auto_free char *prefix = NULL;

        if (asprintf(&prefix, "%s: ", tool_name()) < 0) {
            xalloc_check(NULL);
        }
        print_lines(stderr, prefix, message);
        print_lines(stderr, "", hint ? hint : "");
    }
}

static char *format(const char *fmt, va_list args)
{
    char *text;

    if (vasprintf(&text, fmt, args) < 0) {
        xalloc_check(NULL);
    }
    return text;
}

int ctl_usage_error(const Ctl *ctl, const char *hint, const char *fmt, ...)
{
    auto_free char *message = NULL, *try = NULL;
    va_list args;

    va_start(args, fmt);
    message = format(fmt, args);
    va_end(args);
    if (asprintf(&try, "%s%sTry '%s %s%s--help'.", hint ? hint : "", hint ? "\n" : "",
                 tool_name(), ctl->cmd ? ctl->cmd->name : "", ctl->cmd ? " " : "") < 0) {
        xalloc_check(NULL);
    }
    report(ctl, "Usage", try, message);
    return CTL_USAGE;
}

int ctl_error(const Ctl *ctl, const char *error_class, const char *hint, const char *fmt, ...)
{
    auto_free char *message = NULL;
    va_list args;

    va_start(args, fmt);
    message = format(fmt, args);
    va_end(args);
    report(ctl, error_class, hint, message);
    return CTL_FAILED;
}

void ctl_print_json(const json_t *value)
{
    /* What is not ASCII could control a terminal. */
    size_t flags = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : 0;

    json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    putchar('\n');
}

int ctl_done(const Ctl *ctl, json_t *result, const char *fmt, ...)
{
    auto_free char *text = NULL;
    va_list args;

    if (!result) {
        return CTL_FAILED;
    }
    va_start(args, fmt);
    text = format(fmt, args);
    va_end(args);
    if (ctl->json) {
        ctl_print_json(result);
    } else {
        print_lines(stdout, "", text);
    }
    json_decref(result);
    return CTL_OK;
}
