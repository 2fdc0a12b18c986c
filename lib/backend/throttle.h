/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * I/O limits (§3.1): the arithmetic of the buckets, and a backend's place in
 * its group.
 */
#ifndef BLKBACKEND_BACKEND_THROTTLE_H
#define BLKBACKEND_BACKEND_THROTTLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <blkbackend/block-backend.h>

/* ---- throttle.c: arithmetic; all times are nanoseconds of one monotonic clock ---- */

typedef struct ThrottleBuckets {
    ThrottleConfig cfg;      /* with the levels as they were at leaked_at */
    int64_t leaked_at;
} ThrottleBuckets;

/* Empty buckets under the given limits. */
void throttle_start(ThrottleBuckets *tb, const ThrottleConfig *cfg, int64_t now);
/* How long the next request must wait from now on; 0: it may go. */
int64_t throttle_wait_ns(ThrottleBuckets *tb, bool is_write, int64_t now);
/* A request goes, now: it is added to its buckets. */
void throttle_account(ThrottleBuckets *tb, bool is_write, uint64_t bytes, int64_t now);

void throttle_leak_bucket(LeakyBucket *bkt, int64_t delta_ns);
int64_t throttle_compute_wait(const LeakyBucket *bkt);

/* ---- throttle-group.c ---- */

typedef struct ThrottleWaiter ThrottleWaiter;
typedef TAILQ_HEAD(ThrottleWaiterList, ThrottleWaiter) ThrottleWaiterList;

/* A part of every BlockBackend.  [is_write] where there are two. */
typedef struct ThrottleMember {
    pthread_mutex_t lock;               /* guards `group` for others than the main thread;
                                         * taken before the group's lock */
    _Atomic(ThrottleState *) group;     /* NULL: no limits.  Changed in the main thread */
    atomic_int off;                     /* > 0: being drained, nobody waits */
    /* Under the group's lock: */
    ThrottleWaiterList waiting[2];      /* in order of arrival */
    TAILQ_ENTRY(ThrottleMember) link;
} ThrottleMember;

void blk_throttle_init(BlockBackend *blk);
/* [main] Leaves the group and forgets the remembered one; no requests are in flight. */
void blk_throttle_cleanup(BlockBackend *blk);

/* Counts a request and waits for its turn.  0, or -ECANCELED.  For blk_throttle(). */
int coroutine_fn blk_throttle_wait(BlockBackend *blk, uint64_t bytes, bool is_write);

/* [any thread] Releases all waiting requests of blk; until the matching end others do not wait
 * either.  They all count. */
void blk_throttle_drain_begin(BlockBackend *blk);
void blk_throttle_drain_end(BlockBackend *blk);

bool blk_is_throttled(BlockBackend *blk);    /* is in a group */

/* [main] F88 and F89: the group's name and a reference to it in the root state. */
void blk_throttle_remember(BlockBackend *blk);
void blk_throttle_restore(BlockBackend *blk);

#endif
