/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Zeroes without their mark, which version 2 does not have: in the active tables
 * and in those of all snapshots.
 *
 * L2 tables are changed in place, also those that several L1 tables share: it
 * means the same before and after, and at any moment between.  What replaces a mark
 * is counted and on the disk before the table points to it; a power cut
 * leaves leaks at worst.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

typedef struct Expansion {
    BlockDriverState *bs;
    Qcow2Tree tree;
    bool has_backing;
    int64_t done, total;                /* L1 entries */
    BdrvProgressFunc *progress;
    void *opaque;
} Expansion;

/* ---- one entry ---- */

/* A place of its own, which the sharers of the table have in common. */
static int coroutine_fn new_place(BlockDriverState *bs, uint64_t users, uint64_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t first, got;
    int ret = qcow2_alloc_clusters(bs, 1, &first, &got);

    if (ret == 0 && users > 1) {
        ret = qcow2_change_refcount(bs, first, 1, (int)(users - 1));
    }
    if (ret == 0) {
        *entry = first << s->cluster_bits;
    }
    return ret;
}

/*
 * users: L1 tables that refer to the table.  The old place can stay if nothing else
 * refers to it, for then nobody needs what it holds.
 */
static int coroutine_fn expand_entry(Expansion *x, uint64_t users, uint64_t *entry)
{
    Qcow2State *s = bdrv_state(x->bs);
    uint64_t old = *entry, host = old & QCOW2_OFFSET_MASK, of_host = 0;
    int ret = 0;

    if (host & (s->cluster_size - 1)) {
        return qcow2_corrupt(x->bs, "cluster allocation offset %#" PRIx64 " unaligned", host);
    }
    if (host) {
        ret = qcow2_get_refcount(x->bs, host >> s->cluster_bits, &of_host);
    }
    *entry = 0;
    if (ret == 0 && host && of_host == users) {
        *entry = host;
    } else if (ret == 0 && x->has_backing) {
        ret = new_place(x->bs, users, entry);
    }
    if (ret == 0 && *entry) {
        ret = qcow2_check_new_area(x->bs, *entry, s->cluster_size);
    }
    if (ret == 0 && *entry) {
        ret = bdrv_co_pwrite_zeroes(bdrv_file(x->bs), (int64_t)*entry, s->cluster_size,
                                    BDRV_REQ_MAY_UNMAP);
        *entry |= users == 1 ? QCOW2_COPIED : 0;
    }
    for (uint64_t i = 0; ret == 0 && host && of_host != users && i < users; i++) {
        qcow2_free_later(s, host >> s->cluster_bits, 1, true);
    }
    return ret;
}

/* ---- one table ---- */

static int coroutine_fn expand_entries(Expansion *x, uint64_t users, bool *changed)
{
    Qcow2State *s = bdrv_state(x->bs);
    int ret = 0;

    for (uint32_t i = 0; i < UINT32_C(1) << s->l2_bits && ret == 0; i++) {
        uint8_t *at = x->tree.l2 + ((size_t)i << s->l2_entry_bits);
        uint64_t entry = load_be64(at);

        if ((entry & QCOW2_ZERO) && !(entry & QCOW2_COMPRESSED)) {
            ret = expand_entry(x, users, &entry);
            store_be64(at, entry);
            *changed = true;
        }
    }
    return ret;
}

static int coroutine_fn expand_l2(Expansion *x, uint64_t l1_entry)
{
    Qcow2State *s = bdrv_state(x->bs);
    uint64_t cluster = (l1_entry & QCOW2_OFFSET_MASK) >> s->cluster_bits, users = 0;
    bool changed = false;
    int ret = qcow2_tree_read_l2(x->bs, &x->tree, l1_entry);

    if (ret == 0) {
        ret = qcow2_get_refcount(x->bs, cluster, &users);
    }
    if (ret == 0) {
        ret = expand_entries(x, users, &changed);
    }
    if (ret == 0 && changed) {
        ret = qcow2_write_back(x->bs);
        if (ret == 0) {
            ret = qcow2_flush_data(x->bs);
        }
        if (ret == 0) {
            ret = qcow2_tree_write_l2(x->bs, &x->tree, cluster);
        }
    }
    return ret;
}

static int coroutine_fn expand_l1(Expansion *x, const uint64_t *l1, uint32_t entries)
{
    int ret = 0;

    for (uint32_t i = 0; i < entries && ret == 0; i++) {
        if (l1[i] & QCOW2_OFFSET_MASK) {
            ret = expand_l2(x, l1[i]);
        }
        x->progress(x->opaque, ++x->done, x->total);
    }
    return ret;
}

/* ---- all ---- */

static int coroutine_fn expand_all(Expansion *x)
{
    Qcow2State *s = bdrv_state(x->bs);
    int ret = qcow2_write_back(x->bs);

    x->total = s->hdr.l1_size;
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        x->total += s->snapshots[i].l1_size;
    }
    if (ret == 0) {
        ret = expand_l1(x, s->l1, s->hdr.l1_size);
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots && ret == 0; i++) {
        uint64_t *l1;

        ret = qcow2_tree_read_l1(x->bs, &s->snapshots[i], &l1);
        if (ret == 0) {
            ret = expand_l1(x, l1, s->snapshots[i].l1_size);
        }
        free(l1);
    }
    if (ret == 0) {
        ret = qcow2_flush_data(x->bs);
    }
    return ret < 0 ? ret : qcow2_write_back_and_reclaim(x->bs);
}

int coroutine_fn qcow2_expand_zero_clusters(BlockDriverState *bs, BdrvProgressFunc *progress,
                                            void *opaque)
{
    Qcow2State *s = bdrv_state(bs);
    Expansion x = { .bs = bs, .has_backing = bdrv_backing(bs) || s->hdr.backing_file,
                    .progress = progress, .opaque = opaque };
    int ret;

    qemu_co_mutex_lock(&s->lock);
    ret = qcow2_tree_init(bs, &x.tree);
    if (ret == 0) {
        ret = expand_all(&x);
    }
    qcow2_tree_free(&x.tree);
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}
