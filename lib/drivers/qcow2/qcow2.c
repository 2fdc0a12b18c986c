/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "qcow2": images that grow as they are written to, on top of a backing
 * file if they have one.
 *
 * docs/qcow2.md describes its options.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

/* Also versions yet unknown are no raw disks; version 1 is another format. */
static int qcow2_probe(const uint8_t *buf, int buf_size, const char *filename)
{
    (void)filename;
    return buf_size >= 8 && load_be32(buf) == QCOW2_MAGIC && load_be32(buf + 4) != 1 ? 100 : 0;
}

/* ---- open ---- */

static void set_geometry(Qcow2State *s)
{
    const Qcow2Header *hdr = &s->hdr;
    bool extended = hdr->incompatible & QCOW2_INCOMPAT_EXTL2;

    s->cluster_bits = hdr->cluster_bits;
    s->cluster_size = UINT32_C(1) << hdr->cluster_bits;
    s->l2_entry_bits = extended ? 4 : 3;
    s->l2_bits = s->cluster_bits - s->l2_entry_bits;
    s->subclusters = extended ? 32 : 1;
    s->subcluster_bits = s->cluster_bits - (extended ? 5 : 0);
    s->subcluster_size = UINT32_C(1) << s->subcluster_bits;
    s->refblock_bits = s->cluster_bits + 3 - hdr->refcount_order;
    s->refcount_max = UINT64_MAX >> (64 - (1u << hdr->refcount_order));
}

static int read_table(BlockDriverState *bs, uint64_t offset, uint64_t **table, uint32_t entries,
                      const char *what, Error **errp)
{
    int64_t bytes = (int64_t)entries * (int64_t)sizeof(uint64_t);
    int ret = 0;

    *table = calloc((size_t)entries + 1, sizeof(uint64_t));
    if (!*table) {
        error_setg(errp, "Not enough memory for the %s table", what);
        return -ENOMEM;
    }
    if (entries > 0) {
        ret = bdrv_pread(bdrv_file(bs), (int64_t)offset, bytes, *table);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read the %s table", what);
        return ret;
    }
    for (uint32_t i = 0; i < entries; i++) {
        (*table)[i] = load_be64(&(*table)[i]);
    }
    return 0;
}

static int read_tables(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    if (s->hdr.l1_size < qcow2_l1_entries(s, s->hdr.size)) {
        error_setg(errp, "L1 table is too small");
        return -EINVAL;
    }
    ret = read_table(bs, s->hdr.l1_offset, &s->l1, s->hdr.l1_size, "L1", errp);
    if (ret == 0) {
        s->reftable_size = (uint32_t)((uint64_t)s->hdr.reftable_clusters << (s->cluster_bits - 3));
        ret = read_table(bs, s->hdr.reftable_offset, &s->reftable, s->reftable_size,
                         "reference count", errp);
    }
    if (ret == 0 && (bdrv_get_flags(bs) & BDRV_O_CHECK)) {
        return qcow2_reload_snapshots(bs);   /* a check tells what is wrong with them */
    }
    return ret < 0 ? ret : qcow2_read_snapshots(bs, errp);
}

/* Whether what the file does not have yet reads as zeroes, and from where on. */
static int find_fresh_area(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    BlockDriverState *file = bdrv_file(bs);
    const char *name = bdrv_get_format_name(file);
    const BlockDriver *drv = name ? bdrv_find_format(name) : NULL;
    int64_t length = bdrv_getlength(file);

    if (length < 0) {
        error_setg_errno(errp, (int)-length, "Could not get the size of '%s'",
                         bdrv_filename(file));
        return (int)length;
    }
    s->fresh_from = qcow2_clusters_up(s, (uint64_t)length);
    s->lazy_zero = drv && drv->bdrv_has_zero_init && drv->bdrv_has_zero_init(file);
    return 0;
}

/* An image that nobody may write to, but to mend it. */
static int check_writable(BlockDriverState *bs, int flags, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (!(flags & BDRV_O_RDWR) || (flags & BDRV_O_CHECK) ||
        !(s->hdr.incompatible & QCOW2_INCOMPAT_CORRUPT)) {
        return 0;
    }
    if (flags & BDRV_O_AUTO_RDONLY) {
        bdrv_set_read_only(bs);
        return 0;
    }
    error_setg(errp, "Image is corrupt; cannot be opened read/write");
    error_append_hint(errp, "Repair it first: blk-img check -r all\n");
    return -EACCES;
}

/* An image that was not closed properly has refcounts that may be wrong. */
static int mend_if_dirty(BlockDriverState *bs, int flags, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (!(flags & BDRV_O_RDWR) || (flags & (BDRV_O_CHECK | BDRV_O_INACTIVE)) ||
        !(s->hdr.incompatible & QCOW2_INCOMPAT_DIRTY)) {
        return 0;
    }
    return qcow2_mend_dirty(bs, errp);
}

static void free_state(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);

    qcow2_free_snapshots(s->snapshots, s->hdr.nb_snapshots);
    qcow2_cache_destroy(&s->l2_cache);
    qcow2_cache_destroy(&s->refcount_cache);
    free(s->l1);
    free(s->reftable);
    qcow2_free_bitmaps(s->bitmaps, s->bitmap_count);
    free(s->freed);
    free(s->guard.entries);
    qcow2_free_header(&s->hdr);
    pthread_mutex_destroy(&s->map_lock);
}

static int open_image(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_read_header(bs, &s->hdr, errp);

    if (ret < 0) {
        return ret;
    }
    set_geometry(s);
    ret = qcow2_check_bitmaps_extension(bs, errp);
    if (ret == 0) {
        ret = check_writable(bs, flags, errp);
    }
    if (ret == 0) {
        ret = qcow2_take_options(bs, options, flags, errp);
    }
    if (ret == 0) {
        ret = read_tables(bs, errp);
    }
    if (ret == 0) {
        ret = find_fresh_area(bs, errp);
    }
    if (ret == 0) {
        ret = qcow2_open_caches(bs, options, errp);
    }
    if (ret == 0) {
        ret = qcow2_open_data_file(bs, options, flags, errp);
    }
    return ret < 0 ? ret : mend_if_dirty(bs, bdrv_get_flags(bs), errp);
}

static bool must_prepare(const Qcow2State *s)
{
    return (s->hdr.autoclear & ~QCOW2_AUTOCLEAR_DATA_FILE_RAW) && s->hdr.version >= 3;
}

static int qcow2_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    qemu_co_mutex_init(&s->lock);
    pthread_mutex_init(&s->map_lock, NULL);
    LIST_INIT(&s->allocations);
    ret = open_image(bs, options, flags, errp);
    if (ret < 0) {
        free_state(bs);
        return ret;
    }
    atomic_store(&s->sparse, -1);
    atomic_store(&s->must_prepare, must_prepare(s));
    bdrv_set_backing_file(bs, s->hdr.backing_file, s->hdr.backing_format);
    qcow2_start_cleaning(bs, bdrv_get_aio_context(bs));
    return 0;
}

/* ---- another process may have changed it ---- */

/* What is read from the disk when an image is opened. */
typedef struct Tables {
    Qcow2Header hdr;
    uint64_t *l1, *reftable;
    uint32_t reftable_size;
    Qcow2Snapshot *snapshots;
    uint64_t snapshots_bytes;
} Tables;

static Tables take_tables(Qcow2State *s)
{
    Tables t = { s->hdr, s->l1, s->reftable, s->reftable_size, s->snapshots, s->snapshots_bytes };

    s->l1 = s->reftable = NULL;
    s->snapshots = NULL;
    return t;
}

static void give_tables(Qcow2State *s, const Tables *t)
{
    s->hdr = t->hdr;
    s->l1 = t->l1;
    s->reftable = t->reftable;
    s->reftable_size = t->reftable_size;
    s->snapshots = t->snapshots;
    s->snapshots_bytes = t->snapshots_bytes;
}

static void free_tables(Tables *t)
{
    qcow2_free_snapshots(t->snapshots, t->hdr.nb_snapshots);
    qcow2_free_header(&t->hdr);
    free(t->l1);
    free(t->reftable);
}

/* The caches have tables of one size, and the data file stays what it is. */
static int check_same_kind(const Qcow2Header *old, const Qcow2Header *hdr, Error **errp)
{
    uint64_t fixed = QCOW2_INCOMPAT_EXTL2 | QCOW2_INCOMPAT_DATA_FILE;

    if (old->cluster_bits != hdr->cluster_bits ||
        (old->incompatible & fixed) != (hdr->incompatible & fixed)) {
        error_setg(errp, "It is another image now: its clusters or its data file are of another "
                   "kind");
        return -EINVAL;
    }
    return 0;
}

static int reread_tables(BlockDriverState *bs, const Qcow2Header *old, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_read_header(bs, &s->hdr, errp);

    if (ret == 0) {
        ret = check_same_kind(old, &s->hdr, errp);
    }
    if (ret < 0) {
        return ret;
    }
    set_geometry(s);
    ret = qcow2_check_bitmaps_extension(bs, errp);
    if (ret == 0) {
        ret = check_writable(bs, bdrv_get_flags(bs) & ~BDRV_O_AUTO_RDONLY, errp);
    }
    if (ret == 0) {
        ret = read_tables(bs, errp);
    }
    return ret < 0 ? ret : find_fresh_area(bs, errp);
}

static void coroutine_fn qcow2_co_invalidate_cache(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Tables old, new;
    bool good;

    qemu_co_mutex_lock(&s->lock);
    qcow2_cache_forget_all(&s->l2_cache);
    qcow2_cache_forget_all(&s->refcount_cache);
    old = take_tables(s);
    good = reread_tables(bs, &old.hdr, errp) == 0;
    if (!good) {
        new = take_tables(s);
        give_tables(s, &old);
        set_geometry(s);
        free_tables(&new);
    } else {
        free_tables(&old);
        s->free_hint = s->compressed_tail = 0;
        s->reftable_checked = false;
        atomic_store(&s->must_prepare, must_prepare(s));
    }
    qcow2_forget_metadata_places(s);
    qemu_co_mutex_unlock(&s->lock);
    if (good) {
        mend_if_dirty(bs, bdrv_get_flags(bs) & ~BDRV_O_INACTIVE, errp);
    }
}

/* The graph has flushed: nothing is left to be written. */
static void qcow2_close(BlockDriverState *bs)
{
    qcow2_stop_cleaning(bs);
    free_state(bs);
}

static int qcow2_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    int ret;

    if (flags & BDRV_O_RDWR) {
        ret = check_writable(bs, flags & ~BDRV_O_AUTO_RDONLY, errp);
        return ret < 0 ? ret : mend_if_dirty(bs, flags, errp);
    }
    ret = bdrv_is_read_only(bs) ? 0 : bdrv_flush(bs);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write the metadata of '%s'", bdrv_filename(bs));
    }
    return ret;
}

/* ---- properties ---- */

static void qcow2_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    (void)errp;
    limits->pwrite_zeroes_alignment = s->subcluster_size;
    limits->pdiscard_alignment = s->cluster_size;
}

static int64_t coroutine_fn qcow2_co_getlength(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);

    return (int64_t)(s->hdr.size & BDRV_SECTOR_MASK);
}

static int64_t allocated_size(BlockDriverState *bs)
{
    const char *name = bdrv_get_format_name(bs);
    const BlockDriver *drv = name ? bdrv_find_format(name) : NULL;

    return drv && drv->bdrv_get_allocated_file_size ? drv->bdrv_get_allocated_file_size(bs)
                                                    : -ENOTSUP;
}

static int64_t qcow2_get_allocated_file_size(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);
    int64_t size = allocated_size(bdrv_file(bs)), data = 0;

    if (s->external) {
        data = allocated_size(s->data_file);
    }
    return size < 0 ? size : data < 0 ? data : size + data;
}

static bool qcow2_has_zero_init(BlockDriverState *bs)
{
    const Qcow2State *s = bdrv_state(bs);

    /* With places given in advance, it is their content that counts, which nobody knows. */
    return !s->hdr.backing_file && !s->external && (s->hdr.l1_size == 0 || s->l1[0] == 0);
}

static const char *const qcow2_content_options[] = { "data-file", NULL };

static BlockDriver qcow2_driver = {
    .format_name = "qcow2",
    .instance_size = sizeof(Qcow2State),
    .has_file_child = true,
    .content_options = qcow2_content_options,
    .supports_backing = true,

    .bdrv_probe = qcow2_probe,
    .bdrv_open = qcow2_open,
    .create_options = qcow2_create_options,
    .bdrv_create = qcow2_create,
    .bdrv_measure = qcow2_measure,
    .amend_options = qcow2_amend_options,
    .bdrv_co_amend = qcow2_co_amend,
    .bdrv_close = qcow2_close,
    .bdrv_reopen = qcow2_reopen,
    .bdrv_refresh_limits = qcow2_refresh_limits,
    .bdrv_co_getlength = qcow2_co_getlength,
    .bdrv_get_allocated_file_size = qcow2_get_allocated_file_size,
    .bdrv_has_zero_init = qcow2_has_zero_init,
    .bdrv_co_preadv = qcow2_co_preadv,
    .bdrv_co_map_read = qcow2_co_map_read,
    .bdrv_co_pwritev = qcow2_co_pwritev,
    .bdrv_co_pwrite_zeroes = qcow2_co_pwrite_zeroes,
    .bdrv_co_pdiscard = qcow2_co_pdiscard,
    .bdrv_co_block_status = qcow2_co_block_status,
    .bdrv_co_flush_to_os = qcow2_co_flush_to_os,
    .bdrv_co_truncate = qcow2_co_truncate,
    .prealloc_modes = 1u << PREALLOC_MODE_METADATA | 1u << PREALLOC_MODE_FALLOC |
                      1u << PREALLOC_MODE_FULL,
    .bdrv_co_pwritev_compressed = qcow2_co_pwritev_compressed,
    .bdrv_attach_aio_context = qcow2_start_cleaning,
    .bdrv_detach_aio_context = qcow2_stop_cleaning,
    .bdrv_get_info = qcow2_get_info,
    .bdrv_get_specific_info = qcow2_get_specific_info,
    .bdrv_co_check = qcow2_co_check,
    .bdrv_co_save_vmstate = qcow2_co_save_vmstate,
    .bdrv_co_load_vmstate = qcow2_co_load_vmstate,
    .bdrv_supports_persistent_dirty_bitmap = qcow2_supports_persistent_dirty_bitmap,
    .bdrv_can_store_new_dirty_bitmap = qcow2_can_store_new_dirty_bitmap,
    .bdrv_co_remove_persistent_dirty_bitmap = qcow2_co_remove_persistent_dirty_bitmap,
    .bdrv_load_dirty_bitmaps = qcow2_load_dirty_bitmaps,
    .bdrv_co_store_dirty_bitmaps = qcow2_co_store_dirty_bitmaps,
    .bdrv_co_invalidate_cache = qcow2_co_invalidate_cache,
    .bdrv_co_make_empty = qcow2_co_make_empty,
    .bdrv_co_change_backing_file = qcow2_co_change_backing_file,
    .bdrv_co_snapshot_create = qcow2_co_snapshot_create,
    .bdrv_co_snapshot_goto = qcow2_co_snapshot_goto,
    .bdrv_co_snapshot_delete = qcow2_co_snapshot_delete,
    .bdrv_snapshot_list = qcow2_snapshot_list,
    .bdrv_co_snapshot_load_tmp = qcow2_co_snapshot_load_tmp,
};

BLOCK_DRIVER(qcow2_driver)
