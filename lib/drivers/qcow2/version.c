/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one version of the format to the other, each with what the other cannot say. */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

#include "byte-order.h"

#define EXTRA_OF_V3 16u                 /* bytes: size of the VM state, of the disk */
#define EXTRA_WRITTEN 24u               /* and the instruction count */

static int coroutine_fn write_version(BlockDriverState *bs, uint32_t version, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t old = s->hdr.version;
    int ret;

    qemu_co_mutex_lock(&s->lock);
    s->hdr.version = version;
    ret = qcow2_write_header(bs, errp);
    if (ret < 0) {
        s->hdr.version = old;
    }
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

/* ---- up ---- */

static uint32_t extra_of(const Qcow2Snapshot *sn)
{
    return load_be32(sn->raw + 36);
}

/* The same entry with all the sizes that version 3 requires. */
static int lengthen(BlockDriverState *bs, const Qcow2Snapshot *sn, Qcow2Snapshot *longer)
{
    uint32_t old_extra = extra_of(sn), texts = sn->bytes - QCOW2_SNAPSHOT_FIXED - old_extra;
    QEMUSnapshotInfo info;
    uint8_t *extra;

    qcow2_snapshot_info(bs, sn, &info);
    *longer = *sn;
    longer->bytes = QCOW2_SNAPSHOT_FIXED + EXTRA_WRITTEN + texts;
    longer->raw = calloc(1, longer->bytes);
    if (!longer->raw) {
        return -ENOMEM;
    }
    memcpy(longer->raw, sn->raw, QCOW2_SNAPSHOT_FIXED);
    extra = longer->raw + QCOW2_SNAPSHOT_FIXED;
    store_be32(longer->raw + 36, EXTRA_WRITTEN);
    store_be64(extra, info.vm_state_size);
    store_be64(extra + 8, info.disk_size);
    store_be64(extra + 16, info.icount);
    memcpy(extra + EXTRA_WRITTEN, sn->raw + QCOW2_SNAPSHOT_FIXED + old_extra, texts);
    return 0;
}

/* Which snapshots are short; *list: all, the short ones in their new form. */
static int lengthen_all(BlockDriverState *bs, Qcow2Snapshot **list, bool *any)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    *any = false;
    *list = calloc((size_t)s->hdr.nb_snapshots + 1, sizeof((*list)[0]));
    if (!*list) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots && ret == 0; i++) {
        (*list)[i] = s->snapshots[i];
        if (extra_of(&s->snapshots[i]) < EXTRA_OF_V3) {
            *any = true;
            ret = lengthen(bs, &s->snapshots[i], &(*list)[i]);
        }
    }
    return ret;
}

/* Frees the forms of the short ones that are not in use: of `unused`, what `used` has not. */
static void free_other_forms(const Qcow2Snapshot *unused, const Qcow2Snapshot *used,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (unused[i].raw != used[i].raw) {
            free(unused[i].raw);
        }
    }
}

/* Takes over the list, but not the entries. */
static int coroutine_fn write_longer_table(BlockDriverState *bs, Qcow2Snapshot *list)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t count = s->hdr.nb_snapshots;
    uint64_t old = s->hdr.snapshots_offset >> s->cluster_bits;
    uint64_t old_clusters = qcow2_clusters_up(s, s->snapshots_bytes);
    Qcow2Switch sw;
    int ret = qcow2_switch_begin(bs, &sw, qcow2_clusters_up(s, s->snapshots_bytes +
                                                            count * EXTRA_WRITTEN) + 1);

    if (ret < 0) {
        free(list);
        return ret;
    }
    sw.snapshots = list;
    sw.l1 = calloc((size_t)s->hdr.l1_size + 1, sizeof(sw.l1[0]));
    ret = sw.l1 ? 0 : -ENOMEM;
    if (ret == 0) {
        memcpy(sw.l1, s->l1, s->hdr.l1_size * sizeof(sw.l1[0]));
        ret = qcow2_write_snapshots(bs, list, count, &sw.hdr.snapshots_offset,
                                    &sw.snapshots_bytes);
    }
    if (ret == 0) {
        ret = qcow2_switch_drop(bs, &sw, old, old_clusters);
    }
    return qcow2_switch_end(bs, &sw, ret);
}

static int coroutine_fn lengthen_snapshots(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t count = s->hdr.nb_snapshots;
    Qcow2Snapshot *list, *old, *new;
    bool any;
    int ret = lengthen_all(bs, &list, &any);

    if (ret < 0 || !any) {
        if (list) {
            free_other_forms(list, s->snapshots, count);
        }
        free(list);
        return ret;
    }
    old = calloc(count, sizeof(old[0]));
    new = calloc(count, sizeof(new[0]));
    if (!old || !new) {
        free_other_forms(list, s->snapshots, count);
        free(list);
        ret = -ENOMEM;
    } else {
        memcpy(old, s->snapshots, count * sizeof(old[0]));
        memcpy(new, list, count * sizeof(new[0]));
        ret = write_longer_table(bs, list);
        free_other_forms(ret < 0 ? new : old, ret < 0 ? old : new, count);
    }
    free(old);
    free(new);
    return ret;
}

int coroutine_fn qcow2_upgrade(BlockDriverState *bs, BdrvProgressFunc *progress, void *opaque,
                               Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    progress(opaque, 0, 2);
    qemu_co_mutex_lock(&s->lock);
    ret = lengthen_snapshots(bs);
    qemu_co_mutex_unlock(&s->lock);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to update the snapshot table");
        return ret;
    }
    progress(opaque, 1, 2);
    ret = write_version(bs, 3, errp);
    progress(opaque, 2, 2);
    return ret;
}

/* ---- down ---- */

/* What other programs for version 2 would overlook of a snapshot. */
static bool snapshots_allow_v2(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    QEMUSnapshotInfo info;

    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        qcow2_snapshot_info(bs, &s->snapshots[i], &info);
        if (info.vm_state_size > UINT32_MAX || info.disk_size != s->hdr.size) {
            return false;
        }
    }
    return true;
}

/* In the image, or only to be: they are stored when it is closed. */
static bool has_persistent_bitmaps(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(bs);

    while (b && !bdrv_dirty_bitmap_get_persistence(b)) {
        b = bdrv_dirty_bitmap_next(b);
    }
    return b || s->hdr.nb_bitmaps > 0;
}

int qcow2_check_downgrade(BlockDriverState *bs, uint32_t refcount_order, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (refcount_order != 4) {
        error_setg(errp, "compat=0.10 requires refcount_bits=16");
    } else if (s->external) {
        error_setg(errp, "Cannot downgrade an image with a data file");
    } else if (!snapshots_allow_v2(bs)) {
        error_setg(errp, "Internal snapshots prevent downgrade of image");
    } else if (s->hdr.incompatible & ~QCOW2_INCOMPAT_DIRTY) {
        error_setg(errp, "Cannot downgrade an image with incompatible features %#" PRIx64 " set",
                   s->hdr.incompatible & ~QCOW2_INCOMPAT_DIRTY);
    } else if (has_persistent_bitmaps(bs)) {
        error_setg(errp, "Cannot downgrade an image with persistent bitmaps");
        error_append_hint(errp, "Remove them first: qemu-img bitmap --remove\n");
    } else {
        return 0;
    }
    return -ENOTSUP;
}

int coroutine_fn qcow2_downgrade(BlockDriverState *bs, BdrvProgressFunc *progress, void *opaque,
                                 Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t compatible = s->hdr.compatible, autoclear = s->hdr.autoclear;
    int ret = qcow2_expand_zero_clusters(bs, progress, opaque);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to turn zero into data clusters");
        return ret;
    }
    s->hdr.compatible = s->hdr.autoclear = 0;
    ret = write_version(bs, 2, errp);
    if (ret < 0) {
        s->hdr.compatible = compatible;
        s->hdr.autoclear = autoclear;
    }
    return ret;
}
