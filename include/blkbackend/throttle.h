/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * I/O limits: six leaky buckets a group.  All of it is class G (main-loop
 * thread) except where said; the limits themselves hold for every thread.
 */
#ifndef BLKBACKEND_THROTTLE_H
#define BLKBACKEND_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/error.h>

#ifdef __cplusplus
extern "C" {
#endif

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
    double level;           /* state, >= 0 */
    double burst_level;     /* state, >= 0, used if burst_length > 1 */
    unsigned burst_length;  /* seconds that a burst may last */
} LeakyBucket;

typedef struct ThrottleConfig {
    LeakyBucket buckets[BUCKETS_COUNT];
    uint64_t op_size;       /* bytes that count as one operation; 0: any request is one */
} ThrottleConfig;

/* A group: named, reference-counted. */
typedef struct ThrottleState ThrottleState;

#ifdef __cplusplus
}
#endif
#endif
