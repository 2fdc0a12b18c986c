/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who must wait for the server's memory stands in one line, first come first
 * served; whoever gives memory back wakes the first in it.
 */
#include <pthread.h>

#include "budget.h"
#include "server.h"

#define STEP ((size_t)1 << 20)        /* taken from the server at a time */

struct BudgetWaiter {
    Coroutine *co;
    size_t bytes;
    bool ok;
    STAILQ_ENTRY(BudgetWaiter) link;
};

static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, Budget) line = TAILQ_HEAD_INITIALIZER(line);   /* under line_lock */
static atomic_uint line_length;

/* ---- the server's sum ---- */

bool budget_is_short(void)
{
    return atomic_load(&line_length) > 0;
}

static bool server_try(Server *server, size_t bytes)
{
    int64_t want = (int64_t)bytes, sum = atomic_load(&server->memory);

    do {
        /* A single request larger than the bound runs alone rather than never. */
        if (sum > 0 && sum + want > server->max_memory) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&server->memory, &sum, sum + want));
    return true;
}

static void line_wake_first(void)
{
    if (budget_is_short()) {
        Budget *first;

        pthread_mutex_lock(&line_lock);
        first = TAILQ_FIRST(&line);
        if (first) {
            qemu_bh_schedule(first->bh);
        }
        pthread_mutex_unlock(&line_lock);
    }
}

static void server_give(Server *server, size_t bytes)
{
    atomic_fetch_sub(&server->memory, (int64_t)bytes);
    line_wake_first();
}

static void line_leave(Budget *b)
{
    pthread_mutex_lock(&line_lock);
    if (b->in_line) {
        TAILQ_REMOVE(&line, b, line);
        b->in_line = false;
        atomic_fetch_sub(&line_length, 1);
    }
    pthread_mutex_unlock(&line_lock);
    line_wake_first();
}

/* Takes its turn: only the first in the line may take, and a newcomer only if there is none. */
static bool server_take_in_turn(Budget *b, size_t bytes)
{
    bool ok;

    if (!b->in_line && !budget_is_short() && server_try(b->server, bytes)) {
        return true;
    }
    pthread_mutex_lock(&line_lock);
    if (!b->in_line) {
        TAILQ_INSERT_TAIL(&line, b, line);
        b->in_line = true;
        if (atomic_fetch_add(&line_length, 1) == 0) {
            aio_bh_schedule_oneshot(qemu_get_aio_context(), server_memory_short, b->server);
        }
    }
    /* Asked once more after joining: what was given back before that woke nobody. */
    ok = TAILQ_FIRST(&line) == b && server_try(b->server, bytes);
    pthread_mutex_unlock(&line_lock);
    if (ok) {
        line_leave(b);
    }
    return ok;
}

/* ---- one client ---- */

void budget_init(Budget *b, Server *server, QEMUBH *bh)
{
    b->server = server;
    b->bh = bh;
    STAILQ_INIT(&b->waiters);
}

void budget_destroy(Budget *b)
{
    line_leave(b);
    if (b->granted > 0) {
        server_give(b->server, b->granted);
    }
}

/* What the server must have granted for `used` bytes. */
static size_t grant_for(size_t used)
{
    return used <= BUDGET_OWN_BYTES ? 0 : (used - BUDGET_OWN_BYTES + STEP - 1) / STEP * STEP;
}

static bool budget_take_now(Budget *b, size_t bytes)
{
    size_t used = b->used + bytes;
    size_t need = grant_for(used);

    if (used > CONN_MAX_MEMORY && b->used > 0) {
        if (b->in_line) {
            line_leave(b);     /* its turn has come too early: it must not hold up the others */
        }
        return false;
    }
    if (need > b->granted) {
        if (!server_take_in_turn(b, need - b->granted)) {
            return false;
        }
        b->granted = need;
    }
    b->used = used;
    return true;
}

bool budget_try(Budget *b, size_t bytes)
{
    return !b->cancelled && !budget_has_waiters(b) && budget_take_now(b, bytes);
}

bool coroutine_fn budget_take(Budget *b, size_t bytes)
{
    BudgetWaiter waiter;

    if (budget_try(b, bytes)) {
        return true;
    }
    if (b->cancelled) {
        return false;
    }
    waiter = (BudgetWaiter){ .co = qemu_coroutine_self(), .bytes = bytes };
    STAILQ_INSERT_TAIL(&b->waiters, &waiter, link);
    qemu_coroutine_yield();
    return waiter.ok;
}

void budget_overdraw(Budget *b, size_t bytes)
{
    size_t need = grant_for(b->used + bytes);

    if (need > b->granted) {
        atomic_fetch_add(&b->server->memory, (int64_t)(need - b->granted));
        b->granted = need;
    }
    b->used += bytes;
}

void budget_give(Budget *b, size_t bytes)
{
    size_t need;

    b->used -= bytes;
    need = grant_for(b->used);
    /* A step in reserve: a client that stays near a boundary does not cross it each time. */
    if (b->granted > need + STEP || (b->granted > 0 && b->used == 0)) {
        size_t surplus = b->granted - need;

        b->granted = need;
        server_give(b->server, surplus);
    }
    if (budget_has_waiters(b)) {
        qemu_bh_schedule(b->bh);
    }
}

static void wake_first(Budget *b, bool ok)
{
    BudgetWaiter *w = STAILQ_FIRST(&b->waiters);

    STAILQ_REMOVE_HEAD(&b->waiters, link);
    w->ok = ok;
    aio_co_schedule(qemu_coroutine_get_aio_context(w->co), w->co);
}

void budget_grant(Budget *b)
{
    while (budget_has_waiters(b) && budget_take_now(b, STAILQ_FIRST(&b->waiters)->bytes)) {
        wake_first(b, true);
    }
    if (!budget_has_waiters(b) && b->in_line) {
        line_leave(b);
    }
}

void budget_cancel(Budget *b)
{
    b->cancelled = true;
    while (budget_has_waiters(b)) {
        wake_first(b, false);
    }
    line_leave(b);
}
