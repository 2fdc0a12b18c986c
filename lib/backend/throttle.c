/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arithmetic of I/O limits (§3.1.1, §3.1.2): leaky buckets.
 *
 *         requests pour in: bytes, or operations
 *               │
 *           │   ▼   │
 *           │       │
 *           ├───────┤ ◀─ capacity: above it, whoever comes waits until the level is here again
 *           │▒▒▒▒▒▒▒│ ◀─ level
 *           └──┐ ┌──┘
 *              ▼ `avg` a second leak out
 *
 * The check comes before the pouring: a request of any size goes at or below
 * the capacity, and those behind it wait for what it poured above.  A second
 * level, which leaks at `max`, bounds the speed of bursts longer than a second.
 */
#include "backend/throttle.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "util/options.h"

#define NS_PER_S 1e9
#define SLACK_DIVISOR 10            /* without a burst, 100 ms' worth may go at once */
#define MOMENT 0.1                  /* the parts of a request bring so many seconds' worth ... */
#define MOMENT_SHARED 0.001         /* ... if nobody is there to wait for them, and if */
#define WAIT_MAX_NS 1e18            /* about 30 years: sums with a time do not overflow */

/* ---- one bucket ---- */

static double leaked(double level, double per_second, int64_t delta_ns)
{
    level -= per_second * (double)delta_ns / NS_PER_S;
    return level > 0 ? level : 0;
}

void throttle_leak_bucket(LeakyBucket *bkt, int64_t delta_ns)
{
    bkt->level = leaked(bkt->level, bkt->avg, delta_ns);
    if (bkt->burst_length > 1) {
        bkt->burst_level = leaked(bkt->burst_level, bkt->max, delta_ns);
    }
}

/* Rounded to whole nanoseconds, so that what is left over by floating point is no wait. */
static int64_t time_to_leak(double extra, double per_second)
{
    double ns = extra * NS_PER_S / per_second;

    return (int64_t)((ns < WAIT_MAX_NS ? ns : WAIT_MAX_NS) + 0.5);
}

static double capacity(const LeakyBucket *bkt)
{
    return bkt->max > 0 ? bkt->max * bkt->burst_length : bkt->avg / SLACK_DIVISOR;
}

int64_t throttle_compute_wait(const LeakyBucket *bkt)
{
    double burst_capacity = bkt->max / SLACK_DIVISOR;

    if (!(bkt->avg > 0)) {
        return 0;
    }
    if (bkt->level > capacity(bkt)) {
        return time_to_leak(bkt->level - capacity(bkt), bkt->avg);
    }
    if (bkt->burst_length > 1 && bkt->burst_level > burst_capacity) {
        return time_to_leak(bkt->burst_level - burst_capacity, bkt->max);
    }
    return 0;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* What one part of a request may pour, if it may go now: up to the capacity, or else as much as
 * leaks out in a moment (seconds). */
static double part_of_bucket(const LeakyBucket *bkt, double moment)
{
    double part = larger(capacity(bkt) - bkt->level, bkt->avg * moment);
    double burst = larger(bkt->max / SLACK_DIVISOR - bkt->burst_level, bkt->max * moment);

    return bkt->burst_length > 1 && part > burst ? burst : part;
}

static void pour(LeakyBucket *bkt, double units)
{
    bkt->level += units;
    if (bkt->burst_length > 1) {
        bkt->burst_level += units;
    }
}

/* ---- the six of them ---- */

/* The buckets that a request of each direction goes through. */
static const BucketType buckets_of[2][4] = {
    { THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_OPS_TOTAL, THROTTLE_OPS_READ },
    { THROTTLE_BPS_TOTAL, THROTTLE_BPS_WRITE, THROTTLE_OPS_TOTAL, THROTTLE_OPS_WRITE },
};

static bool counts_bytes(BucketType type)
{
    return type <= THROTTLE_BPS_WRITE;
}

static void leak(ThrottleBuckets *tb, int64_t now)
{
    int64_t delta = now - tb->leaked_at;

    tb->leaked_at = now;
    for (int i = 0; delta > 0 && i < BUCKETS_COUNT; i++) {
        throttle_leak_bucket(&tb->cfg.buckets[i], delta);
    }
}

void throttle_start(ThrottleBuckets *tb, const ThrottleConfig *cfg, int64_t now)
{
    tb->cfg = *cfg;
    tb->leaked_at = now;
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        tb->cfg.buckets[i].level = 0;
        tb->cfg.buckets[i].burst_level = 0;
    }
}

int64_t throttle_wait_ns(ThrottleBuckets *tb, bool is_write, int64_t now)
{
    int64_t longest = 0;

    leak(tb, now);
    for (int i = 0; i < 4; i++) {
        int64_t wait = throttle_compute_wait(&tb->cfg.buckets[buckets_of[is_write][i]]);

        longest = wait > longest ? wait : longest;
    }
    return longest;
}

static bool is_many_operations(const ThrottleBuckets *tb, const ThrottleLoad *load)
{
    return tb->cfg.op_size && load->bytes > tb->cfg.op_size;
}

uint64_t throttle_part(ThrottleBuckets *tb, const ThrottleLoad *load, bool shared, int64_t now)
{
    double part = (double)load->left;
    double op_size = is_many_operations(tb, load) ? (double)tb->cfg.op_size : 0;

    leak(tb, now);
    for (int i = 0; i < 4; i++) {
        BucketType type = buckets_of[load->is_write][i];
        const LeakyBucket *bkt = &tb->cfg.buckets[type];
        double units = part_of_bucket(bkt, shared ? MOMENT_SHARED : MOMENT);
        double bytes = counts_bytes(type) ? units : op_size * larger(units, 1);

        if (bkt->avg > 0 && bytes > 0 && bytes < part) {
            part = bytes;
        }
    }
    /* Rounded up: or else some last bytes would be a part of their own. */
    return part >= (double)load->left ? load->left : (uint64_t)part + 1;
}

void throttle_account(ThrottleBuckets *tb, ThrottleLoad *load, uint64_t part, int64_t now)
{
    double size = (double)part, ops = load->left == load->bytes ? 1 : 0;

    if (is_many_operations(tb, load)) {
        ops = size / (double)tb->cfg.op_size;
    }
    leak(tb, now);
    for (int i = 0; i < 4; i++) {
        BucketType type = buckets_of[load->is_write][i];

        pour(&tb->cfg.buckets[type], counts_bytes(type) ? size : ops);
    }
    load->left -= part;
}

/* ---- configurations ---- */

static const char *const bucket_names[BUCKETS_COUNT] = {
    [THROTTLE_BPS_TOTAL] = "bps-total",
    [THROTTLE_BPS_READ] = "bps-read",
    [THROTTLE_BPS_WRITE] = "bps-write",
    [THROTTLE_OPS_TOTAL] = "iops-total",
    [THROTTLE_OPS_READ] = "iops-read",
    [THROTTLE_OPS_WRITE] = "iops-write",
};

void throttle_config_init(ThrottleConfig *cfg)
{
    *cfg = (ThrottleConfig){ .op_size = 0 };
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        cfg->buckets[i].burst_length = 1;
    }
}

bool throttle_enabled(ThrottleConfig *cfg)
{
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (cfg->buckets[i].avg > 0) {
            return true;
        }
    }
    return false;
}

/* total is THROTTLE_BPS_TOTAL or THROTTLE_OPS_TOTAL; its read and write follow. */
static bool total_stands_alone(const ThrottleConfig *cfg, BucketType total, Error **errp)
{
    const LeakyBucket *bkt = &cfg->buckets[total];

    if (bkt[0].avg && (bkt[1].avg || bkt[2].avg)) {
        error_setg(errp, "%s does not go together with %s or %s", bucket_names[total],
                   bucket_names[total + 1], bucket_names[total + 2]);
        error_append_hint(errp, "Limit the sum of both directions, or each of its own.\n");
        return false;
    }
    if (bkt[0].max && (bkt[1].max || bkt[2].max)) {
        error_setg(errp, "%s-max does not go together with %s-max or %s-max",
                   bucket_names[total], bucket_names[total + 1], bucket_names[total + 2]);
        error_append_hint(errp, "Limit the sum of both directions, or each of its own.\n");
        return false;
    }
    return true;
}

/* False for what is no number, too. */
static bool rate_possible(double rate)
{
    return rate >= 0 && rate <= THROTTLE_VALUE_MAX;
}

static bool rates_possible(const LeakyBucket *bkt, const char *name, Error **errp)
{
    if (!rate_possible(bkt->avg) || !rate_possible(bkt->max)) {
        error_setg(errp, "%s%s must be from 0 to %lld", name,
                   rate_possible(bkt->avg) ? "-max" : "", THROTTLE_VALUE_MAX);
        return false;
    }
    return true;
}

static bool burst_is_valid(const LeakyBucket *bkt, const char *name, Error **errp)
{
    if (bkt->burst_length == 0) {
        error_setg(errp, "%s-max-length must be 1 second or more", name);
    } else if (bkt->burst_length > 1 && !bkt->max) {
        error_setg(errp, "%s-max-length needs a burst rate: set %s-max", name, name);
    } else if (bkt->max && !bkt->avg) {
        error_setg(errp, "%s-max needs a sustained rate: set %s", name, name);
    } else if (bkt->max && bkt->max < bkt->avg) {
        error_setg(errp, "%s-max, the rate of bursts, must not be below %s", name, name);
    } else if (bkt->max && bkt->burst_length > THROTTLE_VALUE_MAX / bkt->max) {
        error_setg(errp, "%s-max-length is too long for this %s-max: their product must not "
                   "exceed %lld", name, name, THROTTLE_VALUE_MAX);
    } else {
        return true;
    }
    return false;
}

bool throttle_is_valid(ThrottleConfig *cfg, Error **errp)
{
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (!rates_possible(&cfg->buckets[i], bucket_names[i], errp)) {
            return false;
        }
    }
    if (!total_stands_alone(cfg, THROTTLE_BPS_TOTAL, errp) ||
        !total_stands_alone(cfg, THROTTLE_OPS_TOTAL, errp)) {
        return false;
    }
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (!burst_is_valid(&cfg->buckets[i], bucket_names[i], errp)) {
            return false;
        }
    }
    if (cfg->op_size && !cfg->buckets[THROTTLE_OPS_TOTAL].avg &&
        !cfg->buckets[THROTTLE_OPS_READ].avg && !cfg->buckets[THROTTLE_OPS_WRITE].avg) {
        error_setg(errp, "iops-size needs a limit of operations: "
                   "set iops-total, iops-read or iops-write");
        return false;
    }
    return true;
}

/* ---- as options ---- */

#define KEY_LEN 128

static int take_number(QDict *options, const char *prefix, const char *name, const char *suffix,
                       int64_t *value, Error **errp)
{
    char key[KEY_LEN];

    snprintf(key, sizeof(key), "%s%s%s", prefix, name, suffix);
    return options_take_size(options, key, value, errp);
}

static int take_bucket(LeakyBucket *bkt, QDict *options, const char *prefix, const char *name,
                       Error **errp)
{
    int64_t avg = (int64_t)bkt->avg, max = (int64_t)bkt->max, length = bkt->burst_length;

    if (take_number(options, prefix, name, "", &avg, errp) < 0 ||
        take_number(options, prefix, name, "-max", &max, errp) < 0 ||
        take_number(options, prefix, name, "-max-length", &length, errp) < 0) {
        return -EINVAL;
    }
    if (length > UINT_MAX) {
        error_setg(errp, "%s%s-max-length must be from 1 to %u seconds", prefix, name, UINT_MAX);
        return -EINVAL;
    }
    bkt->avg = (double)avg;
    bkt->max = (double)max;
    bkt->burst_length = (unsigned)length;
    return 0;
}

int throttle_config_take(ThrottleConfig *cfg, QDict *options, const char *prefix, Error **errp)
{
    int64_t op_size = (int64_t)cfg->op_size;

    for (int i = 0; i < BUCKETS_COUNT; i++) {
        if (take_bucket(&cfg->buckets[i], options, prefix, bucket_names[i], errp) < 0) {
            return -EINVAL;
        }
    }
    if (take_number(options, prefix, "iops-size", "", &op_size, errp) < 0) {
        return -EINVAL;
    }
    cfg->op_size = (uint64_t)op_size;
    return 0;
}
