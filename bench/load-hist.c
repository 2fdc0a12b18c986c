/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Latencies, counted in buckets that grow with their size.
 */
#include "bench/load-hist.h"

#define STEPS (1u << HIST_STEPS_BITS)

static unsigned bucket_of(uint64_t ns)
{
    unsigned e, i;

    if (ns < STEPS) {
        return (unsigned)ns;
    }
    e = 63u - (unsigned)__builtin_clzll(ns);
    i = ((e - HIST_STEPS_BITS + 1) << HIST_STEPS_BITS) +
        (unsigned)((ns >> (e - HIST_STEPS_BITS)) & (STEPS - 1));
    return i < HIST_BUCKETS ? i : HIST_BUCKETS - 1;
}

static uint64_t middle_of(unsigned bucket)
{
    unsigned e = (bucket >> HIST_STEPS_BITS) + HIST_STEPS_BITS - 1;
    uint64_t m = (bucket & (STEPS - 1)) + STEPS;

    if (bucket < STEPS) {
        return bucket;
    }
    return (m << (e - HIST_STEPS_BITS)) + (UINT64_C(1) << (e - HIST_STEPS_BITS)) / 2;
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->n++;
    h->sum += ns;
    if (ns > h->max) {
        h->max = ns;
    }
    h->buckets[bucket_of(ns)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    into->n += from->n;
    into->sum += from->sum;
    if (from->max > into->max) {
        into->max = from->max;
    }
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

double hist_mean_us(const struct hist *h)
{
    return h->n ? (double)h->sum / (double)h->n / 1000.0 : 0;
}

double hist_percentile_us(const struct hist *h, double percent)
{
    uint64_t want = (uint64_t)(percent / 100.0 * (double)h->n), seen = 0;

    if (!h->n) {
        return 0;
    }
    if (want >= h->n) {
        want = h->n - 1;
    }
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > want) {
            uint64_t ns = middle_of(i);
            return (double)(ns > h->max ? h->max : ns) / 1000.0;
        }
    }
    return (double)h->max / 1000.0;
}
