/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a client is still there: what the kernel knows of the other end of its socket.
 */
#ifndef NBD_EXPORT_LIVENESS_H
#define NBD_EXPORT_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* The kernel ends a TCP connection whose peer has not answered for so long; 0: never by itself. */
void liveness_watch(int fd, unsigned seconds);

/* The peer has closed it, or its end of it; and whether there is something to receive. */
bool liveness_closed(int fd, bool *unread);
/* The peer has closed it and takes nothing any more.  What TCP knows of that, it knows late. */
bool liveness_gone(int fd);

/*
 * TCP: has the peer's kernel been heard of since?  A connection that is quiet is asked, within a
 * second; liveness_watch() takes that back.
 */
uint64_t liveness_ask(int fd);
bool liveness_answered(int fd, uint64_t asked);

/* TCP: a mark for what has been sent by now, and whether the peer has taken that.  Who closed its
 * socket takes no more, even where its kernel still answers. */
uint64_t liveness_sent(int fd);
bool liveness_taken(int fd, uint64_t sent);

int64_t liveness_round_trip_ns(int fd);   /* TCP: as measured by the kernel */

#endif
