/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From one state of the image to another in one step.
 *
 * Taking or deleting a snapshot changes counts of clusters, and flags that depend
 * on them, all over the image.  Done in place, a power cut or an error halfway
 * would leave them at odds.  So it is done in copies: of the refcount blocks here,
 * of L1 and L2 tables by who uses this.  The header's first sector, which names
 * all of them, is what makes them valid.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

#define RESERVE_AT_ONCE 64u
#define MAX_FREED_RUNS (1u << 20)       /* more are not given back to the file */
#define HDR_SWITCHED (QCOW2_HDR_SNAPSHOTS + 12 - QCOW2_HDR_SIZE)

/* ---- room for the copies ---- */

static void count_blocks(const Qcow2State *s, uint64_t *blocks, uint64_t *top)
{
    *blocks = *top = 0;
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i] & QCOW2_REFTABLE_MASK) {
            (*blocks)++;
            *top = i + 1;
        }
    }
}

/* How many clusters the copies take, and the table, which must not have to grow. */
static int plan_area(const Qcow2State *s, Qcow2Switch *sw, uint64_t room)
{
    uint64_t per_cluster = s->cluster_size / sizeof(uint64_t), top, entries;

    count_blocks(s, &sw->blocks, &top);
    room += sw->blocks + sw->area_clusters;
    entries = top + 2 * (room >> s->refblock_bits) + 4;
    if (entries < s->reftable_size) {
        entries = s->reftable_size;
    }
    sw->table_clusters = (entries + per_cluster - 1) / per_cluster;
    return sw->table_clusters << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES ? -EFBIG : 0;
}

/* Taking the area may itself make new refcount blocks; then there is more to copy. */
static int coroutine_fn take_area(BlockDriverState *bs, Qcow2Switch *sw, uint64_t room)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = plan_area(s, sw, room);

    while (ret == 0 && sw->area_clusters < sw->blocks + sw->table_clusters) {
        uint64_t want = sw->blocks + sw->table_clusters + (sw->blocks >> s->refblock_bits) + 4;

        if (sw->area_clusters > 0) {
            ret = qcow2_change_refcount(bs, sw->area, sw->area_clusters, -1);
            sw->area_clusters = 0;
        }
        if (ret == 0) {
            ret = qcow2_alloc_table(bs, want, &sw->area);
        }
        if (ret == 0) {
            sw->area_clusters = want;
            ret = plan_area(s, sw, room);
        }
    }
    return ret;
}

/* ---- the copies ---- */

static int coroutine_fn copy_block(BlockDriverState *bs, uint64_t from, uint64_t to, uint8_t *buf)
{
    Qcow2State *s = bdrv_state(bs);
    int ret;

    if (from & (s->cluster_size - 1)) {
        return qcow2_corrupt(bs, "refcount block offset %#" PRIx64 " invalid", from);
    }
    ret = bdrv_pread(bdrv_file(bs), (int64_t)from, s->cluster_size, buf);
    return ret < 0 ? ret : bdrv_pwrite(bdrv_file(bs), (int64_t)to, s->cluster_size, buf);
}

static int coroutine_fn copy_blocks(BlockDriverState *bs, const Qcow2Switch *sw, uint64_t *table)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t to = sw->area << s->cluster_bits;
    uint8_t *buf = qemu_try_memalign(bdrv_opt_mem_align(bdrv_file(bs)), s->cluster_size);
    int ret = buf ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < s->reftable_size && ret == 0; i++) {
        uint64_t from = s->reftable[i] & QCOW2_REFTABLE_MASK;

        if (from) {
            ret = copy_block(bs, from, to, buf);
            table[i] = to;
            to += s->cluster_size;
        }
    }
    qemu_vfree(buf);
    return ret;
}

/* Counts are changed in the copies from now on. */
static int coroutine_fn use_copies(BlockDriverState *bs, Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t entries = sw->table_clusters << (s->cluster_bits - 3);
    uint64_t *table = calloc(entries, sizeof(table[0]));
    int ret = table ? qcow2_write_back(bs) : -ENOMEM;

    if (ret == 0) {
        ret = copy_blocks(bs, sw, table);
    }
    if (ret < 0) {
        free(table);
        return ret;
    }
    qcow2_cache_forget_all(&s->refcount_cache);
    sw->old_reftable = s->reftable;
    sw->old_reftable_size = s->reftable_size;
    s->reftable = table;
    s->reftable_size = (uint32_t)entries;
    s->switching = true;
    return 0;
}

int coroutine_fn qcow2_switch_begin(BlockDriverState *bs, Qcow2Switch *sw, uint64_t room)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_write_back_and_reclaim(bs);

    *sw = (Qcow2Switch){ .compressed_tail = s->compressed_tail };
    if (ret == 0) {
        ret = take_area(bs, sw, room + RESERVE_AT_ONCE);
    }
    sw->hdr = s->hdr;
    sw->free_hint = s->free_hint;
    if (ret == 0) {
        ret = use_copies(bs, sw);
    }
    if (ret < 0 && sw->area_clusters > 0) {
        qcow2_change_refcount(bs, sw->area, sw->area_clusters, -1);
    }
    return ret;
}

/* ---- new places ---- */

int coroutine_fn qcow2_switch_reserve(BlockDriverState *bs, Qcow2Switch *sw, uint64_t count)
{
    uint64_t *larger = realloc(sw->reserved, (sw->reserved_count + count + 1) * sizeof(larger[0]));
    int ret = larger ? 0 : -ENOMEM;

    if (larger) {
        sw->reserved = larger;
    }
    while (ret == 0 && count > 0) {
        uint64_t first, got;

        ret = qcow2_alloc_clusters(bs, count, &first, &got);
        for (uint64_t i = 0; ret == 0 && i < got; i++) {
            sw->reserved[sw->reserved_count++] = first + i;
        }
        count -= ret == 0 ? got : 0;
    }
    return ret;
}

int coroutine_fn qcow2_switch_cluster(BlockDriverState *bs, Qcow2Switch *sw, uint64_t *cluster)
{
    int ret = sw->reserved_count > 0 ? 0 : qcow2_switch_reserve(bs, sw, RESERVE_AT_ONCE);

    if (ret == 0) {
        *cluster = sw->reserved[--sw->reserved_count];
    }
    return ret;
}

int coroutine_fn qcow2_switch_write_table(BlockDriverState *bs, const uint64_t *table,
                                          uint32_t entries, uint64_t *offset)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t first = 0;
    int ret = entries == 0 ? 0 : qcow2_alloc_table(bs, qcow2_clusters_up(s, entries * UINT64_C(8)),
                                                   &first);

    *offset = first << s->cluster_bits;
    return ret < 0 || entries == 0 ? ret : qcow2_write_entries(bs, *offset, table, 0, entries);
}

/* ---- old places ---- */

static void note_freed(Qcow2Switch *sw, uint64_t cluster)
{
    Qcow2Freed *last = sw->freed_count ? &sw->freed[sw->freed_count - 1] : NULL, *larger;
    uint32_t room = sw->freed_room ? 2 * sw->freed_room : 64;

    if (last && last->first + last->count == cluster) {
        last->count++;
        return;
    }
    if (sw->freed_count == sw->freed_room) {
        larger = room <= MAX_FREED_RUNS ? realloc(sw->freed, room * sizeof(larger[0])) : NULL;
        if (!larger) {
            return;
        }
        sw->freed = larger;
        sw->freed_room = room;
    }
    sw->freed[sw->freed_count++] = (Qcow2Freed){ .first = cluster, .count = 1 };
}

int coroutine_fn qcow2_switch_drop(BlockDriverState *bs, Qcow2Switch *sw, uint64_t first,
                                   uint64_t count)
{
    int ret = qcow2_change_refcount(bs, first, count, -1);

    if (!((Qcow2State *)bdrv_state(bs))->pass_discard[QCOW2_DISCARD_SNAPSHOT]) {
        return ret;
    }
    for (uint64_t i = 0; ret == 0 && i < count; i++) {
        uint64_t users;

        ret = qcow2_get_refcount(bs, first + i, &users);
        if (ret == 0 && users == 0) {
            note_freed(sw, first + i);
        }
    }
    return ret;
}

/* What served the old state alone, and what of the new places was not needed. */
static int coroutine_fn drop_old(BlockDriverState *bs, Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t used = sw->blocks + sw->table_clusters;
    int ret = qcow2_change_refcount(bs, sw->area + used, sw->area_clusters - used, -1);

    while (ret == 0 && sw->reserved_count > 0) {
        ret = qcow2_change_refcount(bs, sw->reserved[--sw->reserved_count], 1, -1);
    }
    for (uint32_t i = 0; i < sw->old_reftable_size && ret == 0; i++) {
        uint64_t block = sw->old_reftable[i] & QCOW2_REFTABLE_MASK;

        if (block) {
            ret = qcow2_change_refcount(bs, block >> s->cluster_bits, 1, -1);
        }
    }
    return ret < 0 ? ret : qcow2_change_refcount(bs, s->hdr.reftable_offset >> s->cluster_bits,
                                                 s->hdr.reftable_clusters, -1);
}

/* ---- the step ---- */

int coroutine_fn qcow2_switch_header(BlockDriverState *bs, const Qcow2Header *hdr)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t base[QCOW2_HDR_SIZE + HDR_SWITCHED] = { 0 };
    int ret;

    store_be64(base + QCOW2_HDR_SIZE, hdr->size);
    store_be32(base + QCOW2_HDR_L1, hdr->l1_size);
    store_be64(base + QCOW2_HDR_L1 + 4, hdr->l1_offset);
    store_be64(base + QCOW2_HDR_REFTABLE, hdr->reftable_offset);
    store_be32(base + QCOW2_HDR_REFTABLE + 8, hdr->reftable_clusters);
    store_be32(base + QCOW2_HDR_SNAPSHOTS, hdr->nb_snapshots);
    store_be64(base + QCOW2_HDR_SNAPSHOTS + 4, hdr->snapshots_offset);
    ret = qcow2_update_header(bs, QCOW2_HDR_SIZE, base + QCOW2_HDR_SIZE, HDR_SWITCHED);
    if (ret < 0) {
        /* Nobody knows which of the two states the disk now has. */
        atomic_store(&s->broken, true);
    }
    return ret;
}

static int coroutine_fn write_all(BlockDriverState *bs, Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = drop_old(bs, sw);

    sw->hdr.reftable_offset = (sw->area + sw->blocks) << s->cluster_bits;
    sw->hdr.reftable_clusters = (uint32_t)sw->table_clusters;
    if (ret == 0) {
        ret = qcow2_cache_write(bs, &s->refcount_cache);
    }
    if (ret == 0) {
        ret = qcow2_write_entries(bs, sw->hdr.reftable_offset, s->reftable, 0, s->reftable_size);
    }
    if (ret == 0) {
        ret = qcow2_flush_data(bs);
    }
    return ret < 0 ? ret : qcow2_switch_header(bs, &sw->hdr);
}

/* The disk has the new state: so has the memory. */
static void adopt(BlockDriverState *bs, Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);

    pthread_mutex_lock(&s->map_lock);
    s->hdr.size = sw->hdr.size;
    s->hdr.l1_size = sw->hdr.l1_size;
    s->hdr.l1_offset = sw->hdr.l1_offset;
    s->hdr.reftable_offset = sw->hdr.reftable_offset;
    s->hdr.reftable_clusters = sw->hdr.reftable_clusters;
    s->hdr.nb_snapshots = sw->hdr.nb_snapshots;
    s->hdr.snapshots_offset = sw->hdr.snapshots_offset;
    free(s->l1);
    s->l1 = sw->l1;
    if (sw->snapshots) {
        free(s->snapshots);
        s->snapshots = sw->snapshots;
        s->snapshots_bytes = sw->snapshots_bytes;
    }
    pthread_mutex_unlock(&s->map_lock);
    qcow2_forget_metadata_places(s);
    free(sw->old_reftable);
    s->reftable_dirty_from = s->reftable_dirty_to = 0;
    for (uint32_t i = 0; i < sw->freed_count; i++) {
        bdrv_co_pdiscard(bdrv_file(bs), (int64_t)(sw->freed[i].first << s->cluster_bits),
                         (int64_t)(sw->freed[i].count << s->cluster_bits));
    }
}

static void coroutine_fn go_back(BlockDriverState *bs, Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);

    qcow2_cache_forget_all(&s->refcount_cache);
    free(s->reftable);
    s->reftable = sw->old_reftable;
    s->reftable_size = sw->old_reftable_size;
    s->reftable_dirty_from = s->reftable_dirty_to = 0;
    s->free_hint = sw->free_hint;
    s->compressed_tail = sw->compressed_tail;
    qcow2_forget_metadata_places(s);
    if (!atomic_load(&s->broken)) {
        qcow2_change_refcount(bs, sw->area, sw->area_clusters, -1);
    }
    free(sw->l1);
    free(sw->snapshots);
}

int coroutine_fn qcow2_switch_end(BlockDriverState *bs, Qcow2Switch *sw, int ret)
{
    Qcow2State *s = bdrv_state(bs);

    if (ret == 0) {
        ret = write_all(bs, sw);
    }
    s->switching = false;
    if (ret == 0) {
        adopt(bs, sw);
    } else {
        go_back(bs, sw);
    }
    free(sw->freed);
    free(sw->reserved);
    return ret;
}
