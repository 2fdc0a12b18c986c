/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer that is silent is asked (keepalive) after a third of the time it has, and then six times
 * more; one that owes acknowledgements is given up when the time is over (TCP_USER_TIMEOUT).
 */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/tcp.h>     /* struct tcp_info to its end, which netinet/tcp.h lacks */

#include <blkbackend/aio.h>

#include "liveness.h"

static void set_tcp(int fd, int option, int value)
{
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));   /* fails on what is not TCP */
}

static void set_keepalive(int fd, int on)
{
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

void liveness_watch(int fd, unsigned seconds)
{
    unsigned idle = seconds / 3, interval = (seconds - idle) / 6;

    set_keepalive(fd, seconds > 0);
    if (seconds > 0) {
        set_tcp(fd, TCP_KEEPIDLE, idle > 0 ? (int)idle : 1);
        set_tcp(fd, TCP_KEEPINTVL, interval > 0 ? (int)interval : 1);
        set_tcp(fd, TCP_KEEPCNT, 6);
        set_tcp(fd, TCP_USER_TIMEOUT, (int)seconds * 1000);
    }
}

bool liveness_gone(int fd)
{
    struct pollfd p = { .fd = fd };

    return poll(&p, 1, 0) > 0;      /* POLLHUP or POLLERR, which one does not ask for */
}

bool liveness_closed(int fd, bool *unread)
{
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

    if (poll(&p, 1, 0) <= 0) {
        p.revents = 0;
    }
    *unread = p.revents & POLLIN;
    return p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static struct tcp_info get_info(int fd)
{
    struct tcp_info info = { .tcpi_segs_in = 0 };
    socklen_t len = sizeof(info);

    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info;
}

uint64_t liveness_ask(int fd)
{
    set_keepalive(fd, 1);
    set_tcp(fd, TCP_KEEPIDLE, 1);   /* at once, if it has been quiet for longer */
    return get_info(fd).tcpi_segs_in;
}

bool liveness_answered(int fd, uint64_t asked)
{
    return get_info(fd).tcpi_segs_in != asked;
}

uint64_t liveness_sent(int fd)
{
    int left = 0;

    if (ioctl(fd, SIOCOUTQ, &left) < 0) {
        left = 0;
    }
    return get_info(fd).tcpi_bytes_acked + (uint64_t)left;
}

bool liveness_taken(int fd, uint64_t sent)
{
    return get_info(fd).tcpi_bytes_acked >= sent;
}

int64_t liveness_round_trip_ns(int fd)
{
    return (int64_t)get_info(fd).tcpi_rtt * SCALE_US;
}
