/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places for guest clusters before anybody writes to them.
 *
 * They are linked as data that is all zeroes, so it must be zeroes: a place
 * that was in use before is cleared first, and so is what an external data file
 * has behind the end of the disk.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>

#include <blkbackend/block-backend.h>

/* With subclusters a place is just that: they go on to be read as before. */
static void link_clusters(BlockDriverState *bs, Qcow2Table *slice, uint32_t i, uint64_t host,
                          uint64_t count)
{
    Qcow2State *s = bdrv_state(bs);

    for (uint64_t k = 0; k < count; k++) {
        uint64_t bitmap, old = qcow2_slice_get(s, slice, i + (uint32_t)k, &bitmap);

        qcow2_slice_set(bs, slice, i + (uint32_t)k,
                        (host + (k << s->cluster_bits)) | QCOW2_COPIED, bitmap);
        qcow2_free_entry_later(s, old, QCOW2_DISCARD_NEVER);
    }
}

/* What the file does not have yet is zeroes anyway, and grows in the way that was asked for. */
static int coroutine_fn clear_place(BlockDriverState *bs, uint64_t first, uint64_t count,
                                    bool is_fresh, PreallocMode mode, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t offset = (int64_t)(first << s->cluster_bits);
    int64_t bytes = (int64_t)(count << s->cluster_bits), length;

    if (!is_fresh) {
        return bdrv_co_pwrite_zeroes(bdrv_file(bs), offset, bytes,
                                     mode == PREALLOC_MODE_METADATA ? BDRV_REQ_MAY_UNMAP : 0);
    }
    length = bdrv_co_getlength(bdrv_file(bs));
    if (length < 0) {
        return (int)length;
    }
    return length >= offset + bytes ? 0
           : bdrv_co_truncate(bdrv_file(bs), offset + bytes,
                              mode == PREALLOC_MODE_METADATA ? PREALLOC_MODE_OFF : mode, errp);
}

/* How many clusters from `first` on are in the same slice and need a place. */
static uint64_t count_placeless(const Qcow2State *s, const Qcow2Table *slice, uint32_t i,
                                uint64_t most)
{
    uint64_t n = 0, bitmap;

    while (n < most && i + n < UINT32_C(1) << s->slice_bits &&
           !(qcow2_slice_get(s, slice, i + (uint32_t)n, &bitmap) &
             (QCOW2_COMPRESSED | QCOW2_COPIED | QCOW2_OFFSET_MASK))) {
        n++;
    }
    return n;
}

/* *count: of which it took care. */
static int coroutine_fn place_some(BlockDriverState *bs, uint64_t first, uint64_t *count,
                                   PreallocMode mode, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t fresh_from, host = first, n;
    Qcow2Table *slice;
    uint32_t i;
    int ret = qcow2_get_slice(bs, first, &slice, &i);

    if (ret < 0) {
        return ret;
    }
    n = count_placeless(s, slice, i, *count);
    *count = n > 0 ? n : 1;
    if (n > 0 && !s->external) {
        fresh_from = s->fresh_from;
        ret = qcow2_alloc_clusters(bs, n, &host, count);
        if (ret < 0) {
            return ret;
        }
        ret = clear_place(bs, host, *count, s->lazy_zero && host >= fresh_from, mode, errp);
        if (ret < 0) {
            qcow2_change_refcount(bs, host, *count, -1);
        }
    }
    if (ret == 0 && n > 0) {
        link_clusters(bs, slice, i, host << s->cluster_bits, *count);
    }
    return ret;
}

int coroutine_fn qcow2_preallocate(BlockDriverState *bs, uint64_t first, uint64_t end,
                                   PreallocMode mode, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    while (first < end && ret == 0) {
        uint64_t count = end - first;

        qemu_co_mutex_lock(&s->lock);
        ret = atomic_load(&s->broken) ? -EIO : place_some(bs, first, &count, mode, errp);
        qemu_co_mutex_unlock(&s->lock);
        first += count;
    }
    return ret;
}
