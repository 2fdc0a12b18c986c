/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An L1 table with all that it refers to, and how many such tables refer to each
 * cluster.  An L2 table at a time: its clusters are sorted, so that each refcount
 * block is looked for once, however the guest's data are scattered.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "byte-order.h"

#define MOST_CLUSTERS 3u                /* that compressed data of one cluster can touch */

int qcow2_tree_init(BlockDriverState *bs, Qcow2Tree *t)
{
    const Qcow2State *s = bdrv_state(bs);

    t->l2 = qemu_try_memalign(bdrv_opt_mem_align(bdrv_file(bs)), s->cluster_size);
    t->clusters = calloc((size_t)MOST_CLUSTERS << s->l2_bits, sizeof(t->clusters[0]));
    t->count = 0;
    return t->l2 && t->clusters ? 0 : -ENOMEM;
}

void qcow2_tree_free(Qcow2Tree *t)
{
    qemu_vfree(t->l2);
    free(t->clusters);
}

/* ---- reading ---- */

int coroutine_fn qcow2_tree_read_l1(BlockDriverState *bs, const Qcow2Snapshot *sn, uint64_t **l1)
{
    int ret;

    *l1 = calloc((size_t)sn->l1_size + 1, sizeof(*l1[0]));
    if (!*l1) {
        return -ENOMEM;
    }
    ret = sn->l1_size == 0 ? 0 : bdrv_pread(bdrv_file(bs), (int64_t)sn->l1_offset,
                                            (int64_t)(sn->l1_size * sizeof(*l1[0])), *l1);
    for (uint32_t i = 0; i < sn->l1_size; i++) {
        (*l1)[i] = load_be64(&(*l1)[i]);
    }
    return ret;
}

static uint8_t *entry_at(const Qcow2State *s, const Qcow2Tree *t, uint32_t i)
{
    return t->l2 + ((size_t)i << s->l2_entry_bits);
}

static uint32_t entries(const Qcow2State *s)
{
    return UINT32_C(1) << s->l2_bits;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void collect_compressed(const Qcow2State *s, Qcow2Tree *t, uint64_t entry)
{
    uint64_t offset;
    uint32_t bytes;

    qcow2_compressed_place(s, entry, &offset, &bytes);
    for (uint64_t c = qcow2_cluster_of(s, offset); c <= qcow2_cluster_of(s, offset + bytes - 1);
         c++) {
        t->clusters[t->count++] = c;
    }
}

static int coroutine_fn collect(BlockDriverState *bs, Qcow2Tree *t)
{
    const Qcow2State *s = bdrv_state(bs);
    bool sorted = true;

    t->count = 0;
    for (uint32_t i = 0; i < entries(s); i++) {
        uint64_t entry = load_be64(entry_at(s, t, i)), host = entry & QCOW2_OFFSET_MASK;

        if (entry & QCOW2_COMPRESSED) {
            collect_compressed(s, t, entry);
            sorted = false;
        } else if (host & (s->cluster_size - 1)) {
            return qcow2_corrupt(bs, "cluster allocation offset %#" PRIx64 " unaligned "
                                 "(L2 index: %#" PRIx32 ")", host, i);
        } else if (host) {
            t->clusters[t->count++] = host >> s->cluster_bits;
            sorted = sorted && (t->count < 2 ||
                                t->clusters[t->count - 2] < t->clusters[t->count - 1]);
        }
    }
    if (!sorted) {
        qsort(t->clusters, t->count, sizeof(t->clusters[0]), compare);
    }
    return 0;
}

int coroutine_fn qcow2_tree_read_l2(BlockDriverState *bs, Qcow2Tree *t, uint64_t l1_entry)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset = l1_entry & QCOW2_OFFSET_MASK;
    int ret;

    if (offset & (s->cluster_size - 1)) {
        return qcow2_corrupt(bs, "L2 table offset %#" PRIx64 " unaligned", offset);
    }
    ret = bdrv_pread(bdrv_file(bs), (int64_t)offset, s->cluster_size, t->l2);
    return ret < 0 ? ret : collect(bs, t);
}

/* ---- counts ---- */

/* How many clusters from the i-th on lie in one piece. */
static uint32_t run_from(const Qcow2Tree *t, uint32_t i)
{
    uint32_t n = 1;

    while (i + n < t->count && t->clusters[i + n] == t->clusters[i] + n) {
        n++;
    }
    return n;
}

/* To be shared it must be in use already. */
int coroutine_fn qcow2_share_clusters(BlockDriverState *bs, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t users;
        int ret = qcow2_get_refcount(bs, first + i, &users);

        if (ret == 0 && users == 0) {
            ret = qcow2_corrupt(bs, "cluster %#" PRIx64 " is in use but its count is 0", first + i);
        }
        if (ret < 0) {
            return ret;
        }
    }
    return qcow2_change_refcount(bs, first, count, 1);
}

int coroutine_fn qcow2_tree_share(BlockDriverState *bs, const Qcow2Tree *t)
{
    int ret = 0;

    for (uint32_t i = 0, n; i < t->count && ret == 0; i += n) {
        n = run_from(t, i);
        ret = qcow2_share_clusters(bs, t->clusters[i], n);
    }
    return ret;
}

static int coroutine_fn drop_l2(BlockDriverState *bs, Qcow2Tree *t, uint64_t l1_entry,
                                Qcow2Switch *sw)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = qcow2_tree_read_l2(bs, t, l1_entry);

    for (uint32_t i = 0, n; i < t->count && ret == 0; i += n) {
        n = run_from(t, i);
        ret = qcow2_switch_drop(bs, sw, t->clusters[i], n);
    }
    return ret < 0 ? ret : qcow2_switch_drop(bs, sw, (l1_entry & QCOW2_OFFSET_MASK) >>
                                             s->cluster_bits, 1);
}

int coroutine_fn qcow2_tree_drop(BlockDriverState *bs, Qcow2Tree *t, const uint64_t *l1,
                                 uint32_t l1_size, Qcow2Switch *sw)
{
    int ret = 0;

    for (uint32_t i = 0; i < l1_size && ret == 0; i++) {
        if (l1[i] & QCOW2_OFFSET_MASK) {
            ret = drop_l2(bs, t, l1[i], sw);
        }
    }
    return ret;
}

/* ---- the flag of what nobody else uses ---- */

bool qcow2_tree_clear_copied(BlockDriverState *bs, Qcow2Tree *t)
{
    const Qcow2State *s = bdrv_state(bs);
    bool changed = false;

    for (uint32_t i = 0; i < entries(s); i++) {
        uint64_t entry = load_be64(entry_at(s, t, i));

        if (entry & QCOW2_COPIED) {
            store_be64(entry_at(s, t, i), entry & ~QCOW2_COPIED);
            changed = true;
        }
    }
    return changed;
}

int coroutine_fn qcow2_tree_set_copied(BlockDriverState *bs, Qcow2Tree *t)
{
    const Qcow2State *s = bdrv_state(bs);
    int changed = 0;

    for (uint32_t i = 0; i < entries(s); i++) {
        uint64_t entry = load_be64(entry_at(s, t, i)), users = 0;
        int ret = 0;

        if ((entry & QCOW2_OFFSET_MASK) && !(entry & (QCOW2_COMPRESSED | QCOW2_COPIED))) {
            ret = qcow2_get_refcount(bs, (entry & QCOW2_OFFSET_MASK) >> s->cluster_bits, &users);
        }
        if (ret < 0) {
            return ret;
        }
        if (users == 1) {
            store_be64(entry_at(s, t, i), entry | QCOW2_COPIED);
            changed = 1;
        }
    }
    return changed;
}

int coroutine_fn qcow2_tree_write_l2(BlockDriverState *bs, const Qcow2Tree *t, uint64_t cluster)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t offset = cluster << s->cluster_bits;

    qcow2_cache_forget(&s->l2_cache, offset, s->cluster_size);
    return bdrv_pwrite(bdrv_file(bs), (int64_t)offset, s->cluster_size, t->l2);
}
