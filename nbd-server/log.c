/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages: the only place of nbd-export that prints.
 *
 * A line is composed first and goes out in one write, so that lines of several
 * threads do not mix.  Names come from clients: what is not printable is escaped.
 */
#include "server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define PROGRAM "nbd-export"
#define LINE_MAX_BYTES 2048

static _Atomic enum log_level log_level = LOG_LEVEL_WARNING;
static atomic_bool to_syslog;

void log_set_level(enum log_level level)
{
    log_level = level;
}

void log_to_syslog(void)
{
    openlog(PROGRAM, LOG_PID | LOG_NDELAY, LOG_DAEMON);
    to_syslog = true;
}

/* Appends printf-like text at `at`; the new end, at most `size`. */
__attribute__((format(printf, 4, 0)))
static size_t append(char *buf, size_t size, size_t at, const char *fmt, va_list args)
{
    int n = vsnprintf(buf + at, size - at, fmt, args);

    if (n < 0) {
        return at;
    }
    return (size_t)n < size - at ? at + (size_t)n : size - 1;
}

__attribute__((format(printf, 4, 5)))
static size_t appendf(char *buf, size_t size, size_t at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    at = append(buf, size, at, fmt, args);
    va_end(args);
    return at;
}

/* Copies text to line with control characters as \xNN; the length of line. */
static size_t escape(const char *text, char *line, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    for (; *text && n + 4 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            line[n++] = '\\';
            line[n++] = 'x';
            line[n++] = hex[c >> 4];
            line[n++] = hex[c & 15];
        } else {
            line[n++] = (char)c;
        }
    }
    line[n] = '\0';
    return n;
}

static void emit(enum log_level level, const char *text)
{
    static const int priority[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR, [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO, [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };
    char line[LINE_MAX_BYTES + sizeof(PROGRAM) + 16];
    size_t n = 0;

    if (to_syslog) {
        escape(text, line, sizeof(line));
        syslog(priority[level], "%s", line);
        return;
    }
    n = appendf(line, sizeof(line), n, PROGRAM ": %s",
                level == LOG_LEVEL_WARNING ? "warning: " : "");
    n += escape(text, line + n, sizeof(line) - n - 1);
    line[n++] = '\n';
    while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR) {
    }
}

void log_msg(enum log_level level, const Export *export, const Conn *conn, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    size_t n = 0;
    va_list args;

    if (level > log_level) {
        return;
    }
    if (export) {
        n = appendf(text, sizeof(text), n, "export \"%s\": ", export->name);
    }
    if (conn) {
        n = appendf(text, sizeof(text), n, "client %s: ", conn->peer);
    }
    va_start(args, fmt);
    append(text, sizeof(text), n, fmt, args);
    va_end(args);
    emit(level, text);
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
