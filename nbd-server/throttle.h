/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of exports and of their clients: requests wait here, before they reach the image. */
#ifndef NBD_EXPORT_THROTTLE_H
#define NBD_EXPORT_THROTTLE_H

#include "conn-int.h"

/* Before an export's first client comes, and after its last has left.  [main] */
void throttle_init_export(Export *export);
void throttle_free_export(Export *export);
/* The limits of cfg instead of those of export->cfg, for those who wait, too.
 * [main, export's lock] */
void throttle_apply(Export *export, const ExportConfig *cfg);

/* conn, which is not in conn->export->conns yet or still is, shares limits with the connections of
 * its client there.  [export's lock] */
void throttle_join(Conn *conn);
void throttle_leave(Conn *conn);

/* Calls func for each connection, those of one client one after the other (the first of them:
 * `first`).  It must not call anything of the export's.  [any thread] */
void throttle_list_clients(Export *export, void (*func)(const Conn *conn, bool first, void *opaque),
                           void *opaque);

/* Waits until so many bytes may go.  0, or -ESHUTDOWN: nobody wants the request any more. */
int coroutine_fn throttle_wait(Request *req, uint64_t bytes, bool is_write);
/* Who has gone: its requests, or with !all its reads, wait no more, and are not run. */
void throttle_give_up(Client *c, bool all);

#endif
