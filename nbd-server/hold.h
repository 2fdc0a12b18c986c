/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBD_EXPORT_HOLD_H
#define NBD_EXPORT_HOLD_H

#include "conn-int.h"

/* It must wait, or end: hold.c has it, and the caller forgets it. */
bool hold_take(Request *req);
/* The same for a request that is on its way: waits in its coroutine.  False: it is to end. */
bool coroutine_fn hold_pass(Request *req);
/* A request with so much payload would be held at the expense of other exports. */
bool hold_is_full(const Client *c, uint64_t payload);
/* Starts what need not wait any more. */
void hold_release(Client *c);
/* The client is gone: drops what waits.  all: also what waits for the gate. */
void hold_drop(Client *c, bool all);

/* For the hot path: whether hold_take() is to look. */
static inline bool hold_looks(const Client *c)
{
    return export_is_gated(c->conn.export) || c->doubted || !STAILQ_EMPTY(&c->held);
}

#endif
