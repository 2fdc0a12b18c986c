/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes and questions that concern only the mapping: zeroes, discards, and
 * where the guest's data are.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#define ALL_ZERO (UINT64_C(0xffffffff) << 32)   /* bitmap: every subcluster reads as zeroes */
#define ALL_SUBCLUSTERS UINT64_C(0xffffffff)

typedef enum {
    CHANGE_ZERO,            /* reads as zeroes, keeps its place */
    CHANGE_UNMAP,           /* reads as zeroes, without a place */
    CHANGE_DISCARD,         /* the same, but leaves alone what has no place anyway */
    CHANGE_DROP,            /* as if it had never been written */
} Change;

/* What is to be done with guest clusters [first, end). */
typedef struct ChangeJob {
    Change change;
    uint64_t first, end;
    uint64_t mask;          /* the subclusters of each that it is about */
    bool has_backing;
    Qcow2Discard discard;
} ChangeJob;

typedef struct Entry {
    uint64_t value, bitmap;
} Entry;

/* ---- entries ---- */

static bool is_allocated(const Qcow2State *s, Entry e)
{
    return (e.value & (QCOW2_COMPRESSED | QCOW2_OFFSET_MASK)) ||
           (s->external && (e.value & QCOW2_COPIED));
}

static Entry zero_without_place(const Qcow2State *s)
{
    if (qcow2_has_subclusters(s)) {
        return (Entry){ .bitmap = ALL_ZERO };
    }
    return (Entry){ .value = s->hdr.version >= 3 ? QCOW2_ZERO : 0 };
}

static Entry zero_in_place(const Qcow2State *s, Entry e, uint64_t mask)
{
    if (qcow2_has_subclusters(s)) {
        e.bitmap = (e.bitmap & ~mask) | mask << 32;
    } else {
        e.value |= QCOW2_ZERO;
    }
    return e;
}

static Entry changed_entry(const Qcow2State *s, const ChangeJob *job, Entry e)
{
    bool whole = job->mask == ALL_SUBCLUSTERS;
    bool own = (e.value & QCOW2_COPIED) && !(e.value & QCOW2_COMPRESSED);

    switch (job->change) {
    case CHANGE_DROP:
        return (Entry){ 0 };
    case CHANGE_DISCARD:
        return is_allocated(s, e) || job->has_backing ? zero_without_place(s) : e;
    case CHANGE_ZERO:
        return !whole || (own && is_allocated(s, e)) ? zero_in_place(s, e, job->mask)
                                                     : zero_without_place(s);
    default:
        return whole ? zero_without_place(s) : zero_in_place(s, e, job->mask);
    }
}

/* A compressed cluster has no subclusters that could be zeroed one by one. */
static int change_entry(BlockDriverState *bs, const ChangeJob *job, Qcow2Table *slice, uint32_t i)
{
    Qcow2State *s = bdrv_state(bs);
    Entry old, new;

    old.value = qcow2_slice_get(s, slice, i, &old.bitmap);
    if ((old.value & QCOW2_COMPRESSED) && job->mask != ALL_SUBCLUSTERS) {
        return -ENOTSUP;
    }
    new = changed_entry(s, job, old);
    if (new.value == old.value && new.bitmap == old.bitmap) {
        return 0;
    }
    qcow2_slice_set(bs, slice, i, new.value, new.bitmap);
    if (is_allocated(s, old) && !is_allocated(s, new)) {
        qcow2_free_entry_later(s, old.value, job->discard);
    }
    return 0;
}

/* ---- ranges ---- */

/* Clusters of [first, end) that lie in the same slice, or in the same missing L2 table. */
static uint64_t next_chunk(const Qcow2State *s, const ChangeJob *job, bool *is_hole)
{
    uint64_t index = job->first >> s->l2_bits;
    uint64_t entry = index < s->hdr.l1_size ? s->l1[index] & QCOW2_OFFSET_MASK : 0;
    unsigned bits = entry ? s->slice_bits : s->l2_bits;
    uint64_t next = ((job->first >> bits) + 1) << bits;

    *is_hole = !entry;
    return (next < job->end ? next : job->end) - job->first;
}

static bool skips_holes(const ChangeJob *job)
{
    return job->change == CHANGE_DROP || (job->change == CHANGE_DISCARD && !job->has_backing);
}

static int coroutine_fn change_chunk(BlockDriverState *bs, ChangeJob *job)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Table *slice;
    bool is_hole;
    uint32_t i;
    uint64_t count = next_chunk(s, job, &is_hole);
    int ret = 0;

    if (!is_hole || !skips_holes(job)) {
        uint64_t slice_end = ((job->first >> s->slice_bits) + 1) << s->slice_bits;

        count = slice_end - job->first < count ? slice_end - job->first : count;
        qcow2_wait_allocations(s, job->first, count);
        ret = qcow2_get_slice(bs, job->first, &slice, &i);
        for (uint64_t k = 0; k < count && ret == 0; k++) {
            ret = change_entry(bs, job, slice, i + (uint32_t)k);
        }
    }
    job->first += count;
    if (ret == 0 && qcow2_reclaim_is_due(s)) {
        ret = qcow2_write_back_and_reclaim(bs);
    }
    return ret;
}

/* A slice at a time, so that others get at the metadata in between. */
static int coroutine_fn change_clusters(BlockDriverState *bs, ChangeJob *job)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    job->has_backing = bdrv_backing(bs) || s->hdr.backing_file;
    while (job->first < job->end && ret == 0) {
        qemu_co_mutex_lock(&s->lock);
        ret = atomic_load(&s->broken) ? -EIO : change_chunk(bs, job);
        qemu_co_mutex_unlock(&s->lock);
    }
    return ret;
}

/* The subclusters of one cluster from `from` to below `to`, byte offsets. */
static ChangeJob subcluster_job(const Qcow2State *s, Change change, int64_t from, int64_t to)
{
    uint64_t first = qcow2_cluster_of(s, (uint64_t)from);
    uint32_t start = qcow2_in_cluster(s, (uint64_t)from) >> s->subcluster_bits;
    uint32_t end = (uint32_t)((uint64_t)to - (first << s->cluster_bits)) >> s->subcluster_bits;
    uint64_t mask = ((UINT64_C(1) << end) - 1) & ~((UINT64_C(1) << start) - 1);

    return (ChangeJob){ .change = change, .first = first, .end = first + 1,
                        .mask = qcow2_has_subclusters(s) ? mask : ALL_SUBCLUSTERS };
}

static int coroutine_fn change_subclusters(BlockDriverState *bs, Change change, int64_t from,
                                           int64_t to)
{
    ChangeJob job = subcluster_job(bdrv_state(bs), change, from, to);

    return change_clusters(bs, &job);
}

/* from and to lie between subclusters. */
static int coroutine_fn zero_range(BlockDriverState *bs, Change change, int64_t from, int64_t to)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t head_end = (int64_t)(qcow2_clusters_up(s, (uint64_t)from) << s->cluster_bits);
    int64_t tail_start = (int64_t)(qcow2_cluster_of(s, (uint64_t)to) << s->cluster_bits);
    ChangeJob job = { .change = change, .first = qcow2_clusters_up(s, (uint64_t)from),
                      .end = qcow2_cluster_of(s, (uint64_t)to), .mask = ALL_SUBCLUSTERS,
                      .discard = QCOW2_DISCARD_REQUEST };
    int ret = 0;

    if (head_end > tail_start) {
        return change_subclusters(bs, change, from, to);
    }
    if (from < head_end) {
        ret = change_subclusters(bs, change, from, head_end);
    }
    if (ret == 0) {
        ret = change_clusters(bs, &job);
    }
    if (ret == 0 && tail_start < to) {
        ret = change_subclusters(bs, change, tail_start, to);
    }
    return ret;
}

/* ---- zero writes ---- */

/* A part of a subcluster that nobody has written yet: the whole reads as zeroes from now on, and
 * a backing file that comes later does not show. */
static int coroutine_fn zero_around(BlockDriverState *bs, int64_t offset)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t from = offset & ~((int64_t)s->subcluster_size - 1);
    ChangeJob job = subcluster_job(s, CHANGE_ZERO, from, from + s->subcluster_size);

    if (s->hdr.version < 3 || qcow2_is_data_file_raw(s)) {
        return -ENOTSUP;
    }
    return atomic_load(&s->broken) ? -EIO : change_chunk(bs, &job);
}

/* bytes at offset are a part of one subcluster. lock */
static int coroutine_fn zero_part_locked(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Extent ext;
    int ret;

    do {
        ret = qcow2_map_locked(bs, offset, bytes, &ext);
    } while (ret == 0 && qcow2_wait_allocations(s, qcow2_cluster_of(s, (uint64_t)offset), 1));
    if (ret < 0) {
        return ret;
    }
    if (ext.bytes != bytes) {
        return -ENOTSUP;
    }
    switch (ext.type) {
    case QCOW2_ZERO_PLAIN:
    case QCOW2_ZERO_HOST:
        return 0;
    case QCOW2_UNALLOCATED:
    case QCOW2_UNALLOCATED_HOST:
        return bdrv_backing(bs) ? -ENOTSUP : zero_around(bs, offset);
    default:
        return -ENOTSUP;
    }
}

static int coroutine_fn zero_part(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    if ((offset ^ (offset + bytes - 1)) & ~((int64_t)s->subcluster_size - 1)) {
        return -ENOTSUP;
    }
    qemu_co_mutex_lock(&s->lock);
    ret = zero_part_locked(bs, offset, bytes);
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

/* What is behind the end of the disk may be zeroed as well. */
static int64_t round_up_at_end(const Qcow2State *s, int64_t end)
{
    return (uint64_t)end < s->hdr.size
           ? end : (int64_t)(qcow2_clusters_up(s, (uint64_t)end) << s->cluster_bits);
}

int coroutine_fn qcow2_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        int flags)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t end = round_up_at_end(s, offset + bytes);
    bool unmap = flags & BDRV_REQ_MAY_UNMAP;
    int ret = qcow2_prepare_write(bs);

    if (ret < 0) {
        return ret;
    }
    if ((offset | end) & (s->subcluster_size - 1)) {
        return zero_part(bs, offset, bytes);
    }
    if (s->hdr.version < 3) {
        /* There is no mark for zeroes; but nothing at all reads as zeroes, too. */
        return !unmap || bdrv_backing(bs) ? -ENOTSUP : zero_range(bs, CHANGE_DROP, offset, end);
    }
    if (qcow2_is_data_file_raw(s)) {
        ret = bdrv_co_pwrite_zeroes(s->data_file, offset, bytes, flags & BDRV_REQ_MAY_UNMAP);
        unmap = false;
    }
    return ret < 0 ? ret : zero_range(bs, unmap ? CHANGE_UNMAP : CHANGE_ZERO, offset, end);
}

/* ---- discards ---- */

static int coroutine_fn discard_data_file(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);

    if (qcow2_is_data_file_raw(s)) {
        return bdrv_co_pwrite_zeroes(s->data_file, offset, bytes, BDRV_REQ_MAY_UNMAP);
    }
    return bdrv_co_pdiscard(s->data_file, offset, bytes);
}

int coroutine_fn qcow2_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t end = round_up_at_end(s, offset + bytes);
    ChangeJob job = { .change = CHANGE_DISCARD, .first = qcow2_cluster_of(s, (uint64_t)offset),
                      .end = qcow2_cluster_of(s, (uint64_t)end), .mask = ALL_SUBCLUSTERS,
                      .discard = QCOW2_DISCARD_REQUEST };
    int ret;

    if (((offset | end) & (s->cluster_size - 1)) ||
        (s->hdr.version < 3 && bdrv_backing(bs))) {
        return -ENOTSUP;
    }
    ret = qcow2_prepare_write(bs);
    if (ret == 0) {
        ret = change_clusters(bs, &job);
    }
    return ret == 0 && s->external ? discard_data_file(bs, offset, bytes) : ret;
}

int coroutine_fn qcow2_drop_clusters(BlockDriverState *bs, uint64_t first, uint64_t end)
{
    ChangeJob job = { .change = CHANGE_DROP, .first = first, .end = end,
                      .mask = ALL_SUBCLUSTERS, .discard = QCOW2_DISCARD_ALWAYS };

    return change_clusters(bs, &job);
}

int coroutine_fn qcow2_zero_clusters(BlockDriverState *bs, uint64_t first, uint64_t end)
{
    ChangeJob job = { .change = CHANGE_UNMAP, .first = first, .end = end,
                      .mask = ALL_SUBCLUSTERS, .discard = QCOW2_DISCARD_REQUEST };

    return change_clusters(bs, &job);
}

/* ---- block status ---- */

/*
 * Metadata of an image may have been allocated in advance: clusters that are in
 * use, of which the file has no data.  That is so if it takes clearly less room
 * than its clusters would.  1, 0 or -errno; lock
 */
static int coroutine_fn count_is_beyond_file(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t length = bdrv_co_getlength(bdrv_file(bs));
    int64_t taken = bdrv_get_allocated_file_size(bdrv_file(bs));
    uint64_t clusters, end, limit, used = 0, count;

    if (length < 0 || taken < 0) {
        return 0;   /* it cannot be known */
    }
    clusters = (uint64_t)taken >> s->cluster_bits;
    end = qcow2_cluster_of(s, (uint64_t)length + s->cluster_size - 1);
    limit = clusters + (clusters / 9 > 2 ? clusters / 9 : 2);
    for (uint64_t i = 0; limit <= end && i < end && used < limit; i++) {
        int ret = qcow2_get_refcount(bs, i, &count);

        if (ret < 0) {
            return ret;
        }
        used += count != 0;
    }
    return used >= limit;
}

/* Whether data may be holes of the file; asked once. */
static bool coroutine_fn is_sparse(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int sparse = atomic_load(&s->sparse);

    if (sparse < 0) {
        qemu_co_mutex_lock(&s->lock);
        sparse = count_is_beyond_file(bs) > 0;
        qemu_co_mutex_unlock(&s->lock);
        atomic_store(&s->sparse, sparse);
    }
    return sparse > 0;
}

int coroutine_fn qcow2_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Extent ext;
    Qcow2Pin pin;
    int ret = qcow2_map(bs, offset, bytes, &ext, &pin);

    if (ret < 0) {
        return ret;
    }
    qcow2_unpin(s, pin);
    *pnum = ext.bytes;
    *map = (int64_t)ext.host;
    *file = s->data_file;
    switch (ext.type) {
    case QCOW2_NORMAL:
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID |
               (is_sparse(bs) ? BDRV_BLOCK_RECURSE : 0);
    case QCOW2_UNALLOCATED_HOST:
        return BDRV_BLOCK_OFFSET_VALID;
    case QCOW2_ZERO_HOST:
        return BDRV_BLOCK_ZERO | BDRV_BLOCK_OFFSET_VALID;
    case QCOW2_ZERO_PLAIN:
        return BDRV_BLOCK_ZERO;
    case QCOW2_COMPRESSED_CLUSTER:
        return BDRV_BLOCK_DATA | BDRV_BLOCK_COMPRESSED;
    default:
        return 0;
    }
}
