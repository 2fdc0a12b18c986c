/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connections of one client to an export, one after the other (succession.c).
 */
#ifndef NBD_EXPORT_SUCCESSION_H
#define NBD_EXPORT_SUCCESSION_H

#include "server.h"

typedef struct Client Client;

/* conn has got a place in its export: it is an older connection to those that come now. */
void succession_join(Conn *conn);
/* Nothing of it runs any more, its requests have ended: gives its place back, and tells those who
 * waited for that.  After that nobody else looks at it. */
void coroutine_fn succession_leave(Conn *conn);

/*
 * Waits until no write that came over older connections of this client to `export` can land any
 * more.  all: also until each of them has shown that its client lives.  False: not within some
 * seconds.
 */
bool coroutine_fn succession_settle(Conn *conn, Export *export, bool all);
/* Whether succession_settle() waits no longer for others. */
bool succession_is_settled(const Client *c);

#endif
