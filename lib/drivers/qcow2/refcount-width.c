/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Refcounts of another width.
 *
 * All of them are written anew, behind everything that is in use and without a
 * change to what is there; then one write of the header's first sector says
 * both where they are and how wide.  Up to it, the image is what it was.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

#define HDR_REFCOUNT_ORDER 96

typedef struct NewCounts {
    uint32_t order, block_bits;         /* of the new width */
    uint64_t end;                       /* no host cluster from here on was in use */
    uint64_t start, blocks, clusters;   /* the new blocks, and the table behind them */
    uint64_t entries;                   /* of the new table */
    uint64_t *table;
    uint64_t *old_blocks;               /* clusters, in order */
    uint32_t old_count;
} NewCounts;

/* ---- what there is ---- */

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int list_old_blocks(const Qcow2State *s, NewCounts *new)
{
    new->old_blocks = calloc((size_t)s->reftable_size + 1, sizeof(new->old_blocks[0]));
    if (!new->old_blocks) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i] & QCOW2_REFTABLE_MASK) {
            new->old_blocks[new->old_count++] = (s->reftable[i] & QCOW2_REFTABLE_MASK) >>
                                                s->cluster_bits;
            new->end = (uint64_t)(i + 1) << s->refblock_bits;
        }
    }
    qsort(new->old_blocks, new->old_count, sizeof(new->old_blocks[0]), compare);
    return 0;
}

static int coroutine_fn find_end(BlockDriverState *bs, NewCounts *new)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t count = 0;
    int64_t length = bdrv_co_getlength(bdrv_file(bs));
    int ret = length < 0 ? (int)length : 0;

    while (ret == 0 && new->end > 0) {
        ret = qcow2_get_refcount(bs, new->end - 1, &count);
        if (count > 0) {
            break;
        }
        new->end--;
    }
    new->start = qcow2_clusters_up(s, (uint64_t)(length > 0 ? length : 0));
    new->start = new->start > new->end ? new->start : new->end;
    return ret;
}

/* The old counts themselves are out of use in the new ones. */
static bool is_old_count(const Qcow2State *s, const NewCounts *new, uint64_t cluster)
{
    uint64_t table = s->hdr.reftable_offset >> s->cluster_bits;

    return (cluster >= table && cluster - table < s->hdr.reftable_clusters) ||
           bsearch(&cluster, new->old_blocks, new->old_count, sizeof(cluster), compare);
}

static int coroutine_fn new_count(BlockDriverState *bs, const NewCounts *new, uint64_t cluster,
                                  uint64_t *count)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    *count = 0;
    if (cluster >= new->start) {
        *count = cluster - new->start < new->blocks + new->clusters;
    } else if (cluster < new->end) {
        ret = qcow2_get_refcount(bs, cluster, count);
        if (*count > 0 && is_old_count(s, new, cluster)) {
            (*count)--;
        }
    }
    return ret;
}

/* ---- the plan ---- */

/* Whether a new block has anything to count. */
static bool is_block_needed(const Qcow2State *s, const NewCounts *new, uint64_t index)
{
    uint64_t first = index << new->block_bits, last = first + (UINT64_C(1) << new->block_bits) - 1;

    if (last >= new->start && first < new->start + new->blocks + new->clusters) {
        return true;
    }
    for (uint64_t i = first >> s->refblock_bits;
         i <= last >> s->refblock_bits && i < s->reftable_size; i++) {
        if (s->reftable[i] & QCOW2_REFTABLE_MASK) {
            return first < new->end;
        }
    }
    return false;
}

/* The new blocks count themselves as well: until their number does not grow any more. */
static int plan(const Qcow2State *s, NewCounts *new)
{
    uint64_t per_cluster = s->cluster_size / sizeof(uint64_t), needed = 1;

    while (needed > new->blocks) {
        new->blocks = needed;
        needed = 0;
        new->entries = ((new->start + new->blocks + new->clusters) >> new->block_bits) + 1;
        new->clusters = (new->entries + per_cluster - 1) / per_cluster;
        new->entries = new->clusters * per_cluster;
        if (new->clusters << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
            return -EFBIG;
        }
        for (uint64_t i = 0; i < new->entries; i++) {
            needed += is_block_needed(s, new, i);
        }
    }
    new->table = calloc(new->entries, sizeof(new->table[0]));
    return new->table ? 0 : -ENOMEM;
}

/* ---- writing ---- */

static int coroutine_fn fill_block(BlockDriverState *bs, const NewCounts *new, uint64_t index,
                                   uint8_t *block, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t max = UINT64_MAX >> (64 - (1u << new->order)), count;
    uint64_t first = index << new->block_bits;

    memset(block, 0, s->cluster_size);
    for (uint64_t i = 0; i < UINT64_C(1) << new->block_bits; i++) {
        int ret = new_count(bs, new, first + i, &count);

        if (ret == 0 && count > max) {
            error_setg(errp, "Cannot decrease refcount entry width to %u bits: Cluster at offset "
                       "%#" PRIx64 " has a refcount of %" PRIu64, 1u << new->order,
                       (first + i) << s->cluster_bits, count);
            ret = -EINVAL;
        }
        if (ret < 0) {
            return ret;
        }
        qcow2_count_set(block, i, new->order, count);
    }
    return 0;
}

static int coroutine_fn write_blocks(BlockDriverState *bs, NewCounts *new,
                                     BdrvProgressFunc *progress, void *opaque, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *block = qemu_try_memalign(bdrv_opt_mem_align(bdrv_file(bs)), s->cluster_size);
    uint64_t written = 0;
    int ret = block ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < new->entries && ret == 0; i++) {
        uint64_t offset = (new->start + written) << s->cluster_bits;

        if (!is_block_needed(s, new, i)) {
            continue;
        }
        ret = fill_block(bs, new, i, block, errp);
        if (ret == 0) {
            ret = bdrv_pwrite(bdrv_file(bs), (int64_t)offset, s->cluster_size, block);
        }
        new->table[i] = offset;
        progress(opaque, (int64_t)++written, (int64_t)new->blocks);
    }
    qemu_vfree(block);
    return ret < 0 ? ret
           : qcow2_write_entries(bs, (new->start + new->blocks) << s->cluster_bits, new->table, 0,
                                 (uint32_t)new->entries);
}

static int coroutine_fn write_sector(BlockDriverState *bs, const NewCounts *new)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t sector[BDRV_SECTOR_SIZE];
    int ret = bdrv_pread(bdrv_file(bs), 0, sizeof(sector), sector);

    if (ret == 0) {
        ret = qcow2_flush_data(bs);
    }
    if (ret < 0) {
        return ret;
    }
    store_be64(sector + QCOW2_HDR_REFTABLE, (new->start + new->blocks) << s->cluster_bits);
    store_be32(sector + QCOW2_HDR_REFTABLE + 8, (uint32_t)new->clusters);
    store_be32(sector + HDR_REFCOUNT_ORDER, new->order);
    ret = qcow2_update_header(bs, 0, sector, sizeof(sector));
    if (ret < 0) {
        /* Nobody knows which of the two the disk now has. */
        atomic_store(&s->broken, true);
    }
    return ret;
}

static void adopt(BlockDriverState *bs, NewCounts *new)
{
    Qcow2State *s = bdrv_state(bs);

    qcow2_cache_forget_all(&s->refcount_cache);
    free(s->reftable);
    s->reftable = new->table;
    s->reftable_size = (uint32_t)new->entries;
    s->reftable_dirty_from = s->reftable_dirty_to = 0;
    new->table = NULL;
    pthread_mutex_lock(&s->map_lock);
    s->hdr.reftable_offset = (new->start + new->blocks) << s->cluster_bits;
    s->hdr.reftable_clusters = (uint32_t)new->clusters;
    s->hdr.refcount_order = new->order;
    pthread_mutex_unlock(&s->map_lock);
    s->refblock_bits = new->block_bits;
    s->refcount_max = UINT64_MAX >> (64 - (1u << new->order));
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i]) {
            qcow2_note_table(s, s->reftable[i], QCOW2_OL_REFCOUNT_BLOCK);
        }
    }
    s->free_hint = 0;
    s->compressed_tail = 0;
    if (s->fresh_from < new->start + new->blocks + new->clusters) {
        s->fresh_from = new->start + new->blocks + new->clusters;
    }
}

/* ---- the whole ---- */

static int coroutine_fn change_width(BlockDriverState *bs, NewCounts *new,
                                     BdrvProgressFunc *progress, void *opaque, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_write_back_and_reclaim(bs);

    if (ret == 0) {
        ret = list_old_blocks(s, new);
    }
    if (ret == 0) {
        ret = find_end(bs, new);
    }
    if (ret == 0) {
        ret = plan(s, new);
    }
    if (ret == 0) {
        ret = write_blocks(bs, new, progress, opaque, errp);
    }
    if (ret == 0) {
        ret = write_sector(bs, new);
    }
    if (ret == 0) {
        adopt(bs, new);
    }
    return ret;
}

int coroutine_fn qcow2_change_refcount_width(BlockDriverState *bs, uint32_t order,
                                             BdrvProgressFunc *progress, void *opaque,
                                             Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    NewCounts new = { .order = order, .block_bits = s->cluster_bits + 3 - order, .clusters = 1 };
    Error *local_err = NULL;
    int ret;

    qemu_co_mutex_lock(&s->lock);
    ret = change_width(bs, &new, progress, opaque, &local_err);
    qemu_co_mutex_unlock(&s->lock);
    if (ret < 0 && !local_err) {
        error_setg_errno(&local_err, -ret, "Could not change the width of the refcounts");
    }
    error_propagate(errp, local_err);
    free(new.table);
    free(new.old_blocks);
    return ret;
}
