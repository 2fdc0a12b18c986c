/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metadata from memory to the file, in the one order that a power cut cannot
 * turn into damage: whatever points comes after what it points to, with a flush
 * between them.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>

#include "byte-order.h"

int coroutine_fn qcow2_flush_data(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = s->external ? bdrv_co_flush(s->data_file) : 0;

    return ret < 0 ? ret : bdrv_co_flush(bdrv_file(bs));
}

int coroutine_fn qcow2_write_entries(BlockDriverState *bs, uint64_t table_offset,
                                     const uint64_t *entries, uint32_t from, uint32_t to)
{
    uint64_t *buf = calloc((size_t)(to - from) + 1, sizeof(buf[0]));
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    for (uint32_t i = from; i < to; i++) {
        store_be64(&buf[i - from], entries[i]);
    }
    ret = bdrv_pwrite(bdrv_file(bs), (int64_t)(table_offset + from * sizeof(buf[0])),
                      (int64_t)((to - from) * sizeof(buf[0])), buf);
    free(buf);
    return ret;
}

static int coroutine_fn write_reftable(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = bdrv_co_flush(bdrv_file(bs));

    if (ret == 0) {
        ret = qcow2_write_entries(bs, s->hdr.reftable_offset, s->reftable,
                                  s->reftable_dirty_from, s->reftable_dirty_to);
    }
    if (ret == 0) {
        s->reftable_dirty_from = s->reftable_dirty_to = 0;
    }
    return ret;
}

static int coroutine_fn write_l1(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = bdrv_co_flush(bdrv_file(bs));

    if (ret == 0) {
        ret = qcow2_write_entries(bs, s->hdr.l1_offset, s->l1, s->l1_dirty_from,
                                  s->l1_dirty_to);
    }
    if (ret == 0) {
        s->l1_dirty_from = s->l1_dirty_to = 0;
    }
    return ret;
}

static int coroutine_fn write_mapping(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    if (s->l2_cache.dirty > 0) {
        ret = qcow2_flush_data(bs);
        if (ret == 0) {
            ret = qcow2_cache_write(bs, &s->l2_cache);
        }
    }
    if (ret == 0 && s->l1_dirty_to > 0) {
        ret = write_l1(bs);
    }
    return ret;
}

static void settle(Qcow2State *s)
{
    atomic_store(&s->dirty, s->refcount_cache.dirty || s->reftable_dirty_to || s->l2_cache.dirty ||
                 s->l1_dirty_to || s->freed_count);
}

int coroutine_fn qcow2_write_back(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    if (atomic_load(&s->broken)) {
        return -EIO;
    }
    ret = qcow2_cache_write(bs, &s->refcount_cache);
    if (s->switching) {
        return ret;   /* copies that nothing on the disk refers to yet: in any order */
    }
    if (ret == 0 && s->reftable_dirty_to > 0) {
        ret = write_reftable(bs);
    }
    if (ret == 0) {
        ret = write_mapping(bs);
    }
    settle(s);
    return ret;
}

int coroutine_fn qcow2_write_back_and_reclaim(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_write_back(bs);

    if (ret == 0 && s->freed_count > 0) {
        ret = qcow2_flush_data(bs);
        if (ret == 0) {
            ret = qcow2_reclaim(bs);
        }
        if (ret == 0) {
            ret = qcow2_cache_write(bs, &s->refcount_cache);
        }
        settle(s);
    }
    return ret;
}

/* The graph flushes the file itself afterwards. */
int coroutine_fn qcow2_co_flush_to_os(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    if (atomic_load(&s->dirty)) {
        qemu_co_mutex_lock(&s->lock);
        if (atomic_load(&s->dirty)) {
            ret = qcow2_write_back_and_reclaim(bs);
        }
        qemu_co_mutex_unlock(&s->lock);
    }
    return ret == 0 && s->external ? bdrv_co_flush(s->data_file) : ret;
}
