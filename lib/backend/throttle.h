/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * I/O limits (§3.1): the arithmetic of the buckets, who shares them, and a backend's place among
 * those.
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

/* What a request is to the buckets. */
typedef struct ThrottleLoad {
    bool is_write;
    uint64_t bytes;          /* of all of it ... */
    uint64_t left;           /* ... and what has not gone yet */
} ThrottleLoad;

/* Empty buckets under the given limits. */
void throttle_start(ThrottleBuckets *tb, const ThrottleConfig *cfg, int64_t now);
/* How long the next request must wait from now on; 0: it may go. */
int64_t throttle_wait_ns(ThrottleBuckets *tb, bool is_write, int64_t now);
/* How much of what is left may go now, if not all is to go at once, provided that one may go.
 * shared: others come to these limits, too, and should not have to wait for long. */
uint64_t throttle_part(ThrottleBuckets *tb, const ThrottleLoad *load, bool shared, int64_t now);
/* A part goes, now: it is added to the buckets.  A request that is one operation is counted as one
 * with its first part. */
void throttle_account(ThrottleBuckets *tb, ThrottleLoad *load, uint64_t part, int64_t now);

void throttle_leak_bucket(LeakyBucket *bkt, int64_t delta_ns);
int64_t throttle_compute_wait(const LeakyBucket *bkt);

/* ---- throttle-group.c: <blkbackend/throttle.h>, and ---- */

typedef struct ThrottleWaiter ThrottleWaiter;
typedef TAILQ_HEAD(ThrottleWaiterList, ThrottleWaiter) ThrottleWaiterList;

/* [is_write] where there are two. */
struct ThrottleGroupMember {
    pthread_mutex_t lock;               /* for `group`; taken before the group's lock */
    _Atomic(ThrottleState *) group;     /* a reference, changed under both; NULL: no limits */
    atomic_int off;                     /* > 0: nobody waits */
    /* Under the group's lock; without a group both are empty: */
    ThrottleWaiterList waiting[2];      /* in order of arrival */
    int64_t arrived[2];                 /* when the last one did that had to wait, or not */
    TAILQ_ENTRY(ThrottleGroupMember) link;
};

void throttle_group_init_tgm(ThrottleGroupMember *tgm);
/* It is in no group, and nobody waits. */
void throttle_group_destroy_tgm(ThrottleGroupMember *tgm);
ThrottleState *throttle_group_ref(ThrottleState *group);
/* throttle_group_config(); of the requests that wait on `first` (NULL: nobody's) the first one of
 * each direction goes, whatever the limits. */
void throttle_group_config_for(ThrottleState *group, ThrottleGroupMember *first,
                               const ThrottleConfig *cfg);

/* ---- blk-throttle.c: a backend is a member, its blk->throttle ---- */

void blk_throttle_init(BlockBackend *blk);
/* [main] Leaves the group and forgets the remembered one; no requests are in flight. */
void blk_throttle_cleanup(BlockBackend *blk);

/* [any thread] Releases all waiting requests of blk; until the matching end others do not wait
 * either.  They all count. */
void blk_throttle_drain_begin(BlockBackend *blk);
void blk_throttle_drain_end(BlockBackend *blk);

bool blk_is_throttled(BlockBackend *blk);    /* is in a group */

/* [main] F88 and F89: the group's name and a reference to it in the root state. */
void blk_throttle_remember(BlockBackend *blk);
void blk_throttle_restore(BlockBackend *blk);

#endif
