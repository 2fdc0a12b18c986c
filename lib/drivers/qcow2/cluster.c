/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the guest's clusters to the file's: L1 table, L2 slices, and what their
 * entries mean.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

#define ALL_SUBCLUSTERS UINT64_C(0xffffffff)

/* ---- entries ---- */

uint64_t qcow2_slice_get(const Qcow2State *s, const Qcow2Table *slice, uint32_t entry,
                         uint64_t *bitmap)
{
    const uint8_t *at = slice->data + ((size_t)entry << s->l2_entry_bits);

    *bitmap = qcow2_has_subclusters(s) ? load_be64(at + 8) : 0;
    return load_be64(at);
}

void qcow2_slice_set(BlockDriverState *bs, Qcow2Table *slice, uint32_t entry, uint64_t value,
                     uint64_t bitmap)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *at = slice->data + ((size_t)entry << s->l2_entry_bits);

    pthread_mutex_lock(&s->map_lock);
    store_be64(at, value);
    if (qcow2_has_subclusters(s)) {
        store_be64(at + 8, bitmap);
    }
    pthread_mutex_unlock(&s->map_lock);
    qcow2_cache_dirty(bs, &s->l2_cache, slice);
}

/* Without the subclusters: has the entry a place? */
static bool has_host(const Qcow2State *s, uint64_t entry)
{
    /* The first cluster of an external data file is at 0, and only COPIED tells. */
    return (entry & QCOW2_OFFSET_MASK) || (s->external && (entry & QCOW2_COPIED));
}

bool qcow2_entry_has_place(const Qcow2State *s, uint64_t entry)
{
    return (entry & QCOW2_OFFSET_MASK) ||
           (has_host(s, entry) && (qcow2_has_subclusters(s) || !(entry & QCOW2_ZERO)));
}

static Qcow2Type subcluster_type(const Qcow2State *s, uint64_t entry, uint64_t bitmap,
                                 uint32_t sub)
{
    bool allocated = (bitmap >> sub) & 1, zero = (bitmap >> (sub + 32)) & 1;

    if (has_host(s, entry)) {
        return zero ? (allocated ? QCOW2_INVALID : QCOW2_ZERO_HOST)
                    : (allocated ? QCOW2_NORMAL : QCOW2_UNALLOCATED_HOST);
    }
    return allocated ? QCOW2_INVALID : zero ? QCOW2_ZERO_PLAIN : QCOW2_UNALLOCATED;
}

Qcow2Type qcow2_entry_type(const Qcow2State *s, uint64_t entry, uint64_t bitmap, uint32_t sub)
{
    if (entry & QCOW2_COMPRESSED) {
        return s->external ? QCOW2_INVALID : QCOW2_COMPRESSED_CLUSTER;
    }
    if ((entry & QCOW2_OFFSET_MASK) & (s->cluster_size - 1)) {
        return QCOW2_INVALID;
    }
    if (qcow2_has_subclusters(s)) {
        return subcluster_type(s, entry, bitmap, sub);
    }
    if (entry & QCOW2_ZERO) {
        return s->hdr.version < 3 ? QCOW2_INVALID
                                  : qcow2_entry_has_place(s, entry) ? QCOW2_ZERO_HOST
                                                                    : QCOW2_ZERO_PLAIN;
    }
    return has_host(s, entry) ? QCOW2_NORMAL : QCOW2_UNALLOCATED;
}

static bool type_has_host(Qcow2Type type)
{
    return type == QCOW2_NORMAL || type == QCOW2_ZERO_HOST || type == QCOW2_UNALLOCATED_HOST;
}

void qcow2_compressed_place(const Qcow2State *s, uint64_t entry, uint64_t *offset,
                            uint32_t *bytes)
{
    unsigned shift = 62 - (s->cluster_bits - 8);
    uint64_t sectors = (entry >> shift) & ((UINT64_C(1) << (s->cluster_bits - 8)) - 1);

    *offset = entry & ((UINT64_C(1) << shift) - 1);
    if (shift > 56) {
        *offset &= (UINT64_C(1) << 56) - 1;
    }
    *bytes = (uint32_t)((sectors + 1) * 512 - (*offset & 511));
}

/* ---- runs of entries ---- */

/* How many subclusters from `sub` on are of the same type. */
static uint32_t run_of_subclusters(const Qcow2State *s, uint64_t entry, uint64_t bitmap,
                                   uint32_t sub, Qcow2Type type)
{
    uint32_t n = 1;

    if (!qcow2_has_subclusters(s) || type == QCOW2_COMPRESSED_CLUSTER) {
        return s->subclusters - sub;
    }
    if (type == QCOW2_NORMAL && (bitmap & ALL_SUBCLUSTERS) == ALL_SUBCLUSTERS && !(bitmap >> 32)) {
        return s->subclusters - sub;
    }
    while (sub + n < s->subclusters && qcow2_entry_type(s, entry, bitmap, sub + n) == type) {
        n++;
    }
    return n;
}

/* The extent that starts in entry `i` of the slice, `in_cluster` bytes into its cluster. */
static void measure_extent(const Qcow2State *s, const Qcow2Table *slice, uint32_t i,
                           uint32_t in_cluster, int64_t bytes, Qcow2Extent *ext)
{
    uint32_t sub = in_cluster >> s->subcluster_bits, run;
    uint32_t slice_entries = 1u << s->slice_bits;
    uint64_t bitmap, entry = qcow2_slice_get(s, slice, i, &bitmap), first = entry;
    Qcow2Type type = qcow2_entry_type(s, entry, bitmap, sub);
    bool has_place = type_has_host(type);
    int64_t n;

    run = run_of_subclusters(s, entry, bitmap, sub, type);
    n = ((int64_t)(sub + run) << s->subcluster_bits) - in_cluster;
    while (n < bytes && sub + run == s->subclusters && ++i < slice_entries &&
           type != QCOW2_COMPRESSED_CLUSTER && type != QCOW2_INVALID) {
        uint64_t next = qcow2_slice_get(s, slice, i, &bitmap);

        first += s->cluster_size;
        if ((has_place && next != first) || qcow2_entry_type(s, next, bitmap, 0) != type) {
            break;
        }
        sub = 0;
        run = run_of_subclusters(s, next, bitmap, 0, type);
        n += (int64_t)run << s->subcluster_bits;
    }
    ext->type = type;
    ext->bytes = n < bytes ? n : bytes;
    ext->host = type == QCOW2_COMPRESSED_CLUSTER || type == QCOW2_INVALID ? entry
                : has_place ? (entry & QCOW2_OFFSET_MASK) + in_cluster : 0;
    ext->writable = type == QCOW2_NORMAL && (entry & QCOW2_COPIED);
}

/* ---- looking up ---- */

static uint64_t l1_index_of(const Qcow2State *s, uint64_t cluster)
{
    return cluster >> s->l2_bits;
}

/* The place of the slice of a guest cluster in its L2 table, which is at l2_offset. */
static uint64_t slice_offset(const Qcow2State *s, uint64_t l2_offset, uint64_t cluster)
{
    uint64_t in_table = (cluster & ((UINT64_C(1) << s->l2_bits) - 1)) >> s->slice_bits;

    return l2_offset + in_table * s->l2_cache.table_size;
}

static uint64_t l1_entry(const Qcow2State *s, uint64_t cluster)
{
    uint64_t index = l1_index_of(s, cluster);

    return index < s->hdr.l1_size ? s->l1[index] : 0;
}

/* No L2 table: up to where there might be one again. */
static void measure_hole(const Qcow2State *s, int64_t offset, int64_t bytes, Qcow2Extent *ext)
{
    uint64_t table_bytes = UINT64_C(1) << (s->l2_bits + s->cluster_bits);
    uint64_t left = table_bytes - ((uint64_t)offset & (table_bytes - 1));

    *ext = (Qcow2Extent){ .type = QCOW2_UNALLOCATED,
                          .bytes = (uint64_t)bytes < left ? bytes : (int64_t)left };
}

/* True if it is known; under map_lock or lock. */
static bool look_up(Qcow2State *s, int64_t offset, int64_t bytes, Qcow2Extent *ext)
{
    uint64_t cluster = qcow2_cluster_of(s, (uint64_t)offset);
    uint64_t l2_offset = l1_entry(s, cluster) & QCOW2_OFFSET_MASK;
    Qcow2Table *slice;

    if (!l2_offset) {
        measure_hole(s, offset, bytes, ext);
        return true;
    }
    slice = qcow2_cache_find(&s->l2_cache, slice_offset(s, l2_offset, cluster));
    if (!slice) {
        return false;
    }
    measure_extent(s, slice, cluster & ((1u << s->slice_bits) - 1),
                   qcow2_in_cluster(s, (uint64_t)offset), bytes, ext);
    if (ext->writable) {
        ext->writable = s->external ? ext->host == (uint64_t)offset
                                    : qcow2_is_data_area(s, ext->host, (uint64_t)ext->bytes);
    }
    return true;
}

bool qcow2_map_quick(Qcow2State *s, int64_t offset, int64_t bytes, Qcow2Extent *ext,
                     Qcow2Pin *pin)
{
    bool known;

    *pin = -1;
    pthread_mutex_lock(&s->map_lock);
    known = look_up(s, offset, bytes, ext);
    if (known && (ext->type == QCOW2_NORMAL || ext->type == QCOW2_COMPRESSED_CLUSTER)) {
        *pin = s->epoch & 1;
        atomic_fetch_add_explicit(&s->pinned[*pin], 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&s->map_lock);
    return known;
}

static int coroutine_fn check_extent(BlockDriverState *bs, int64_t offset, const Qcow2Extent *ext)
{
    Qcow2State *s = bdrv_state(bs);

    if (ext->type == QCOW2_INVALID) {
        return qcow2_corrupt(bs, "invalid L2 entry %#" PRIx64 " for guest offset %#" PRIx64,
                             ext->host, (uint64_t)offset);
    }
    if (s->external && type_has_host(ext->type) && ext->host != (uint64_t)offset) {
        return qcow2_corrupt(bs, "external data file host cluster offset %#" PRIx64
                             " does not match guest cluster offset %#" PRIx64,
                             ext->host, (uint64_t)offset);
    }
    return 0;
}

/* Brings the slice of a guest cluster, whose L2 table exists, into the cache. */
static int coroutine_fn load_slice(BlockDriverState *bs, uint64_t cluster, Qcow2Table **slice)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t l2_offset = l1_entry(s, cluster) & QCOW2_OFFSET_MASK;

    if (l2_offset & (s->cluster_size - 1)) {
        return qcow2_corrupt(bs, "L2 table offset %#" PRIx64 " unaligned (L1 index: %#" PRIx64 ")",
                             l2_offset, l1_index_of(s, cluster));
    }
    return qcow2_cache_get(bs, &s->l2_cache, slice_offset(s, l2_offset, cluster), slice);
}

int coroutine_fn qcow2_map_locked(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  Qcow2Extent *ext)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Table *slice;
    int ret;

    if (!look_up(s, offset, bytes, ext)) {
        ret = load_slice(bs, qcow2_cluster_of(s, (uint64_t)offset), &slice);
        if (ret < 0) {
            return ret;
        }
        look_up(s, offset, bytes, ext);
    }
    return check_extent(bs, offset, ext);
}

int coroutine_fn qcow2_map(BlockDriverState *bs, int64_t offset, int64_t bytes, Qcow2Extent *ext,
                           Qcow2Pin *pin)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    if (!qcow2_map_quick(s, offset, bytes, ext, pin)) {
        qemu_co_mutex_lock(&s->lock);
        ret = qcow2_map_locked(bs, offset, bytes, ext);
        if (ret == 0) {
            qcow2_map_quick(s, offset, bytes, ext, pin);
        }
        qemu_co_mutex_unlock(&s->lock);
        return ret;
    }
    ret = check_extent(bs, offset, ext);
    if (ret < 0) {
        qcow2_unpin(s, *pin);
    }
    return ret;
}

/* ---- L2 tables ---- */

void qcow2_set_l1(BlockDriverState *bs, uint64_t index, uint64_t value)
{
    Qcow2State *s = bdrv_state(bs);

    pthread_mutex_lock(&s->map_lock);
    s->l1[index] = value;
    pthread_mutex_unlock(&s->map_lock);
    qcow2_note_table(s, value & QCOW2_OFFSET_MASK, QCOW2_OL_ACTIVE_L2);
    if (s->l1_dirty_to == 0 || index < s->l1_dirty_from) {
        s->l1_dirty_from = (uint32_t)index;
    }
    if (index >= s->l1_dirty_to) {
        s->l1_dirty_to = (uint32_t)index + 1;
    }
    atomic_store(&s->dirty, true);
}

/* The content of an L2 table: of the old one, or nothing but unallocated clusters. */
static int coroutine_fn fill_l2_table(BlockDriverState *bs, uint64_t old_offset, uint64_t offset)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *table = calloc(1, s->cluster_size);
    int ret = 0;

    if (!table) {
        return -ENOMEM;
    }
    if (old_offset) {
        ret = bdrv_pread(bdrv_file(bs), (int64_t)old_offset, s->cluster_size, table);
    }
    if (ret == 0) {
        ret = bdrv_pwrite(bdrv_file(bs), (int64_t)offset, s->cluster_size, table);
    }
    free(table);
    return ret;
}

/* Gives an L1 entry a table of its own; a shared one is copied.  A shared table is never
 * changed, so what is cached of it is what is on the disk. */
static int coroutine_fn new_l2_table(BlockDriverState *bs, uint64_t index)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t old_offset = s->l1[index] & QCOW2_OFFSET_MASK, first, got;
    int ret;

    if (old_offset & (s->cluster_size - 1)) {
        return qcow2_corrupt(bs, "L2 table offset %#" PRIx64 " unaligned (L1 index: %#" PRIx64 ")",
                             old_offset, index);
    }
    ret = qcow2_alloc_clusters(bs, 1, &first, &got);
    if (ret < 0) {
        return ret;
    }
    qcow2_cache_forget(&s->l2_cache, first << s->cluster_bits, s->cluster_size);
    ret = fill_l2_table(bs, old_offset, first << s->cluster_bits);
    if (ret < 0) {
        qcow2_change_refcount(bs, first, 1, -1);
        return ret;
    }
    qcow2_set_l1(bs, index, first << s->cluster_bits | QCOW2_COPIED);
    if (old_offset) {
        qcow2_free_later(s, old_offset >> s->cluster_bits, 1, QCOW2_DISCARD_OTHER);
    }
    return 0;
}

int coroutine_fn qcow2_get_slice(BlockDriverState *bs, uint64_t index, Qcow2Table **slice,
                                 uint32_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t l1_index = l1_index_of(s, index);
    int ret = 0;

    if (l1_index >= s->hdr.l1_size) {
        return -EIO;
    }
    if (!(s->l1[l1_index] & QCOW2_COPIED) || !(s->l1[l1_index] & QCOW2_OFFSET_MASK)) {
        ret = new_l2_table(bs, l1_index);
    }
    *entry = index & ((1u << s->slice_bits) - 1);
    return ret < 0 ? ret : load_slice(bs, index, slice);
}
