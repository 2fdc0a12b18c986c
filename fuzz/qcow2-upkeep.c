/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations of fuzz-qcow2 on images as a whole: check, snapshots, bitmaps, options. */
#include "fuzz/qcow2-target.h"

#include <stdio.h>
#include <stdlib.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/dirty-bitmap.h>
#include <blkbackend/image.h>

static BlockDriverState *node(const Target *t)
{
    return blk_bs(t->blk);
}

static bool is_small(const Target *t)
{
    return blk_getlength(t->blk) <= SMALL_DISK;
}

static void progress(void *opaque, int64_t done, int64_t total)
{
    (void)opaque;
    (void)done;
    (void)total;
}

/* ---- checking and describing ---- */

void op_check(Target *t, const Args *args)
{
    BdrvCheckResult result;

    bdrv_check(node(t), &result, args->raw[0] % 4, NULL, NULL);
}

void op_describe(Target *t, const Args *args)
{
    BlockDriverInfo info;

    (void)args;
    bdrv_get_info(node(t), &info);
    QDECREF(bdrv_get_specific_info(node(t), NULL));
    free(bdrv_get_full_backing_filename(node(t)));
}

void op_measure(Target *t, const Args *args)
{
    QDict *options = json_pack("{s:i}", "cluster_size", 512 << args->raw[1] % 13);
    BlockMeasureInfo info;

    if (is_small(t)) {
        bdrv_measure(bdrv_find_format("qcow2"), options, node(t), &info, NULL);
    }
    QDECREF(options);
}

/* ---- snapshots ---- */

/* One of those that the image has. */
static bool choose_snapshot(const Target *t, const Args *args, QEMUSnapshotInfo *chosen)
{
    QEMUSnapshotInfo *list = NULL;
    int n = bdrv_snapshot_list(node(t), &list);

    if (n > 0) {
        *chosen = list[args->raw[2] % n];
    }
    free(list);
    return n > 0;
}

void op_snapshot_create(Target *t, const Args *args)
{
    QEMUSnapshotInfo sn = { .date_sec = args->raw[1], .icount = UINT64_MAX,
                            .vm_state_size = (uint64_t)args->raw[1] << args->raw[2] % 16 };

    snprintf(sn.name, sizeof(sn.name), "s%d", args->raw[0] % 8);
    bdrv_snapshot_create(node(t), &sn, NULL);
}

void op_snapshot_goto(Target *t, const Args *args)
{
    QEMUSnapshotInfo sn;

    if (choose_snapshot(t, args, &sn)) {
        bdrv_snapshot_goto(node(t), args->raw[0] & 1 ? sn.name : sn.id_str, NULL);
    }
}

void op_snapshot_delete(Target *t, const Args *args)
{
    QEMUSnapshotInfo sn;

    if (choose_snapshot(t, args, &sn)) {
        bdrv_snapshot_delete(node(t), args->raw[0] & 1 ? NULL : sn.id_str, sn.name, NULL);
    }
}

void op_snapshot_load_tmp(Target *t, const Args *args)
{
    QEMUSnapshotInfo sn;

    if (choose_snapshot(t, args, &sn)) {
        bdrv_snapshot_load_tmp(node(t), sn.id_str, NULL, NULL);
    }
}

/* ---- changing the image ---- */

void op_make_empty(Target *t, const Args *args)
{
    (void)args;
    bdrv_make_empty(node(t), NULL);
}

/* As `blk-img amend -o` gives them. */
void op_amend(Target *t, const Args *args)
{
    static const char *const names[] = { "compat", "compat", "lazy_refcounts", "lazy_refcounts",
                                         "data_file_raw", "data_file", "size", "refcount_bits" };
    static const char *const words[] = { "0.10", "1.1", "on", "off", "off", "other" };
    const char *name = names[args->raw[0] % 8];
    QDict *options = qdict_new();
    char number[24];

    snprintf(number, sizeof(number), "%d", name[0] == 's' ? args->raw[1] << 12
             : 1 << args->raw[1] % 8);
    qdict_put(options, name, qstring_from_str(args->raw[0] % 8 < 6 ? words[args->raw[0] % 8]
                                              : number));
    if (args->raw[2] & 1) {
        qdict_put(options, "lazy_refcounts", qstring_from_str(args->raw[2] & 2 ? "on" : "off"));
    }
    if (is_small(t) && bdrv_check_options(bdrv_amend_options(bdrv_find_format("qcow2")), NULL,
                                          options, NULL) == 0) {
        bdrv_amend(node(t), options, args->raw[2] & 4, progress, NULL, NULL);
    }
    QDECREF(options);
}

void op_change_backing_file(Target *t, const Args *args)
{
    static const char *const names[] = { NULL, "other", "json:{}", "a/longer/name/than/it/was" };

    bdrv_change_backing_file(node(t), names[args->raw[0] % 4], args->raw[1] & 1 ? "raw" : NULL,
                             NULL);
}

void op_truncate_prealloc(Target *t, const Args *args)
{
    int64_t size = blk_getlength(t->blk) + args->bytes;

    if (is_small(t)) {
        bdrv_truncate(node(t), size & ~INT64_C(511), args->raw[0] % PREALLOC_MODE__MAX, NULL);
    }
}

/* The image was somebody else's for a while. */
void op_invalidate(Target *t, const Args *args)
{
    (void)args;
    blk_invalidate_cache(t->blk, NULL);
}

/* ---- bitmaps ---- */

/* The one that raw[2] says, or a later one if it is in no state to be worked on. */
static BdrvDirtyBitmap *choose_bitmap(const Target *t, const Args *args, uint32_t states)
{
    BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(node(t));

    for (int skip = args->raw[2] % 4; b; skip--, b = bdrv_dirty_bitmap_next(b)) {
        if (skip <= 0 && bdrv_dirty_bitmap_check(b, states, NULL) == 0) {
            break;
        }
    }
    return b;
}

void op_bitmap_add(Target *t, const Args *args)
{
    uint32_t granularity = 512u << args->raw[1] % 12;
    BdrvDirtyBitmap *b;
    char name[8];

    snprintf(name, sizeof(name), "b%d", args->raw[2] % 8);
    if (!bdrv_can_store_new_dirty_bitmap(node(t), name, granularity, NULL)) {
        return;
    }
    b = bdrv_create_dirty_bitmap(node(t), granularity, name, NULL);
    if (b) {
        bdrv_dirty_bitmap_set_persistence(b, !(args->raw[0] & 1));
    }
}

void op_bitmap_remove(Target *t, const Args *args)
{
    BdrvDirtyBitmap *b = choose_bitmap(t, args, BDRV_BITMAP_BUSY | BDRV_BITMAP_RO);

    if (b && (!bdrv_dirty_bitmap_get_persistence(b) ||
              bdrv_remove_persistent_dirty_bitmap(node(t), bdrv_dirty_bitmap_name(b), NULL) == 0)) {
        bdrv_release_dirty_bitmap(b);
    }
}

void op_bitmap_change(Target *t, const Args *args)
{
    BdrvDirtyBitmap *b = choose_bitmap(t, args, BDRV_BITMAP_DEFAULT);
    int64_t size = b ? bdrv_dirty_bitmap_size(b) : 0;
    int64_t first = size / 256 * args->raw[1], count = (size - first) / 2;

    if (!b) {
        return;
    }
    switch (args->raw[0] % 5) {
    case 0:
        bdrv_clear_dirty_bitmap(b);
        break;
    case 1:
        bdrv_set_dirty_bitmap(b, first, count);
        break;
    case 2:
        bdrv_reset_dirty_bitmap(b, first, count);
        break;
    case 3:
        bdrv_enable_dirty_bitmap(b);
        break;
    default:
        bdrv_disable_dirty_bitmap(b);
        break;
    }
}

void op_bitmap_merge(Target *t, const Args *args)
{
    BdrvDirtyBitmap *dest = choose_bitmap(t, args, BDRV_BITMAP_DEFAULT);
    BdrvDirtyBitmap *src = bdrv_dirty_bitmap_first(node(t));

    for (int skip = args->raw[1] % 4; src && skip > 0; skip--) {
        src = bdrv_dirty_bitmap_next(src);
    }
    if (dest && src) {
        bdrv_merge_dirty_bitmap(dest, src, NULL);
    }
}
