/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A histogram of latencies in nanoseconds: 64 linear steps a power of two, so within 2 %.
 */
#ifndef BENCH_LOAD_HIST_H
#define BENCH_LOAD_HIST_H

#include <stdint.h>

#define HIST_STEPS_BITS 6
#define HIST_BUCKETS (60u << HIST_STEPS_BITS)

struct hist {
    uint64_t n, sum, max;
    uint64_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *into, const struct hist *from);
double hist_mean_us(const struct hist *h);
double hist_percentile_us(const struct hist *h, double percent);

#endif
