/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client of the control socket.
 *
 *   bytes - values - calls, one at a time, each a job - replies
 *                  \ calls out of band, at once     /
 *
 * Its calls are answered in the order they came in.  None is taken while one is at work, or while
 * too much waits to be sent: then the socket is not read, and the client has to wait.
 *
 * With the capability "oob" some may wait behind the one that is at work, so that what comes behind
 * them, to be run out of band, is seen.
 */
#include "qmp-int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "input.h"

#define MAX_WAITING 8               /* calls behind the one at work: QEMU's clients count on them */
#define MAX_WAITING_BYTES (1u << 20)
#define MAX_UNSENT (1u << 20)       /* bytes: no further call is taken past it */
#define MESSAGES_A_TURN 16          /* of the main loop, which has others to serve */

/* A command, from the request to its reply. */
typedef struct Call {
    QmpRequest request;
    size_t bytes;                   /* of that */
    const QmpCommand *command;      /* NULL: err says why it is not to be had */
    Error *err;
    const char *error_class;
    STAILQ_ENTRY(Call) link;
} Call;

struct QmpSession {
    Server *server;
    int fd;                         /* -1: it has ended */
    struct ucred peer;
    unsigned refs;                  /* the socket; jobs that wait or run; who may see its end */
    bool ready;                     /* it has negotiated */
    bool oob;                       /* and may have calls run out of band */
    bool at_end;                    /* the client says no more */
    QmpInput input;
    QmpOutput out;
    QEMUBH *bh;                     /* goes on with the input and the output */
    STAILQ_HEAD(, Call) calls;      /* the first one is at work, or about to be */
    unsigned n_calls;
    size_t call_bytes;
    Job job;                        /* runs the first of them */
    Call *urgent;                   /* is run without waiting for others; or NULL */
    Job urgent_job;
    Call *current;                  /* whose command runs: the innermost one */
};

/* ---- for commands ---- */

Server *qmp_session_server(QmpSession *s)
{
    return s->server;
}

void qmp_set_error_class(QmpSession *s, const char *error_class)
{
    s->current->error_class = error_class;
}

bool qmp_session_is_ready(const QmpSession *s)
{
    return s->ready;
}

void qmp_session_set_ready(QmpSession *s, bool oob)
{
    s->ready = true;
    s->oob = oob;
    atomic_fetch_add(&s->server->qmp_listeners, 1);
}

/* ---- the end ---- */

static void session_unref(QmpSession *s)
{
    if (--s->refs == 0) {
        qmp_output_clear(&s->out);
        qmp_input_forget(&s->input);
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

/* ---- waiting ---- */

static bool may_take(const QmpSession *s)
{
    return s->fd >= 0 && !s->urgent && s->out.bytes < MAX_UNSENT &&
           (s->n_calls == 0 || (s->oob && s->n_calls <= MAX_WAITING &&
                                s->call_bytes < MAX_WAITING_BYTES));
}

static void session_readable(void *opaque);
static void session_go_on(void *opaque);

/* Registers what it waits for now.  Before a command is begun, too: that may run the main loop, and
 * input that is not to be read yet must not be. */
static void session_wait(QmpSession *s)
{
    bool takes = may_take(s), has_bytes = qmp_input_has_bytes(&s->input);

    if (s->fd < 0) {
        return;
    }
    if (takes && has_bytes) {
        qemu_bh_schedule(s->bh);
    }
    aio_set_fd_handler(qemu_get_aio_context(), s->fd, false,
                       takes && !has_bytes && !s->at_end ? session_readable : NULL,
                       s->out.bytes ? session_go_on : NULL, s);
}

/* ---- calls ---- */

static void call_free(Call *call)
{
    qmp_request_clear(&call->request);
    error_free(call->err);
    free(call);
}

/* Its command is done, or call->err was set. */
static void audit(const QmpSession *s, const Call *call)
{
    if (call->request.execute) {
        qmp_audit(&s->peer, &call->request, call->err);
    }
}

/* The same, and result is what it has returned. */
static void answer(QmpSession *s, Call *call, json_t *result)
{
    audit(s, call);
    if (s->fd < 0) {
        json_decref(result);
    } else if (result) {
        send_line(s, qmp_reply(result, call->request.id));
    } else {
        send_line(s, qmp_error_reply(call->error_class, call->err, call->request.id));
    }
}

/* Nothing if the session has ended. */
static void run_call(QmpSession *s, Call *call)
{
    Call *outer = s->current;
    json_t *result = NULL;

    if (s->fd >= 0) {
        if (call->command) {
            s->current = call;
            result = call->command->run(s, call->request.args, &call->err);
            s->current = outer;
        }
        answer(s, call, result);
    }
    call_free(call);
    if (s->fd >= 0) {
        qemu_bh_schedule(s->bh);
    }
}

/* Nobody waits for what it would do any more, and it may take as long as storage hangs. */
static void refuse_at_end(const QmpSession *s, Call *call)
{
    if (call->command && s->server->stopping) {
        call->command = NULL;
        error_setg(&call->err, "The command %s is not run: the server is ending",
                   call->request.execute);
    }
}

static void run_urgent(void *opaque)
{
    QmpSession *s = opaque;

    run_call(s, s->urgent);
    s->urgent = NULL;
    session_unref(s);
}

static void run_first(void *opaque)
{
    QmpSession *s = opaque;
    Call *call = STAILQ_FIRST(&s->calls);
    size_t bytes = call->bytes;

    STAILQ_REMOVE_HEAD(&s->calls, link);
    refuse_at_end(s, call);
    if (call->command) {
        exports_close_unused(s->server);      /* so that there are none but those in use */
    }
    run_call(s, call);
    s->n_calls--;
    s->call_bytes -= bytes;
    if (s->n_calls > 0) {
        jobs_run(&s->server->jobs, &s->job);
    } else {
        session_unref(s);
    }
}

/* Which command it is, and whether it can be had as it stands; NULL: call->err is set. */
static const QmpCommand *find_command(const QmpSession *s, Call *call)
{
    const char *name = call->request.execute;
    const bool negotiates = strcmp(name, "qmp_capabilities") == 0;
    const QmpCommand *command;

    call->error_class = "CommandNotFound";
    if (!s->ready && !negotiates) {
        error_setg(&call->err, "Expecting capabilities negotiation with 'qmp_capabilities'");
        return NULL;
    }
    if (s->ready && negotiates && !call->request.oob) {
        error_setg(&call->err, "Capabilities negotiation is already complete, command ignored");
        return NULL;
    }
    command = qmp_schema_find(name, &call->err);
    if (!command) {
        return NULL;
    }
    call->error_class = "GenericError";
    if (call->request.oob && !command->allow_oob) {
        error_setg(&call->err, "The command %s does not support OOB", name);
        return NULL;
    }
    return qmp_schema_check_args(command, call->request.args, &call->err) ? command : NULL;
}

/* While a command runs, or what follows it, the main loop may come by the next value. */
static void take_call(QmpSession *s, Call *call)
{
    if (!call->command && (call->request.oob || s->n_calls == 0)) {
        answer(s, call, NULL);
        call_free(call);
    } else if (call->request.oob || !s->ready) {
        s->urgent = call;
        s->refs++;
        session_wait(s);
        jobs_run_urgent(&s->server->jobs, &s->urgent_job);
    } else {
        if (!call->command) {
            audit(s, call);
            qmp_request_keep_id(&call->request);
        }
        STAILQ_INSERT_TAIL(&s->calls, call, link);
        s->call_bytes += call->bytes;
        if (s->n_calls++ == 0) {
            s->refs++;
            session_wait(s);
            jobs_run(&s->server->jobs, &s->job);
        }
    }
}

/* ---- the loop ---- */

/* One step through the input, at most to the end of a value. */
static void look_at_input(QmpSession *s)
{
    Error *err = NULL;
    enum qmp_input found = qmp_input_next(&s->input, &err);
    Call *call;

    if (found == QMP_INPUT_NONE) {
        return;
    }
    call = xcalloc(1, sizeof(*call));
    call->error_class = "GenericError";
    call->err = err;
    if (found == QMP_INPUT_VALUE) {
        call->bytes = s->input.value_len;
        if (qmp_request_parse(&call->request, s->input.value, call->bytes, s->oob, &call->err)) {
            call->command = find_command(s, call);
        }
        qmp_input_forget(&s->input);
    }
    take_call(s, call);
}

static void session_go_on(void *opaque)
{
    QmpSession *s = opaque;

    s->refs++;
    for (unsigned n = 0; n < MESSAGES_A_TURN && may_take(s) && qmp_input_has_bytes(&s->input);
         n++) {
        look_at_input(s);
    }
    session_flush(s);
    if (s->at_end && s->n_calls == 0 && !s->urgent && !s->out.bytes) {
        session_close(s);
    }
    session_wait(s);
    session_unref(s);
}

static void session_readable(void *opaque)
{
    QmpSession *s = opaque;
    ssize_t n = qmp_input_receive(&s->input, s->fd);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            session_close(s);
        }
        return;
    }
    s->at_end = n == 0;
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
    STAILQ_INIT(&s->calls);
    s->job = (Job){ .func = run_first, .opaque = s };
    s->urgent_job = (Job){ .func = run_urgent, .opaque = s };
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
    Call *call;

    s->refs++;
    STAILQ_FOREACH(call, &s->calls, link) {
        refuse_at_end(s, call);
        answer(s, call, NULL);
    }
    session_flush(s);
    session_close(s);
    session_unref(s);
}
