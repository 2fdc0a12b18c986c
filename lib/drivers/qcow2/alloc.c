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
    uint64_t lowest;                    /* free cluster seen; UINT64_MAX: none */
} FreeRun;

static int coroutine_fn find_free_run(BlockDriverState *bs, uint64_t least, uint64_t want,
                                      FreeRun *run)
{
    Qcow2State *s = bdrv_state(bs);

    *run = (FreeRun){ .lowest = UINT64_MAX };
    for (uint64_t cluster = s->free_hint; run->count < want; cluster++) {
        uint64_t refcount;
        int ret = qcow2_ensure_refblock(bs, cluster);

        if (ret == 0) {
            ret = qcow2_get_refcount(bs, cluster, &refcount);
        }
        if (ret < 0) {
            return ret;
        }
        if (refcount > 0) {
            if (run->count >= least) {
                break;
            }
            run->count = 0;
            continue;
        }
        if (run->count++ == 0) {
            run->first = cluster;
        }
        if (run->lowest == UINT64_MAX) {
            run->lowest = cluster;
        }
    }
    return 0;
}

int coroutine_fn qcow2_alloc_clusters(BlockDriverState *bs, uint64_t least, uint64_t want,
                                      uint64_t *first, uint64_t *got)
{
    Qcow2State *s = bdrv_state(bs);
    FreeRun run;
    int ret = find_free_run(bs, least, want, &run);

    if (ret == 0) {
        ret = qcow2_check_new_area(bs, run.first << s->cluster_bits,
                                   run.count << s->cluster_bits);
    }
    if (ret == 0) {
        ret = qcow2_change_refcount(bs, run.first, run.count, 1);
    }
    if (ret < 0) {
        return ret;
    }
    s->free_hint = run.lowest == run.first ? run.first + run.count : run.lowest;
    if (run.first + run.count > s->fresh_from) {
        s->fresh_from = run.first + run.count;
    }
    *first = run.first;
    *got = run.count;
    return 0;
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
        ret = qcow2_alloc_clusters(bs, 1, 1, &first, &got);
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
