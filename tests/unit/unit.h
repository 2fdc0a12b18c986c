/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What unit tests share: cmocka, threads that run a loop, code that must end its process. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <blkbackend/aio.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#endif

/* ---- a thread that runs an AioContext until it is told to stop ---- */

typedef struct LoopThread {
    pthread_t thread;
    AioContext *ctx;
    atomic_bool stop;
} LoopThread;

static inline void *loop_thread_run(void *opaque)
{
    LoopThread *loop = opaque;

    while (!atomic_load(&loop->stop)) {
        aio_poll(loop->ctx, true);
    }
    return NULL;
}

static inline void loop_thread_start(LoopThread *loop)
{
    loop->ctx = aio_context_new(&error_abort);
    atomic_init(&loop->stop, false);
    assert_int_equal(pthread_create(&loop->thread, NULL, loop_thread_run, loop), 0);
}

static inline void loop_thread_stop(LoopThread *loop)
{
    atomic_store(&loop->stop, true);
    aio_notify(loop->ctx);
    assert_int_equal(pthread_join(loop->thread, NULL), 0);
    aio_context_unref(loop->ctx);
}

/* ---- code that must end its process ---- */

/* The wait status of a child that runs fn(); its output is dropped. */
static inline int status_of_child(void (*fn)(void))
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        setrlimit(RLIMIT_CORE, &no_core);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* A sanitizer may turn the signal into an exit status of its own. */
static inline void assert_dies(void (*fn)(void))
{
    int status = status_of_child(fn);

    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

#endif
