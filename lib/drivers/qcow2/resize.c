/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another size of the disk.
 *
 * What becomes visible reads as zeroes, whatever a longer backing file or the
 * rest of the last cluster holds; all of that is on the disk before the header
 * says the new size.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/block-backend.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

uint64_t qcow2_l1_entries(const Qcow2State *s, uint64_t bytes)
{
    unsigned bits = s->l2_bits + s->cluster_bits;

    return (bytes >> bits) + ((bytes & ((UINT64_C(1) << bits) - 1)) != 0);
}

/* ---- the L1 table ---- */

static int coroutine_fn write_l1(BlockDriverState *bs, uint64_t offset, const uint64_t *l1,
                                 uint64_t bytes)
{
    uint64_t *disk = calloc(1, bytes);
    uint8_t field[12];
    int ret;

    if (!disk) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < bytes / sizeof(disk[0]); i++) {
        store_be64(&disk[i], l1[i]);
    }
    ret = bdrv_pwrite_sync(bdrv_file(bs), (int64_t)offset, (int64_t)bytes, disk);
    free(disk);
    if (ret == 0) {
        store_be32(field, (uint32_t)(bytes / sizeof(l1[0])));
        store_be64(field + 4, offset);
        ret = qcow2_update_header(bs, QCOW2_HDR_L1, field, sizeof(field));
    }
    return ret;
}

static void switch_l1(BlockDriverState *bs, uint64_t *l1, uint32_t entries, uint64_t offset)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t old_offset = s->hdr.l1_offset, old_bytes = s->hdr.l1_size * sizeof(l1[0]);

    pthread_mutex_lock(&s->map_lock);
    free(s->l1);
    s->l1 = l1;
    s->hdr.l1_size = entries;
    s->hdr.l1_offset = offset;
    pthread_mutex_unlock(&s->map_lock);
    s->l1_dirty_from = s->l1_dirty_to = 0;
    if (old_bytes > 0) {
        qcow2_change_refcount(bs, old_offset >> s->cluster_bits, qcow2_clusters_up(s, old_bytes),
                              -1);
    }
}

int coroutine_fn qcow2_grow_l1(BlockDriverState *bs, uint64_t entries)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = entries * sizeof(s->l1[0]), first, *l1;
    uint64_t clusters = qcow2_clusters_up(s, bytes);
    int ret = bytes > QCOW2_MAX_L1_BYTES ? -EFBIG : qcow2_write_back(bs);

    if (ret == 0) {
        ret = qcow2_alloc_table(bs, clusters, &first);
    }
    if (ret < 0) {
        return ret;
    }
    l1 = calloc(entries, sizeof(l1[0]));
    ret = l1 ? qcow2_write_back(bs) : -ENOMEM;
    if (ret == 0) {
        memcpy(l1, s->l1, s->hdr.l1_size * sizeof(l1[0]));
        ret = write_l1(bs, first << s->cluster_bits, l1, bytes);
        if (ret < 0) {
            /* Nobody knows which of the two tables the disk now names. */
            atomic_store(&s->broken, true);
        }
    }
    if (ret < 0) {
        qcow2_change_refcount(bs, first, clusters, -1);
        free(l1);
        return ret;
    }
    switch_l1(bs, l1, (uint32_t)entries, first << s->cluster_bits);
    return 0;
}

/* ---- the edge ---- */

/* From `offset` to the end of its cluster: zeroes, if there is anything else.  place: they are
 * written in any case, so that the cluster has a place. */
static int coroutine_fn clear_rest_of_cluster(BlockDriverState *bs, int64_t offset, bool place)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t in_cluster = qcow2_in_cluster(s, (uint64_t)offset);
    struct iovec iov = { .iov_len = s->cluster_size - in_cluster };
    QEMUIOVector qiov;
    int ret;

    if (in_cluster == 0) {
        return 0;
    }
    ret = place ? -ENOTSUP : qcow2_co_pwrite_zeroes(bs, offset, (int64_t)iov.iov_len, 0);
    if (ret != -ENOTSUP) {
        return ret;
    }
    iov.iov_base = calloc(1, iov.iov_len);
    if (!iov.iov_base) {
        return -ENOMEM;
    }
    qemu_iovec_init_external(&qiov, &iov, 1);
    ret = qcow2_co_pwritev(bs, offset, (int64_t)iov.iov_len, &qiov, 0);
    free(iov.iov_base);
    return ret;
}

/* What a backing file would show in the new part. */
static int coroutine_fn hide_backing(BlockDriverState *bs, int64_t from, int64_t to,
                                     PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    BlockDriverState *backing = bdrv_backing(bs);
    int64_t length = backing ? bdrv_co_getlength(backing) : 0;
    uint64_t first = qcow2_clusters_up(s, (uint64_t)from);

    if (length < 0) {
        return (int)length;
    }
    to = to < length ? to : length;
    if (first >= qcow2_clusters_up(s, (uint64_t)to)) {
        return 0;
    }
    if (s->hdr.version < 3) {   /* there is no mark for zeroes: they take space */
        return qcow2_preallocate(bs, first, qcow2_clusters_up(s, (uint64_t)to),
                                 prealloc == PREALLOC_MODE_OFF ? PREALLOC_MODE_METADATA : prealloc,
                                 errp);
    }
    return qcow2_zero_clusters(bs, first, qcow2_clusters_up(s, (uint64_t)to));
}

/* What is visible of an external data file's old end must be zeroes before it is linked. */
static int coroutine_fn grow_data_file(BlockDriverState *bs, int64_t from, int64_t to,
                                       PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    if (prealloc != PREALLOC_MODE_OFF) {
        ret = bdrv_co_truncate(s->data_file, from, PREALLOC_MODE_OFF, errp);
        if (prealloc == PREALLOC_MODE_METADATA) {
            prealloc = PREALLOC_MODE_OFF;
        }
    }
    return ret < 0 ? ret : bdrv_co_truncate(s->data_file, to, prealloc, errp);
}

static int coroutine_fn fill_new_part(BlockDriverState *bs, int64_t from, int64_t to,
                                      PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t first = qcow2_clusters_up(s, (uint64_t)from), end = qcow2_clusters_up(s, (uint64_t)to);
    int ret = clear_rest_of_cluster(bs, from, prealloc != PREALLOC_MODE_OFF);

    if (ret == 0) {
        ret = qcow2_drop_clusters(bs, first, end);
    }
    if (ret == 0) {
        ret = hide_backing(bs, from, to, prealloc, errp);
    }
    if (ret == 0 && s->external) {
        ret = grow_data_file(bs, from, to, prealloc, errp);
    }
    if (ret == 0 && prealloc != PREALLOC_MODE_OFF) {
        ret = qcow2_preallocate(bs, first, end, prealloc, errp);
    }
    return ret;
}

static int coroutine_fn grow_disk(BlockDriverState *bs, int64_t from, int64_t to,
                                  PreallocMode prealloc, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t entries = qcow2_l1_entries(s, (uint64_t)to);
    int ret = 0;

    if (entries > s->hdr.l1_size) {
        qemu_co_mutex_lock(&s->lock);
        ret = qcow2_grow_l1(bs, entries);
        qemu_co_mutex_unlock(&s->lock);
    }
    if (ret < 0) {
        return ret;
    }
    ret = fill_new_part(bs, from, to, prealloc, errp);
    if (ret < 0) {
        qcow2_drop_clusters(bs, qcow2_clusters_up(s, (uint64_t)from),
                            qcow2_clusters_up(s, (uint64_t)to));
    }
    return ret;
}

static int coroutine_fn shrink_disk(BlockDriverState *bs, int64_t from, int64_t to)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = clear_rest_of_cluster(bs, to, false);

    return ret < 0 ? ret : qcow2_drop_clusters(bs, qcow2_clusters_up(s, (uint64_t)to),
                                               qcow2_clusters_up(s, (uint64_t)from));
}

/* ---- the whole ---- */

static int coroutine_fn write_size(BlockDriverState *bs, uint64_t size)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t field[8];
    int ret;

    store_be64(field, size);
    qemu_co_mutex_lock(&s->lock);
    ret = qcow2_write_back_and_reclaim(bs);
    if (ret == 0) {
        ret = qcow2_flush_data(bs);
    }
    if (ret == 0) {
        ret = qcow2_update_header(bs, QCOW2_HDR_SIZE, field, sizeof(field));
    }
    if (ret == 0) {
        s->hdr.size = size;
    }
    qemu_co_mutex_unlock(&s->lock);
    return ret;
}

static int check_resize(BlockDriverState *bs, int64_t offset, PreallocMode prealloc, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (offset % (int64_t)BDRV_SECTOR_SIZE) {
        error_setg(errp, "The new size must be a multiple of 512");
        return -EINVAL;
    }
    if (s->hdr.nb_snapshots > 0 && s->hdr.version < 3) {
        /* Their entries need not say what size the disk had. */
        error_setg(errp, "Can't resize a v2 image which has snapshots");
        return -ENOTSUP;
    }
    if (prealloc != PREALLOC_MODE_OFF && (uint64_t)offset < s->hdr.size) {
        error_setg(errp, "Preallocation can't be used for shrinking an image");
        return -EINVAL;
    }
    return qcow2_check_bitmaps_resize(bs, errp);
}

static int coroutine_fn resize(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                               Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t size = (int64_t)s->hdr.size;
    int ret = qcow2_prepare_write(bs);

    if (ret == 0 && offset > size) {
        ret = grow_disk(bs, size, offset, prealloc, errp);
    } else if (ret == 0 && offset < size) {
        ret = shrink_disk(bs, size, offset);
        if (ret == 0 && s->external) {
            ret = bdrv_co_truncate(s->data_file, offset, PREALLOC_MODE_OFF, errp);
        }
    }
    return ret < 0 ? ret : write_size(bs, (uint64_t)offset);
}

int coroutine_fn qcow2_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                   Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);
    Error *local_err = NULL;
    int ret = check_resize(bs, offset, prealloc, errp);

    if (ret < 0) {
        return ret;
    }
    if ((s->hdr.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) && prealloc == PREALLOC_MODE_OFF &&
        (uint64_t)offset > s->hdr.size) {
        prealloc = PREALLOC_MODE_METADATA;   /* the tables show what the raw file holds */
    }
    ret = resize(bs, offset, prealloc, &local_err);
    if (ret < 0 && !local_err) {
        error_setg_errno(&local_err, -ret, "Could not resize the image");
    }
    error_propagate(errp, local_err);
    return ret;
}
