/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Statistics of a BlockBackend.  The library counts nothing by itself: its
 * user brackets each operation with block_acct_start() and block_acct_done()
 * or _failed(), or tells of it once it is over with block_acct_end().  Times
 * are ns of QEMU_CLOCK_VIRTUAL, the replaceable clock.
 *
 * Threads: all functions may run in any thread, all at once, except
 * block_acct_cleanup() and block_latency_histograms_reclaim().  Counters are
 * read with relaxed atomics or when quiet.
 */
#ifndef BLKBACKEND_ACCOUNTING_H
#define BLKBACKEND_ACCOUNTING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum BlockAcctType { BLOCK_ACCT_READ, BLOCK_ACCT_WRITE, BLOCK_ACCT_FLUSH, BLOCK_MAX_IOTYPE };

/* Values of one stretch of time. */
typedef struct TimedAverageWindow {
    uint64_t min;
    uint64_t max;
    uint64_t sum;
    uint64_t count;
    int64_t expiration;          /* when it ends and starts anew */
} TimedAverageWindow;

/*
 * Minimum, maximum and average over a sliding window.  Two windows of 4/3 of
 * the interval asked for run half a window apart; a value goes into both and
 * answers come from the older, so they cover 2/3 to 4/3 of the interval.
 */
typedef struct TimedAverage {
    pthread_mutex_t lock;        /* guards the windows */
    int64_t period;              /* length of a window, ns */
    TimedAverageWindow windows[2];
} TimedAverage;

/* Statistics of one interval, for each type of operation. */
typedef struct BlockAcctTimedStats BlockAcctTimedStats;
struct BlockAcctTimedStats {
    TimedAverage latency[BLOCK_MAX_IOTYPE];   /* ns an operation */
    unsigned interval_length;                 /* seconds */
    BlockAcctTimedStats *next;                /* older; see block_acct_interval_next() */
};

/* How many operations took how long; see block_latency_histogram_set(). */
typedef struct BlockLatencyHistogram BlockLatencyHistogram;

typedef struct BlockAcctStats {
    uint64_t nr_bytes[BLOCK_MAX_IOTYPE];       /* successful operations only */
    uint64_t nr_ops[BLOCK_MAX_IOTYPE];
    uint64_t invalid_ops[BLOCK_MAX_IOTYPE];    /* rejected before reaching the medium */
    uint64_t failed_ops[BLOCK_MAX_IOTYPE];     /* failed on the medium */
    uint64_t total_time_ns[BLOCK_MAX_IOTYPE];
    uint64_t merged[BLOCK_MAX_IOTYPE];
    int64_t last_access_time_ns;               /* 0: never */
    BlockAcctTimedStats *intervals;            /* newest first; see block_acct_interval_next() */
    bool account_invalid;
    bool account_failed;
    BlockLatencyHistogram *histograms[BLOCK_MAX_IOTYPE];  /* see block_latency_histogram_set() */
    BlockLatencyHistogram *retired_histograms;
} BlockAcctStats;

typedef struct BlockAcctCookie {
    int64_t bytes;
    int64_t start_time_ns;
    enum BlockAcctType type;
} BlockAcctCookie;

/*
 * Sets the two switches; until then both are off.  account_invalid: a rejected
 * operation counts as an access.  account_failed: a failed one counts as an
 * access and its time enters total_time_ns and the intervals.
 */
void block_acct_init(BlockAcctStats *stats, bool account_invalid, bool account_failed);
/* Frees the intervals.  A BlockBackend does it to its own statistics when it goes. */
void block_acct_cleanup(BlockAcctStats *stats);

/* Statistics over the last interval_length (> 0) seconds, from now on. */
void block_acct_add_interval(BlockAcctStats *stats, unsigned interval_length);
/* Iterates the intervals, the one added last first; NULL starts and ends. */
BlockAcctTimedStats *block_acct_interval_next(BlockAcctStats *stats, BlockAcctTimedStats *s);

/* Begins an operation: fills the cookie (caller's, one an operation), nothing else. */
void block_acct_start(BlockAcctStats *stats, BlockAcctCookie *cookie, int64_t bytes,
                      enum BlockAcctType type);
/* The operation of the cookie succeeded. */
void block_acct_done(BlockAcctStats *stats, BlockAcctCookie *cookie);
/* The operation of the cookie failed on the medium. */
void block_acct_failed(BlockAcctStats *stats, BlockAcctCookie *cookie);
/* Either of them, for who has read the clock himself: the operation of the cookie, which the caller
 * may have filled, is over since end_time_ns. */
void block_acct_end(BlockAcctStats *stats, const BlockAcctCookie *cookie, int64_t end_time_ns,
                    bool ok);
/* An operation was rejected before it reached the medium; it needs no cookie. */
void block_acct_invalid(BlockAcctStats *stats, enum BlockAcctType type);
/* num_requests requests disappeared by merging. */
void block_acct_merge_done(BlockAcctStats *stats, enum BlockAcctType type, int num_requests);

/* Time since the last access; only meaningful if last_access_time_ns > 0. */
int64_t block_acct_idle_time_ns(BlockAcctStats *stats);
/* Average number of operations in flight: sum of latencies over time elapsed in the window. */
double block_acct_queue_depth(BlockAcctTimedStats *stats, enum BlockAcctType type);

/*
 * Counts operations of a type by their latency, from now on.  The n boundaries
 * (ns, rising, the first above 0) make n + 1 bins: [0, b0), [b0, b1) ... [bn-1,
 * for ever).  What total_time_ns counts is counted here.  n 0: none any more.
 * 0, or -EINVAL if the boundaries do not rise; then nothing changes.  Memory of
 * those that were set before is kept: block_latency_histograms_reclaim().
 */
int block_latency_histogram_set(BlockAcctStats *stats, enum BlockAcctType type,
                                const uint64_t *boundaries, unsigned n);
/* Ends the counting of all types. */
void block_latency_histograms_clear(BlockAcctStats *stats);
/*
 * Frees histograms that were replaced or cleared.  Since then each thread that
 * uses these statistics has returned from block_acct_*() and _get(), and no other
 * sets or clears any meanwhile.  block_acct_cleanup() does it, too.
 */
void block_latency_histograms_reclaim(BlockAcctStats *stats);
/* The number of boundaries (0: none set).  Copies the first max of them and the first max + 1 bins;
 * either may be NULL. */
unsigned block_latency_histogram_get(BlockAcctStats *stats, enum BlockAcctType type,
                                     uint64_t *boundaries, uint64_t *bins, unsigned max);

/* Answers about the window as it is now; 0 if nothing happened in it. */
uint64_t timed_average_min(TimedAverage *ta);
uint64_t timed_average_max(TimedAverage *ta);
uint64_t timed_average_avg(TimedAverage *ta);
/* Sum of the values; *elapsed (may be NULL): time that the window covers so far, ns. */
uint64_t timed_average_sum(TimedAverage *ta, uint64_t *elapsed);

#ifdef __cplusplus
}
#endif
#endif
