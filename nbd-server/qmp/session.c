/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client of the control socket.
 *
 *   bytes - values - commands, one at a time, each a job - replies
 *
 * Its commands are answered in the order they came in, and none is taken while one runs or while
 * too much waits to be sent: then the socket is not read, and the client has to wait.
 */
#include "qmp-int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json-scan.h"

#define MAX_MESSAGE (1u << 20)      /* bytes of a command */
#define MAX_UNSENT (1u << 20)       /* bytes: no further command is taken past it */
#define READ_SIZE (16u << 10)
#define MESSAGES_A_TURN 16          /* of the main loop, which has others to serve */

struct QmpSession {
    Server *server;
    int fd;                         /* -1: it has ended */
    struct ucred peer;
    unsigned refs;                  /* the socket; each use that may see it closed */
    bool ready;                     /* it has negotiated */
    bool at_end;                    /* the client says no more */
    char input[READ_SIZE];
    size_t input_pos, input_len;    /* what of it is still to be looked at */
    JsonScan scan;
    char *message;                  /* the value so far */
    size_t message_len, message_size;
    bool skipping;                  /* it was refused: the rest of it is of no use */
    QmpOutput out;
    QEMUBH *bh;                     /* goes on with the input and the output */
    Job job;
    bool busy;                      /* the job waits or runs */
    QmpRequest request;             /* of the job */
    const QmpCommand *command;      /* of the job */
    const char *error_class;
};

/* ---- for commands ---- */

Server *qmp_session_server(QmpSession *s)
{
    return s->server;
}

void qmp_set_error_class(QmpSession *s, const char *error_class)
{
    s->error_class = error_class;
}

bool qmp_session_is_ready(const QmpSession *s)
{
    return s->ready;
}

void qmp_session_set_ready(QmpSession *s)
{
    s->ready = true;
    atomic_fetch_add(&s->server->qmp_listeners, 1);
}

/* ---- the end ---- */

static void session_unref(QmpSession *s)
{
    if (--s->refs == 0) {
        qmp_output_clear(&s->out);
        free(s->message);
        free(s);
    }
}

static void session_close(QmpSession *s)
{
    if (s->fd < 0) {
        return;
    }
    aio_set_fd_handler(qemu_get_aio_context(), s->fd, false, NULL, NULL, NULL);
    close(s->fd);
    s->fd = -1;
    qemu_bh_delete(s->bh);
    if (s->ready) {
        atomic_fetch_sub(&s->server->qmp_listeners, 1);
    }
    qmp_session_gone(s);
    session_unref(s);
}

/* ---- output ---- */

static void send_line(QmpSession *s, json_t *line)
{
    QmpText *text = qmp_text_new(line);

    if (!text || !qmp_output_add(&s->out, text)) {
        session_close(s);
    }
    qmp_text_unref(text);
}

static void send_error(QmpSession *s, const char *error_class, Error *err, json_t *id)
{
    send_line(s, qmp_error_reply(error_class, err, id));
    error_free(err);
}

void qmp_session_event(QmpSession *s, QmpText *text)
{
    qmp_output_add_event(&s->out, text);
    qemu_bh_schedule(s->bh);
}

void qmp_session_lose(QmpSession *s, uint64_t events)
{
    qmp_output_lose(&s->out, events);
    qemu_bh_schedule(s->bh);
}

/* In the place where the events would have been. */
static void tell_lost(QmpSession *s)
{
    uint64_t lost = qmp_output_take_lost(&s->out);

    if (lost) {
        send_line(s, qmp_event_line("X_EVENTS_LOST",
                                    json_pack("{s:I}", "count", (json_int_t)lost),
                                    qemu_clock_get_ns(QEMU_CLOCK_HOST) / SCALE_US));
    }
}

static void session_flush(QmpSession *s)
{
    if (s->fd >= 0 && qmp_output_write(&s->out, s->fd) < 0) {
        session_close(s);
    }
    if (s->fd >= 0) {
        tell_lost(s);
    }
}

/* ---- commands ---- */

static void run_command(void *opaque)
{
    QmpSession *s = opaque;
    Error *err = NULL;
    json_t *result;

    if (s->fd >= 0) {
        s->error_class = "GenericError";
        result = s->command->run(s, s->request.args, &err);
        qmp_audit(&s->peer, &s->request, err);
        if (s->fd < 0) {
            json_decref(result);
            error_free(err);
        } else if (result) {
            send_line(s, qmp_reply(result, s->request.id));
        } else {
            send_error(s, s->error_class, err, s->request.id);
        }
    }
    qmp_request_clear(&s->request);
    s->busy = false;
    if (s->fd >= 0) {
        qemu_bh_schedule(s->bh);
    }
    session_unref(s);
}

/* Which command it is, and whether it can be had as it stands; NULL: errp and the class are set. */
static const QmpCommand *find_command(QmpSession *s, Error **errp)
{
    const char *name = s->request.execute;
    const bool negotiates = strcmp(name, "qmp_capabilities") == 0;
    const QmpCommand *command;

    s->error_class = "CommandNotFound";
    if (!s->ready && !negotiates) {
        error_setg(errp, "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (s->ready && negotiates) {
        error_setg(errp, "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    command = qmp_schema_find(name, errp);
    if (!command) {
        return NULL;
    }
    s->error_class = "GenericError";
    return qmp_schema_check_args(command, s->request.args, errp) ? command : NULL;
}

static void forget_message(QmpSession *s)
{
    free(s->message);
    s->message = NULL;
    s->message_len = s->message_size = 0;
}

/* While a command runs, or what follows it, the main loop may come by the next message. */
static void take_message(QmpSession *s)
{
    Error *err = NULL;

    s->error_class = "GenericError";
    if (qmp_request_parse(&s->request, s->message, s->message_len, &err)) {
        s->command = find_command(s, &err);
    }
    forget_message(s);
    if (err) {
        if (s->request.execute) {
            qmp_audit(&s->peer, &s->request, err);
        }
        send_error(s, s->error_class, err, s->request.id);
        qmp_request_clear(&s->request);
        return;
    }
    s->busy = true;
    s->refs++;
    jobs_run(&s->server->jobs, &s->job);
}

/* ---- input ---- */

/* Says why; the rest of the value is still to be passed by. */
static void refuse_message(QmpSession *s, Error *err)
{
    if (s->skipping) {
        error_free(err);
        return;
    }
    s->skipping = true;
    forget_message(s);
    send_error(s, "GenericError", err, NULL);
}

static void keep(QmpSession *s, const char *bytes, size_t len)
{
    Error *err = NULL;
    size_t need = s->message_len + len;
    char *larger;

    if (s->skipping) {
        return;
    }
    if (need > MAX_MESSAGE) {
        error_setg(&err, "JSON parse error, a command is longer than %u bytes", MAX_MESSAGE);
        refuse_message(s, err);
        return;
    }
    if (need > s->message_size) {
        larger = realloc(s->message, 2 * need);
        if (!larger) {
            error_setg(&err, "out of memory");
            refuse_message(s, err);
            return;
        }
        s->message = larger;
        s->message_size = 2 * need;
    }
    memcpy(s->message + s->message_len, bytes, len);
    s->message_len = need;
}

/* One step through the input, at most to the end of a value. */
static void look_at_input(QmpSession *s)
{
    const char *bytes = s->input + s->input_pos;
    Error *err = NULL;
    size_t used;
    enum json_scan found = json_scan(&s->scan, bytes, s->input_len - s->input_pos, &used);

    s->input_pos += used;
    if (found == JSON_SCAN_MORE && !s->scan.inside) {
        return;      /* nothing but spaces */
    }
    keep(s, bytes, used);
    if (found == JSON_SCAN_DEEP) {
        error_setg(&err, "JSON parse error, more than %u brackets within each other",
                   JSON_SCAN_MAX_DEPTH);
        refuse_message(s, err);
    } else if (found == JSON_SCAN_STRAY) {
        error_setg(&err, "JSON parse error, stray byte 0x%02x after %zu others; what came before "
                   "it is dropped", (unsigned char)bytes[used - 1],
                   s->message_len ? s->message_len - 1 : 0);
        refuse_message(s, err);
    } else if (found == JSON_SCAN_END && !s->skipping) {
        take_message(s);
        return;
    }
    if (found == JSON_SCAN_END || found == JSON_SCAN_STRAY) {
        s->skipping = false;
        forget_message(s);
    }
}

/* ---- the loop ---- */

static bool may_take(const QmpSession *s)
{
    return s->fd >= 0 && !s->busy && s->out.bytes < MAX_UNSENT;
}

static bool has_input(const QmpSession *s)
{
    return s->input_pos < s->input_len;
}

static void session_readable(void *opaque);
static void session_go_on(void *opaque);

/* What it waits for now. */
static void session_wait(QmpSession *s)
{
    bool reads = may_take(s) && !s->at_end && !has_input(s);

    if (s->fd >= 0) {
        aio_set_fd_handler(qemu_get_aio_context(), s->fd, false, reads ? session_readable : NULL,
                           s->out.bytes ? session_go_on : NULL, s);
    }
}

static void session_go_on(void *opaque)
{
    QmpSession *s = opaque;

    s->refs++;
    for (unsigned n = 0; n < MESSAGES_A_TURN && may_take(s) && has_input(s); n++) {
        look_at_input(s);
    }
    session_flush(s);
    if (may_take(s) && has_input(s)) {
        qemu_bh_schedule(s->bh);
    } else if (s->at_end && !s->busy && !s->out.bytes) {
        session_close(s);
    }
    session_wait(s);
    session_unref(s);
}

static void session_readable(void *opaque)
{
    QmpSession *s = opaque;
    ssize_t n = recv(s->fd, s->input, sizeof(s->input), MSG_DONTWAIT);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            session_close(s);
        }
        return;
    }
    s->at_end = n == 0;
    s->input_pos = 0;
    s->input_len = (size_t)n;
    session_go_on(s);
}

/* ---- the beginning, and an end from outside ---- */

QmpSession *qmp_session_new(Server *server, int fd, const struct ucred *peer)
{
    QmpSession *s = calloc(1, sizeof(*s));

    if (!s) {
        close(fd);
        return NULL;
    }
    s->server = server;
    s->fd = fd;
    s->peer = *peer;
    s->refs = 1;
    s->job = (Job){ .func = run_command, .opaque = s };
    s->bh = aio_bh_new(qemu_get_aio_context(), session_go_on, s);
    qmp_output_init(&s->out);
    return s;
}

void qmp_session_start(QmpSession *s)
{
    s->refs++;
    send_line(s, qmp_greeting());
    session_flush(s);
    session_wait(s);
    session_unref(s);
}

void qmp_session_stop(QmpSession *s)
{
    s->refs++;
    session_flush(s);
    session_close(s);
    session_unref(s);
}
