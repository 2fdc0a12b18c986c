/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --export-dir: each image in a folder is an export under its file name, open as long as it has
 * clients.
 */
#ifndef NBD_EXPORT_EXPORT_DIR_H
#define NBD_EXPORT_EXPORT_DIR_H

#include "config.h"

#define EXPORT_DIR_MAX 10000     /* names that a client is told */

/* [main] */
bool export_dir_open(Server *server, Error **errp);
void export_dir_close(Server *server);

/* A reference to the image of that name, opened if need be; NULL: there is none, or it cannot be
 * opened, which is logged.  The empty name is the default export's.  [conn's coroutine] */
Export *coroutine_fn export_dir_find(Conn *conn, const void *name, size_t len);
/* The names of all images, NULL at the end; NULL: no memory.  Free each and all.
 * [conn's coroutine] */
char **coroutine_fn export_dir_names(Conn *conn);

#endif
