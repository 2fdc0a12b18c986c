/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error objects, and the log hook that messages nobody else takes go to. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/error.h>

struct Error {
    char *message;                 /* one sentence, no newline */
    char *hint;                    /* NULL if there is none */
    const char *file, *func;       /* where it was set: for error_abort */
    int line;
};

/* Only their addresses mean anything. */
Error *error_abort;
Error *error_fatal;

/* ---- the log hook ---- */

/* Held during the call too: lines do not mix, and a hook that was replaced is
 * not called any more. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static BlkLogFunc *log_fn;
static void *log_opaque;

void blkbackend_set_log_fn(BlkLogFunc *fn, void *opaque)
{
    pthread_mutex_lock(&log_lock);
    log_fn = fn;
    log_opaque = opaque;
    pthread_mutex_unlock(&log_lock);
}

static void log_message(const char *message)
{
    pthread_mutex_lock(&log_lock);
    if (log_fn) {
        log_fn(log_opaque, message);
    } else {
        fprintf(stderr, "blkbackend: %s\n", message);
    }
    pthread_mutex_unlock(&log_lock);
}

/* ---- text ---- */

__attribute__((format(printf, 1, 0)))
static char *format_text(const char *fmt, va_list ap)
{
    char *text;

    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    return text;
}

/* Takes over both (either may be NULL) and returns them as one. */
static char *join(char *first, char *second)
{
    char *both;

    if (!first || !second) {
        return first ? first : second;
    }
    if (asprintf(&both, "%s%s", first, second) < 0) {
        abort();
    }
    free(first);
    free(second);
    return both;
}

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy) {
        abort();
    }
    return copy;
}

/* %m is the one way to this text that is safe in threads with every C library. */
static char *describe_errno(int os_errno)
{
    char *text;

    errno = os_errno;
    if (asprintf(&text, ": %m") < 0) {
        abort();
    }
    return text;
}

void blkbackend_log(const char *fmt, ...)
{
    va_list ap;
    char *message;

    va_start(ap, fmt);
    message = format_text(fmt, ap);
    va_end(ap);
    log_message(message);
    free(message);
}

/* ---- errors ---- */

static void report(const Error *err)
{
    log_message(err->message);
    if (err->hint) {
        log_message(err->hint);
    }
}

/* error_abort and error_fatal are where the way of an error ends at once. */
static void end_if_deadly(Error **errp, const Error *err)
{
    if (errp == &error_abort) {
        blkbackend_log("Unexpected error in %s() at %s:%d", err->func, err->file, err->line);
        report(err);
        abort();
    }
    if (errp == &error_fatal) {
        report(err);
        exit(1);
    }
}

void error_setg_internal(Error **errp, const char *file, int line, const char *func,
                         int os_errno, const char *fmt, ...)
{
    int saved_errno = errno;
    va_list ap;
    Error *err;

    if (!errp) {
        return;
    }
    if (*errp) {
        blkbackend_log("%s() at %s:%d sets an error that is set already: %s",
                       func, file, line, (*errp)->message);
        abort();
    }
    err = calloc(1, sizeof(*err));
    if (!err) {
        abort();
    }
    va_start(ap, fmt);
    err->message = format_text(fmt, ap);
    va_end(ap);
    if (os_errno) {
        err->message = join(err->message, describe_errno(os_errno));
    }
    err->file = file;
    err->line = line;
    err->func = func;
    end_if_deadly(errp, err);
    *errp = err;
    errno = saved_errno;           /* callers go on to return -errno */
}

/* The first error is the cause, later ones its consequences: it is kept. */
void error_propagate(Error **dst_errp, Error *local_err)
{
    if (!local_err) {
        return;
    }
    end_if_deadly(dst_errp, local_err);
    if (dst_errp && !*dst_errp) {
        *dst_errp = local_err;
    } else {
        error_free(local_err);
    }
}

void error_prepend(Error **errp, const char *fmt, ...)
{
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    va_start(ap, fmt);
    (*errp)->message = join(format_text(fmt, ap), (*errp)->message);
    va_end(ap);
}

void error_append_hint(Error **errp, const char *fmt, ...)
{
    va_list ap;

    if (!errp || !*errp) {
        return;
    }
    va_start(ap, fmt);
    (*errp)->hint = join((*errp)->hint, format_text(fmt, ap));
    va_end(ap);
}

Error *error_copy(const Error *err)
{
    Error *copy = malloc(sizeof(*copy));

    if (!copy) {
        abort();
    }
    *copy = *err;
    copy->message = copy_text(err->message);
    copy->hint = copy_text(err->hint);
    return copy;
}

const char *error_get_pretty(const Error *err)
{
    return err->message;
}

const char *error_get_hint(const Error *err)
{
    return err->hint ? err->hint : "";
}

void error_free(Error *err)
{
    if (err) {
        free(err->message);
        free(err->hint);
        free(err);
    }
}

void error_report_err(Error *err)
{
    report(err);
    error_free(err);
}
