/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Free host clusters, and who is about to use them.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>

/* ---- free clusters ---- */

/* A run of free clusters that is being looked for. */
typedef struct FreeRun {
    uint64_t first, count;
} FreeRun;

static int coroutine_fn find_free_run(BlockDriverState *bs, uint64_t want, FreeRun *run)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_check_reftable(bs);

    *run = (FreeRun){ 0 };
    for (uint64_t cluster = s->free_hint; ret == 0 && run->count < want; cluster++) {
        uint64_t refcount = 0;

        ret = qcow2_ensure_refblock(bs, cluster);
        if (ret == 0) {
            ret = qcow2_get_refcount(bs, cluster, &refcount);
        }
        if (refcount > 0 && run->count > 0) {
            break;
        }
        if (ret == 0 && refcount == 0 && run->count++ == 0) {
            run->first = cluster;
        }
        if (run->count == 0) {
            s->free_hint = cluster;   /* a search that fails is not done twice */
        }
    }
    return ret;
}

static int coroutine_fn take_clusters(BlockDriverState *bs, uint64_t first, uint64_t count)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_check_new_area(bs, first << s->cluster_bits, count << s->cluster_bits);

    if (ret == 0) {
        ret = qcow2_change_refcount(bs, first, count, 1);
    }
    if (ret == 0 && first + count > s->fresh_from) {
        s->fresh_from = first + count;
    }
    return ret;
}

int coroutine_fn qcow2_alloc_clusters(BlockDriverState *bs, uint64_t want, uint64_t *first,
                                      uint64_t *got)
{
    Qcow2State *s = bdrv_state(bs);
    FreeRun run;
    int ret = find_free_run(bs, want, &run);

    if (ret == 0) {
        ret = take_clusters(bs, run.first, run.count);
    }
    if (ret < 0) {
        return ret;
    }
    s->free_hint = run.first + run.count;
    *first = run.first;
    *got = run.count;
    return 0;
}

/* ---- a table in one piece ---- */

/* The first `count` free clusters in one piece; what no block covers is free. */
static int coroutine_fn find_room(BlockDriverState *bs, uint64_t count, uint64_t *first)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t run = 0, refcount;
    int ret = qcow2_check_reftable(bs);

    for (uint64_t cluster = s->free_hint; ret == 0 && run < count; cluster++) {
        ret = cluster > QCOW2_OFFSET_MASK >> s->cluster_bits
              ? -EFBIG : qcow2_get_refcount(bs, cluster, &refcount);
        if (ret == 0) {
            run = refcount == 0 ? run + 1 : 0;
            *first = cluster + 1 - run;
        }
    }
    return ret;
}

/* Room for `count` clusters, all of them within reach of the refcount table. */
static int coroutine_fn find_covered_room(BlockDriverState *bs, uint64_t count, uint64_t *first)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = find_room(bs, count, first);

    while (ret == 0 && (*first + count - 1) >> s->refblock_bits >= s->reftable_size) {
        ret = qcow2_ensure_refblock(bs, (uint64_t)s->reftable_size << s->refblock_bits);
        if (ret == 0) {
            ret = find_room(bs, count, first);
        }
    }
    return ret;
}

/*
 * The refcount blocks that are missing are put in front of the table.  They are
 * made in ascending order, so that each one's own count has a block by then: at
 * the latest, itself.
 */
int coroutine_fn qcow2_alloc_table(BlockDriverState *bs, uint64_t count, uint64_t *first)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t room = count + (count >> s->refblock_bits) + 3, start = 0, blocks = 0;
    int ret = find_covered_room(bs, room, &start);

    for (uint64_t i = start >> s->refblock_bits;
         ret == 0 && i <= (start + room - 1) >> s->refblock_bits; i++) {
        if (!(s->reftable[i] & QCOW2_REFTABLE_MASK)) {
            ret = qcow2_new_refblock(bs, start + blocks++, i);
        }
    }
    *first = start + blocks;
    return ret < 0 ? ret : take_clusters(bs, *first, count);
}

/* ---- compressed data, one behind the other ---- */

/* Whether the cluster of the last compressed data takes another user. */
static int coroutine_fn tail_is_open(BlockDriverState *bs, bool *open)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t count = 0;
    int ret = 0;

    *open = false;
    if (s->compressed_tail) {
        ret = qcow2_get_refcount(bs, qcow2_cluster_of(s, s->compressed_tail), &count);
        *open = ret == 0 && count < s->refcount_max;
    }
    return ret;
}

static void move_tail(Qcow2State *s, uint64_t end)
{
    s->compressed_tail = qcow2_in_cluster(s, end) ? end : 0;
}

int coroutine_fn qcow2_alloc_bytes(BlockDriverState *bs, uint32_t bytes, uint64_t *offset)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t tail = s->compressed_tail, first, got;
    bool open;
    int ret = tail_is_open(bs, &open);

    if (ret < 0) {
        return ret;
    }
    if (open && bytes <= s->cluster_size - qcow2_in_cluster(s, tail)) {
        ret = qcow2_change_refcount(bs, qcow2_cluster_of(s, tail), 1, 1);
        *offset = tail;
    } else {
        ret = qcow2_alloc_clusters(bs, 1, &first, &got);
        if (ret < 0) {
            return ret;
        }
        *offset = first << s->cluster_bits;
        if (open && first == qcow2_cluster_of(s, tail) + 1 &&
            qcow2_change_refcount(bs, first - 1, 1, 1) == 0) {
            *offset = tail;   /* both clusters hold a part of it */
        }
    }
    if (ret == 0) {
        move_tail(s, *offset + bytes);
    }
    return ret;
}

/* ---- allocations under way ---- */

static Qcow2Allocation *find_allocation(Qcow2State *s, uint64_t first, uint64_t count)
{
    Qcow2Allocation *a;

    LIST_FOREACH(a, &s->allocations, link) {
        if (first < a->first + a->count && a->first < first + count) {
            return a;
        }
    }
    return NULL;
}

bool coroutine_fn qcow2_wait_allocations(Qcow2State *s, uint64_t first, uint64_t count)
{
    Qcow2Allocation *a;
    bool waited = false;

    while ((a = find_allocation(s, first, count)) != NULL) {
        qemu_co_queue_wait_locked(&a->waiters, &s->lock);
        waited = true;
    }
    return waited;
}

uint64_t qcow2_unallocating_run(Qcow2State *s, uint64_t first, uint64_t count)
{
    Qcow2Allocation *a;

    while ((a = find_allocation(s, first, count)) != NULL) {
        if (a->first <= first) {
            return 0;
        }
        count = a->first - first;
    }
    return count;
}

void qcow2_begin_allocation(Qcow2State *s, Qcow2Allocation *a, uint64_t first, uint64_t count)
{
    a->first = first;
    a->count = count;
    qemu_co_queue_init(&a->waiters);
    LIST_INSERT_HEAD(&s->allocations, a, link);
}

void qcow2_end_allocation(Qcow2Allocation *a)
{
    LIST_REMOVE(a, link);
    qemu_co_queue_restart_all(&a->waiters);
}
