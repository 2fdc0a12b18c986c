/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a host cluster may be an L2 table or a refcount block, told without going through the
 * tables that list them.
 *
 * Two hashes of a cluster are two bits.  One that is clear says surely no; if both are set,
 * perhaps: then who asks has to look.  What is no longer a table leaves its bits behind.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>

#define BITS_PER_TABLE 16
#define MIN_BITS_LOG2 12

static const uint64_t factors[] = { UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xc2b2ae3d27d4eb4f) };
#define HASHES (sizeof(factors) / sizeof(factors[0]))

static void set_bits(Qcow2TableFilter *f, uint64_t cluster)
{
    for (size_t k = 0; k < HASHES; k++) {
        uint64_t bit = cluster * factors[k] >> (64 - f->bits_log2);

        f->bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    f->tables++;
}

static bool has_bits(const Qcow2TableFilter *f, uint64_t cluster)
{
    for (size_t k = 0; k < HASHES; k++) {
        uint64_t bit = cluster * factors[k] >> (64 - f->bits_log2);

        if (!(f->bits[bit / 64] >> bit % 64 & 1)) {
            return false;
        }
    }
    return true;
}

static uint64_t count_tables(const uint64_t *entries, uint32_t size, uint64_t mask)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < size; i++) {
        n += (entries[i] & mask) != 0;
    }
    return n;
}

/* A place that is not aligned is wrong, and reaches into two clusters. */
static void add_table(const Qcow2State *s, Qcow2TableFilter *f, uint64_t offset)
{
    set_bits(f, offset >> s->cluster_bits);
    if (qcow2_in_cluster(s, offset)) {
        set_bits(f, (offset >> s->cluster_bits) + 1);
    }
}

static void add_tables(const Qcow2State *s, Qcow2TableFilter *f, const uint64_t *entries,
                       uint32_t size, uint64_t mask)
{
    for (uint32_t i = 0; i < size; i++) {
        if (entries[i] & mask) {
            add_table(s, f, entries[i] & mask);
        }
    }
}

/* With room for as many again. */
int qcow2_filter_build(Qcow2State *s)
{
    Qcow2TableFilter f = { .l1 = s->l1, .reftable = s->reftable, .bits_log2 = MIN_BITS_LOG2 };
    uint64_t n = count_tables(s->l1, s->hdr.l1_size, QCOW2_OFFSET_MASK) +
                 count_tables(s->reftable, s->reftable_size, QCOW2_REFTABLE_MASK);
    uint64_t *old;

    while (UINT64_C(1) << f.bits_log2 < 2 * n * BITS_PER_TABLE) {
        f.bits_log2++;
    }
    f.bits = calloc(1, (UINT64_C(1) << f.bits_log2) / 8);
    if (!f.bits) {
        return -ENOMEM;
    }
    add_tables(s, &f, s->l1, s->hdr.l1_size, QCOW2_OFFSET_MASK);
    add_tables(s, &f, s->reftable, s->reftable_size, QCOW2_REFTABLE_MASK);
    pthread_mutex_lock(&s->map_lock);
    old = s->table_filter.bits;
    s->table_filter = f;
    pthread_mutex_unlock(&s->map_lock);
    free(old);
    return 0;
}

void qcow2_forget_metadata_places(Qcow2State *s)
{
    uint64_t *old;

    pthread_mutex_lock(&s->map_lock);
    old = s->table_filter.bits;
    s->table_filter.bits = NULL;
    pthread_mutex_unlock(&s->map_lock);
    free(old);
}

/* Other arrays than those that it was built from have been filled elsewhere. */
static bool is_current(const Qcow2State *s)
{
    const Qcow2TableFilter *f = &s->table_filter;

    return f->bits && f->l1 == s->l1 && f->reftable == s->reftable &&
           f->tables * BITS_PER_TABLE <= UINT64_C(1) << f->bits_log2;
}

void qcow2_filter_add(Qcow2State *s, uint64_t offset)
{
    pthread_mutex_lock(&s->map_lock);
    if (s->table_filter.bits) {
        add_table(s, &s->table_filter, offset);
    }
    pthread_mutex_unlock(&s->map_lock);
}

bool qcow2_filter_has(const Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    uint64_t last = (offset + bytes - 1) >> s->cluster_bits;

    if (!s->table_filter.bits) {
        return true;
    }
    for (uint64_t i = offset >> s->cluster_bits; i <= last; i++) {
        if (has_bits(&s->table_filter, i)) {
            return true;
        }
    }
    return false;
}

bool qcow2_filter_has_now(Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    return (!is_current(s) && qcow2_filter_build(s) < 0) || qcow2_filter_has(s, offset, bytes);
}
