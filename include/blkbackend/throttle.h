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
 * to it in <blkbackend/block-backend.h>.  These here work on the caller's own
 * structure, in any thread.
 */
#ifndef BLKBACKEND_THROTTLE_H
#define BLKBACKEND_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

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

/* A group: named, reference-counted by its members and by what empty backends remember. */
typedef struct ThrottleState ThrottleState;

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

#ifdef __cplusplus
}
#endif
#endif
