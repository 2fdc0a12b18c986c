/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection's bytes and the socket that carries them. */
#include "channel.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

/* ---- the socket ---- */

ssize_t socket_recv(int fd, const struct iovec *iov, unsigned niov)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
    ssize_t n;

    do {
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t socket_send(int fd, const struct iovec *iov, unsigned niov, bool more)
{
    const struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
    ssize_t n;

    do {
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- plain or encrypted ---- */

ssize_t channel_recv(Conn *conn, const struct iovec *iov, unsigned niov)
{
    return conn->tls_session ? tls_session_recv(conn->tls_session, iov, niov)
                             : socket_recv(conn->fd, iov, niov);
}

ssize_t channel_send(Conn *conn, const struct iovec *iov, unsigned niov, bool more)
{
    return conn->tls_session ? tls_session_send(conn->tls_session, iov, niov, more)
                             : socket_send(conn->fd, iov, niov, more);
}

bool channel_has_input(const Conn *conn)
{
    return conn->tls_session && tls_session_has_input(conn->tls_session);
}

size_t channel_unread(const Conn *conn)
{
    size_t held = conn->tls_session ? tls_session_unread(conn->tls_session) : 0;
    int unread = 0;

    return ioctl(conn->fd, FIONREAD, &unread) == 0 && unread > 0 ? held + (size_t)unread : held;
}

void channel_close(Conn *conn)
{
    tls_session_free(conn->tls_session);
    close(conn->fd);
}
