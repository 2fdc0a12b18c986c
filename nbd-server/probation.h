/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection of TCP that was silent when its client made another one (probation.c).
 */
#ifndef NBD_EXPORT_PROBATION_H
#define NBD_EXPORT_PROBATION_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Client Client;

/* [any thread, while c is in its export's list] The client has made a newer connection. */
void probation_announce(Client *c);
/* Input has come after a pause: does the client have to prove that it is still there? */
void probation_begin(Client *c);
/* It has shown that it lives, and that it did so after since_ns. */
void probation_lift(Client *c, int64_t since_ns);
/* A write is held (hold.c) until that is proven. */
void probation_watch(Client *c);
/* The connection ends, and what is held is about to be dropped. */
void probation_end(Client *c);

#endif
