/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that a client makes us hold, within two bounds: its own
 * (CONN_MAX_MEMORY) and the server's for all clients together.
 *
 * The first 1.5 MiB of each client are its own and not counted in the server's
 * sum: so small requests touch no shared counter, and a request of 1 MiB can be
 * served whatever others hold.  Beyond it the budget takes from the server in
 * steps.  When somebody must wait for that, the clients that hold it are pressed
 * (server_memory_short()).
 *
 * A budget belongs to its connection's thread; only the server's sum and the
 * line of those who wait for it are shared.
 */
#ifndef NBD_EXPORT_BUDGET_H
#define NBD_EXPORT_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include <blkbackend/aio.h>

/* Each client's, not counted in the server's sum: a request of 1 MiB and two receive buffers. */
#define BUDGET_OWN_BYTES ((size_t)3 << 19)

typedef struct Server Server;
typedef struct BudgetWaiter BudgetWaiter;

typedef struct Budget {
    Server *server;
    QEMUBH *bh;                           /* scheduled when budget_grant() may have work */
    size_t used;                          /* bytes held */
    size_t granted;                       /* bytes taken from the server */
    bool cancelled;                       /* nobody waits any more */
    STAILQ_HEAD(, BudgetWaiter) waiters;  /* coroutines, in order of arrival */
    bool in_line;                         /* in the server's line; under its lock */
    TAILQ_ENTRY(Budget) line;
} Budget;

/* bh runs in the connection's thread and calls budget_grant(). */
void budget_init(Budget *b, Server *server, QEMUBH *bh);
/* All was given back. */
void budget_destroy(Budget *b);

/* Without waiting; false if there is not enough or others wait already. */
bool budget_try(Budget *b, size_t bytes);
/* Waits; false: cancelled. */
bool coroutine_fn budget_take(Budget *b, size_t bytes);
/* Without asking: for what keeps a promise that was made already. */
void budget_overdraw(Budget *b, size_t bytes);
void budget_give(Budget *b, size_t bytes);

/* [any thread] Somebody waits for the server's memory. */
bool budget_is_short(void);

static inline bool budget_has_waiters(const Budget *b)
{
    return !STAILQ_EMPTY(&b->waiters);
}

/* Wakes those who can be served now. */
void budget_grant(Budget *b);
/* Wakes all who wait: their budget_take() fails, and so do all that follow. */
void budget_cancel(Budget *b);

#endif
