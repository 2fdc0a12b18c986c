/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics: counters, and averages over sliding windows.
 *
 * Counters are plain members that all threads change with relaxed atomics.
 * The list of intervals only grows, at its head, until cleanup; each average
 * in it has its lock.
 */
#include "backend/backend.h"

#include <stdlib.h>

#define NS_PER_SECOND 1000000000LL

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

/* ---- timed averages ---- */

static void window_reset(TimedAverageWindow *w)
{
    w->min = UINT64_MAX;
    w->max = 0;
    w->sum = 0;
    w->count = 0;
}

static void timed_average_init(TimedAverage *ta, int64_t interval_ns)
{
    int64_t now = now_ns();

    pthread_mutex_init(&ta->lock, NULL);
    ta->period = interval_ns / 3 * 4;
    window_reset(&ta->windows[0]);
    window_reset(&ta->windows[1]);
    ta->windows[0].expiration = now + ta->period / 2;
    ta->windows[1].expiration = now + ta->period;
}

/* Starts anew what has ended, without leaving the grid; the older window is the answer. */
static TimedAverageWindow *timed_average_update(TimedAverage *ta, int64_t now)
{
    for (int i = 0; i < 2; i++) {
        TimedAverageWindow *w = &ta->windows[i];

        if (w->expiration <= now) {
            window_reset(w);
            w->expiration += ((now - w->expiration) / ta->period + 1) * ta->period;
        }
    }
    return &ta->windows[ta->windows[0].expiration < ta->windows[1].expiration ? 0 : 1];
}

static void timed_average_account(TimedAverage *ta, int64_t now, uint64_t value)
{
    pthread_mutex_lock(&ta->lock);
    timed_average_update(ta, now);
    for (int i = 0; i < 2; i++) {
        TimedAverageWindow *w = &ta->windows[i];

        w->sum += value;
        w->count++;
        w->min = value < w->min ? value : w->min;
        w->max = value > w->max ? value : w->max;
    }
    pthread_mutex_unlock(&ta->lock);
}

/* A copy of the older window; *elapsed: how long it has been running. */
static TimedAverageWindow timed_average_get(TimedAverage *ta, uint64_t *elapsed)
{
    TimedAverageWindow w;
    int64_t now;

    pthread_mutex_lock(&ta->lock);
    now = now_ns();     /* under the lock: nobody has moved the windows past it */
    w = *timed_average_update(ta, now);
    pthread_mutex_unlock(&ta->lock);
    *elapsed = ta->period - (w.expiration - now);
    return w;
}

uint64_t timed_average_min(TimedAverage *ta)
{
    uint64_t elapsed;
    TimedAverageWindow w = timed_average_get(ta, &elapsed);

    return w.count ? w.min : 0;
}

uint64_t timed_average_max(TimedAverage *ta)
{
    uint64_t elapsed;

    return timed_average_get(ta, &elapsed).max;
}

uint64_t timed_average_avg(TimedAverage *ta)
{
    uint64_t elapsed;
    TimedAverageWindow w = timed_average_get(ta, &elapsed);

    return w.count ? w.sum / w.count : 0;
}

uint64_t timed_average_sum(TimedAverage *ta, uint64_t *elapsed)
{
    uint64_t unused;

    return timed_average_get(ta, elapsed ? elapsed : &unused).sum;
}

/* ---- intervals ---- */

void block_acct_add_interval(BlockAcctStats *stats, unsigned interval_length)
{
    BlockAcctTimedStats *s;

    BLK_PRECONDITION(interval_length > 0, "an interval of no length");
    s = calloc(1, sizeof(*s));
    if (!s) {
        abort();
    }
    s->interval_length = interval_length;
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        timed_average_init(&s->latency[i], interval_length * NS_PER_SECOND);
    }
    s->next = __atomic_load_n(&stats->intervals, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&stats->intervals, &s->next, s, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

BlockAcctTimedStats *block_acct_interval_next(BlockAcctStats *stats, BlockAcctTimedStats *s)
{
    return s ? s->next : __atomic_load_n(&stats->intervals, __ATOMIC_ACQUIRE);
}

void block_acct_cleanup(BlockAcctStats *stats)
{
    BlockAcctTimedStats *s;

    while ((s = stats->intervals)) {
        stats->intervals = s->next;
        for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
            pthread_mutex_destroy(&s->latency[i].lock);
        }
        free(s);
    }
    block_histograms_cleanup(stats);
}

double block_acct_queue_depth(BlockAcctTimedStats *stats, enum BlockAcctType type)
{
    uint64_t elapsed, sum;

    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    sum = timed_average_sum(&stats->latency[type], &elapsed);
    return (double)sum / elapsed;
}

/* ---- operations ---- */

void block_acct_init(BlockAcctStats *stats, bool account_invalid, bool account_failed)
{
    __atomic_store_n(&stats->account_invalid, account_invalid, __ATOMIC_RELAXED);
    __atomic_store_n(&stats->account_failed, account_failed, __ATOMIC_RELAXED);
}

void block_acct_start(BlockAcctStats *stats, BlockAcctCookie *cookie, int64_t bytes,
                      enum BlockAcctType type)
{
    (void)stats;
    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    cookie->bytes = bytes;
    cookie->start_time_ns = now_ns();
    cookie->type = type;
}

static void note_access(BlockAcctStats *stats, int64_t now)
{
    __atomic_store_n(&stats->last_access_time_ns, now, __ATOMIC_RELAXED);
}

static void note_latency(BlockAcctStats *stats, const BlockAcctCookie *cookie, int64_t now)
{
    uint64_t latency = now - cookie->start_time_ns;
    BlockAcctTimedStats *s = NULL;

    count(&stats->total_time_ns[cookie->type], latency);
    block_histogram_account(stats, cookie->type, latency);
    note_access(stats, now);
    while ((s = block_acct_interval_next(stats, s))) {
        timed_average_account(&s->latency[cookie->type], now, latency);
    }
}

void block_acct_end(BlockAcctStats *stats, const BlockAcctCookie *cookie, int64_t end_time_ns,
                    bool ok)
{
    BLK_PRECONDITION((unsigned)cookie->type < BLOCK_MAX_IOTYPE, "no such type");
    if (ok) {
        count(&stats->nr_bytes[cookie->type], cookie->bytes);
        count(&stats->nr_ops[cookie->type], 1);
    } else {
        count(&stats->failed_ops[cookie->type], 1);
    }
    if (ok || __atomic_load_n(&stats->account_failed, __ATOMIC_RELAXED)) {
        note_latency(stats, cookie, end_time_ns);
    }
}

void block_acct_done(BlockAcctStats *stats, BlockAcctCookie *cookie)
{
    block_acct_end(stats, cookie, now_ns(), true);
}

void block_acct_failed(BlockAcctStats *stats, BlockAcctCookie *cookie)
{
    block_acct_end(stats, cookie, now_ns(), false);
}

void block_acct_invalid(BlockAcctStats *stats, enum BlockAcctType type)
{
    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    count(&stats->invalid_ops[type], 1);
    if (__atomic_load_n(&stats->account_invalid, __ATOMIC_RELAXED)) {
        note_access(stats, now_ns());
    }
}

void block_acct_merge_done(BlockAcctStats *stats, enum BlockAcctType type, int num_requests)
{
    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    count(&stats->merged[type], num_requests);
}

int64_t block_acct_idle_time_ns(BlockAcctStats *stats)
{
    return now_ns() - __atomic_load_n(&stats->last_access_time_ns, __ATOMIC_RELAXED);
}
