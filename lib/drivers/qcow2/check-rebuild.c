/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New refcounts from the references alone, where the old ones cannot be mended.
 *
 *     ... last cluster in use | new blocks | new table
 *
 * Until the header names the new table the old one stays as it is, so that a
 * power cut leaves one of the two.  References that go a little beyond the end of
 * the file, as after it was cut off, are not met by what is new: it comes behind
 * them.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

/* Clusters [start, start + blocks) are blocks, the `table` behind them the table. */
typedef struct Rebuild {
    Qcow2Check *ck;
    uint64_t start, blocks, table;
    uint64_t *entries;                  /* of the new table, as on disk */
} Rebuild;

/* ---- planning ---- */

static bool is_empty(const Qcow2Check *ck, uint64_t index)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    const uint8_t *counts = ck->counts + (index << s->cluster_bits);

    return index >= ck->room >> s->refblock_bits ||
           (counts[0] == 0 && memcmp(counts, counts + 1, s->cluster_size - 1) == 0);
}

static uint64_t behind_last_reference(const Qcow2Check *ck)
{
    uint64_t end = ck->clusters;

    while (end > 0 && qcow2_check_count(ck, end - 1) == 0) {
        end--;
    }
    return end;
}

static uint64_t count_blocks(const Rebuild *r, uint64_t end)
{
    const Qcow2State *s = bdrv_state(r->ck->bs);
    uint64_t from = r->start >> s->refblock_bits, to = (end - 1) >> s->refblock_bits, n = 0;

    for (uint64_t i = 0; i <= to; i++) {
        n += i >= from || !is_empty(r->ck, i);
    }
    return n;
}

/* How much is needed for what there is and for itself. */
static int plan(Rebuild *r)
{
    const Qcow2State *s = bdrv_state(r->ck->bs);
    uint64_t per_cluster = s->cluster_size / sizeof(uint64_t), end, blocks, table;

    r->start = behind_last_reference(r->ck);
    r->blocks = r->table = 1;
    for (;;) {
        end = r->start + r->blocks + r->table;
        blocks = count_blocks(r, end);
        table = ((end - 1) >> s->refblock_bits) / per_cluster + 1;
        if (blocks <= r->blocks && table <= r->table) {
            break;
        }
        r->blocks = blocks > r->blocks ? blocks : r->blocks;
        r->table = table > r->table ? table : r->table;
    }
    return r->table << s->cluster_bits > QCOW2_MAX_REFTABLE_BYTES || end > r->ck->far_start
           ? -EFBIG : 0;
}

/* ---- writing ---- */

static void count_new_clusters(const Rebuild *r)
{
    const Qcow2State *s = bdrv_state(r->ck->bs);

    for (uint64_t i = 0; i < r->blocks + r->table; i++) {
        qcow2_count_set(r->ck->counts, r->start + i, s->hdr.refcount_order, 1);
    }
}

static int coroutine_fn write_blocks(Rebuild *r)
{
    const Qcow2State *s = bdrv_state(r->ck->bs);
    uint64_t last = (r->start + r->blocks + r->table - 1) >> s->refblock_bits;
    uint64_t cluster = r->start;
    int ret = 0;

    for (uint64_t i = 0; i <= last && ret == 0; i++) {
        if (!is_empty(r->ck, i)) {
            uint64_t offset = cluster++ << s->cluster_bits;

            ret = bdrv_pwrite(bdrv_file(r->ck->bs), (int64_t)offset, s->cluster_size,
                              r->ck->counts + (i << s->cluster_bits));
            store_be64(&r->entries[i], offset);
        }
    }
    return ret < 0 ? ret : bdrv_co_flush(bdrv_file(r->ck->bs));
}

static int coroutine_fn write_table(const Rebuild *r)
{
    const Qcow2State *s = bdrv_state(r->ck->bs);
    uint64_t offset = (r->start + r->blocks) << s->cluster_bits;
    uint8_t field[12];
    int ret = bdrv_pwrite_sync(bdrv_file(r->ck->bs), (int64_t)offset,
                               (int64_t)(r->table << s->cluster_bits), r->entries);

    if (ret < 0) {
        return ret;
    }
    store_be64(field, offset);
    store_be32(field + 8, (uint32_t)r->table);
    return qcow2_update_header(r->ck->bs, QCOW2_HDR_REFTABLE, field, sizeof(field));
}

/* The header names the new table: in memory, too. */
static void switch_tables(Rebuild *r)
{
    Qcow2State *s = bdrv_state(r->ck->bs);
    uint64_t entries = r->table << (s->cluster_bits - 3);

    for (uint64_t i = 0; i < entries; i++) {
        r->entries[i] = load_be64(&r->entries[i]);
    }
    pthread_mutex_lock(&s->map_lock);
    free(s->reftable);
    s->reftable = r->entries;
    s->reftable_size = (uint32_t)entries;
    s->hdr.reftable_offset = (r->start + r->blocks) << s->cluster_bits;
    s->hdr.reftable_clusters = (uint32_t)r->table;
    pthread_mutex_unlock(&s->map_lock);
}

/* ---- the whole ---- */

static void say_nothing(void *opaque, const char *line)
{
    (void)opaque;
    (void)line;
}

/* With the clusters that are referred to a little beyond the end of the file.  All that is wrong
 * with them has been said before. */
static int coroutine_fn count_beyond_end(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    BdrvCheckResult ignored = { 0 }, *res = ck->res;
    BdrvReportFunc *report = ck->report;
    int fix = ck->fix, ret;

    ck->res = &ignored;
    ck->report = say_nothing;
    ck->fix = 0;
    ret = qcow2_check_clear_counts(ck, ck->beyond_end << s->cluster_bits);
    if (ret == 0) {
        ret = qcow2_check_count_all(ck);
    }
    ck->res = res;
    ck->report = report;
    ck->fix = fix;
    return ret;
}

int coroutine_fn qcow2_check_rebuild(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    Rebuild r = { .ck = ck };
    int ret = ck->beyond_end > ck->clusters ? count_beyond_end(ck) : 0;

    if (ret == 0) {
        ret = plan(&r);
    }
    if (ret == 0) {
        ret = qcow2_check_grow_counts(ck, r.start + r.blocks + r.table);
    }
    if (ret == 0) {
        r.entries = calloc(r.table, s->cluster_size);
        ret = r.entries ? 0 : -ENOMEM;
    }
    if (ret == 0) {
        count_new_clusters(&r);
        ret = write_blocks(&r);
    }
    if (ret == 0) {
        ret = write_table(&r);
    }
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR writing new refcount structures: %s", strerror(-ret));
        ck->res->check_errors++;
        free(r.entries);
        return ret;
    }
    switch_tables(&r);
    return 0;
}
