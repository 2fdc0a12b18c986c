/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection's bytes and the socket that carries them. */
#include "channel.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t channel_recv(Conn *conn, const struct iovec *iov, unsigned niov)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
    ssize_t n;

    do {
        n = recvmsg(conn->fd, &msg, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t channel_send(Conn *conn, const struct iovec *iov, unsigned niov, bool more)
{
    const struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
    ssize_t n;

    do {
        n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

size_t channel_unread(const Conn *conn)
{
    int unread = 0;

    return ioctl(conn->fd, FIONREAD, &unread) == 0 && unread > 0 ? (size_t)unread : 0;
}

void channel_close(Conn *conn)
{
    close(conn->fd);
}
