/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages: which are shown, and how many.
 */
#include "log-int.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 2048
/* So many lines about clients a second, of each level. */
#define CLIENT_LINES_MAX 100
#define SECOND_NS INT64_C(1000000000)

_Atomic enum log_level log_threshold = LOG_LEVEL_NOTICE;

/* ---- the limit ---- */

/* The second that runs, for one level. */
typedef struct LogWindow {
    int64_t since_ns;
    unsigned shown, suppressed;
} LogWindow;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LogWindow windows[LOG_LEVEL_DEBUG];        /* lock */
static QEMUTimer *summary_timer;                  /* main thread */

static void log_suppressed(enum log_level level, unsigned n)
{
    if (n > 0) {
        char text[64];

        snprintf(text, sizeof(text), "%u more like these were suppressed", n);
        log_output(&(LogRecord){ .level = level, .message = text });
    }
}

/* Ends the windows that are over, or all of them. */
static void end_windows(bool all)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    for (int level = 0; level < LOG_LEVEL_DEBUG; level++) {
        LogWindow *w = &windows[level];
        unsigned n = 0;

        pthread_mutex_lock(&lock);
        if (all || now - w->since_ns >= SECOND_NS) {
            n = w->suppressed;
            *w = (LogWindow){ .since_ns = now };
        }
        pthread_mutex_unlock(&lock);
        log_suppressed((enum log_level)level, n);
    }
}

static void summarize(void *opaque)
{
    (void)opaque;
    end_windows(false);
}

/* Should nothing more happen, the summary comes all the same. */
static void arm_summary(void *opaque)
{
    (void)opaque;
    if (!summary_timer) {
        summary_timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                      summarize, NULL);
    }
    timer_mod_ns(summary_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + SECOND_NS);
}

/* Whether there may be one more line about a client. */
static bool within_limit(enum log_level level)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    LogWindow *w = &windows[level];
    unsigned summary = 0;
    bool ok, first;

    pthread_mutex_lock(&lock);
    if (now - w->since_ns >= SECOND_NS) {
        summary = w->suppressed;
        *w = (LogWindow){ .since_ns = now };
    }
    ok = w->shown < CLIENT_LINES_MAX;
    w->shown += ok;
    w->suppressed += !ok;
    first = w->suppressed == 1;
    pthread_mutex_unlock(&lock);
    log_suppressed(level, summary);
    if (!ok && first) {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), arm_summary, NULL);
    }
    return ok;
}

/* ---- messages ---- */

/* Tracing is wanted whole: then there is no limit. */
static bool is_shown(enum log_level level, bool about_client)
{
    return log_enabled(level) &&
           (!about_client || log_enabled(LOG_LEVEL_DEBUG) || within_limit(level));
}

__attribute__((format(printf, 2, 0)))
static void put(LogRecord *record, const char *fmt, va_list args)
{
    char text[MESSAGE_MAX];

    vsnprintf(text, sizeof(text), fmt, args);
    record->message = text;
    log_output(record);
}

void log_msg(enum log_level level, const Export *export, const Conn *conn, const char *fmt, ...)
{
    LogRecord record = {
        .level = level,
        .export = export ? export->name : NULL,
        .client = conn ? conn->peer : NULL,
    };
    va_list args;

    if (is_shown(level, conn != NULL)) {
        va_start(args, fmt);
        put(&record, fmt, args);
        va_end(args);
    }
}

void log_fields(enum log_level level, const Export *export, const Conn *conn,
                const LogField *fields, unsigned n_fields, const char *fmt, ...)
{
    LogRecord record = {
        .level = level,
        .export = export ? export->name : NULL,
        .client = conn ? conn->peer : NULL,
        .fields = fields,
        .n_fields = n_fields,
    };
    va_list args;

    if (is_shown(level, conn != NULL)) {
        va_start(args, fmt);
        put(&record, fmt, args);
        va_end(args);
    }
}

void log_command(enum log_level level, const char *command, const LogField *fields,
                 unsigned n_fields, const char *fmt, ...)
{
    LogRecord record = {
        .level = level,
        .command = command,
        .fields = fields,
        .n_fields = n_fields,
    };
    va_list args;

    if (log_enabled(level)) {
        va_start(args, fmt);
        put(&record, fmt, args);
        va_end(args);
    }
}

void log_peer(enum log_level level, const char *peer, const char *fmt, ...)
{
    LogRecord record = { .level = level, .client = peer };
    va_list args;

    if (is_shown(level, true)) {
        va_start(args, fmt);
        put(&record, fmt, args);
        va_end(args);
    }
}

void log_error_free(Error *err)
{
    const char *hint = error_get_hint(err);

    log_msg(LOG_LEVEL_ERROR, NULL, NULL, "%s", error_get_pretty(err));
    while (*hint) {
        int len = (int)strcspn(hint, "\n");

        log_msg(LOG_LEVEL_ERROR, NULL, NULL, "%.*s", len, hint);
        hint += len;
        hint += *hint == '\n';
    }
    error_free(err);
}

void log_library_message(void *opaque, const char *message)
{
    (void)opaque;
    log_msg(LOG_LEVEL_WARNING, NULL, NULL, "%s", message);
}

/* ---- beginning and end ---- */

bool log_open(enum log_target target, enum log_level level, Error **errp)
{
    log_threshold = level;
    return log_output_open(target, errp);
}

bool log_leave_terminal(void)
{
    return log_output_leave_terminal();
}

void log_close(void)
{
    end_windows(true);
    timer_free(summary_timer);
    summary_timer = NULL;
}
