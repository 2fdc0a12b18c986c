/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How often each host cluster is used: counts in refcount blocks, which the
 * refcount table lists.
 *
 * A missing block is made in the very place that asks for it: its first entry
 * to be set is its own.  A table that is too small is written anew, with the
 * blocks for its own place, behind all that it covered.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

/* ---- one entry of a block: 1, 2, 4, 8, 16, 32 or 64 bits ---- */

uint64_t qcow2_count_get(const uint8_t *block, uint64_t i, uint32_t order)
{
    switch (order) {
    case 4:
        return load_be16(block + i * 2);
    case 5:
        return load_be32(block + i * 4);
    case 6:
        return load_be64(block + i * 8);
    default: {
        uint32_t bit = (uint32_t)(i << order) & 7;

        return (block[i << order >> 3] >> bit) & ((1u << (1u << order)) - 1);
    }
    }
}

void qcow2_count_set(uint8_t *block, uint64_t i, uint32_t order, uint64_t value)
{
    switch (order) {
    case 4:
        store_be16(block + i * 2, (uint16_t)value);
        break;
    case 5:
        store_be32(block + i * 4, (uint32_t)value);
        break;
    case 6:
        store_be64(block + i * 8, value);
        break;
    default: {
        uint32_t bit = (uint32_t)(i << order) & 7, mask = (1u << (1u << order)) - 1;
        uint8_t *byte = &block[i << order >> 3];

        *byte = (uint8_t)((*byte & ~(mask << bit)) | ((uint32_t)value << bit));
    }
    }
}

/* ---- blocks ---- */

static uint64_t in_block(const Qcow2State *s, uint64_t cluster)
{
    return cluster & ((UINT64_C(1) << s->refblock_bits) - 1);
}

/* NULL in *block: there is none. */
static int coroutine_fn get_block(BlockDriverState *bs, uint64_t cluster, Qcow2Table **block)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t index = cluster >> s->refblock_bits, offset;

    *block = NULL;
    if (index >= s->reftable_size) {
        return 0;
    }
    offset = s->reftable[index] & QCOW2_REFTABLE_MASK;
    if (offset == 0) {
        return 0;
    }
    if ((offset & (s->cluster_size - 1)) || offset > (uint64_t)INT64_MAX - s->cluster_size) {
        return qcow2_corrupt(bs, "refcount block offset %#" PRIx64
                             " invalid (refcount table index: %#" PRIx64 ")", offset, index);
    }
    return qcow2_cache_get(bs, &s->refcount_cache, offset, block);
}

void qcow2_refblock_set(const Qcow2State *s, uint8_t *block, uint64_t cluster, uint64_t count)
{
    qcow2_count_set(block, in_block(s, cluster), s->hdr.refcount_order, count);
}

static void set_reftable(BlockDriverState *bs, uint64_t index, uint64_t offset)
{
    Qcow2State *s = bdrv_state(bs);

    s->reftable[index] = offset;
    qcow2_note_table(s, offset, QCOW2_OL_REFCOUNT_BLOCK);
    if (s->reftable_dirty_to == 0 || index < s->reftable_dirty_from) {
        s->reftable_dirty_from = (uint32_t)index;
    }
    if (index >= s->reftable_dirty_to) {
        s->reftable_dirty_to = (uint32_t)index + 1;
    }
    atomic_store(&s->dirty, true);
}

static int compare_entries(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* A place that is there twice; 0: none.  Sorts the entries unless they are in order. */
static uint64_t find_twice(uint64_t *entries, uint32_t count)
{
    uint32_t i = 1;

    while (i < count && entries[i - 1] < entries[i]) {
        i++;
    }
    if (i >= count) {
        return 0;
    }
    qsort(entries, count, sizeof(entries[0]), compare_entries);
    for (i = 1; i < count; i++) {
        if (entries[i - 1] == entries[i]) {
            return entries[i];
        }
    }
    return 0;
}

int coroutine_fn qcow2_check_reftable(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t *entries, twice;
    uint32_t count = 0;

    if (s->reftable_checked) {
        return 0;
    }
    entries = calloc((size_t)s->reftable_size + 1, sizeof(entries[0]));
    if (!entries) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i] & QCOW2_REFTABLE_MASK) {
            entries[count++] = s->reftable[i] & QCOW2_REFTABLE_MASK;
        }
    }
    twice = find_twice(entries, count);
    free(entries);
    if (twice) {
        return qcow2_corrupt(bs, "the refcount table lists the block at %#" PRIx64 " twice", twice);
    }
    s->reftable_checked = true;
    return 0;
}

static void raise_fresh(Qcow2State *s, uint64_t end)
{
    if (end > s->fresh_from) {
        s->fresh_from = end;
    }
}

int coroutine_fn qcow2_new_refblock(BlockDriverState *bs, uint64_t cluster, uint64_t index)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset = cluster << s->cluster_bits;
    Qcow2Table *block;
    int ret = qcow2_check_new_area(bs, offset, s->cluster_size);

    if (ret == 0) {
        ret = qcow2_cache_new(bs, &s->refcount_cache, offset, &block);
    }
    if (ret < 0) {
        return ret;
    }
    set_reftable(bs, index, offset);
    raise_fresh(s, cluster + 1);
    return qcow2_change_refcount(bs, cluster, 1, 1);
}

/* ---- growth of the table ---- */

/* From host cluster `start` on: `blocks` refcount blocks, then the table, `clusters` long. */
typedef struct Growth {
    uint64_t start, blocks, clusters;
    uint64_t entries;
    uint64_t *table;
} Growth;

static int plan_growth(const Qcow2State *s, uint64_t start, Growth *g)
{
    uint64_t per_cluster = s->cluster_size / sizeof(uint64_t);
    uint64_t max = QCOW2_MAX_REFTABLE_BYTES / sizeof(uint64_t), needed;

    *g = (Growth){ .start = start, .blocks = 1, .clusters = 1 };
    for (;;) {
        uint64_t last = start + g->blocks + g->clusters - 1, blocks, clusters;

        needed = (last >> s->refblock_bits) + 1;
        if (needed > max || last > QCOW2_OFFSET_MASK >> s->cluster_bits) {
            return -EFBIG;
        }
        needed += needed / 2;
        clusters = ((needed > max ? max : needed) + per_cluster - 1) / per_cluster;
        blocks = (last >> s->refblock_bits) - (start >> s->refblock_bits) + 1;
        if (clusters <= g->clusters && blocks <= g->blocks) {
            g->entries = g->clusters * per_cluster;
            return 0;
        }
        g->clusters = clusters > g->clusters ? clusters : g->clusters;
        g->blocks = blocks > g->blocks ? blocks : g->blocks;
    }
}

static int coroutine_fn write_new_blocks(BlockDriverState *bs, Growth *g)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t cluster = g->start, end = g->start + g->blocks + g->clusters;
    uint8_t *block = malloc(s->cluster_size);
    int ret = block ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < g->blocks && ret == 0; i++) {
        uint64_t index = cluster >> s->refblock_bits, offset = (g->start + i) << s->cluster_bits;

        memset(block, 0, s->cluster_size);
        while (cluster < end && cluster >> s->refblock_bits == index) {
            qcow2_count_set(block, in_block(s, cluster++), s->hdr.refcount_order, 1);
        }
        qcow2_cache_forget(&s->refcount_cache, offset, s->cluster_size);
        ret = bdrv_pwrite(bdrv_file(bs), (int64_t)offset, s->cluster_size, block);
        if (index < g->entries) {
            g->table[index] = offset;
        }
        if (cluster == end) {
            break;
        }
    }
    free(block);
    return ret;
}

static int coroutine_fn write_new_table(BlockDriverState *bs, const Growth *g)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset = (g->start + g->blocks) << s->cluster_bits;
    uint64_t *disk = calloc(g->entries, sizeof(disk[0]));
    int ret;

    if (!disk) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < g->entries; i++) {
        store_be64(&disk[i], g->table[i]);
    }
    ret = bdrv_pwrite_sync(bdrv_file(bs), (int64_t)offset,
                           (int64_t)(g->entries * sizeof(disk[0])), disk);
    free(disk);
    return ret;
}

/* The new table is whole and on the disk: now it becomes the one. */
static int coroutine_fn switch_tables(BlockDriverState *bs, const Growth *g)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset = (g->start + g->blocks) << s->cluster_bits;
    uint64_t old = s->hdr.reftable_offset >> s->cluster_bits, old_clusters;
    uint8_t field[12];
    int ret;

    store_be64(field, offset);
    store_be32(field + 8, (uint32_t)g->clusters);
    ret = qcow2_update_header(bs, QCOW2_HDR_REFTABLE, field, sizeof(field));
    if (ret < 0) {
        /* Nobody knows which of the two tables the disk now names. */
        atomic_store(&s->broken, true);
        return ret;
    }
    old_clusters = s->hdr.reftable_clusters;
    pthread_mutex_lock(&s->map_lock);
    free(s->reftable);
    s->reftable = g->table;
    s->reftable_size = (uint32_t)g->entries;
    s->reftable_dirty_from = s->reftable_dirty_to = 0;
    s->hdr.reftable_offset = offset;
    s->hdr.reftable_clusters = (uint32_t)g->clusters;
    pthread_mutex_unlock(&s->map_lock);
    raise_fresh(s, g->start + g->blocks + g->clusters);
    qcow2_free_later(s, old, old_clusters, QCOW2_DISCARD_OTHER);
    return 0;
}

static int coroutine_fn grow_table(BlockDriverState *bs, uint64_t cluster)
{
    Qcow2State *s = bdrv_state(bs);
    Growth g;
    int ret = s->switching ? -EFBIG : plan_growth(s, cluster, &g);   /* one header at a time */

    if (ret == 0) {
        ret = qcow2_check_new_area(bs, g.start << s->cluster_bits,
                                   (g.blocks + g.clusters) << s->cluster_bits);
    }
    if (ret == 0) {
        ret = qcow2_cache_write(bs, &s->refcount_cache);
    }
    if (ret < 0) {
        return ret;
    }
    g.table = calloc(g.entries, sizeof(g.table[0]));
    if (!g.table) {
        return -ENOMEM;
    }
    memcpy(g.table, s->reftable, s->reftable_size * sizeof(g.table[0]));
    ret = write_new_blocks(bs, &g);
    if (ret == 0) {
        ret = bdrv_co_flush(bdrv_file(bs));
    }
    if (ret == 0) {
        ret = write_new_table(bs, &g);
    }
    if (ret == 0) {
        ret = switch_tables(bs, &g);
    }
    if (ret < 0) {
        free(g.table);
    }
    return ret;
}

/* ---- counts ---- */

int coroutine_fn qcow2_ensure_refblock(BlockDriverState *bs, uint64_t cluster)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t index = cluster >> s->refblock_bits;

    if (cluster > QCOW2_OFFSET_MASK >> s->cluster_bits) {
        return -EFBIG;
    }
    if (index >= s->reftable_size) {
        return grow_table(bs, cluster);
    }
    return s->reftable[index] & QCOW2_REFTABLE_MASK ? 0 : qcow2_new_refblock(bs, cluster, index);
}

int coroutine_fn qcow2_get_refcount(BlockDriverState *bs, uint64_t cluster, uint64_t *count)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Table *block;
    int ret = get_block(bs, cluster, &block);

    *count = ret == 0 && block ? qcow2_count_get(block->data, in_block(s, cluster),
                                                 s->hdr.refcount_order) : 0;
    return ret;
}

static int coroutine_fn change_one(BlockDriverState *bs, uint64_t cluster, int change)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Table *block;
    uint64_t count;
    int ret = get_block(bs, cluster, &block);

    if (ret < 0) {
        return ret;
    }
    if (!block) {
        return change < 0 ? qcow2_corrupt(bs, "cluster %#" PRIx64 " is in use but not counted",
                                          cluster) : -EINVAL;
    }
    count = qcow2_count_get(block->data, in_block(s, cluster), s->hdr.refcount_order);
    if (change < 0 && count == 0) {
        return qcow2_corrupt(bs, "cluster %#" PRIx64 " is in use but its count is 0", cluster);
    }
    if (change > 0 && count >= s->refcount_max) {
        return -EINVAL;
    }
    count += (uint64_t)change;
    qcow2_count_set(block->data, in_block(s, cluster), s->hdr.refcount_order, count);
    qcow2_cache_dirty(bs, &s->refcount_cache, block);
    if (count == 0) {
        if (cluster < s->free_hint) {
            s->free_hint = cluster;
        }
        if (qcow2_cluster_of(s, s->compressed_tail) == cluster) {
            s->compressed_tail = 0;
        }
    }
    return 0;
}

int coroutine_fn qcow2_change_refcount(BlockDriverState *bs, uint64_t first, uint64_t count,
                                       int change)
{
    for (uint64_t i = 0; i < count; i++) {
        int ret = change_one(bs, first + i, change);

        if (ret < 0) {
            while (i-- > 0) {
                change_one(bs, first + i, -change);
            }
            return ret;
        }
    }
    return 0;
}
