/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM state: guest clusters behind the disk's end, where the next L2 table begins.
 * They belong to the L1 table like the disk's, so snapshots have theirs.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>

uint64_t qcow2_vmstate_offset(const Qcow2State *s)
{
    return qcow2_l1_entries(s, s->hdr.size) << (s->l2_bits + s->cluster_bits);
}

/* -EFBIG: beyond what an L1 table can describe. */
static int check_range(const Qcow2State *s, int64_t pos, size_t bytes, uint64_t *offset)
{
    uint64_t start = qcow2_vmstate_offset(s);
    uint64_t most = (QCOW2_MAX_L1_BYTES / sizeof(uint64_t)) << (s->l2_bits + s->cluster_bits);

    most = most < INT64_MAX ? most : INT64_MAX;
    if (pos < 0 || start > most || (uint64_t)pos > most - start ||
        bytes > most - start - (uint64_t)pos) {
        return -EFBIG;
    }
    *offset = start + (uint64_t)pos;
    return 0;
}

int coroutine_fn qcow2_co_save_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset, entries;
    int ret = check_range(s, pos, qiov->size, &offset);

    if (ret == 0) {
        ret = qcow2_prepare_write(bs);
    }
    if (ret < 0 || qiov->size == 0) {
        return ret;
    }
    entries = qcow2_l1_entries(s, offset + qiov->size);
    qemu_co_mutex_lock(&s->lock);
    if (entries > s->hdr.l1_size) {
        ret = qcow2_grow_l1(bs, entries);
    }
    qemu_co_mutex_unlock(&s->lock);
    return ret < 0 ? ret : qcow2_co_pwritev(bs, (int64_t)offset, (int64_t)qiov->size, qiov, 0);
}

int coroutine_fn qcow2_co_load_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset;
    int ret = check_range(s, pos, qiov->size, &offset);

    return ret < 0 ? ret : qcow2_co_preadv(bs, (int64_t)offset, (int64_t)qiov->size, qiov, 0);
}
