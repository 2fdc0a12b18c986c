/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Going to the background, and telling others that the server is ready.
 */
#ifndef NBD_EXPORT_DAEMON_H
#define NBD_EXPORT_DAEMON_H

#include "config.h"

/* Returns in the child, before any thread or image is opened.  The parent stays until the child
 * is ready (exits 0) or has ended (exits as the child does). */
bool daemon_fork(Error **errp);
/* Clients can connect: --pid-file, --ready-fd, and the parent of daemon_fork() is let go. */
bool daemon_ready(const Config *config, Error **errp);
void daemon_remove_pid_file(const Config *config);

#endif
