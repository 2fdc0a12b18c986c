/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes that the control socket adds, changes and removes.  All of it: main thread.
 *
 * Options are what blockdev-add takes: an object, whose "file" and "backing" are objects like it,
 * or names of nodes that there are.
 */
#ifndef NBD_EXPORT_NODES_H
#define NBD_EXPORT_NODES_H

#include "server.h"

/* Opens a node, which stays until nodes_remove(), whoever else uses it. */
bool nodes_add(Server *server, const json_t *options, Error **errp);
/* Refused while it is in use: errp says by whom. */
bool nodes_remove(Server *server, const char *name, Error **errp);
/* Changes nodes, those of exports too: writable or not, and the host's cache.  A list of options of
 * which nothing else differs; all or none of them change. */
bool nodes_reopen(Server *server, const json_t *list, Error **errp);
/* Resizes a node that nobody uses. */
bool nodes_resize(Server *server, BlockDriverState *bs, int64_t size, Error **errp);
/* Removes all, when no export is left that could use them. */
void nodes_close(Server *server);

/* ---- node-users.c ---- */

/* Who uses it, like `export "disk", node "snap"`, or only those who write to it; the caller frees
 * it; NULL: nobody. */
char *nodes_users(Server *server, BlockDriverState *bs);
char *nodes_writers(Server *server, BlockDriverState *bs);
/* The export whose medium it is, a reference; NULL: none's. */
Export *nodes_find_export(Server *server, BlockDriverState *bs);
/* Whether one more may use bs, `writes`: to write to it.  What is written by one is used by no
 * other; errp says who is in the way. */
bool nodes_may_use(Server *server, BlockDriverState *bs, bool writes, Error **errp);
/* The same for an export, which shares it with other exports. */
bool nodes_may_serve(Server *server, BlockDriverState *bs, bool writes, Error **errp);
/* False while a job writes to it, or is about to drop it. */
bool nodes_check_jobs(BlockDriverState *bs, Error **errp);
/* Others than the export write to the node that is its medium; errp says who. */
bool nodes_has_other_writers(Export *export, Error **errp);
/* As nodes_may_use() after the fact, for all that bs has below it. */
bool nodes_check_children(Server *server, BlockDriverState *bs, Error **errp);

#endif
