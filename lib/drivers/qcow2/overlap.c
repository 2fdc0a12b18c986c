/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must not be overwritten, and what happens to an image that wants it to be.
 *
 * A write to a place that is already the guest's must be told from one into
 * metadata without a look at every table.  So where the tables are is kept in a
 * hash table, the guard.  It may know of a table too many, which is gone since:
 * where it objects, the tables themselves decide.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/block-backend.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "byte-order.h"

#define AREA_BITS 9                     /* of an entry of the guard; the rest is the cluster */
#define GUARD_MAX (1u << 23)            /* entries; more tables than that do not fit into it */
#define MAX_INACTIVE_BYTES (UINT64_C(256) << 20)

static bool overlaps(uint64_t offset, uint64_t bytes, uint64_t other, uint64_t other_bytes)
{
    return other_bytes > 0 && offset < other + other_bytes && other < offset + bytes;
}

/* ---- what is in one place ---- */

static unsigned constant_overlap(const Qcow2State *s, unsigned areas, uint64_t offset,
                                 uint64_t bytes)
{
    const Qcow2Header *hdr = &s->hdr;

    if ((areas & QCOW2_OL_MAIN_HEADER) && offset < s->cluster_size) {
        return QCOW2_OL_MAIN_HEADER;
    }
    if ((areas & QCOW2_OL_ACTIVE_L1) &&
        overlaps(offset, bytes, hdr->l1_offset, hdr->l1_size * sizeof(uint64_t))) {
        return QCOW2_OL_ACTIVE_L1;
    }
    if ((areas & QCOW2_OL_REFCOUNT_TABLE) &&
        overlaps(offset, bytes, hdr->reftable_offset,
                 (uint64_t)hdr->reftable_clusters << s->cluster_bits)) {
        return QCOW2_OL_REFCOUNT_TABLE;
    }
    if ((areas & QCOW2_OL_SNAPSHOT_TABLE) &&
        overlaps(offset, bytes, hdr->snapshots_offset, s->snapshots_bytes)) {
        return QCOW2_OL_SNAPSHOT_TABLE;
    }
    if ((areas & QCOW2_OL_BITMAP_DIRECTORY) && (hdr->autoclear & QCOW2_AUTOCLEAR_BITMAPS) &&
        overlaps(offset, bytes, hdr->bitmap_directory_offset, hdr->bitmap_directory_bytes)) {
        return QCOW2_OL_BITMAP_DIRECTORY;
    }
    return 0;
}

/* ---- the guard ---- */

static uint64_t *guard_slot(uint64_t *entries, uint32_t bits, uint64_t cluster)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t i = cluster * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits);

    while (entries[i] && entries[i] >> AREA_BITS != cluster) {
        i = (i + 1) & mask;
    }
    return &entries[i];
}

static bool grow_guard(Qcow2Guard *g)
{
    uint32_t bits = g->entries ? g->bits + 1 : 8;
    uint64_t *larger;

    if (g->entries && g->count < 1u << (g->bits - 1)) {
        return true;
    }
    larger = g->count < GUARD_MAX ? calloc((size_t)1 << bits, sizeof(larger[0])) : NULL;
    if (!larger) {
        return false;
    }
    for (size_t i = 0; g->entries && i < (size_t)1 << g->bits; i++) {
        if (g->entries[i]) {
            *guard_slot(larger, bits, g->entries[i] >> AREA_BITS) = g->entries[i];
        }
    }
    free(g->entries);
    g->entries = larger;
    g->bits = bits;
    return true;
}

/* One that does not get in leaves the guard stale: then the tables decide each time. */
static void guard_add(Qcow2Guard *g, uint64_t cluster, unsigned area)
{
    uint64_t *slot;

    if (!grow_guard(g)) {
        g->overfull = true;
        return;
    }
    slot = guard_slot(g->entries, g->bits, cluster);
    g->count += *slot == 0;
    *slot = cluster << AREA_BITS | (*slot & ((1u << AREA_BITS) - 1)) | area;
}

void qcow2_note_table(Qcow2State *s, uint64_t offset, unsigned area)
{
    if (s->guard.built && (s->overlap_check & area)) {
        pthread_mutex_lock(&s->map_lock);
        guard_add(&s->guard, qcow2_cluster_of(s, offset), area);
        pthread_mutex_unlock(&s->map_lock);
    }
}

void qcow2_forget_metadata_places(Qcow2State *s)
{
    pthread_mutex_lock(&s->map_lock);
    s->guard.built = false;
    pthread_mutex_unlock(&s->map_lock);
}

static unsigned guard_overlap(const Qcow2State *s, unsigned areas, uint64_t offset, uint64_t bytes)
{
    const Qcow2Guard *g = &s->guard;
    uint64_t last = qcow2_cluster_of(s, offset + bytes - 1);

    for (uint64_t c = qcow2_cluster_of(s, offset); g->count > 0 && c <= last; c++) {
        unsigned found = (unsigned)*guard_slot(g->entries, g->bits, c) & areas;

        if (found) {
            return found & -found;
        }
    }
    return 0;
}

/* Tables and snapshots may come and go without a word to the guard. */
static bool guard_is_current(const Qcow2State *s)
{
    const Qcow2Guard *g = &s->guard;

    return g->built && !g->overfull && g->l1 == s->l1 && g->reftable == s->reftable &&
           g->snapshots_offset == s->hdr.snapshots_offset &&
           g->nb_snapshots == s->hdr.nb_snapshots;
}

bool qcow2_is_data_area(const Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    if (constant_overlap(s, s->overlap_check, offset, bytes)) {
        return false;
    }
    return !(s->overlap_check & ~QCOW2_OL_CONSTANT) ||
           (guard_is_current(s) && !guard_overlap(s, s->overlap_check, offset, bytes));
}

/* ---- building the guard ---- */

static void add_entries(const Qcow2State *s, Qcow2Guard *g, const uint64_t *table, uint32_t size,
                        uint64_t mask, unsigned area)
{
    for (uint32_t i = 0; (s->overlap_check & area) && i < size && !g->overfull; i++) {
        if (table[i] & mask) {
            guard_add(g, qcow2_cluster_of(s, table[i] & mask), area);
        }
    }
}

static uint64_t l1_bytes(const Qcow2Snapshot *sn)
{
    return sn->l1_size * sizeof(uint64_t);
}

static void add_inactive_l1(const Qcow2State *s, Qcow2Guard *g, const Qcow2Snapshot *sn)
{
    uint64_t end = qcow2_clusters_up(s, sn->l1_offset + l1_bytes(sn));

    for (uint64_t c = qcow2_cluster_of(s, sn->l1_offset);
         sn->l1_size > 0 && c < end && !g->overfull; c++) {
        guard_add(g, c, QCOW2_OL_INACTIVE_L1);
    }
}

/* What a snapshot's L1 table lists; it has to be read for that. */
static int coroutine_fn add_inactive_l2(BlockDriverState *bs, Qcow2Guard *g,
                                        const Qcow2Snapshot *sn)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t *table = malloc(l1_bytes(sn) + 1);
    int ret = !table ? -ENOMEM : sn->l1_size == 0 ? 0
              : bdrv_pread(bdrv_file(bs), (int64_t)sn->l1_offset, (int64_t)l1_bytes(sn), table);

    for (uint32_t i = 0; ret == 0 && i < sn->l1_size; i++) {
        table[i] = load_be64(&table[i]);
    }
    if (ret == 0) {
        add_entries(s, g, table, sn->l1_size, QCOW2_OFFSET_MASK, QCOW2_OL_INACTIVE_L2);
    }
    free(table);
    return ret;
}

static int coroutine_fn add_snapshots(BlockDriverState *bs, Qcow2Guard *g)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = 0;
    int ret = 0;

    for (uint32_t i = 0; s->snapshots && ret == 0 && i < s->hdr.nb_snapshots; i++) {
        const Qcow2Snapshot *sn = &s->snapshots[i];

        bytes += l1_bytes(sn);
        if (s->overlap_check & QCOW2_OL_INACTIVE_L1) {
            add_inactive_l1(s, g, sn);
        }
        if (s->overlap_check & QCOW2_OL_INACTIVE_L2) {
            ret = bytes > MAX_INACTIVE_BYTES ? -EFBIG : add_inactive_l2(bs, g, sn);
        }
    }
    return ret;
}

static int coroutine_fn build_guard(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Guard g = { .built = true, .l1 = s->l1, .reftable = s->reftable,
                     .snapshots_offset = s->hdr.snapshots_offset,
                     .nb_snapshots = s->hdr.nb_snapshots }, old;
    int ret = add_snapshots(bs, &g);

    if (ret < 0) {
        free(g.entries);
        return ret;
    }
    add_entries(s, &g, s->l1, s->hdr.l1_size, QCOW2_OFFSET_MASK, QCOW2_OL_ACTIVE_L2);
    add_entries(s, &g, s->reftable, s->reftable_size, QCOW2_REFTABLE_MASK,
                QCOW2_OL_REFCOUNT_BLOCK);
    pthread_mutex_lock(&s->map_lock);
    old = s->guard;
    s->guard = g;
    pthread_mutex_unlock(&s->map_lock);
    free(old.entries);
    return 0;
}

/* ---- the tables themselves ---- */

static bool hits_entry(const Qcow2State *s, const uint64_t *table, uint32_t size, uint64_t mask,
                       uint64_t offset, uint64_t bytes)
{
    for (uint32_t i = 0; i < size; i++) {
        if ((table[i] & mask) && overlaps(offset, bytes, table[i] & mask, s->cluster_size)) {
            return true;
        }
    }
    return false;
}

static bool hits_inactive_l1(const Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    for (uint32_t i = 0; s->snapshots && i < s->hdr.nb_snapshots; i++) {
        if (overlaps(offset, bytes, s->snapshots[i].l1_offset, l1_bytes(&s->snapshots[i]))) {
            return true;
        }
    }
    return false;
}

static unsigned full_overlap(const Qcow2State *s, unsigned areas, uint64_t offset, uint64_t bytes)
{
    unsigned found = constant_overlap(s, areas, offset, bytes);

    if (found) {
        return found;
    }
    if ((areas & QCOW2_OL_INACTIVE_L1) && hits_inactive_l1(s, offset, bytes)) {
        return QCOW2_OL_INACTIVE_L1;
    }
    if ((areas & QCOW2_OL_ACTIVE_L2) &&
        hits_entry(s, s->l1, s->hdr.l1_size, QCOW2_OFFSET_MASK, offset, bytes)) {
        return QCOW2_OL_ACTIVE_L2;
    }
    if ((areas & QCOW2_OL_REFCOUNT_BLOCK) &&
        hits_entry(s, s->reftable, s->reftable_size, QCOW2_REFTABLE_MASK, offset, bytes)) {
        return QCOW2_OL_REFCOUNT_BLOCK;
    }
    return guard_overlap(s, areas & QCOW2_OL_INACTIVE_L2, offset, bytes);
}

static const char *area_name(unsigned area)
{
    static const char *const names[] = {
        "qcow2_header", "active L1 table", "active L2 table", "refcount table", "refcount block",
        "snapshot table", "inactive L1 table", "inactive L2 table", "bitmap directory",
    };

    return area ? names[__builtin_ctz(area)] : NULL;
}

const char *qcow2_find_overlap(BlockDriverState *bs, unsigned ignore, uint64_t offset,
                               uint64_t bytes)
{
    const Qcow2State *s = bdrv_state(bs);
    uint64_t start = offset & ~(uint64_t)(s->cluster_size - 1);
    uint64_t end = qcow2_clusters_up(s, offset + bytes) << s->cluster_bits;

    return area_name(full_overlap(s, s->overlap_check & ~ignore, start, end - start));
}

/* ---- writes ---- */

static int coroutine_fn refuse(BlockDriverState *bs, const char *what)
{
    return qcow2_corrupt(bs, "Preventing invalid write on metadata (overlaps with %s)", what);
}

/* The tables decide. */
static int coroutine_fn check_closely(BlockDriverState *bs, uint64_t offset, uint64_t bytes)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = guard_is_current(s) || s->guard.overfull ? 0 : build_guard(bs);
    const char *what = qcow2_find_overlap(bs, 0, offset, bytes);

    if (what) {
        return refuse(bs, what);
    }
    if (ret == 0 && !s->guard.overfull && !qcow2_is_data_area(s, offset, bytes)) {
        qcow2_forget_metadata_places(s);   /* it knows of tables that are gone */
    }
    return ret;
}

bool qcow2_hits_metadata(Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    return full_overlap(s, QCOW2_OL_CACHED, offset, bytes) != 0;
}

int coroutine_fn qcow2_check_new_area(BlockDriverState *bs, uint64_t offset, uint64_t bytes)
{
    const Qcow2State *s = bdrv_state(bs);

    return qcow2_is_data_area(s, offset, bytes) ? 0 : check_closely(bs, offset, bytes);
}

int coroutine_fn qcow2_check_table_write(BlockDriverState *bs, unsigned area, uint64_t offset,
                                         uint64_t bytes)
{
    const Qcow2State *s = bdrv_state(bs);
    unsigned areas = s->overlap_check & ~area;
    const char *what;

    if (guard_is_current(s) && !constant_overlap(s, areas, offset, bytes) &&
        !guard_overlap(s, areas, offset, bytes)) {
        return 0;
    }
    what = qcow2_find_overlap(bs, area, offset, bytes);
    return what ? refuse(bs, what) : 0;
}

/* ---- damage ---- */

int coroutine_fn qcow2_corrupt(BlockDriverState *bs, const char *fmt, ...)
{
    Qcow2State *s = bdrv_state(bs);
    bool writable = !bdrv_is_read_only(bs) && !(bdrv_get_flags(bs) & BDRV_O_INACTIVE);
    const char *name = bdrv_filename(*bdrv_filename(bs) ? bs : bdrv_file(bs));
    char what[200];
    va_list ap;

    if (atomic_exchange(&s->reported, true)) {
        return -EIO;
    }
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    blkbackend_log("qcow2: %s '%s' %s: %s; further %scorruption events will be suppressed",
                   writable ? "Marking image" : "Image", name,
                   writable ? "as corrupt" : "is corrupt", what, writable ? "" : "non-fatal ");
    if (writable) {
        atomic_store(&s->broken, true);
        atomic_store(&s->refused, true);
        qcow2_set_incompatible(bs, QCOW2_INCOMPAT_CORRUPT);
    }
    return -EIO;
}
