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

#endif
