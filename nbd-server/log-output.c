/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where messages go and what they look like there: lines of text or of JSON on
 * stderr, syslog, or datagrams with fields to the journal.
 *
 * A message is composed first and goes out in one system call, so that those of
 * several threads do not mix.
 */
#include "log-int.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/utf8.h"

#define PROGRAM "nbd-export"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* An export's name, an address and a message, should all of their bytes become \\uNNNN. */
#define LINE_MAX_BYTES (48 << 10)

static enum log_target target = LOG_TO_STDERR;
static bool chosen;              /* by the user */
static int journal_fd = -1;

static const struct {
    const char *name;
    int priority;                /* syslog's */
} levels[] = {
    [LOG_LEVEL_ERROR] = { "error", LOG_ERR },
    [LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
    [LOG_LEVEL_INFO] = { "info", LOG_INFO },
    [LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

/* ---- a line under construction ---- */

/* Too large for the stack of a coroutine, so there is one for all threads. */
typedef struct Line {
    char text[LINE_MAX_BYTES];
    size_t len;
} Line;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Line the_line;            /* lock */

/* Cuts off what does not fit, but for room for the end of a line. */
__attribute__((format(printf, 2, 3)))
static void add(Line *line, const char *fmt, ...)
{
    size_t room = sizeof(line->text) - 8 - line->len;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(line->text + line->len, room, fmt, args);
    va_end(args);
    if (n > 0) {
        line->len += (size_t)n < room ? (size_t)n : room - 1;
    }
}

/* Control characters as \xNN. */
static void add_escaped(Line *line, const char *text)
{
    while (*text) {
        size_t plain = 0;

        while ((unsigned char)text[plain] >= 0x20 && text[plain] != 0x7f) {
            plain++;
        }
        add(line, "%.*s", (int)plain, text);
        text += plain;
        if (*text) {
            add(line, "\\x%02x", (unsigned char)*text++);
        }
    }
}

/* A string of JSON, which must be UTF-8: what is not becomes U+FFFD. */
static void add_json_string(Line *line, const char *text)
{
    size_t len;

    add(line, "\"");
    for (; *text; text += len) {
        unsigned char c = (unsigned char)*text;

        len = utf8_length(text);
        if (len == 0) {
            add(line, "\\ufffd");
            len = 1;
        } else if (c < 0x20 || c == 0x7f) {
            add(line, "\\u%04x", c);
        } else if (c == '"' || c == '\\') {
            add(line, "\\%c", c);
        } else {
            add(line, "%.*s", (int)len, text);
        }
    }
    add(line, "\"");
}

static void write_line(Line *line)
{
    line->text[line->len++] = '\n';
    while (write(STDERR_FILENO, line->text, line->len) < 0 && errno == EINTR) {
    }
}

/* ---- the forms ---- */

/* [export "NAME":] [client ADDR:] [command NAME:] message */
static void add_plain(Line *line, const LogRecord *record)
{
    if (record->export) {
        add(line, "export \"");
        add_escaped(line, record->export);
        add(line, "\": ");
    }
    if (record->client) {
        add(line, "client ");
        add_escaped(line, record->client);
        add(line, ": ");
    }
    if (record->command) {
        add(line, "command ");
        add_escaped(line, record->command);
        add(line, ": ");
    }
    add_escaped(line, record->message);
}

static void to_stderr(Line *line, const LogRecord *record)
{
    add(line, PROGRAM ": %s", record->level == LOG_LEVEL_WARNING ? "warning: " : "");
    add_plain(line, record);
    write_line(line);
}

static void to_syslog(Line *line, const LogRecord *record)
{
    add_plain(line, record);
    syslog(levels[record->level].priority, "%.*s", (int)line->len, line->text);
}

/* RFC 3339, in UTC. */
static void add_time(Line *line)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    add(line, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
}

static void to_json(Line *line, const LogRecord *record)
{
    add(line, "{\"time\":");
    add_time(line);
    add(line, ",\"level\":\"%s\"", levels[record->level].name);
    if (record->export) {
        add(line, ",\"export\":");
        add_json_string(line, record->export);
    }
    if (record->client) {
        add(line, ",\"client\":");
        add_json_string(line, record->client);
    }
    if (record->command) {
        add(line, ",\"command\":");
        add_json_string(line, record->command);
    }
    for (unsigned i = 0; i < record->n_fields; i++) {
        add(line, ",\"%s\":%" PRId64, record->fields[i].name, record->fields[i].value);
    }
    add(line, ",\"message\":");
    add_json_string(line, record->message);
    add(line, "}");
    write_line(line);
}

/* Fields of the journal are a line each, or, with a line's end in the value, length and bytes;
 * ours have none of those: they are escaped. */
static void to_journal(Line *line, const LogRecord *record)
{
    add(line, "SYSLOG_IDENTIFIER=" PROGRAM "\nPRIORITY=%d\n", levels[record->level].priority);
    if (record->export) {
        add(line, "NBD_EXPORT=");
        add_escaped(line, record->export);
        add(line, "\n");
    }
    if (record->client) {
        add(line, "NBD_CLIENT=");
        add_escaped(line, record->client);
        add(line, "\n");
    }
    if (record->command) {
        add(line, "NBD_COMMAND=");
        add_escaped(line, record->command);
        add(line, "\n");
    }
    for (unsigned i = 0; i < record->n_fields; i++) {
        add(line, "NBD_");
        for (const char *p = record->fields[i].name; *p; p++) {
            add(line, "%c", *p == '_' ? '_' : *p - 'a' + 'A');
        }
        add(line, "=%" PRId64 "\n", record->fields[i].value);
    }
    add(line, "MESSAGE=");
    add_plain(line, record);
    add(line, "\n");
    while (send(journal_fd, line->text, line->len, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

void log_output(const LogRecord *record)
{
    Line *line = &the_line;

    pthread_mutex_lock(&lock);
    line->len = 0;
    switch (target) {
    case LOG_TO_SYSLOG:
        to_syslog(line, record);
        break;
    case LOG_TO_JOURNAL:
        to_journal(line, record);
        break;
    case LOG_TO_JSON:
        to_json(line, record);
        break;
    default:
        to_stderr(line, record);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- opening ---- */

static void open_syslog(void)
{
    openlog(PROGRAM, LOG_PID | LOG_NDELAY, LOG_DAEMON);
    target = LOG_TO_SYSLOG;
}

static bool open_journal(Error **errp)
{
    static const struct sockaddr_un addr = { AF_UNIX, JOURNAL_SOCKET };

    journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal_fd < 0 ||
        connect(journal_fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
        error_setg_errno(errp, errno, "cannot log to the journal at %s", JOURNAL_SOCKET);
        error_append_hint(errp, "Without systemd use --log=stderr or --log=syslog.\n");
        if (journal_fd >= 0) {
            close(journal_fd);
        }
        return false;
    }
    target = LOG_TO_JOURNAL;
    return true;
}

/* $JOURNAL_STREAM names the device and inode of what systemd has made our output. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* As inetd starts its services: what we write there would get among the replies. */
static bool stderr_is_client(void)
{
    struct stat in, err;

    return fstat(STDIN_FILENO, &in) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
           S_ISSOCK(in.st_mode) && in.st_dev == err.st_dev && in.st_ino == err.st_ino;
}

bool log_output_open(enum log_target wanted, Error **errp)
{
    chosen = wanted != LOG_TO_AUTO;
    switch (wanted) {
    case LOG_TO_SYSLOG:
        open_syslog();
        return true;
    case LOG_TO_JOURNAL:
        return open_journal(errp);
    case LOG_TO_AUTO:
        if (stderr_is_client()) {
            open_syslog();
        } else if (stderr_is_journal()) {
            open_journal(NULL);    /* stderr gets there too */
        }
        return true;
    default:
        target = wanted;
        return true;
    }
}

bool log_output_leave_terminal(void)
{
    if (!chosen && target == LOG_TO_STDERR) {
        open_syslog();
    }
    return target == LOG_TO_SYSLOG || target == LOG_TO_JOURNAL;
}
