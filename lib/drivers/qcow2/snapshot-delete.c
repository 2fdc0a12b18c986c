/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A snapshot goes: all that its L1 table referred to has one user less.  What is
 * then the active table's alone is marked so, that it can be written to in place.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/image.h>

typedef struct Deletion {
    Qcow2Switch sw;
    Qcow2Tree tree;
    uint64_t *l1;                       /* the snapshot's */
    uint32_t l1_size;
    uint64_t offset;                    /* its place */
} Deletion;

/* ---- what will be ours alone ---- */

static uint64_t l2_of(const uint64_t *l1, uint32_t entries, uint32_t i)
{
    return i < entries ? l1[i] & QCOW2_OFFSET_MASK : 0;
}

/* Only where the snapshot has a table can counts change for ours, which nobody else may use. */
static int coroutine_fn is_affected(BlockDriverState *bs, const Deletion *d, uint32_t i,
                                    uint64_t users_of_shared, bool *affected)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t ours = l2_of(s->l1, s->hdr.l1_size, i), theirs = l2_of(d->l1, d->l1_size, i), users;
    int ret;

    *affected = false;
    if (!ours || !theirs) {
        return 0;
    }
    ret = qcow2_get_refcount(bs, ours >> s->cluster_bits, &users);
    *affected = users == (ours == theirs ? users_of_shared : 1);
    return ret;
}

/* Places for copies of L2 tables, before anything becomes free that the old state needs. */
static int coroutine_fn reserve(BlockDriverState *bs, Deletion *d)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t count = 0;
    bool affected;
    int ret = 0;

    for (uint32_t i = 0; i < s->hdr.l1_size && ret == 0; i++) {
        ret = is_affected(bs, d, i, 2, &affected);
        count += affected;
    }
    return ret < 0 ? ret : qcow2_switch_reserve(bs, &d->sw, count);
}

static int coroutine_fn mark_entry(BlockDriverState *bs, Deletion *d, uint64_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t cluster;
    int ret = qcow2_tree_read_l2(bs, &d->tree, *entry);

    if (ret == 0) {
        ret = qcow2_tree_set_copied(bs, &d->tree);
    }
    if (ret > 0 && d->sw.reserved_count == 0) {
        return qcow2_corrupt(bs, "L2 table %#" PRIx64 " is used in two places", *entry);
    }
    if (ret > 0) {
        cluster = d->sw.reserved[--d->sw.reserved_count];
        ret = qcow2_tree_write_l2(bs, &d->tree, cluster);
        if (ret == 0) {
            ret = qcow2_switch_drop(bs, &d->sw, *entry >> s->cluster_bits, 1);
        }
        *entry = cluster << s->cluster_bits;
    }
    *entry |= QCOW2_COPIED;
    return ret;
}

static int coroutine_fn mark_ours(BlockDriverState *bs, Deletion *d)
{
    const Qcow2State *s = bdrv_state(bs);
    bool affected;
    int ret = 0;

    for (uint32_t i = 0; i < s->hdr.l1_size && ret == 0; i++) {
        ret = is_affected(bs, d, i, 1, &affected);
        if (ret == 0 && affected) {
            d->sw.l1[i] &= QCOW2_OFFSET_MASK;
            ret = mark_entry(bs, d, &d->sw.l1[i]);
        }
    }
    return ret;
}

/* ---- the tables ---- */

static int copy_lists(BlockDriverState *bs, Qcow2Switch *sw, uint32_t index)
{
    const Qcow2State *s = bdrv_state(bs);
    uint32_t left = s->hdr.nb_snapshots - 1;

    sw->l1 = calloc((size_t)s->hdr.l1_size + 1, sizeof(sw->l1[0]));
    sw->snapshots = calloc((size_t)left + 1, sizeof(sw->snapshots[0]));
    if (!sw->l1 || !sw->snapshots) {
        return -ENOMEM;
    }
    memcpy(sw->l1, s->l1, s->hdr.l1_size * sizeof(sw->l1[0]));
    memcpy(sw->snapshots, s->snapshots, index * sizeof(sw->snapshots[0]));
    memcpy(sw->snapshots + index, s->snapshots + index + 1,
           (left - index) * sizeof(sw->snapshots[0]));
    sw->hdr.nb_snapshots = left;
    return 0;
}

static int coroutine_fn drop_snapshot(BlockDriverState *bs, Deletion *d)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_tree_drop(bs, &d->tree, d->l1, d->l1_size, &d->sw);

    if (ret == 0) {
        ret = qcow2_switch_drop(bs, &d->sw, d->offset >> s->cluster_bits,
                                qcow2_clusters_up(s, d->l1_size * sizeof(d->l1[0])));
    }
    return ret < 0 ? ret : qcow2_switch_drop(bs, &d->sw, s->hdr.snapshots_offset >> s->cluster_bits,
                                             qcow2_clusters_up(s, s->snapshots_bytes));
}

/* The active L1 table stays as long as it is, so it has its new place before its content. */
static int coroutine_fn change_tables(BlockDriverState *bs, Deletion *d)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = s->hdr.l1_size * sizeof(s->l1[0]);
    Qcow2Switch *sw = &d->sw;
    int ret = reserve(bs, d);

    if (ret == 0) {
        ret = qcow2_write_snapshots(bs, sw->snapshots, sw->hdr.nb_snapshots,
                                    &sw->hdr.snapshots_offset, &sw->snapshots_bytes);
    }
    if (ret == 0) {
        ret = qcow2_switch_write_table(bs, sw->l1, s->hdr.l1_size, &sw->hdr.l1_offset);
    }
    if (ret == 0) {
        ret = drop_snapshot(bs, d);
    }
    if (ret == 0) {
        ret = qcow2_switch_drop(bs, sw, s->hdr.l1_offset >> s->cluster_bits,
                                qcow2_clusters_up(s, bytes));
    }
    if (ret == 0) {
        ret = mark_ours(bs, d);
    }
    return ret < 0 ? ret : qcow2_write_entries(bs, sw->hdr.l1_offset, sw->l1, 0, s->hdr.l1_size);
}

/* ---- the whole ---- */

static int coroutine_fn delete_locked(BlockDriverState *bs, Deletion *d, uint32_t index)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = s->hdr.l1_size * sizeof(s->l1[0]);
    int ret = qcow2_switch_begin(bs, &d->sw, s->hdr.l1_size + qcow2_clusters_up(s, bytes) +
                                 qcow2_clusters_up(s, s->snapshots_bytes));

    if (ret < 0) {
        return ret;
    }
    ret = copy_lists(bs, &d->sw, index);
    if (ret == 0) {
        ret = qcow2_tree_init(bs, &d->tree);
    }
    if (ret == 0) {
        ret = qcow2_tree_read_l1(bs, &s->snapshots[index], &d->l1);
    }
    if (ret == 0) {
        ret = change_tables(bs, d);
    }
    qcow2_tree_free(&d->tree);
    free(d->l1);
    return qcow2_switch_end(bs, &d->sw, ret);
}

int coroutine_fn qcow2_co_snapshot_delete(BlockDriverState *bs, const char *id, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Deletion d = { 0 };
    int i = qcow2_find_snapshot(bs, id), ret = qcow2_check_can_snapshot(bs, errp);
    uint8_t *raw;

    if (ret == 0) {
        ret = i < 0 ? i : qcow2_prepare_write(bs);
    }
    if (ret < 0) {
        return ret;
    }
    raw = s->snapshots[i].raw;
    d.l1_size = s->snapshots[i].l1_size;
    d.offset = s->snapshots[i].l1_offset;
    qemu_co_mutex_lock(&s->lock);
    ret = delete_locked(bs, &d, (uint32_t)i);
    qemu_co_mutex_unlock(&s->lock);
    if (ret == 0) {
        free(raw);
    }
    return ret;
}
