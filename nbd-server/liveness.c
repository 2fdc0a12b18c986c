/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer that is silent is asked (keepalive) after a third of the time it has, and then six times
 * more; one that owes acknowledgements is given up when the time is over (TCP_USER_TIMEOUT).
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "liveness.h"

static void set_tcp(int fd, int option, int value)
{
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));   /* fails on what is not TCP */
}

void liveness_watch(int fd, unsigned seconds)
{
    int on = seconds > 0;
    unsigned idle = seconds / 3, interval = (seconds - idle) / 6;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (on) {
        set_tcp(fd, TCP_KEEPIDLE, idle > 0 ? (int)idle : 1);
        set_tcp(fd, TCP_KEEPINTVL, interval > 0 ? (int)interval : 1);
        set_tcp(fd, TCP_KEEPCNT, 6);
        set_tcp(fd, TCP_USER_TIMEOUT, (int)seconds * 1000);
    }
}
