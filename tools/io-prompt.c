/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands from stdin.  Requests in flight go on, and report, while it waits
 * for the next line.
 */
#include "tools/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "tools/tool.h"

#define CHUNK 4096
#define MAX_LINE (1024 * 1024)

typedef struct Input {
    char *data;        /* what was read and not yet taken */
    size_t used, size;
    bool pollable;     /* a pipe, a terminal: it can be waited for */
    bool readable;
    bool at_end;
} Input;

/* Files and /dev/null never make anybody wait, and refuse to be waited for. */
static bool is_pollable(int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    auto_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    return epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void set_readable(void *opaque)
{
    Input *input = opaque;

    input->readable = true;
    aio_set_fd_handler(qemu_get_aio_context(), STDIN_FILENO, false, NULL, NULL, NULL);
}

static void wait_for_input(Input *input)
{
    input->readable = !input->pollable;
    if (input->pollable) {
        aio_set_fd_handler(qemu_get_aio_context(), STDIN_FILENO, false, set_readable, NULL, input);
    }
    while (!input->readable) {
        fflush(stdout);   /* a request may have reported, in this turn of the loop or one before */
        main_loop_wait(false);
    }
    fflush(stdout);
}

static void read_more(Input *input)
{
    ssize_t n;

    if (input->used == input->size) {
        input->size += CHUNK;
        input->data = xalloc_check(realloc(input->data, input->size));
    }
    wait_for_input(input);
    n = read(STDIN_FILENO, input->data + input->used, input->size - input->used);
    if (n > 0) {
        input->used += (size_t)n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        input->at_end = true;
    }
}

/* The next line without its end, the caller's; NULL: there is none. */
static char *take_line(Input *input)
{
    char *line, *end = NULL;
    size_t len;

    while (!(end = input->used ? memchr(input->data, '\n', input->used) : NULL) &&
           !input->at_end && input->used < MAX_LINE) {
        read_more(input);
    }
    if (!end && !input->used) {
        return NULL;
    }
    len = end ? (size_t)(end - input->data) : input->used;
    line = xstrndup(input->data, len);
    input->used -= len + (end ? 1 : 0);
    memmove(input->data, input->data + len + (end ? 1 : 0), input->used);
    return line;
}

int io_prompt(Io *io)
{
    Input input = { .pollable = is_pollable(STDIN_FILENO) };
    int last_error = 0;

    while (!io->quit) {
        auto_free char *line = NULL;
        int ret;

        printf("%s> ", tool_name());
        fflush(stdout);
        main_loop_wait(true);
        line = take_line(&input);
        if (!line) {
            fputs(isatty(STDIN_FILENO) ? "\n" : "", stdout);
            break;
        }
        ret = io_run_line(io, line);
        last_error = ret < 0 ? ret : last_error;
    }
    free(input.data);
    return last_error;
}
