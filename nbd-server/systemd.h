/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What systemd and its services say to each other, without its library.
 */
#ifndef NBD_EXPORT_SYSTEMD_H
#define NBD_EXPORT_SYSTEMD_H

#include <blkbackend/error.h>
#include <stdbool.h>

/* First descriptor that is passed to a service. */
#define SYSTEMD_FIRST_FD 3

/* sd_listen_fds(3): how many sockets were passed to this process, 0: it was not started that way.
 * Takes the variables out of the environment.  -1 with errp set: they make no sense. */
int systemd_listen_fds(Error **errp);
/* sd_notify(3): what the service does now, for whoever waits for it. */
void systemd_notify_ready(void);
void systemd_notify_reloading(void);     /* until it is ready again */
void systemd_notify_stopping(void);

#endif
