/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a connection on their way: nothing else touches a client's socket.
 *
 * All in the connection's thread; nothing here waits.
 */
#ifndef NBD_EXPORT_CHANNEL_H
#define NBD_EXPORT_CHANNEL_H

#include "server.h"

/* Bytes that were received, 0 at the end of the stream, -EAGAIN: nothing there now, -errno. */
ssize_t channel_recv(Conn *conn, const struct iovec *iov, unsigned niov);
/* Bytes that were sent, -EAGAIN: no room now, -errno.  After -EAGAIN the next call must begin with
 * the same bytes.  more: another call follows at once. */
ssize_t channel_send(Conn *conn, const struct iovec *iov, unsigned niov, bool more);
/* There may be more to receive though the socket has nothing. */
bool channel_has_input(const Conn *conn);
/* At least as many bytes as have come and were not received yet. */
size_t channel_unread(const Conn *conn);
void channel_close(Conn *conn);

/* The socket itself, for TLS: as the first two. */
ssize_t socket_recv(int fd, const struct iovec *iov, unsigned niov);
ssize_t socket_send(int fd, const struct iovec *iov, unsigned niov, bool more);

#endif
