/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Latency histograms: how many operations took how long.
 *
 * Threads count without a lock into the histogram that they find; setting
 * another one puts the old one aside until its user knows that nobody counts
 * there any more, or the statistics go.
 */
#include "backend/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Latencies by how many bits they have: 0 to 64. */
#define MAGNITUDES 65

struct BlockLatencyHistogram {
    BlockLatencyHistogram *next_retired;
    unsigned n;                 /* boundaries */
    unsigned first[MAGNITUDES + 1];     /* of them that has as many bits, or more */
    uint64_t *bins;             /* n + 1 */
    uint64_t boundaries[];
};

static unsigned magnitude(uint64_t ns)
{
    return ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;
}

/* Only the boundaries that have as many bits as the latency are in question: rarely more than one
 * or two. */
void block_histogram_account(BlockAcctStats *stats, enum BlockAcctType type, uint64_t latency)
{
    BlockLatencyHistogram *h = __atomic_load_n(&stats->histograms[type], __ATOMIC_ACQUIRE);
    unsigned low, high;

    if (!h) {
        return;
    }
    low = h->first[magnitude(latency)];
    high = h->first[magnitude(latency) + 1];
    while (low < high) {
        unsigned mid = low + (high - low) / 2;

        if (latency < h->boundaries[mid]) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    __atomic_fetch_add(&h->bins[low], 1, __ATOMIC_RELAXED);
}

static BlockLatencyHistogram *histogram_new(const uint64_t *boundaries, unsigned n)
{
    size_t size = sizeof(BlockLatencyHistogram) + n * sizeof(uint64_t);
    BlockLatencyHistogram *h = calloc(1, size + (n + (size_t)1) * sizeof(uint64_t));

    if (!h) {
        abort();
    }
    h->n = n;
    h->bins = h->boundaries + n;
    memcpy(h->boundaries, boundaries, n * sizeof(uint64_t));
    for (unsigned m = 0, i = 0; m <= MAGNITUDES; m++) {
        while (i < n && magnitude(boundaries[i]) < m) {
            i++;
        }
        h->first[m] = i;
    }
    return h;
}

/* The old one may be counted into right now. */
static void histogram_replace(BlockAcctStats *stats, enum BlockAcctType type,
                              BlockLatencyHistogram *h)
{
    BlockLatencyHistogram *old = __atomic_exchange_n(&stats->histograms[type], h,
                                                     __ATOMIC_ACQ_REL);

    if (old) {
        old->next_retired = __atomic_load_n(&stats->retired_histograms, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&stats->retired_histograms, &old->next_retired, old,
                                            true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        }
    }
}

void block_latency_histograms_reclaim(BlockAcctStats *stats)
{
    BlockLatencyHistogram *h = __atomic_exchange_n(&stats->retired_histograms, NULL,
                                                   __ATOMIC_ACQUIRE);

    while (h) {
        BlockLatencyHistogram *next = h->next_retired;

        free(h);
        h = next;
    }
}

void block_histograms_cleanup(BlockAcctStats *stats)
{
    block_latency_histograms_clear(stats);
    block_latency_histograms_reclaim(stats);
}

int block_latency_histogram_set(BlockAcctStats *stats, enum BlockAcctType type,
                                const uint64_t *boundaries, unsigned n)
{
    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    for (unsigned i = 0; i < n; i++) {
        if (boundaries[i] <= (i ? boundaries[i - 1] : 0)) {
            return -EINVAL;
        }
    }
    histogram_replace(stats, type, n ? histogram_new(boundaries, n) : NULL);
    return 0;
}

void block_latency_histograms_clear(BlockAcctStats *stats)
{
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        histogram_replace(stats, (enum BlockAcctType)i, NULL);
    }
}

unsigned block_latency_histogram_get(BlockAcctStats *stats, enum BlockAcctType type,
                                     uint64_t *boundaries, uint64_t *bins, unsigned max)
{
    BlockLatencyHistogram *h;

    BLK_PRECONDITION((unsigned)type < BLOCK_MAX_IOTYPE, "no such type");
    h = __atomic_load_n(&stats->histograms[type], __ATOMIC_ACQUIRE);
    if (!h) {
        return 0;
    }
    for (unsigned i = 0; boundaries && i < max && i < h->n; i++) {
        boundaries[i] = h->boundaries[i];
    }
    for (unsigned i = 0; bins && i <= max && i <= h->n; i++) {
        bins[i] = __atomic_load_n(&h->bins[i], __ATOMIC_RELAXED);
    }
    return h->n;
}
