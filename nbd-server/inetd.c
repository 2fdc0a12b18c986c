/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --inetd: one client, who is there already.
 *
 * A socket on standard input is served as any other.  Where there are pipes, which
 * can only be used one way each, two threads carry bytes between them and a socket:
 *
 *     fd 0 ─▶ thread ─▶ socket pair ─▶ connection ─▶ socket pair ─▶ thread ─▶ fd 1
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define PUMP_BYTES (256 << 10)
#define END_SECONDS 5         /* how long a client may take to take the last replies */

/* One direction. */
typedef struct Pump {
    pthread_t thread;
    int from, to;
} Pump;

static Pump in = { .from = -1 }, out = { .from = -1 };

/* ---- pipes ---- */

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };

            poll(&p, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return false;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static void *pump(void *opaque)
{
    Pump *p = opaque;
    auto_free char *buf = malloc(PUMP_BYTES);
    ssize_t n;

    do {
        struct pollfd wait = { .fd = p->from, .events = POLLIN };

        n = buf ? read(p->from, buf, PUMP_BYTES) : 0;
        if (n < 0 && errno == EAGAIN) {
            poll(&wait, 1, -1);
        }
    } while ((n < 0 && (errno == EINTR || errno == EAGAIN)) ||
             (n > 0 && write_all(p->to, buf, (size_t)n)));
    shutdown(p->to, SHUT_WR);     /* of a socket: the end of what the client sends */
    shutdown(p->from, SHUT_RD);
    return NULL;
}

static bool start_pump(Pump *p, int from, int to, Error **errp)
{
    int ret;

    p->from = from;
    p->to = to;
    ret = pthread_create(&p->thread, NULL, pump, p);
    if (ret != 0) {
        error_setg_errno(errp, ret, "--inetd: cannot start a thread");
        p->from = -1;
    }
    return ret == 0;
}

/* The server's end of a socket whose other end is fd 0 and 1. */
static int join_pipes(Error **errp)
{
    int from = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int to = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int fds[2];

    if (from < 0 || to < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        error_setg_errno(errp, errno, "--inetd: cannot use standard input and output");
        return -1;
    }
    if (!start_pump(&in, from, fds[1], errp) || !start_pump(&out, fds[1], to, errp)) {
        return -1;
    }
    pthread_detach(in.thread);     /* a client that is silent keeps it to the end of the process */
    return fds[0];
}

/* ---- start and end ---- */

static bool is_connected(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);

    return getpeername(fd, (struct sockaddr *)&addr, &len) == 0;
}

bool inetd_start(Server *server, Error **errp)
{
    auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fd = is_connected(STDIN_FILENO) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                        : join_pipes(errp);

    if (fd < 0) {
        return false;
    }
    /* Nobody else writes to the client by mistake. */
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    listen_adopt(server, fd);
    return true;
}

void inetd_end(void)
{
    struct timespec deadline;

    if (out.from >= 0) {
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += END_SECONDS;
        pthread_timedjoin_np(out.thread, NULL, &deadline);
    }
}
