/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A unix socket that listens at a path, see unix-socket.c.  Main thread only. */
#ifndef NBD_EXPORT_UNIX_SOCKET_H
#define NBD_EXPORT_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

#include <blkbackend/error.h>

typedef struct UnixSocket {
    int fd;                  /* does not block; -1: closed */
    char *path;              /* where it is removed at the end; NULL: nowhere */
    dev_t dev;               /* path's identity: it may be another server's by then */
    ino_t ino;
} UnixSocket;

/* mode: its permissions, less those of the umask; 0: as the umask has it. */
bool unix_socket_open(UnixSocket *s, const char *path, mode_t mode, Error **errp);
/* Removes it too, if what is there is still the one we made. */
void unix_socket_close(UnixSocket *s);

#endif
