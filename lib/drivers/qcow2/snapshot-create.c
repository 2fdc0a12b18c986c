/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new snapshot: an L1 table of its own, and with the active one all L2 tables
 * and their clusters in common.  An L2 table that says of clusters that nobody else
 * uses them is replaced by one that does not.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#include "byte-order.h"

#define EXTRA 24u                       /* bytes: size of the VM state, of the disk, icount */

/* ---- the entry ---- */

/* One more than the highest number that is one's id. */
static void choose_id(BlockDriverState *bs, char *id, size_t size)
{
    const Qcow2State *s = bdrv_state(bs);
    QEMUSnapshotInfo info;
    unsigned long highest = 0, n;

    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        qcow2_snapshot_info(bs, &s->snapshots[i], &info);
        n = strtoul(info.id_str, NULL, 10);
        highest = n > highest ? n : highest;
    }
    snprintf(id, size, "%lu", highest + 1);
}

/* All but the place of the L1 table. */
static int encode(BlockDriverState *bs, const QEMUSnapshotInfo *info, Qcow2Snapshot *sn)
{
    const Qcow2State *s = bdrv_state(bs);
    size_t id_len = strlen(info->id_str), name_len = strlen(info->name);
    uint8_t *raw, *extra;

    sn->bytes = (uint32_t)(QCOW2_SNAPSHOT_FIXED + EXTRA + id_len + name_len);
    sn->raw = raw = calloc(1, sn->bytes);
    if (!raw) {
        return -ENOMEM;
    }
    sn->l1_size = s->hdr.l1_size;
    extra = raw + QCOW2_SNAPSHOT_FIXED;
    store_be32(raw + 8, sn->l1_size);
    store_be16(raw + 12, (uint16_t)id_len);
    store_be16(raw + 14, (uint16_t)name_len);
    store_be32(raw + 16, info->date_sec);
    store_be32(raw + 20, info->date_nsec);
    store_be64(raw + 24, info->vm_clock_nsec);
    /* A size that does not fit is better none than a wrong one. */
    store_be32(raw + 32, info->vm_state_size <= UINT32_MAX ? (uint32_t)info->vm_state_size : 0);
    store_be32(raw + 36, EXTRA);
    store_be64(extra, info->vm_state_size);
    store_be64(extra + 8, s->hdr.size);
    store_be64(extra + 16, info->icount);
    memcpy(extra + EXTRA, info->id_str, id_len);
    memcpy(extra + EXTRA + id_len, info->name, name_len);
    return 0;
}

/* ---- the tables ---- */

/* One L1 entry: what it is from now on, for both. */
static int coroutine_fn share_entry(BlockDriverState *bs, Qcow2Switch *sw, Qcow2Tree *t,
                                    uint64_t *entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t cluster = (*entry & QCOW2_OFFSET_MASK) >> s->cluster_bits;
    int ret = qcow2_tree_read_l2(bs, t, *entry);

    if (ret == 0) {
        ret = qcow2_tree_share(bs, t);
    }
    if (ret == 0 && qcow2_tree_clear_copied(bs, t)) {
        ret = qcow2_switch_cluster(bs, sw, &cluster);
        if (ret == 0) {
            ret = qcow2_tree_write_l2(bs, t, cluster);
        }
    }
    if (ret == 0) {
        ret = qcow2_share_clusters(bs, cluster, 1);
    }
    *entry = cluster << s->cluster_bits;
    return ret;
}

/* The VM state is the snapshot's from now on, and no longer ours. */
static uint32_t shared_entries(BlockDriverState *bs, const QEMUSnapshotInfo *info)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t of_disk = qcow2_l1_entries(s, s->hdr.size);

    return info->vm_state_size > 0 && of_disk < s->hdr.l1_size ? (uint32_t)of_disk
                                                                : s->hdr.l1_size;
}

static int coroutine_fn share_tables(BlockDriverState *bs, Qcow2Switch *sw, uint32_t shared)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Tree tree;
    int ret = qcow2_tree_init(bs, &tree);

    for (uint32_t i = 0; i < shared && ret == 0; i++) {
        if (s->l1[i] & QCOW2_OFFSET_MASK) {
            ret = share_entry(bs, sw, &tree, &sw->l1[i]);
        }
    }
    qcow2_tree_free(&tree);
    return ret;
}

/* What the active L1 table referred to alone. */
static int coroutine_fn drop_replaced(BlockDriverState *bs, Qcow2Switch *sw, uint32_t shared)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = s->hdr.l1_size * sizeof(s->l1[0]);
    int ret = qcow2_switch_drop(bs, sw, s->hdr.l1_offset >> s->cluster_bits,
                                qcow2_clusters_up(s, bytes));

    for (uint32_t i = 0; i < shared && ret == 0; i++) {
        uint64_t old = s->l1[i] & QCOW2_OFFSET_MASK;

        if (old && old != (sw->l1[i] & QCOW2_OFFSET_MASK)) {
            ret = qcow2_switch_drop(bs, sw, old >> s->cluster_bits, 1);
        }
    }
    return ret < 0 || s->snapshots_bytes == 0
           ? ret : qcow2_switch_drop(bs, sw, s->hdr.snapshots_offset >> s->cluster_bits,
                                     qcow2_clusters_up(s, s->snapshots_bytes));
}

static int coroutine_fn write_tables(BlockDriverState *bs, Qcow2Switch *sw, uint32_t shared)
{
    const Qcow2State *s = bdrv_state(bs);
    Qcow2Snapshot *sn = &sw->snapshots[s->hdr.nb_snapshots];
    int ret;

    for (uint32_t i = shared; i < s->hdr.l1_size; i++) {
        sw->l1[i] &= QCOW2_OFFSET_MASK;
    }
    ret = qcow2_switch_write_table(bs, sw->l1, s->hdr.l1_size, &sn->l1_offset);
    for (uint32_t i = shared; i < s->hdr.l1_size; i++) {
        sw->l1[i] = 0;
    }
    store_be64(sn->raw, sn->l1_offset);
    if (ret == 0) {
        ret = qcow2_switch_write_table(bs, sw->l1, s->hdr.l1_size, &sw->hdr.l1_offset);
    }
    sw->hdr.nb_snapshots++;
    return ret < 0 ? ret : qcow2_write_snapshots(bs, sw->snapshots, sw->hdr.nb_snapshots,
                                                 &sw->hdr.snapshots_offset, &sw->snapshots_bytes);
}

/* ---- the whole ---- */

static int prepare(BlockDriverState *bs, Qcow2Switch *sw, const Qcow2Snapshot *sn)
{
    const Qcow2State *s = bdrv_state(bs);

    sw->l1 = calloc((size_t)s->hdr.l1_size + 1, sizeof(sw->l1[0]));
    sw->snapshots = calloc((size_t)s->hdr.nb_snapshots + 1, sizeof(sw->snapshots[0]));
    if (!sw->l1 || !sw->snapshots) {
        return -ENOMEM;
    }
    memcpy(sw->l1, s->l1, s->hdr.l1_size * sizeof(sw->l1[0]));
    memcpy(sw->snapshots, s->snapshots, s->hdr.nb_snapshots * sizeof(*sn));
    sw->snapshots[s->hdr.nb_snapshots] = *sn;
    return 0;
}

static int coroutine_fn create(BlockDriverState *bs, const Qcow2Snapshot *sn, uint32_t shared)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t l1_bytes = s->hdr.l1_size * sizeof(s->l1[0]);
    uint64_t room = s->hdr.l1_size + 2 * qcow2_clusters_up(s, l1_bytes) +
                    qcow2_clusters_up(s, s->snapshots_bytes + sn->bytes);
    Qcow2Switch sw;
    int ret = qcow2_switch_begin(bs, &sw, room);

    if (ret < 0) {
        return ret;
    }
    ret = prepare(bs, &sw, sn);
    if (ret == 0) {
        ret = share_tables(bs, &sw, shared);
    }
    if (ret == 0) {
        ret = write_tables(bs, &sw, shared);
    }
    if (ret == 0) {
        ret = drop_replaced(bs, &sw, shared);
    }
    return qcow2_switch_end(bs, &sw, ret);
}

static int check_entry(BlockDriverState *bs, QEMUSnapshotInfo *info, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (s->hdr.nb_snapshots >= QCOW2_MAX_SNAPSHOTS) {
        error_setg(errp, "The image has %u snapshots, and more are not possible",
                   s->hdr.nb_snapshots);
        return -EFBIG;
    }
    if (!info->id_str[0]) {
        choose_id(bs, info->id_str, sizeof(info->id_str));
    } else if (qcow2_find_snapshot(bs, info->id_str) >= 0) {
        error_setg(errp, "There is a snapshot with the ID '%s' already", info->id_str);
        return -EEXIST;
    }
    return 0;
}

int coroutine_fn qcow2_co_snapshot_create(BlockDriverState *bs, QEMUSnapshotInfo *info,
                                          Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Snapshot sn = { 0 };
    int ret = qcow2_check_can_snapshot(bs, errp);

    if (ret == 0) {
        ret = check_entry(bs, info, errp);
    }
    if (ret == 0) {
        ret = qcow2_prepare_write(bs);
    }
    if (ret < 0) {
        return ret;
    }
    info->disk_size = s->hdr.size;
    ret = encode(bs, info, &sn);
    if (ret == 0) {
        qemu_co_mutex_lock(&s->lock);
        ret = create(bs, &sn, shared_entries(bs, info));
        qemu_co_mutex_unlock(&s->lock);
    }
    if (ret < 0) {
        free(sn.raw);
    }
    return ret;
}
