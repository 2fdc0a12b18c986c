/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event loop, on both engines: bottom halves, timers, descriptors, wake-ups, the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aio/aio-int.h"
#include "aio/file-io.h"

static AioContext *ctx;

static int setup(void **state)
{
    assert_int_equal(aio_set_engine(*state, &error_abort), 0);
    ctx = aio_context_new(&error_abort);
    assert_string_equal(aio_context_engine(ctx), *state);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aio_context_unref(ctx);
    return 0;
}

/* ---- bottom halves ---- */

static char trace[64];

static void add_to_trace(void *opaque)
{
    strcat(trace, opaque);
}

static void bhs_run_once_in_order_of_scheduling(void **state)
{
    QEMUBH *a = aio_bh_new(ctx, add_to_trace, (void *)"a");
    QEMUBH *b = aio_bh_new(ctx, add_to_trace, (void *)"b");
    QEMUBH *c = aio_bh_new(ctx, add_to_trace, (void *)"c");

    (void)state;
    trace[0] = 0;
    qemu_bh_schedule(b);
    qemu_bh_schedule(a);
    qemu_bh_schedule(c);
    qemu_bh_schedule(b);
    qemu_bh_cancel(c);
    assert_true(aio_poll(ctx, true));
    assert_false(aio_poll(ctx, false));
    assert_string_equal(trace, "ba");
    qemu_bh_delete(a);
    qemu_bh_delete(b);
    qemu_bh_delete(c);
    aio_bh_schedule_oneshot(ctx, add_to_trace, (void *)"1");
    assert_true(aio_poll(ctx, false));
    assert_string_equal(trace, "ba1");
}

static void nested(void *opaque)
{
    strcat(trace, "(");
    while (aio_poll(ctx, false)) {
    }
    strcat(trace, opaque);
}

static void nested_poll_runs_what_the_outer_round_has_left(void **state)
{
    (void)state;
    trace[0] = 0;
    aio_bh_schedule_oneshot(ctx, nested, (void *)")");
    aio_bh_schedule_oneshot(ctx, add_to_trace, (void *)"x");
    aio_poll(ctx, false);
    assert_string_equal(trace, "(x)");
}

/* ---- timers ---- */

static void timers_fire_in_order_of_deadline(void **state)
{
    QEMUTimer *t[3];
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    (void)state;
    trace[0] = 0;
    t[0] = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS, add_to_trace, (void *)"a");
    t[1] = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_US, add_to_trace, (void *)"b");
    t[2] = aio_timer_new(ctx, QEMU_CLOCK_REALTIME, SCALE_NS, add_to_trace, (void *)"c");
    timer_mod(t[0], now + 4000000);
    timer_mod(t[1], (now + 2000000) / 1000);
    timer_mod(t[2], now + 3000000);
    timer_del(t[2]);
    assert_true(timer_pending(t[0]));
    assert_false(timer_pending(t[2]));
    while (strlen(trace) < 2) {
        aio_poll(ctx, true);
    }
    assert_string_equal(trace, "ba");
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) >= now + 4000000);
    for (int i = 0; i < 3; i++) {
        timer_free(t[i]);
    }
}

static int64_t stepped_now;

static int64_t stepped_clock(void *opaque)
{
    (void)opaque;
    return stepped_now;
}

static void virtual_clock_can_be_stepped(void **state)
{
    QEMUTimer *t;

    (void)state;
    trace[0] = 0;
    stepped_now = 0;
    blkbackend_set_clock(stepped_clock, NULL);
    t = aio_timer_new(ctx, QEMU_CLOCK_VIRTUAL, SCALE_MS, add_to_trace, (void *)"v");
    timer_mod(t, 3600 * 1000);
    aio_poll(ctx, false);
    assert_string_equal(trace, "");
    stepped_now = 3600ll * 1000 * 1000 * 1000;
    aio_poll(ctx, true);
    assert_string_equal(trace, "v");
    timer_free(t);
    blkbackend_set_clock(NULL, NULL);
}

/* ---- descriptors ---- */

static int reads;

static void read_some(void *opaque)
{
    char byte;

    reads++;
    assert_int_equal(read(*(int *)opaque, &byte, 1), 1);
}

static void handlers_are_level_triggered(void **state)
{
    int fds[2];

    (void)state;
    reads = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    aio_set_fd_handler(ctx, fds[0], true, read_some, NULL, &fds[0]);
    aio_poll(ctx, false);
    assert_int_equal(reads, 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    while (reads < 3) {
        aio_poll(ctx, true);
    }
    aio_poll(ctx, false);
    assert_int_equal(reads, 3);

    /* External handlers rest while they are disabled, and find their event afterwards. */
    aio_disable_external(ctx);
    assert_int_equal(write(fds[1], "d", 1), 1);
    for (int i = 0; i < 10; i++) {
        aio_poll(ctx, false);
    }
    assert_int_equal(reads, 3);
    aio_enable_external(ctx);
    while (reads < 4) {
        aio_poll(ctx, true);
    }

    aio_set_fd_handler(ctx, fds[0], true, NULL, NULL, NULL);
    assert_int_equal(write(fds[1], "e", 1), 1);
    for (int i = 0; i < 10; i++) {
        aio_poll(ctx, false);
    }
    assert_int_equal(reads, 4);
    close(fds[0]);
    close(fds[1]);
}

static void delete_myself(void *opaque)
{
    reads++;
    aio_set_fd_handler(ctx, *(int *)opaque, true, NULL, NULL, NULL);
}

static void a_handler_may_remove_itself(void **state)
{
    int fds[2];
    char byte;

    (void)state;
    reads = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    aio_set_fd_handler(ctx, fds[0], true, delete_myself, delete_myself, &fds[0]);
    assert_int_equal(write(fds[1], "x", 1), 1);
    while (reads == 0) {
        aio_poll(ctx, true);
    }
    for (int i = 0; i < 10; i++) {
        aio_poll(ctx, false);
    }
    assert_int_equal(reads, 1);
    /* The loop has let go of the socket: its peer sees it closed. */
    close(fds[0]);
    aio_poll(ctx, false);
    assert_int_equal(read(fds[1], &byte, 1), -1);
    close(fds[1]);
}

/* ---- threads ---- */

static void *notify_later(void *opaque)
{
    aio_bh_schedule_oneshot(opaque, add_to_trace, (void *)"n");
    return NULL;
}

static void another_thread_wakes_a_sleeping_loop(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;

        trace[0] = 0;
        assert_int_equal(pthread_create(&thread, NULL, notify_later, ctx), 0);
        while (!trace[0]) {
            aio_poll(ctx, true);
        }
        pthread_join(thread, NULL);
    }
}

static atomic_bool stop;
static int shared_counter;           /* under the context's lock */

static void *run_loop(void *opaque)
{
    while (!atomic_load(&stop)) {
        aio_poll(opaque, true);
    }
    return NULL;
}

static void count(void *opaque)
{
    (void)opaque;
    shared_counter++;
}

static void acquiring_keeps_the_loop_out(void **state)
{
    pthread_t thread;

    (void)state;
    atomic_store(&stop, false);
    shared_counter = 0;
    assert_int_equal(pthread_create(&thread, NULL, run_loop, ctx), 0);
    for (int i = 0; i < 300; i++) {
        int before;

        aio_context_acquire(ctx);
        before = shared_counter;
        aio_bh_schedule_oneshot(ctx, count, NULL);
        aio_notify(ctx);
        assert_int_equal(shared_counter, before);
        /* Who holds it may poll it himself, while the owner was asleep in it. */
        while (shared_counter == before) {
            aio_poll(ctx, true);
        }
        assert_int_equal(shared_counter, before + 1);
        aio_context_release(ctx);
    }
    atomic_store(&stop, true);
    aio_notify(ctx);
    pthread_join(thread, NULL);
}

/* ---- file I/O in coroutines ---- */

static int file_fd;
static int files_done;

static void coroutine_fn file_entry(void *opaque)
{
    char out[512], in[1024] = { 0 };
    int64_t offset = (intptr_t)opaque;
    struct iovec iov = { out, sizeof(out) }, two[2] = { { in, 100 }, { in + 100, 900 } };

    memset(out, (int)(1 + offset / 512 % 250), sizeof(out));
    assert_int_equal(aio_co_pwritev(file_fd, &iov, 1, offset, 0), 512);
    assert_int_equal(aio_co_fdatasync(file_fd), 0);
    assert_true(aio_co_preadv(file_fd, two, 2, offset) >= 512);
    assert_memory_equal(in, out, 512);
    files_done++;
}

static void file_requests_of_many_coroutines(void **state)
{
    char name[] = "/tmp/test-aio-XXXXXX";

    (void)state;
    file_fd = mkstemp(name);
    unlink(name);
    files_done = 0;
    aio_context_acquire(ctx);
    for (intptr_t i = 0; i < 600; i++) {
        aio_co_start(ctx, qemu_coroutine_create(file_entry), (void *)(i * 512));
    }
    aio_context_release(ctx);
    while (files_done < 600) {
        aio_poll(ctx, true);
    }
    close(file_fd);
}

static void coroutine_fn sleeper(void *opaque)
{
    qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, (intptr_t)opaque * 1000000);
    files_done++;
}

static int add_one(void *opaque)
{
    return *(int *)opaque + 1;
}

static void coroutine_fn offloader(void *opaque)
{
    int n = 41;

    *(int *)opaque = aio_co_run_in_thread(add_one, &n);
}

static void coroutines_sleep_and_offload(void **state)
{
    int result = 0;

    (void)state;
    files_done = 0;
    aio_co_start(ctx, qemu_coroutine_create(sleeper), (void *)2);
    aio_co_start(ctx, qemu_coroutine_create(sleeper), (void *)1);
    aio_co_start(ctx, qemu_coroutine_create(offloader), &result);
    while (files_done < 2 || result != 42) {
        aio_poll(ctx, true);
    }
}

#define ON(engine, test) \
    { #test " [" engine "]", test, setup, teardown, (void *)(uintptr_t)engine }
#define BOTH(test) ON("io_uring", test), ON("threads", test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(bhs_run_once_in_order_of_scheduling),
        BOTH(nested_poll_runs_what_the_outer_round_has_left),
        BOTH(timers_fire_in_order_of_deadline),
        BOTH(virtual_clock_can_be_stepped),
        BOTH(handlers_are_level_triggered),
        BOTH(a_handler_may_remove_itself),
        BOTH(another_thread_wakes_a_sleeping_loop),
        BOTH(acquiring_keeps_the_loop_out),
        BOTH(file_requests_of_many_coroutines),
        BOTH(coroutines_sleep_and_offload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
