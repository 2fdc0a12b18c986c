/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snapshot table: where its entries are, and whether each is as it should be.
 *
 * A table that is too long is cut before references are counted, so that what
 * was cut off is found to be leaked; entries are mended afterwards, when the
 * refcounts can be trusted to show a place for the new table.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

#define ENTRY_LEN 40u                   /* what every entry begins with */
#define KNOWN_EXTRA 24u                 /* size of the VM state, of the disk, instructions */
#define NEEDED_EXTRA 16u                /* in an image of version 3 */
#define MAX_EXTRA 1024u
#define MAX_TABLE_BYTES (64u << 20)

static uint64_t round_up_8(uint64_t n)
{
    return (n + 7) & ~UINT64_C(7);
}

/* ---- reading ---- */

static int coroutine_fn read_entry(Qcow2Check *ck, uint64_t at, Qcow2CheckSnapshot *sn)
{
    uint8_t entry[ENTRY_LEN];
    int ret = qcow2_check_read(ck, at, sizeof(entry), entry);

    if (ret < 0) {
        qcow2_check_say(ck, "ERROR failed to read the snapshot table: Failed to read snapshot "
                        "table: %s", strerror(-ret));
        return ret;
    }
    *sn = (Qcow2CheckSnapshot){
        .at = at, .l1_offset = load_be64(entry), .l1_size = load_be32(entry + 8),
        .id_len = load_be16(entry + 12), .name_len = load_be16(entry + 14),
        .extra = load_be32(entry + 36),
    };
    return 0;
}

/* An entry with more than anybody may add: 0 if it will be cut. */
static int too_much_extra(Qcow2Check *ck, uint32_t i)
{
    if (!qcow2_check_fixes_errors(ck)) {
        qcow2_check_say(ck, "ERROR failed to read the snapshot table: Too much extra metadata in "
                        "snapshot table entry %" PRIu32, i);
        qcow2_check_say(ck, "You can force-remove this extra metadata with qemu-img check -r all");
        return -EFBIG;
    }
    qcow2_check_say(ck, "Discarding too much extra metadata in snapshot table entry %" PRIu32
                    " (%" PRIu32 " > %u)", i, ck->snapshots[i].extra, MAX_EXTRA);
    ck->res->corruptions++;
    return 0;
}

static int too_long(Qcow2Check *ck, uint32_t left)
{
    if (!qcow2_check_fixes_errors(ck)) {
        qcow2_check_say(ck, "ERROR failed to read the snapshot table: Snapshot table is too big");
        qcow2_check_say(ck, "You can force-remove all %" PRIu32 " overhanging snapshots with "
                        "qemu-img check -r all", left);
        return -EFBIG;
    }
    qcow2_check_say(ck, "Discarding %" PRIu32 " overhanging snapshots (snapshot table is too big)",
                    left);
    return 0;
}

/* All entries that the table has room for; *count becomes their number. */
static int coroutine_fn read_entries(Qcow2Check *ck, uint64_t table, uint32_t *count)
{
    uint64_t at = table, length = 0;    /* length: with the extra data cut as it will be */

    for (uint32_t i = 0; i < *count; i++) {
        Qcow2CheckSnapshot *sn = &ck->snapshots[i];
        int ret = read_entry(ck, round_up_8(at), sn);

        if (ret == 0 && sn->extra > MAX_EXTRA) {
            ret = too_much_extra(ck, i);
        }
        if (ret < 0) {
            return ret;
        }
        length = round_up_8(length) + ENTRY_LEN + (sn->extra < MAX_EXTRA ? sn->extra : MAX_EXTRA) +
                 sn->id_len + sn->name_len;
        if (length > MAX_TABLE_BYTES || sn->at + ENTRY_LEN + sn->extra - table > INT32_MAX) {
            ret = too_long(ck, *count - i);
            *count = ret == 0 ? i : *count;
            return ret;
        }
        at = sn->at + ENTRY_LEN + sn->extra + sn->id_len + sn->name_len;
        ck->snapshots_bytes = at - table;
    }
    return 0;
}

/* ---- cutting ---- */

static int coroutine_fn write_count(Qcow2Check *ck, uint32_t count)
{
    Qcow2State *s = bdrv_state(ck->bs);
    uint8_t field[4];
    int ret;

    store_be32(field, count);
    ret = qcow2_update_header(ck->bs, QCOW2_HDR_SNAPSHOTS, field, sizeof(field));
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR failed to update the snapshot count in the image header: %s",
                        strerror(-ret));
        ck->res->check_errors++;
        return ret;
    }
    ck->res->corruptions_fixed += s->hdr.nb_snapshots - count;
    qcow2_free_snapshots(s->snapshots, s->hdr.nb_snapshots);
    s->snapshots = NULL;
    s->hdr.nb_snapshots = count;
    return 0;
}

static void check_completeness(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);

    for (uint32_t i = 0; s->hdr.version >= 3 && i < s->hdr.nb_snapshots; i++) {
        if (ck->snapshots[i].extra < NEEDED_EXTRA) {
            qcow2_check_say(ck, "%s snapshot table entry %" PRIu32 " is incomplete",
                            qcow2_check_fixes_errors(ck) ? "Repairing" : "ERROR", i);
            ck->res->corruptions++;
        }
    }
}

static int check_place(Qcow2Check *ck, uint32_t *count)
{
    const Qcow2State *s = bdrv_state(ck->bs);

    if (*count > QCOW2_MAX_SNAPSHOTS && qcow2_check_fixes_errors(ck)) {
        qcow2_check_say(ck, "Discarding %" PRIu32 " overhanging snapshots",
                        *count - QCOW2_MAX_SNAPSHOTS);
        *count = QCOW2_MAX_SNAPSHOTS;
    }
    if (*count > QCOW2_MAX_SNAPSHOTS) {
        qcow2_check_say(ck, "ERROR snapshot table too large");
        qcow2_check_say(ck, "You can force-remove all %" PRIu32 " overhanging snapshots with "
                        "qemu-img check -r all", *count - QCOW2_MAX_SNAPSHOTS);
        return -EFBIG;
    }
    if (qcow2_in_cluster(s, s->hdr.snapshots_offset) || s->hdr.snapshots_offset > INT64_MAX / 2) {
        qcow2_check_say(ck, "ERROR snapshot table offset invalid");
        return -EINVAL;
    }
    return 0;
}

int coroutine_fn qcow2_check_snapshot_table(Qcow2Check *ck)
{
    Qcow2State *s = bdrv_state(ck->bs);
    uint32_t count = s->hdr.nb_snapshots;
    int ret = check_place(ck, &count);

    if (ret == 0) {
        ck->snapshots = calloc((size_t)count + 1, sizeof(ck->snapshots[0]));
        ret = ck->snapshots ? read_entries(ck, s->hdr.snapshots_offset, &count) : -ENOMEM;
    }
    if (ret < 0) {
        ck->res->check_errors++;
        return ret;
    }
    if (count != s->hdr.nb_snapshots) {
        ret = write_count(ck, count);
    }
    if (ret == 0) {
        check_completeness(ck);
    }
    return ret;
}

/* ---- the table anew ---- */

/* Bytes of an entry in the new table, without what pads it. */
static uint64_t new_length(const Qcow2CheckSnapshot *sn)
{
    uint32_t extra = sn->extra < KNOWN_EXTRA ? KNOWN_EXTRA
                     : sn->extra > MAX_EXTRA ? MAX_EXTRA : sn->extra;

    return ENTRY_LEN + extra + sn->id_len + sn->name_len;
}

/* What the entry does not say: the VM state is as large as the fixed field says, the disk as large
 * as it is now, the number of instructions is not known. */
static void complete_extra(const Qcow2State *s, uint8_t *entry, uint32_t had)
{
    uint8_t *extra = entry + ENTRY_LEN;

    if (had < 8) {
        store_be64(extra, load_be32(entry + 32));
    }
    if (had < 16) {
        store_be64(extra + 8, s->hdr.size);
    }
    if (had < 24) {
        store_be64(extra + 16, UINT64_MAX);
    }
}

static int coroutine_fn copy_entry(Qcow2Check *ck, const Qcow2CheckSnapshot *sn, uint8_t *dest)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint32_t texts = (uint32_t)sn->id_len + sn->name_len;
    uint32_t extra = (uint32_t)(new_length(sn) - ENTRY_LEN - texts);
    uint32_t kept = sn->extra < extra ? sn->extra : extra;
    int ret = qcow2_check_read(ck, sn->at, ENTRY_LEN + kept, dest);

    if (ret >= 0) {
        store_be32(dest + 36, extra);
        complete_extra(s, dest, kept);
        ret = qcow2_check_read(ck, sn->at + ENTRY_LEN + sn->extra, texts,
                               dest + ENTRY_LEN + extra);
    }
    return ret < 0 ? ret : 0;
}

static int coroutine_fn write_table(Qcow2Check *ck, const uint8_t *table, uint64_t bytes)
{
    Qcow2State *s = bdrv_state(ck->bs);
    uint64_t old = s->hdr.snapshots_offset, first, clusters = qcow2_clusters_up(s, bytes);
    uint8_t field[12];
    int ret = qcow2_alloc_table(ck->bs, clusters, &first);

    if (ret == 0) {
        ret = qcow2_write_back(ck->bs);
    }
    if (ret == 0) {
        ret = bdrv_pwrite_sync(bdrv_file(ck->bs), (int64_t)(first << s->cluster_bits),
                               (int64_t)bytes, table);
    }
    if (ret < 0) {
        return ret;
    }
    store_be32(field, s->hdr.nb_snapshots);
    store_be64(field + 4, first << s->cluster_bits);
    ret = qcow2_update_header(ck->bs, QCOW2_HDR_SNAPSHOTS, field, sizeof(field));
    if (ret == 0) {
        s->hdr.snapshots_offset = first << s->cluster_bits;
        ret = qcow2_change_refcount(ck->bs, qcow2_cluster_of(s, old),
                                    qcow2_clusters_up(s, ck->snapshots_bytes), -1);
        ck->snapshots_bytes = bytes;
    }
    return ret < 0 ? ret : qcow2_write_back(ck->bs);
}

int coroutine_fn qcow2_check_fix_snapshot_table(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t bytes = 0, pos = 0;
    uint8_t *table;
    int ret = 0;

    if (ck->res->corruptions == 0 || !qcow2_check_fixes_errors(ck)) {
        return 0;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        bytes = round_up_8(bytes) + new_length(&ck->snapshots[i]);
    }
    table = calloc(1, round_up_8(bytes));
    ret = table ? 0 : -ENOMEM;
    for (uint32_t i = 0; ret == 0 && i < s->hdr.nb_snapshots; i++) {
        ret = copy_entry(ck, &ck->snapshots[i], table + round_up_8(pos));
        pos = round_up_8(pos) + new_length(&ck->snapshots[i]);
    }
    if (ret == 0) {
        ret = write_table(ck, table, bytes);
    }
    free(table);
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR failed to update snapshot table: %s", strerror(-ret));
        ck->res->check_errors++;
        return ret;
    }
    ck->res->corruptions_fixed += ck->res->corruptions;
    ck->res->corruptions = 0;
    return 0;
}
