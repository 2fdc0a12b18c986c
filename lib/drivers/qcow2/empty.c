/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All content forgotten.
 *
 * Without snapshots and bitmaps nothing but the header has to stay: a refcount
 * table, its blocks and an empty L1 table are written beside what there is, and
 * the header's first sector makes them the image.  That is done twice, first
 * behind the end and then at the start of the file, which can then be cut off.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* From host cluster `start` on: the table, refcount blocks, the L1 table. */
typedef struct EmptyImage {
    uint64_t start, table, blocks, l1, end;
    uint64_t *reftable, *l1_table;
    Qcow2Header hdr;
} EmptyImage;

/* ---- its layout ---- */

/* A block for the header's cluster, and those for the metadata themselves. */
static int plan(const Qcow2State *s, EmptyImage *e, uint64_t start)
{
    uint64_t per_cluster = s->cluster_size / sizeof(uint64_t);
    uint64_t entries = qcow2_l1_entries(s, s->hdr.size), table = 0, blocks = 0;
    uint64_t l1 = qcow2_clusters_up(s, entries * sizeof(uint64_t));

    *e = (EmptyImage){ .start = start, .table = 1, .blocks = 1, .l1 = l1, .hdr = s->hdr };
    while (e->table > table || e->blocks > blocks) {
        uint64_t last;

        table = e->table;
        blocks = e->blocks;
        e->end = start + table + blocks + l1;
        last = (e->end - 1) >> s->refblock_bits;
        e->table = (last + per_cluster) / per_cluster;
        e->blocks = last - (start >> s->refblock_bits) + 1 + (start >> s->refblock_bits > 0);
    }
    e->hdr.reftable_offset = start << s->cluster_bits;
    e->hdr.reftable_clusters = (uint32_t)table;
    e->hdr.l1_size = (uint32_t)entries;
    e->hdr.l1_offset = l1 ? (start + table + blocks) << s->cluster_bits : 0;
    return table << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES ? -EFBIG : 0;
}

static int make_tables(const Qcow2State *s, EmptyImage *e)
{
    uint64_t first = e->start >> s->refblock_bits, k = 0;

    e->reftable = calloc(e->table << (s->cluster_bits - 3), sizeof(e->reftable[0]));
    e->l1_table = calloc((size_t)e->hdr.l1_size + 1, sizeof(e->l1_table[0]));
    if (!e->reftable || !e->l1_table) {
        return -ENOMEM;
    }
    if (first > 0) {
        e->reftable[0] = (e->start + e->table + k++) << s->cluster_bits;
    }
    for (uint64_t i = first; k < e->blocks; i++) {
        e->reftable[i] = (e->start + e->table + k++) << s->cluster_bits;
    }
    return 0;
}

/* ---- writing ---- */

static int coroutine_fn write_block(BlockDriverState *bs, const EmptyImage *e, uint64_t index,
                                    uint8_t *buf)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t first = index << s->refblock_bits, end = (index + 1) << s->refblock_bits;

    memset(buf, 0, s->cluster_size);
    if (index == 0) {
        qcow2_refblock_set(s, buf, 0, 1);
    }
    first = first > e->start ? first : e->start;
    for (uint64_t cluster = first; cluster < end && cluster < e->end; cluster++) {
        qcow2_refblock_set(s, buf, cluster, 1);
    }
    return bdrv_pwrite(bdrv_file(bs), (int64_t)e->reftable[index], s->cluster_size, buf);
}

static int coroutine_fn write_tables(BlockDriverState *bs, const EmptyImage *e)
{
    const Qcow2State *s = bdrv_state(bs);
    uint32_t entries = (uint32_t)(e->table << (s->cluster_bits - 3));
    uint8_t *buf = malloc(s->cluster_size);
    int ret = buf ? qcow2_write_entries(bs, e->hdr.reftable_offset, e->reftable, 0, entries)
                  : -ENOMEM;

    for (uint32_t i = 0; i < entries && ret == 0; i++) {
        if (e->reftable[i]) {
            ret = write_block(bs, e, i, buf);
        }
    }
    if (ret == 0 && e->l1 > 0) {
        ret = qcow2_write_entries(bs, e->hdr.l1_offset, e->l1_table, 0, e->hdr.l1_size);
    }
    free(buf);
    return ret < 0 ? ret : bdrv_co_flush(bdrv_file(bs));
}

/* The disk has the new tables: all that is known about the old ones is void. */
static void adopt(BlockDriverState *bs, const EmptyImage *e)
{
    Qcow2State *s = bdrv_state(bs);

    qcow2_cache_forget_all(&s->l2_cache);
    qcow2_cache_forget_all(&s->refcount_cache);
    qcow2_forget_metadata_places(s);
    pthread_mutex_lock(&s->map_lock);
    free(s->l1);
    s->l1 = e->l1_table;
    s->hdr.l1_size = e->hdr.l1_size;
    s->hdr.l1_offset = e->hdr.l1_offset;
    s->hdr.reftable_offset = e->hdr.reftable_offset;
    s->hdr.reftable_clusters = e->hdr.reftable_clusters;
    pthread_mutex_unlock(&s->map_lock);
    free(s->reftable);
    s->reftable = e->reftable;
    s->reftable_size = (uint32_t)(e->table << (s->cluster_bits - 3));
    s->l1_dirty_from = s->l1_dirty_to = s->reftable_dirty_from = s->reftable_dirty_to = 0;
    s->freed_count = 0;
    s->freed_clusters = 0;
    s->free_hint = 0;
    s->compressed_tail = 0;
    if (e->end > s->fresh_from) {
        s->fresh_from = e->end;
    }
}

static int coroutine_fn become(BlockDriverState *bs, EmptyImage *e)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = make_tables(s, e);

    if (ret == 0) {
        ret = write_tables(bs, e);
    }
    if (ret == 0) {
        ret = qcow2_switch_header(bs, &e->hdr);
    }
    if (ret == 0) {
        adopt(bs, e);
    } else {
        free(e->reftable);
        free(e->l1_table);
    }
    return ret;
}

/* ---- the whole ---- */

static int coroutine_fn empty_at_once(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t length = bdrv_co_getlength(bdrv_file(bs));
    uint64_t behind = length < 0 ? 0 : qcow2_clusters_up(s, (uint64_t)length);
    EmptyImage final, first;
    int ret = length < 0 ? (int)length : plan(s, &final, 1);

    if (ret == 0) {
        behind = behind > s->fresh_from ? behind : s->fresh_from;
        ret = plan(s, &first, behind > final.end ? behind : final.end);
    }
    if (ret == 0) {
        ret = become(bs, &first);
    }
    if (ret == 0) {
        ret = become(bs, &final);
    }
    /* A file that cannot be made shorter has free clusters behind its end. */
    if (ret == 0 && bdrv_co_truncate(bdrv_file(bs), (int64_t)(final.end << s->cluster_bits),
                                     PREALLOC_MODE_OFF, NULL) == 0) {
        s->fresh_from = final.end;
    }
    return ret;
}

/* Nobody else has clusters that must stay, not even a reader of memory lent to him. */
static bool can_empty_at_once(Qcow2State *s)
{
    return s->hdr.nb_snapshots == 0 && s->hdr.nb_bitmaps == 0 && !s->external &&
           atomic_load(&s->pinned[0]) == 0 && atomic_load(&s->pinned[1]) == 0;
}

static int coroutine_fn empty_by_cluster(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_drop_clusters(bs, 0, qcow2_clusters_up(s, s->hdr.size));

    return ret == 0 && s->external ? bdrv_co_pdiscard(s->data_file, 0, (int64_t)s->hdr.size) : ret;
}

int coroutine_fn qcow2_co_make_empty(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_prepare_write(bs);

    if (qcow2_is_data_file_raw(s)) {
        error_setg(errp, "The disk is its data file, which cannot be without content");
        return -ENOTSUP;
    }
    if (ret == 0 && can_empty_at_once(s)) {
        qemu_co_mutex_lock(&s->lock);
        ret = empty_at_once(bs);
        qemu_co_mutex_unlock(&s->lock);
    } else if (ret == 0) {
        ret = empty_by_cluster(bs);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not empty the image");
    }
    return ret;
}
