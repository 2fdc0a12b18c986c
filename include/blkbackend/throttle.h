/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * I/O limits: what a group of backends may read and write in a second.
 *
 * Six leaky buckets, each with its own limit, or none: bytes and operations, of
 * reads, of writes and of both together.  A request that finds the level of one
 * of its buckets above its capacity waits; it is never split, reordered or
 * failed.  The capacity is max * burst_length, or 100 ms' worth of avg if there
 * is no max.  A request of any size goes when the levels allow it, and leaves a
 * debt to those behind it.
 *
 * Which backends a limit is for: blk_io_limits_enable() and the functions next
 * to it in <blkbackend/block-backend.h>.  A program that has requests of its own
 * to limit makes members itself: see the end of this file.
 */
#ifndef BLKBACKEND_THROTTLE_H
#define BLKBACKEND_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/coroutine.h>
#include <blkbackend/error.h>
#include <blkbackend/qdict.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The highest rate, and the most that a burst may amount to. */
#define THROTTLE_VALUE_MAX 1000000000000000LL

typedef enum {
    THROTTLE_BPS_TOTAL,   /* bytes a second */
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_OPS_TOTAL,   /* operations a second */
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    BUCKETS_COUNT,
} BucketType;

typedef struct LeakyBucket {
    double avg;             /* sustained rate, units/s; 0: this bucket is off */
    double max;             /* burst rate, units/s; 0: no burst configured */
    double level;           /* the library's; 0 in a configuration */
    double burst_level;     /* the library's; 0 in a configuration */
    unsigned burst_length;  /* seconds that a burst may last, at least 1 */
} LeakyBucket;

typedef struct ThrottleConfig {
    LeakyBucket buckets[BUCKETS_COUNT];
    uint64_t op_size;       /* bytes; a larger request counts size / op_size operations (a
                             * fraction, too), others count one; 0: any request is one */
} ThrottleConfig;

/* ---- configurations: the caller's own structure, in any thread ---- */

/* No limits: all 0, every burst_length 1. */
void throttle_config_init(ThrottleConfig *cfg);
/* Is anything limited? */
bool throttle_enabled(ThrottleConfig *cfg);
/* Do the limits go together?  If not, errp says which do not, by the names that they have as
 * settings (bps-total, iops-read-max, bps-write-max-length, iops-size...). */
bool throttle_is_valid(ThrottleConfig *cfg, Error **errp);
/* Takes these settings out of options, where each has prefix before its name; what is not there
 * stays as it is in cfg.  0, or -EINVAL with errp set.  Whether they go together is not asked. */
int throttle_config_take(ThrottleConfig *cfg, QDict *options, const char *prefix, Error **errp);

/* ---- groups: any thread ---- */

/* Members under common limits.  Referenced by its members, by what empty backends remember, and by
 * whoever asked for it; forgotten, with its limits, when the last reference goes. */
typedef struct ThrottleState ThrottleState;

/* A reference to the group of this name, made without limits if there is none; those that backends
 * have joined are among them.  NULL or "": a new one that has no name and is nobody else's. */
ThrottleState *throttle_group_incref(const char *name);
void throttle_group_unref(ThrottleState *group);       /* NULL is let pass */
/* Sets the limits and forgets debts; who waits, waits by the new limits from now on.  cfg (not
 * kept) must be valid: throttle_is_valid(). */
void throttle_group_config(ThrottleState *group, ThrottleConfig *cfg);
/* The limits exactly as they were set. */
void throttle_state_get_config(ThrottleState *group, ThrottleConfig *cfg);
/* "" if it has none; valid as long as the reference. */
const char *throttle_state_get_name(const ThrottleState *group);

/* ---- members that are no backends: any thread ---- */

/* Has requests that wait, in the order they came; members that have to wait take turns, each
 * direction for itself. */
typedef struct ThrottleGroupMember ThrottleGroupMember;

ThrottleGroupMember *throttle_group_member_new(void);  /* in no group: its requests do not wait */
/* Leaves its group.  No coroutine is in a call with it any more.  NULL is let pass. */
void throttle_group_member_free(ThrottleGroupMember *tgm);
/* Joins, and leaves the group that it was in; requests that wait go on waiting in the new one.
 * The group's reference stays the caller's. */
void throttle_group_register_tgm(ThrottleGroupMember *tgm, ThrottleState *group);
/* Leaves its group, if it is in one; waiting requests go at once. */
void throttle_group_unregister_tgm(ThrottleGroupMember *tgm);
/* Waits until a request of so many bytes may go, and counts it.  0, or -ECANCELED. */
int coroutine_fn throttle_group_co_io_limits_intercept(ThrottleGroupMember *tgm, uint64_t bytes,
                                                       bool is_write);
/*
 * The same for who does not want a large request to pass the limits whole and leave a debt: it
 * takes as many turns as the limits take to allow it, in parts of what may come at once, of 100 ms'
 * worth or, if other members have requests, of 1 ms'; and goes after the last.  *waited_ns: how
 * long that took; 0: it did not wait.
 */
int coroutine_fn throttle_group_co_io_limits_intercept_parts(ThrottleGroupMember *tgm,
                                                             uint64_t bytes, bool is_write,
                                                             int64_t *waited_ns);
/* If coroutine co waits there, its call returns -ECANCELED, and what has not had its turn yet is
 * not counted; false: it does not wait.  As long as co has not ended. */
bool throttle_group_cancel_tgm(ThrottleGroupMember *tgm, const Coroutine *co);
/* All that wait now go at once; they count. */
void throttle_group_restart_tgm(ThrottleGroupMember *tgm);

#ifdef __cplusplus
}
#endif
#endif
