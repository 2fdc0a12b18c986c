/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back to a snapshot: the active L1 table becomes a copy of the snapshot's; all
 * that the old one referred to has one user less.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

/* ---- going back ---- */

/* Flags in tables of snapshots mean nothing; a table with some is copied without them. */
static int coroutine_fn adopt_entry(BlockDriverState *bs, Qcow2Switch *sw, Qcow2Tree *t,
                                    uint64_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t cluster;
    int ret = qcow2_tree_read_l2(bs, t, *entry);

    *entry &= QCOW2_OFFSET_MASK;
    if (ret == 0 && qcow2_tree_clear_copied(bs, t)) {
        ret = qcow2_switch_cluster(bs, sw, &cluster);
        if (ret == 0) {
            ret = qcow2_tree_write_l2(bs, t, cluster);
            *entry = cluster << s->cluster_bits | QCOW2_COPIED;
        }
    }
    return ret;
}

/* As the new active L1 table has it: one user more. */
static int coroutine_fn share_entry(BlockDriverState *bs, Qcow2Tree *t, uint64_t entry)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_tree_read_l2(bs, t, entry);

    if (ret == 0) {
        ret = qcow2_tree_share(bs, t);
    }
    if (ret == 0 && !(entry & QCOW2_COPIED)) {
        ret = qcow2_share_clusters(bs, entry >> s->cluster_bits, 1);
    }
    return ret;
}

/* First what needs new places, then what gives clusters up, then what takes some more: so even
 * counts that are as high as they can be suffice. */
static int coroutine_fn change_tables(BlockDriverState *bs, Qcow2Switch *sw, Qcow2Tree *t)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t entries = sw->hdr.l1_size;
    int ret = 0;

    for (uint32_t i = 0; i < entries && ret == 0; i++) {
        if (sw->l1[i] & QCOW2_OFFSET_MASK) {
            ret = adopt_entry(bs, sw, t, &sw->l1[i]);
        }
    }
    if (ret == 0) {
        ret = qcow2_switch_write_table(bs, sw->l1, entries, &sw->hdr.l1_offset);
    }
    if (ret == 0) {
        ret = qcow2_tree_drop(bs, t, s->l1, s->hdr.l1_size, sw);
    }
    if (ret == 0) {
        ret = qcow2_switch_drop(bs, sw, s->hdr.l1_offset >> s->cluster_bits,
                                qcow2_clusters_up(s, s->hdr.l1_size * sizeof(s->l1[0])));
    }
    for (uint32_t i = 0; i < entries && ret == 0; i++) {
        if (sw->l1[i] & QCOW2_OFFSET_MASK) {
            ret = share_entry(bs, t, sw->l1[i]);
        }
    }
    return ret;
}

/* The snapshot's, but at least as long as the disk needs it. */
static int coroutine_fn read_new_l1(BlockDriverState *bs, const Qcow2Snapshot *sn, uint64_t size,
                                    uint64_t **l1, uint32_t *l1_size)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t needed = qcow2_l1_entries(s, size), *larger;
    int ret;

    if (needed > QCOW2_MAX_L1_BYTES / sizeof(larger[0])) {
        *l1 = NULL;
        return -EFBIG;
    }
    ret = qcow2_tree_read_l1(bs, sn, l1);
    *l1_size = sn->l1_size;
    if (ret == 0 && needed > sn->l1_size) {
        larger = realloc(*l1, (needed + 1) * sizeof(larger[0]));
        if (!larger) {
            return -ENOMEM;
        }
        memset(larger + sn->l1_size, 0, (needed + 1 - sn->l1_size) * sizeof(larger[0]));
        *l1 = larger;
        *l1_size = (uint32_t)needed;
    }
    return ret;
}

static int coroutine_fn go(BlockDriverState *bs, const Qcow2Snapshot *sn, uint64_t size)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t entries = sn->l1_size + (uint32_t)qcow2_l1_entries(s, size);
    Qcow2Switch sw;
    Qcow2Tree tree;
    int ret = qcow2_switch_begin(bs, &sw, entries + qcow2_clusters_up(s, entries * UINT64_C(8)));

    if (ret < 0) {
        return ret;
    }
    sw.hdr.size = size;
    ret = qcow2_tree_init(bs, &tree);
    if (ret == 0) {
        ret = read_new_l1(bs, sn, size, &sw.l1, &sw.hdr.l1_size);
    }
    if (ret == 0) {
        ret = change_tables(bs, &sw, &tree);
    }
    qcow2_tree_free(&tree);
    return qcow2_switch_end(bs, &sw, ret);
}

static int check_disk_size(const QEMUSnapshotInfo *info, Error **errp)
{
    if (info->disk_size > INT64_MAX - (UINT64_C(1) << 30)) {
        error_setg(errp, "The disk of the snapshot '%s' is too big", info->id_str);
        return -EFBIG;
    }
    return 0;
}

int coroutine_fn qcow2_co_snapshot_goto(BlockDriverState *bs, const char *id, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    QEMUSnapshotInfo info;
    int i = qcow2_find_snapshot(bs, id), ret = qcow2_check_can_snapshot(bs, NULL);

    if (ret < 0 || i < 0) {
        return ret < 0 ? ret : i;
    }
    qcow2_snapshot_info(bs, &s->snapshots[i], &info);
    ret = check_disk_size(&info, errp);
    if (ret == 0) {
        ret = qcow2_prepare_write(bs);
    }
    if (ret == 0) {
        qemu_co_mutex_lock(&s->lock);
        ret = go(bs, &s->snapshots[i], info.disk_size);
        qemu_co_mutex_unlock(&s->lock);
    }
    return ret;
}

/* ---- showing it ---- */

int coroutine_fn qcow2_co_snapshot_load_tmp(BlockDriverState *bs, const char *id, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    QEMUSnapshotInfo info;
    uint64_t *l1;
    uint32_t entries;
    int i = qcow2_find_snapshot(bs, id), ret;

    if (i < 0) {
        return i;
    }
    qcow2_snapshot_info(bs, &s->snapshots[i], &info);
    ret = check_disk_size(&info, errp);
    if (ret < 0) {
        return ret;
    }
    ret = read_new_l1(bs, &s->snapshots[i], info.disk_size, &l1, &entries);
    if (ret < 0) {
        free(l1);
        return ret;
    }
    pthread_mutex_lock(&s->map_lock);
    free(s->l1);
    s->l1 = l1;
    s->hdr.l1_size = entries;
    s->hdr.l1_offset = s->snapshots[i].l1_offset;
    s->hdr.size = info.disk_size;
    pthread_mutex_unlock(&s->map_lock);
    return 0;
}
