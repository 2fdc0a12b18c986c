/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the L1 and L2 tables refer to, and whether their entries can be true.
 *
 * First all L1 tables are gone through to see how many refer to each L2 table.
 * So each of these has to be read only once, and what it refers to counts as
 * often as it is referred to itself.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

#define SUBCLUSTERS_ALLOCATED UINT64_C(0xffffffff)

/* ---- which L2 tables there are ---- */

static Qcow2L2Use *find_slot(Qcow2L2Use *uses, uint32_t bits, uint64_t offset)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    uint64_t i = (offset >> 9) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits);

    while (uses[i].offset && uses[i].offset != offset) {
        i = (i + 1) & mask;
    }
    return &uses[i];
}

Qcow2L2Use *qcow2_check_find_use(Qcow2Check *ck, uint64_t offset)
{
    Qcow2L2Use *use = ck->uses ? find_slot(ck->uses, ck->uses_bits, offset) : NULL;

    return use && use->offset ? use : NULL;
}

static int make_room(Qcow2Check *ck)
{
    uint32_t bits = ck->uses ? ck->uses_bits + 1 : 8;
    Qcow2L2Use *larger;

    if (ck->uses && ck->uses_count < 1u << (ck->uses_bits - 1)) {
        return 0;
    }
    larger = calloc((size_t)1 << bits, sizeof(larger[0]));
    if (!larger) {
        ck->res->check_errors++;
        return -ENOMEM;
    }
    for (size_t i = 0; ck->uses && i < (size_t)1 << ck->uses_bits; i++) {
        if (ck->uses[i].offset) {
            *find_slot(larger, bits, ck->uses[i].offset) = ck->uses[i];
        }
    }
    free(ck->uses);
    ck->uses = larger;
    ck->uses_bits = bits;
    return 0;
}

static int note_use(Qcow2Check *ck, uint64_t offset, bool active)
{
    int ret = make_room(ck);
    Qcow2L2Use *use;

    if (ret == 0) {
        use = find_slot(ck->uses, ck->uses_bits, offset);
        ck->uses_count += use->offset == 0;
        use->offset = offset;
        use->total++;
        use->active += active;
    }
    return ret;
}

/* ---- entries of an L2 table ---- */

/* An L2 table that is being gone through. */
typedef struct L2Walk {
    Qcow2Check *ck;
    const Qcow2L2Use *use;
    uint8_t *table;
    uint32_t i;                         /* the entry */
    bool active;
    uint64_t next;                      /* where the next cluster would be unfragmented; 0: none */
} L2Walk;

/* One more fault, for each who refers to the table. */
static void add_fault(const L2Walk *w)
{
    w->ck->res->corruptions += w->use->total;
}

/* Makes the entry read as zeroes, without a place.  1: it does now; 0: that failed. */
static int coroutine_fn zero_entry(L2Walk *w)
{
    Qcow2Check *ck = w->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint32_t pos = w->i << s->l2_entry_bits, bytes = 1u << s->l2_entry_bits;
    uint8_t *at = w->table + pos;
    int ret;

    if (qcow2_find_overlap(ck->bs, w->active ? QCOW2_OL_ACTIVE_L2 : QCOW2_OL_INACTIVE_L2,
                           w->use->offset + pos, bytes)) {
        qcow2_check_say(ck, "ERROR: Overlap check failed");
        ck->res->check_errors++;
        return -EIO;
    }
    if (qcow2_has_subclusters(s)) {
        uint64_t bitmap = load_be64(at + 8);

        store_be64(at, 0);
        store_be64(at + 8, (bitmap | bitmap << 32) & ~SUBCLUSTERS_ALLOCATED);
    } else {
        store_be64(at, QCOW2_ZERO);
    }
    ret = bdrv_pwrite_sync(bdrv_file(ck->bs), (int64_t)(w->use->offset + pos), bytes, at);
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR: Failed to overwrite L2 table entry: %s", strerror(-ret));
        ck->res->check_errors++;
        return 0;
    }
    ck->res->corruptions -= w->use->total;
    ck->res->corruptions_fixed++;
    return 1;
}

static void count_compressed(L2Walk *w, uint64_t entry, uint64_t bitmap)
{
    Qcow2Check *ck = w->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t offset;
    uint32_t bytes;

    qcow2_compressed_place(s, entry, &offset, &bytes);
    if (entry & QCOW2_COPIED) {
        qcow2_check_say(ck, "ERROR: coffset=0x%" PRIx64 ": copied flag must never be set for "
                        "compressed clusters", offset);
        add_fault(w);
        entry &= ~QCOW2_COPIED;
    }
    if (s->external) {
        qcow2_check_say(ck, "ERROR compressed cluster %" PRIu32 " with data file, entry=0x%" PRIx64,
                        w->i, entry);
        add_fault(w);
        return;
    }
    if (bitmap) {
        qcow2_check_say(ck, "ERROR compressed cluster %" PRIu32 " with non-zero subcluster "
                        "allocation bitmap, entry=0x%" PRIx64, w->i, entry);
        add_fault(w);
        return;
    }
    qcow2_check_add(ck, offset, bytes, w->use->total);
    ck->res->allocated_clusters += w->use->active;
    ck->res->compressed_clusters += w->use->active;
    ck->res->fragmented_clusters += w->use->active;   /* they share sectors: never in a row */
}

/* 1: the entry was mended, and has no place any more; 0: it is to be counted. */
static int coroutine_fn check_alignment(L2Walk *w, uint64_t entry, uint64_t bitmap)
{
    Qcow2Check *ck = w->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    bool has_data = qcow2_has_subclusters(s) ? (bitmap & SUBCLUSTERS_ALLOCATED) != 0
                                             : !(entry & QCOW2_ZERO);

    if (qcow2_in_cluster(s, offset) == 0) {
        return 0;
    }
    add_fault(w);
    if (has_data) {
        qcow2_check_say(ck, "ERROR offset=%" PRIx64 ": Data cluster is not properly aligned; L2 "
                        "entry corrupted.", offset);
        return 0;
    }
    qcow2_check_say(ck, "%s offset=%" PRIx64 ": Preallocated cluster is not properly aligned; L2 "
                    "entry corrupted.", qcow2_check_fixes_errors(ck) ? "Repairing" : "ERROR",
                    offset);
    return qcow2_check_fixes_errors(ck) ? zero_entry(w) : 0;
}

static int coroutine_fn count_place(L2Walk *w, uint64_t entry, uint64_t bitmap)
{
    Qcow2Check *ck = w->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    int ret = 0;

    if (bitmap >> 32 & bitmap) {
        qcow2_check_say(ck, "ERROR offset=%" PRIx64 ": Allocated cluster has corrupted subcluster "
                        "allocation bitmap", offset);
        add_fault(w);
        ret = qcow2_check_fixes_errors(ck) ? zero_entry(w) : 0;
    }
    if (ret == 0) {
        ret = check_alignment(w, entry, bitmap);
    }
    if (ret != 0) {
        return ret;
    }
    ck->res->allocated_clusters += w->use->active;
    if (w->next && offset != w->next) {
        ck->res->fragmented_clusters += w->use->active;
    }
    w->next = offset + s->cluster_size;
    if (!s->external) {
        qcow2_check_add(ck, offset, s->cluster_size, w->use->total);
    }
    return 0;
}

static int coroutine_fn count_entry(L2Walk *w)
{
    Qcow2Check *ck = w->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    const uint8_t *at = w->table + (w->i << s->l2_entry_bits);
    uint64_t entry = load_be64(at), bitmap = qcow2_has_subclusters(s) ? load_be64(at + 8) : 0;

    if (entry & QCOW2_COMPRESSED) {
        count_compressed(w, entry, bitmap);
        return 0;
    }
    if (entry & QCOW2_L2_RESERVED) {
        qcow2_check_say(ck, "ERROR found l2 entry with reserved bits set: %" PRIx64, entry);
        add_fault(w);
    }
    if (qcow2_entry_has_place(s, entry)) {
        return count_place(w, entry, bitmap);
    }
    if (bitmap & SUBCLUSTERS_ALLOCATED) {
        qcow2_check_say(ck, "ERROR: Unallocated cluster has non-zero subcluster allocation map");
        add_fault(w);
    }
    return 0;
}

static int coroutine_fn count_l2(Qcow2Check *ck, Qcow2L2Use *use, bool active, uint8_t *table)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    L2Walk w = { .ck = ck, .use = use, .table = table, .active = active };
    int ret;

    if (use->counted) {
        return 0;
    }
    use->counted = true;
    ret = qcow2_check_read(ck, use->offset, s->cluster_size, table);
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR: I/O error in check_refcounts_l2");
        ck->res->check_errors++;
        return ret;
    }
    for (w.i = 0; ret != 1 && w.i < 1u << s->l2_bits; w.i++) {
        if (count_entry(&w) < 0) {
            return -EIO;
        }
    }
    return 0;
}

/* ---- L1 tables ---- */

/* Those of the disk, and of each snapshot, go through one of these. */
typedef int coroutine_fn L1Func(Qcow2Check *ck, uint64_t offset, uint32_t entries, bool active);

/* The table as on disk, NULL with *ret: 1 if it is empty, or -errno. */
static uint64_t *coroutine_fn read_l1(Qcow2Check *ck, uint64_t offset, uint32_t entries, int *ret)
{
    uint64_t bytes = entries * sizeof(uint64_t), *l1 = entries ? malloc(bytes) : NULL;

    *ret = entries == 0 ? 1 : l1 ? qcow2_check_read(ck, offset, bytes, l1) : -ENOMEM;
    if (*ret < 0) {
        qcow2_check_say(ck, "ERROR: I/O error in check_refcounts_l1");
        ck->res->check_errors++;
    }
    if (*ret != 0) {
        free(l1);
        return NULL;
    }
    return l1;
}

static int coroutine_fn note_l1(Qcow2Check *ck, uint64_t offset, uint32_t entries, bool active)
{
    int ret;
    uint64_t *l1 = read_l1(ck, offset, entries, &ret);

    for (uint32_t i = 0; ret == 0 && i < entries; i++) {
        uint64_t l2 = load_be64(&l1[i]) & QCOW2_OFFSET_MASK;

        if (l2) {
            ret = note_use(ck, l2, active);
        }
    }
    free(l1);
    return ret < 0 ? ret : 0;
}

static int coroutine_fn count_l1_entry(Qcow2Check *ck, uint64_t entry, bool active,
                                       uint8_t *table)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t l2 = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_L1_RESERVED) {
        qcow2_check_say(ck, "ERROR found L1 entry with reserved bits set: %" PRIx64, entry);
        ck->res->corruptions++;
    }
    if (l2 == 0) {
        return 0;
    }
    qcow2_check_add(ck, l2, s->cluster_size, 1);
    if (qcow2_in_cluster(s, l2)) {
        qcow2_check_say(ck, "ERROR l2_offset=%" PRIx64 ": Table is not cluster aligned; L1 entry "
                        "corrupted", l2);
        ck->res->corruptions++;
    }
    return count_l2(ck, qcow2_check_find_use(ck, l2), active, table);
}

static int coroutine_fn count_l1(Qcow2Check *ck, uint64_t offset, uint32_t entries, bool active)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint8_t *table = malloc(s->cluster_size);
    uint64_t *l1 = NULL;
    int ret = table ? 0 : -ENOMEM;

    qcow2_check_add(ck, offset, entries * sizeof(uint64_t), 1);
    if (ret == 0) {
        l1 = read_l1(ck, offset, entries, &ret);
    }
    for (uint32_t i = 0; ret == 0 && i < entries; i++) {
        ret = count_l1_entry(ck, load_be64(&l1[i]), active, table);
    }
    free(l1);
    free(table);
    return ret < 0 ? ret : 0;
}

static bool is_sound(const Qcow2State *s, const Qcow2CheckSnapshot *sn)
{
    return qcow2_in_cluster(s, sn->l1_offset) == 0 && sn->l1_offset <= INT64_MAX / 2 &&
           sn->l1_size <= QCOW2_MAX_L1_BYTES / sizeof(uint64_t);
}

static int coroutine_fn for_each_l1(Qcow2Check *ck, L1Func *fn)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    int ret = fn(ck, s->hdr.l1_offset, s->hdr.l1_size, true);

    for (uint32_t i = 0; ret == 0 && i < s->hdr.nb_snapshots; i++) {
        if (is_sound(s, &ck->snapshots[i])) {
            ret = fn(ck, ck->snapshots[i].l1_offset, ck->snapshots[i].l1_size, false);
        }
    }
    return ret;
}

/* ---- snapshots whose L1 tables are impossible ---- */

static void coroutine_fn report_snapshot(Qcow2Check *ck, const Qcow2CheckSnapshot *sn)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    char id[128] = "", name[256] = "";
    uint64_t texts = sn->at + 40 + sn->extra;

    bdrv_pread(bdrv_file(ck->bs), (int64_t)texts,
               sn->id_len < sizeof(id) ? sn->id_len : (int64_t)sizeof(id) - 1, id);
    bdrv_pread(bdrv_file(ck->bs), (int64_t)(texts + sn->id_len),
               sn->name_len < sizeof(name) ? sn->name_len : (int64_t)sizeof(name) - 1, name);
    if (sn->l1_size <= QCOW2_MAX_L1_BYTES / sizeof(uint64_t) ||
        qcow2_in_cluster(s, sn->l1_offset)) {
        qcow2_check_say(ck, "ERROR snapshot %s (%s) l1_offset=%#" PRIx64 ": L1 table is not "
                        "cluster aligned; snapshot table entry corrupted", id, name,
                        sn->l1_offset);
    } else {
        qcow2_check_say(ck, "ERROR snapshot %s (%s) l1_size=%#" PRIx32 ": L1 table is too large; "
                        "snapshot table entry corrupted", id, name, sn->l1_size);
    }
    ck->res->corruptions++;
}

int coroutine_fn qcow2_check_count_tables(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    int ret;

    if (s->external && s->hdr.nb_snapshots > 0) {
        qcow2_check_say(ck, "ERROR %" PRIu32 " snapshots in image with data file",
                        s->hdr.nb_snapshots);
        ck->res->corruptions++;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        if (!is_sound(s, &ck->snapshots[i])) {
            report_snapshot(ck, &ck->snapshots[i]);
        }
    }
    ret = for_each_l1(ck, note_l1);
    return ret < 0 ? ret : for_each_l1(ck, count_l1);
}
