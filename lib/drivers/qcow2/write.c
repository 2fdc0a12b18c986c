/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes.
 *
 *     mapped, ours alone:  look up ─▶ write in place
 *     else:                plan, under lock ─▶ fill up and write ─▶ link, under lock
 *
 * A plan reserves its guest clusters: who else wants to give them a place, or
 * take it away, waits.  The new place is linked only when its data are written,
 * so that readers see the old content until then.  Where only a part of a
 * cluster (or subcluster) is written, the rest comes from what the guest sees
 * there now.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <string.h>

/* Guest clusters that get a place, and the user's bytes that go into them. */
typedef struct WritePlan {
    Qcow2Allocation a;
    int64_t offset, bytes;         /* the user's */
    int64_t fill_from, fill_to;    /* what will be linked: whole subclusters around them */
    uint64_t host;                 /* place of the first cluster */
    bool is_new;                   /* allocated for this plan */
    bool is_fresh;                 /* and never written to: reads as zeroes */
    bool zero_head, zero_tail;     /* what fills up there is zeroes */
} WritePlan;

/* ---- data ---- */

static int coroutine_fn write_piece(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov, size_t skip)
{
    QEMUIOVector piece;
    int ret;

    if (skip == 0 && (size_t)bytes == qiov->size) {
        return bdrv_co_pwritev(bs, offset, bytes, qiov, 0);
    }
    qcow2_piece_init(&piece, qiov, skip, (size_t)bytes);
    ret = bdrv_co_pwritev(bs, offset, bytes, &piece, 0);
    qemu_iovec_destroy(&piece);
    return ret;
}

static int coroutine_fn fill(BlockDriverState *bs, int64_t offset, int64_t bytes, bool zero,
                             uint8_t *buf)
{
    if (zero) {
        memset(buf, 0, (size_t)bytes);
        return 0;
    }
    return qcow2_read_guest(bs, offset, bytes, buf);
}

/* One write: head from what is there, the user's data, tail from what is there. */
static int coroutine_fn write_filled(BlockDriverState *bs, const WritePlan *p, int64_t head,
                                     int64_t tail, QEMUIOVector *qiov, size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *buf = qemu_try_memalign(bdrv_opt_mem_align(s->data_file), (size_t)(head + tail));
    int64_t start = p->offset - head;
    QEMUIOVector whole;
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    ret = fill(bs, start, head, p->zero_head, buf);
    if (ret == 0) {
        ret = fill(bs, p->offset + p->bytes, tail, p->zero_tail, buf + head);
    }
    if (ret == 0) {
        qemu_iovec_init(&whole, qiov->niov + 2);
        if (head > 0) {
            qemu_iovec_add(&whole, buf, (size_t)head);
        }
        qemu_iovec_concat(&whole, qiov, skip, (size_t)p->bytes);
        if (tail > 0) {
            qemu_iovec_add(&whole, buf + head, (size_t)tail);
        }
        ret = bdrv_co_pwritev(s->data_file,
                              (int64_t)p->host + start - (int64_t)(p->a.first << s->cluster_bits),
                              head + p->bytes + tail, &whole, 0);
        qemu_iovec_destroy(&whole);
    }
    qemu_vfree(buf);
    return ret;
}

static int coroutine_fn write_data(BlockDriverState *bs, const WritePlan *p, QEMUIOVector *qiov,
                                   size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t head = p->offset - p->fill_from, tail = p->fill_to - p->offset - p->bytes;

    if (p->is_fresh && p->zero_head) {
        head = 0;
    }
    if (p->is_fresh && p->zero_tail) {
        tail = 0;
    }
    if (head + tail > 0) {
        return write_filled(bs, p, head, tail, qiov, skip);
    }
    return write_piece(s->data_file,
                       (int64_t)p->host + p->offset - (int64_t)(p->a.first << s->cluster_bits),
                       p->bytes, qiov, skip);
}

/* ---- plans ---- */

/* Has the entry a place that can be written to as it is? */
static bool has_own_host(const Qcow2State *s, uint64_t entry)
{
    if (entry & QCOW2_COMPRESSED) {
        return false;
    }
    return (entry & QCOW2_COPIED) && ((entry & QCOW2_OFFSET_MASK) || s->external);
}

static bool reads_as_zeroes(BlockDriverState *bs, Qcow2Type type)
{
    return type == QCOW2_ZERO_PLAIN || type == QCOW2_ZERO_HOST ||
           ((type == QCOW2_UNALLOCATED || type == QCOW2_UNALLOCATED_HOST) && !bdrv_backing(bs));
}

/* How far the clusters from the first one on are in the same position: with places of their
 * own, in one piece; or all without. */
static uint64_t count_alike(const Qcow2State *s, const Qcow2Table *slice, uint32_t i,
                            uint64_t most)
{
    uint64_t bitmap, first = qcow2_slice_get(s, slice, i, &bitmap), n = 1;
    bool own = has_own_host(s, first);

    while (n < most && i + n < 1u << s->slice_bits) {
        uint64_t entry = qcow2_slice_get(s, slice, i + (uint32_t)n, &bitmap);

        if (s->external) {
            ;   /* its place is always the guest's own */
        } else if (own ? ((entry ^ (first + (n << s->cluster_bits))) & ~QCOW2_ZERO) != 0
                       : has_own_host(s, entry)) {
            break;
        }
        n++;
    }
    return n;
}

/* A cluster that moves is moved as a whole. */
static bool needs_whole_cluster(const WritePlan *p, uint64_t entry)
{
    return p->is_new && (entry & (QCOW2_COMPRESSED | QCOW2_OFFSET_MASK));
}

static void plan_head(BlockDriverState *bs, WritePlan *p, uint64_t entry, uint64_t bitmap)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t in_cluster = qcow2_in_cluster(s, (uint64_t)p->offset);
    Qcow2Type type = qcow2_entry_type(s, entry, bitmap, in_cluster >> s->subcluster_bits);

    p->zero_head = reads_as_zeroes(bs, type);
    if (needs_whole_cluster(p, entry)) {
        p->fill_from = p->offset - in_cluster;
        p->zero_head = p->zero_head && !qcow2_has_subclusters(s);
    } else if (type == QCOW2_NORMAL && !p->is_new) {
        p->fill_from = p->offset;
    } else {
        p->fill_from = p->offset - (in_cluster & (s->subcluster_size - 1));
    }
}

static void plan_tail(BlockDriverState *bs, WritePlan *p, uint64_t entry, uint64_t bitmap)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t end = p->offset + p->bytes;
    uint32_t in_cluster = qcow2_in_cluster(s, (uint64_t)end - 1);
    Qcow2Type type = qcow2_entry_type(s, entry, bitmap, in_cluster >> s->subcluster_bits);

    p->zero_tail = reads_as_zeroes(bs, type);
    if (needs_whole_cluster(p, entry)) {
        p->fill_to = end - 1 - in_cluster + s->cluster_size;
        p->zero_tail = p->zero_tail && !qcow2_has_subclusters(s);
    } else if (type == QCOW2_NORMAL && !p->is_new) {
        p->fill_to = end;
    } else {
        p->fill_to = end - 1 - (in_cluster & (s->subcluster_size - 1)) + s->subcluster_size;
    }
}

/* Gives the clusters a place: their own, the guest's offset, or a new one. */
static int coroutine_fn plan_host(BlockDriverState *bs, WritePlan *p, uint64_t entry,
                                  uint64_t *count)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t fresh_from = s->fresh_from, first;
    int ret;

    if (s->external) {
        p->host = p->a.first << s->cluster_bits;
        return 0;
    }
    if (has_own_host(s, entry)) {
        p->host = entry & QCOW2_OFFSET_MASK;
        return qcow2_check_new_area(bs, p->host, *count << s->cluster_bits);
    }
    ret = qcow2_alloc_clusters(bs, *count, &first, count);
    if (ret == 0) {
        p->host = first << s->cluster_bits;
        p->is_new = true;
        p->is_fresh = s->lazy_zero && first >= fresh_from;
    }
    return ret;
}

/* Plans as much as goes in one piece; under lock, with nobody at the first cluster. */
static int coroutine_fn plan_write(BlockDriverState *bs, WritePlan *p, int64_t offset,
                                   int64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t entry, bitmap, last_entry, last_bitmap, room;
    uint64_t first = qcow2_cluster_of(s, (uint64_t)offset);
    uint64_t count = qcow2_cluster_of(s, (uint64_t)(offset + bytes - 1)) - first + 1;
    Qcow2Table *slice;
    uint32_t i;
    int ret = qcow2_get_slice(bs, first, &slice, &i);

    if (ret < 0) {
        return ret;
    }
    *p = (WritePlan){ .a.first = first, .offset = offset };
    count = qcow2_unallocating_run(s, first, count);
    count = count_alike(s, slice, i, count);
    entry = qcow2_slice_get(s, slice, i, &bitmap);
    ret = plan_host(bs, p, entry, &count);
    if (ret < 0) {
        return ret;
    }
    room = ((first + count) << s->cluster_bits) - (uint64_t)offset;
    p->bytes = (uint64_t)bytes < room ? bytes : (int64_t)room;
    /* Allocation leaves L2 slices where they are. */
    last_entry = qcow2_slice_get(s, slice, i + (uint32_t)count - 1, &last_bitmap);
    plan_head(bs, p, entry, bitmap);
    plan_tail(bs, p, last_entry, last_bitmap);
    qcow2_begin_allocation(s, &p->a, first, count);
    return 0;
}

/* ---- links ---- */

/* The subclusters of a cluster that the plan fills, as bits. */
static uint64_t filled_subclusters(const Qcow2State *s, const WritePlan *p, uint64_t cluster)
{
    int64_t start = (int64_t)(cluster << s->cluster_bits), end = start + s->cluster_size;
    int64_t from = p->fill_from > start ? p->fill_from : start;
    int64_t to = p->fill_to < end ? p->fill_to : end;
    uint64_t below_to = (UINT64_C(1) << ((to - start + s->subcluster_size - 1) >>
                                         s->subcluster_bits)) - 1;
    uint64_t below_from = (UINT64_C(1) << ((from - start) >> s->subcluster_bits)) - 1;

    return below_to & ~below_from;
}

static void link_cluster(BlockDriverState *bs, const WritePlan *p, uint64_t k, Qcow2Table *slice,
                         uint32_t i)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bitmap, old = qcow2_slice_get(s, slice, i, &bitmap);
    uint64_t host = p->host + (k << s->cluster_bits), value = host | QCOW2_COPIED;

    if (qcow2_has_subclusters(s)) {
        uint64_t filled = filled_subclusters(s, p, p->a.first + k);

        bitmap = (bitmap & ~(filled << 32)) | filled;
    }
    qcow2_slice_set(bs, slice, i, value, bitmap);
    if (p->is_new) {
        qcow2_free_entry_later(s, old, QCOW2_DISCARD_NEVER);
    }
}

static int coroutine_fn link_plan(BlockDriverState *bs, const WritePlan *p)
{
    Qcow2Table *slice;
    uint32_t i;
    int ret = qcow2_get_slice(bs, p->a.first, &slice, &i);

    for (uint64_t k = 0; ret == 0 && k < p->a.count; k++) {
        link_cluster(bs, p, k, slice, i + (uint32_t)k);
    }
    return ret;
}

/* Ends the plan, whose data were written if ret is 0. */
static int coroutine_fn finish_plan(BlockDriverState *bs, WritePlan *p, int ret)
{
    Qcow2State *s = bdrv_state(bs);

    qemu_co_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = link_plan(bs, p);
    }
    if (ret < 0 && p->is_new) {
        qcow2_change_refcount(bs, p->host >> s->cluster_bits, p->a.count, -1);
    }
    if (ret == 0 && qcow2_reclaim_is_due(s)) {
        ret = qcow2_write_back_and_reclaim(bs);
    }
    qcow2_end_allocation(&p->a);
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- requests ---- */

static int64_t coroutine_fn write_in_place(BlockDriverState *bs, const Qcow2Extent *ext,
                                           Qcow2Pin pin, QEMUIOVector *qiov, size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = write_piece(s->data_file, (int64_t)ext->host, ext->bytes, qiov, skip);

    qcow2_unpin(s, pin);
    return ret < 0 ? ret : ext->bytes;
}

/* Until nobody is at the first cluster, or it turns out to be writable as it is. */
static int coroutine_fn settle_first(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     Qcow2Extent *ext)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    do {
        ret = qcow2_map_locked(bs, offset, bytes, ext);
    } while (ret == 0 && !ext->writable &&
             qcow2_wait_allocations(s, qcow2_cluster_of(s, (uint64_t)offset), 1));
    return ret;
}

static int64_t coroutine_fn write_allocating(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             QEMUIOVector *qiov, size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Extent ext;
    Qcow2Pin pin;
    WritePlan p;
    int ret;

    qemu_co_mutex_lock(&s->lock);
    ret = atomic_load(&s->broken) ? -EIO : settle_first(bs, offset, bytes, &ext);
    if (ret == 0 && ext.writable) {
        qcow2_map_quick(s, offset, bytes, &ext, &pin);
        qemu_co_mutex_unlock(&s->lock);
        return write_in_place(bs, &ext, pin, qiov, skip);
    }
    if (ret == 0) {
        ret = plan_write(bs, &p, offset, bytes);
    }
    qemu_co_mutex_unlock(&s->lock);
    if (ret < 0) {
        return ret;
    }
    ret = finish_plan(bs, &p, write_data(bs, &p, qiov, skip));
    return ret < 0 ? ret : p.bytes;
}

static int64_t coroutine_fn write_some(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       QEMUIOVector *qiov, size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Extent ext;
    Qcow2Pin pin;

    if (qcow2_map_quick(s, offset, bytes, &ext, &pin)) {
        if (ext.writable) {
            return write_in_place(bs, &ext, pin, qiov, skip);
        }
        qcow2_unpin(s, pin);
    }
    return write_allocating(bs, offset, bytes, qiov, skip);
}

int coroutine_fn qcow2_prepare_write(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    if (atomic_load_explicit(&s->broken, memory_order_relaxed)) {
        return atomic_load(&s->refused) ? -ENOMEDIUM : -EIO;
    }
    if (atomic_load_explicit(&s->must_prepare, memory_order_acquire)) {
        qemu_co_mutex_lock(&s->lock);
        ret = qcow2_clear_autoclear(bs, QCOW2_AUTOCLEAR_DATA_FILE_RAW |
                                    (s->bitmap_count > 0 ? QCOW2_AUTOCLEAR_BITMAPS : 0));
        if (ret == 0) {
            ret = qcow2_mark_bitmaps_in_use(bs);
        }
        if (ret == 0) {
            atomic_store(&s->must_prepare, false);
        }
        qemu_co_mutex_unlock(&s->lock);
    }
    return ret;
}

int coroutine_fn qcow2_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  QEMUIOVector *qiov, int flags)
{
    int64_t done = 0;
    int ret = qcow2_prepare_write(bs);

    (void)flags;
    while (ret == 0 && done < bytes) {
        int64_t n = write_some(bs, offset + done, bytes - done, qiov, (size_t)done);

        if (n < 0) {
            return (int)n;
        }
        done += n;
    }
    return ret;
}
