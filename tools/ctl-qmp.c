/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QEMU Machine Protocol, as a client: one command at a time, events kept for who asks. */
#include "tools/ctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* A server that says more at once is none of ours. */
#define MESSAGE_MAX (64u << 20)
/* A server that is alive greets, unless it is opening an image. */
#define GREETING_MS 10000
/* Events that nobody asks for are forgotten, the oldest first. */
#define EVENTS_MAX 1000

struct CtlQmp {
    int fd;
    int timeout_ms;              /* for an answer; -1: for ever */
    bool oob;                    /* commands can be run out of band */
    bool late;                   /* the last answer has not come in time */
    char *buf;
    size_t len, size;
    size_t scanned;              /* bytes of buf that the three below know */
    unsigned depth;              /* open braces and brackets */
    bool in_string, escaped;
    json_t *events;              /* that came before anybody asked */
    json_int_t id;               /* of the last command */
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* ---- bytes to messages ---- */

/* The end of the first message in the buffer; 0: it has not come yet. */
static size_t message_end(CtlQmp *qmp)
{
    while (qmp->scanned < qmp->len) {
        char c = qmp->buf[qmp->scanned++];

        if (qmp->in_string) {
            qmp->in_string = c != '"' || qmp->escaped;
            qmp->escaped = c == '\\' && !qmp->escaped;
        } else if (c == '"') {
            qmp->in_string = true;
        } else if (c == '{' || c == '[') {
            qmp->depth++;
        } else if ((c == '}' || c == ']') && (qmp->depth == 0 || --qmp->depth == 0)) {
            return qmp->scanned;
        } else if (qmp->depth == 0 && !strchr(" \t\r\n", c)) {
            return qmp->scanned;           /* no object: the parser says so */
        }
    }
    return 0;
}

static void report_stranger(Error **errp)
{
    error_setg(errp, "what answers there does not speak QMP");
    error_append_hint(errp, "A control socket is what nbd-export was given as --qmp; --socket and "
                            "--port of it are for NBD clients.\n");
}

/* Takes the first message out of the buffer. */
static json_t *take_message(CtlQmp *qmp, size_t end, Error **errp)
{
    json_error_t why;
    json_t *message = json_loadb(qmp->buf, end, 0, &why);

    if (!json_is_object(message)) {
        json_decref(message);
        message = NULL;
        report_stranger(errp);
    }
    memmove(qmp->buf, qmp->buf + end, qmp->len - end);
    qmp->len -= end;
    qmp->scanned = 0;
    return message;
}

/* 1: there is more to read; 0: not in time, or a signal came; negative: errp is set. */
static int wait_readable(CtlQmp *qmp, int64_t deadline, Error **errp)
{
    struct pollfd pfd = { .fd = qmp->fd, .events = POLLIN };
    int64_t left = deadline < 0 ? -1 : deadline - now_ms();
    int ret = poll(&pfd, 1, deadline >= 0 && left < 0 ? 0 : (int)left);

    if (ret < 0 && errno != EINTR) {
        error_setg_errno(errp, errno, "cannot wait for the server");
        return -1;
    }
    return ret > 0;
}

static void report_broken(Error **errp, int error, const char *what)
{
    if (error == EPIPE || error == ECONNRESET) {
        error_setg(errp, "the server closed the connection");
    } else {
        error_setg_errno(errp, error, "cannot %s the server", what);
    }
}

static bool receive(CtlQmp *qmp, Error **errp)
{
    ssize_t n;

    if (qmp->size - qmp->len < 4096) {
        qmp->size = qmp->size * 2 + 8192;
        qmp->buf = xalloc_check(realloc(qmp->buf, qmp->size));
    }
    n = recv(qmp->fd, qmp->buf + qmp->len, qmp->size - qmp->len, 0);
    if (n > 0 && qmp->len + (size_t)n <= MESSAGE_MAX) {
        qmp->len += (size_t)n;
        return true;
    } else if (n < 0 && errno == EINTR) {
        return true;
    } else if (n < 0) {
        report_broken(errp, errno, "read from");
    } else {
        error_setg(errp, n ? "the server's message does not end"
                           : "the server closed the connection");
    }
    return false;
}

/* NULL without an error: nothing came in time, or a signal. */
static json_t *read_message(CtlQmp *qmp, int64_t deadline, Error **errp)
{
    size_t end;
    int ret;

    while (!(end = message_end(qmp))) {
        ret = wait_readable(qmp, deadline, errp);
        if (ret <= 0 || !receive(qmp, errp)) {
            return NULL;
        }
    }
    return take_message(qmp, end, errp);
}

static bool send_all(CtlQmp *qmp, const char *text, size_t len, Error **errp)
{
    while (len) {
        ssize_t n = send(qmp->fd, text, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) {
            report_broken(errp, errno, "write to");
            return false;
        } else if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* ---- commands and events ---- */

static void keep_event(CtlQmp *qmp, json_t *event)
{
    if (json_array_size(qmp->events) == EVENTS_MAX) {
        json_array_remove(qmp->events, 0);
    }
    json_array_append_new(qmp->events, event);
}

/* A server that cannot make out what it was sent cannot tell its id. */
static bool is_reply(const CtlQmp *qmp, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");

    return id ? json_integer_value(id) == qmp->id : json_object_get(message, "error") != NULL;
}

/* The answer to the last command; events that come before it are kept. */
static json_t *read_reply(CtlQmp *qmp, Error **errp)
{
    int64_t deadline = deadline_of(qmp->timeout_ms);
    Error *err = NULL;

    for (;;) {
        json_t *message = read_message(qmp, deadline, &err);

        if (err) {
            error_propagate(errp, err);
            return NULL;
        } else if (!message && deadline >= 0 && now_ms() >= deadline) {
            error_setg(errp, "the server did not answer in %g s", qmp->timeout_ms / 1000.0);
            qmp->late = true;
            return NULL;
        } else if (json_object_get(message, "event")) {
            keep_event(qmp, message);
        } else if (is_reply(qmp, message)) {
            return message;
        } else {
            json_decref(message);
        }
    }
}

/* The whole answer; NULL: errp is set. */
static json_t *ask(CtlQmp *qmp, const char *how, const char *command, json_t *args, Error **errp)
{
    json_t *request = json_pack("{s:s, s:O, s:I}", how, command, "arguments", args,
                                "id", ++qmp->id);
    auto_free char *text = xalloc_check(json_dumps(request, JSON_COMPACT));
    json_t *reply;

    qmp->late = false;
    reply = send_all(qmp, text, strlen(text), errp) ? read_reply(qmp, errp) : NULL;
    if (!reply) {
        error_prepend(errp, "%s: ", command);
    }
    json_decref(request);
    return reply;
}

/* Which commands can be run out of band differs among servers. */
static json_t *ask_soonest(CtlQmp *qmp, const char *command, json_t *args, Error **errp)
{
    json_t *reply = NULL;

    if (qmp->oob && ctl_oob_allowed(command)) {
        reply = ask(qmp, "exec-oob", command, args, errp);
        if (!ctl_oob_refused(reply)) {
            return reply;
        }
        json_decref(reply);
    }
    return ask(qmp, "execute", command, args, errp);
}

json_t *ctl_qmp_execute(CtlQmp *qmp, const char *command, json_t *args, json_t **refusal,
                        Error **errp)
{
    json_t *reply, *result;

    *refusal = NULL;
    args = args ? args : json_object();
    reply = ask_soonest(qmp, command, args, errp);
    json_decref(args);
    if (!reply) {
        return NULL;
    }
    result = json_incref(json_object_get(reply, "return"));
    if (!result) {
        *refusal = json_incref(json_object_get(reply, "error"));
    }
    json_decref(reply);
    if (!result && !*refusal) {
        error_setg(errp, "%s: the server's answer has neither a result nor an error", command);
    }
    return result;
}

bool ctl_qmp_is_late(const CtlQmp *qmp)
{
    return qmp->late;
}

int ctl_qmp_set_timeout(CtlQmp *qmp, int timeout_ms)
{
    int before = qmp->timeout_ms;

    qmp->timeout_ms = timeout_ms;
    return before;
}

json_t *ctl_qmp_event(CtlQmp *qmp, int timeout_ms, Error **errp)
{
    json_t *message;

    if (json_array_size(qmp->events) > 0) {
        message = json_incref(json_array_get(qmp->events, 0));
        json_array_remove(qmp->events, 0);
        return message;
    }
    message = read_message(qmp, deadline_of(timeout_ms), errp);
    if (message && !json_object_get(message, "event")) {
        json_decref(message);
        message = NULL;
    }
    return message;
}

bool ctl_qmp_wait_end(CtlQmp *qmp)
{
    int64_t deadline = deadline_of(qmp->timeout_ms);
    Error *err = NULL;

    do {
        json_decref(read_message(qmp, deadline, &err));
    } while (!err && (deadline < 0 || now_ms() < deadline));
    if (!err) {
        return false;
    }
    error_free(err);
    return true;
}

/* ---- life ---- */

static int open_socket(const char *path, int timeout_ms, Error **errp)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot make a socket");
        return -1;
    }
    if (strlen(path) >= sizeof(addr.sun_path)) {
        error_setg(errp, "the path of a unix socket has at most %zu bytes",
                   sizeof(addr.sun_path) - 1);
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    /* A server that accepts nobody is given up as one that does not answer. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        error_setg(errp, "%s", errno == EAGAIN ? "the server does not answer" : strerror(errno));
        return -1;
    }
    return take_fd(&fd);
}

/* A server that lets us in greets; one that does not says why. */
static bool read_greeting(CtlQmp *qmp, int timeout_ms, bool *oob, Error **errp)
{
    Error *err = NULL;
    json_t *greeting = read_message(qmp, deadline_of(timeout_ms), &err);
    const json_t *refusal = json_object_get(greeting, "error");
    bool good = json_object_get(greeting, "QMP") != NULL;

    *oob = ctl_oob_offered(greeting);
    if (err) {
        error_propagate(errp, err);
    } else if (!greeting) {
        error_setg(errp, "the server does not answer");
    } else if (refusal) {
        error_setg(errp, "%s", ctl_str(refusal, "desc"));
    } else if (!good) {
        report_stranger(errp);
    }
    json_decref(greeting);
    return good;
}

static bool negotiate(CtlQmp *qmp, int timeout_ms, Error **errp)
{
    json_t *result, *refusal;
    bool oob;

    if (!read_greeting(qmp, timeout_ms, &oob, errp)) {
        return false;
    }
    result = ctl_qmp_execute(qmp, "qmp_capabilities",
                             oob ? json_pack("{s:[s]}", "enable", "oob") : NULL, &refusal, errp);
    if (refusal) {
        error_setg(errp, "qmp_capabilities: %s", ctl_str(refusal, "desc"));
        json_decref(refusal);
    }
    qmp->oob = oob;
    json_decref(result);
    return result != NULL;
}

CtlQmp *ctl_qmp_connect(const char *path, int timeout_ms, Error **errp)
{
    int greeting_ms = timeout_ms < 0 ? GREETING_MS : timeout_ms;
    int fd = open_socket(path, greeting_ms, errp);
    CtlQmp *qmp;

    if (fd < 0) {
        return NULL;
    }
    qmp = xcalloc(1, sizeof(*qmp));
    qmp->fd = fd;
    qmp->timeout_ms = timeout_ms;
    qmp->events = json_array();
    if (!negotiate(qmp, greeting_ms, errp)) {
        ctl_qmp_close(qmp);
        return NULL;
    }
    return qmp;
}

void ctl_qmp_close(CtlQmp *qmp)
{
    if (qmp) {
        close(qmp->fd);
        json_decref(qmp->events);
        free(qmp->buf);
        free(qmp);
    }
}
