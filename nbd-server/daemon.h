/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process around the server: how it is started, whom it tells, whose rights it has.
 */
#ifndef NBD_EXPORT_DAEMON_H
#define NBD_EXPORT_DAEMON_H

#include "config.h"

/* ---- daemon.c ---- */

/* Opens /dev/null for those of descriptors 0, 1 and 2 that are closed: what is printed must not end
 * up in an image that got such a number. */
void daemon_fill_standard_fds(void);
/* Returns in the child, before any thread or image is opened.  The parent stays until the child
 * is ready (exits 0) or has ended (exits as the child does). */
bool daemon_fork(Error **errp);
/* Clients can connect: writes --pid-file, gives up rights for --user, and tells all who wait for
 * it: --ready-fd, systemd, and the parent of daemon_fork(). */
bool daemon_ready(const Config *config, Error **errp);
void daemon_remove_pid_file(const Config *config);

/* ---- user.c ---- */

/* Becomes that user and group (a name or a number; NULL: stays what it is), for good. */
bool user_become(const char *user, const char *group, Error **errp);

/* Makes a file theirs who we shall become. */
bool user_give(const char *path, const char *user, const char *group, Error **errp);

/* ---- inetd.c: --inetd ---- */

/* Serves who is at the other end of standard input and output. */
bool inetd_start(Server *server, Error **errp);
/* All that was said to the client has gone to standard output, or it takes no more. */
void inetd_end(void);

/* ---- run.c: --run ---- */

/* Where the command's clients connect, if no address was given: server->private_socket. */
bool run_prepare(Server *server, Error **errp);
/* Starts the command; who is told when it ends is SIGCHLD's handler. */
bool run_start(Server *server, Error **errp);
/* True once the command has ended. */
bool run_has_ended(void);
/* A signal that ends the server ends the command too. */
void run_kill(int signum);
/* Its exit status, 128 and the signal that ended it, or 1: it is still there. */
int run_status(void);
void run_remove_folder(Server *server);

/* ---- announce.c ---- */

/* Tells on standard output where the exports are: people how to use them, programs in JSON. */
void announce(Server *server);
/* The first URI of an export; NULL: there is none.  The caller frees it. */
char *announce_uri(Server *server, Export *export);

#endif
