/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing what the server serves while it runs. */
#ifndef NBD_EXPORT_RELOAD_H
#define NBD_EXPORT_RELOAD_H

#include "config.h"

/* Reads the configuration file again and adds, changes and removes exports.  The command line is
 * that of the start.  [main] */
void reload(Server *server, int argc, char **argv);

#endif
