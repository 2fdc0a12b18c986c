/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breakpoints, and ways to wait or to die in the middle of it all. */
#include "tools/io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"

/* ---- breakpoints ----
 * That a request stops and goes on is said in the words of QEMU's blkdebug, which scripts expect
 * between the reports of requests. */

int io_break(Io *io, const IoCommand *command, int argc, char **argv)
{
    int ret = blk_debug_breakpoint(io->blk, argv[1], argv[2]);

    (void)command, (void)argc;
    ret = ret == -EINVAL ? -ENOENT : ret;   /* there is no such event */
    if (ret < 0) {
        printf("Could not set breakpoint: %s\n", strerror(-ret));
    }
    return ret;
}

static void print_resuming(const char *tag)
{
    printf("blkdebug: Resuming request '%s'\n", tag);
}

int io_remove_break(Io *io, const IoCommand *command, int argc, char **argv)
{
    bool resumes = blk_debug_is_suspended(io->blk, argv[1]);
    int ret = blk_debug_remove_breakpoint(io->blk, argv[1]);

    (void)command, (void)argc;
    if (ret < 0) {
        printf("Could not remove breakpoint %s: %s\n", argv[1], strerror(-ret));
    } else if (resumes) {
        print_resuming(argv[1]);
    }
    return ret;
}

int io_resume(Io *io, const IoCommand *command, int argc, char **argv)
{
    int ret = blk_debug_resume(io->blk, argv[1]);

    (void)command, (void)argc;
    if (ret < 0) {
        printf("Could not resume request: %s\n", strerror(-ret));
    } else {
        print_resuming(argv[1]);
    }
    return ret;
}

int io_wait_break(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)command, (void)argc;
    while (!blk_debug_is_suspended(io->blk, argv[1])) {
        main_loop_wait(false);
    }
    printf("blkdebug: Suspended request '%s'\n", argv[1]);
    return 0;
}

/* ---- time and death ---- */

static void time_is_up(void *opaque)
{
    *(bool *)opaque = true;
}

int io_sleep(Io *io, const IoCommand *command, int argc, char **argv)
{
    bool expired = false;
    QEMUTimer *timer;
    char *end;
    long ms;

    (void)io, (void)command, (void)argc;
    errno = 0;
    ms = strtol(argv[1], &end, 0);
    if (ms < 0 || *end || errno || ms > INT64_MAX / 2 / SCALE_MS) {
        printf("%s is not a valid number\n", argv[1]);
        return -EINVAL;
    }
    timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_MS, time_is_up,
                          &expired);
    timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + (int64_t)ms * SCALE_MS);
    while (!expired) {
        main_loop_wait(false);
    }
    timer_free(timer);
    return 0;
}

int io_sigraise(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t number;
    int ret = io_take_size(argv[1], &number);

    (void)io, (void)command, (void)argc;
    if (ret < 0) {
        return ret;
    }
    if (number > NSIG) {
        printf("signal argument '%s' is too large to be a valid signal\n", argv[1]);
        return -EINVAL;
    }
    fflush(stdout);   /* the signal may be the last that happens here */
    raise((int)number);
    return 0;
}

int io_abort(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)io, (void)command, (void)argc, (void)argv;
    abort();
}
