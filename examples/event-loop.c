/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * event-loop IMAGE IDLE-MS
 *
 * A program with an event loop of its own.  Each line of standard input (a pipe
 * or a terminal) is an offset; the answer is the text there, at most 16 bytes,
 * in the order in which the reads end.  After the last answer, or when nothing
 * came in for IDLE-MS, it ends.  It shows the four things that an AioContext
 * runs: handlers of file descriptors, timers, bottom halves and completions.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>

typedef struct Program {
    AioContext *ctx;
    BlockBackend *blk;
    QEMUTimer *idle;
    int64_t idle_ms;
    QEMUBH *finish;       /* run when input and answers have ended */
    char line[32];
    size_t line_len;
    int requests;
    bool end_of_input;
    bool finished;
} Program;

typedef struct Answer {
    Program *program;
    int64_t offset;
    char data[17];        /* ends with a zero that no read touches */
    struct iovec iov;
    QEMUIOVector qiov;
} Answer;

static void answer(void *opaque, int ret)
{
    Answer *a = opaque;
    Program *p = a->program;

    printf("%" PRId64 ": %s\n", a->offset, ret < 0 ? strerror(-ret) : a->data);
    free(a);
    if (--p->requests == 0 && p->end_of_input) {
        qemu_bh_schedule(p->finish);
    }
}

static void ask(Program *p, int64_t offset)
{
    Answer *a = calloc(1, sizeof(*a));

    if (!a) {
        abort();
    }
    a->program = p;
    a->offset = offset;
    a->iov.iov_base = a->data;
    a->iov.iov_len = sizeof(a->data) - 1;
    qemu_iovec_init_external(&a->qiov, &a->iov, 1);
    p->requests++;
    blk_aio_preadv(p->blk, offset, &a->qiov, 0, answer, a);
}

static void rearm_idle(Program *p)
{
    timer_mod(p->idle, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) / SCALE_MS + p->idle_ms);
}

/* Reads no more than is there: a handler must not block the loop. */
static void input_ready(void *opaque)
{
    Program *p = opaque;
    char c;

    if (read(STDIN_FILENO, &c, 1) <= 0) {
        aio_set_fd_handler(p->ctx, STDIN_FILENO, true, NULL, NULL, NULL);
        p->end_of_input = true;
        if (p->requests == 0) {
            qemu_bh_schedule(p->finish);
        }
        return;
    }
    rearm_idle(p);
    if (c != '\n') {
        p->line[p->line_len] = c;
        p->line_len += p->line_len < sizeof(p->line) - 1;
        return;
    }
    p->line[p->line_len] = '\0';
    p->line_len = 0;
    ask(p, strtoll(p->line, NULL, 10));
}

static void finish(void *opaque)
{
    ((Program *)opaque)->finished = true;
}

static void idle_too_long(void *opaque)
{
    printf("idle\n");
    finish(opaque);
}

int main(int argc, char **argv)
{
    Program p = { 0 };

    if (argc != 3) {
        fprintf(stderr, "usage: event-loop IMAGE IDLE-MS\n");
        return 2;
    }
    qemu_init_main_loop(&error_fatal);
    p.ctx = qemu_get_aio_context();
    p.blk = blk_new_open(argv[1], NULL, NULL, 0, &error_fatal);
    p.idle_ms = strtoll(argv[2], NULL, 10);
    p.idle = aio_timer_new(p.ctx, QEMU_CLOCK_REALTIME, SCALE_MS, idle_too_long, &p);
    p.finish = aio_bh_new(p.ctx, finish, &p);
    aio_set_fd_handler(p.ctx, STDIN_FILENO, true, input_ready, NULL, &p);
    rearm_idle(&p);

    while (!p.finished) {
        aio_poll(p.ctx, true);
    }

    aio_set_fd_handler(p.ctx, STDIN_FILENO, true, NULL, NULL, NULL);
    blk_drain(p.blk);         /* answers that are still to come use p */
    blk_unref(p.blk);
    qemu_bh_delete(p.finish);
    timer_free(p.idle);
    return 0;
}
