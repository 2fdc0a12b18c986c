/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The flag "copied" of L1 and L2 entries: who has it set may write in place, so
 * it must be set where, and only where, the refcount is 1.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

/* Refcounts of clusters beyond the end of the file, which are not at hand. */
#define MAX_LOOKUPS 4096u

typedef struct CopiedCheck {
    Qcow2Check *ck;
    bool repair;
    uint32_t lookups;
    uint8_t *table;
    int64_t fixed;                      /* in the table at hand */
} CopiedCheck;

/* false: it cannot be known, which has been said before. */
static bool coroutine_fn get_refcount(CopiedCheck *c, uint64_t cluster, uint64_t *count)
{
    Qcow2State *s = bdrv_state(c->ck->bs);
    uint64_t index = cluster >> s->refblock_bits;

    if (qcow2_check_refblock(s, index) < 0) {
        return false;
    }
    if (cluster < c->ck->room) {
        *count = qcow2_check_count(c->ck, cluster);
        return true;
    }
    return c->lookups++ < MAX_LOOKUPS && qcow2_get_refcount(c->ck->bs, cluster, count) == 0;
}

static bool is_wrong(uint64_t entry, uint64_t count)
{
    return (count == 1) != ((entry & QCOW2_COPIED) != 0);
}

/* ---- L2 entries ---- */

static void coroutine_fn check_l2_entry(CopiedCheck *c, uint32_t i, uint32_t users)
{
    const Qcow2State *s = bdrv_state(c->ck->bs);
    uint8_t *at = c->table + ((size_t)i << s->l2_entry_bits);
    uint64_t entry = load_be64(at), count = 1;

    if ((entry & QCOW2_COMPRESSED) || !qcow2_entry_has_place(s, entry)) {
        return;
    }
    if (!s->external &&
        !get_refcount(c, qcow2_cluster_of(s, entry & QCOW2_OFFSET_MASK), &count)) {
        return;
    }
    if (is_wrong(entry, count)) {
        qcow2_check_say(c->ck, "%s OFLAG_COPIED data cluster: l2_entry=%" PRIx64 " refcount=%"
                        PRIu64, c->repair ? "Repairing" : "ERROR", entry, count);
        if (c->repair) {
            store_be64(at, entry ^ QCOW2_COPIED);
            c->fixed++;
        } else {
            c->ck->res->corruptions += users;
        }
    }
}

static int coroutine_fn write_table(CopiedCheck *c, uint64_t offset)
{
    Qcow2Check *ck = c->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    int ret;

    if (qcow2_find_overlap(ck->bs, QCOW2_OL_ACTIVE_L2, offset, s->cluster_size)) {
        qcow2_check_say(ck, "ERROR: Could not write L2 table; metadata overlap check failed: %s",
                        strerror(EIO));
        ret = -EIO;
    } else {
        ret = bdrv_pwrite(bdrv_file(ck->bs), (int64_t)offset, s->cluster_size, c->table);
        if (ret < 0) {
            qcow2_check_say(ck, "ERROR: Could not write L2 table: %s", strerror(-ret));
        }
    }
    if (ret < 0) {
        ck->res->check_errors++;
        ck->res->corruptions += c->fixed;
        return ret;
    }
    ck->res->corruptions_fixed += c->fixed;
    return 0;
}

static int coroutine_fn check_l2(CopiedCheck *c, uint64_t offset)
{
    Qcow2Check *ck = c->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    Qcow2L2Use *use = qcow2_check_find_use(ck, offset);
    int ret;

    if (!use || use->compared) {
        return 0;
    }
    use->compared = true;
    ret = qcow2_check_read(ck, offset, s->cluster_size, c->table);
    if (ret < 0) {
        qcow2_check_say(ck, "ERROR: Could not read L2 table: %s", strerror(-ret));
        ck->res->check_errors++;
        return ret;
    }
    c->fixed = 0;
    for (uint32_t i = 0; ret != 1 && i < 1u << s->l2_bits; i++) {
        check_l2_entry(c, i, use->active);
    }
    return c->fixed > 0 ? write_table(c, offset) : 0;
}

/* ---- L1 entries ---- */

static int coroutine_fn check_l1_entry(CopiedCheck *c, uint32_t i)
{
    Qcow2Check *ck = c->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t entry = s->l1[i], offset = entry & QCOW2_OFFSET_MASK, count;

    if (offset == 0 || !get_refcount(c, qcow2_cluster_of(s, offset), &count)) {
        return 0;
    }
    if (is_wrong(entry, count)) {
        qcow2_check_say(ck, "%s OFLAG_COPIED L2 cluster: l1_index=%" PRIu32 " l1_entry=%" PRIx64
                        " refcount=%" PRIu64, c->repair ? "Repairing" : "ERROR", i, entry, count);
        if (c->repair) {
            qcow2_set_l1(ck->bs, i, entry ^ QCOW2_COPIED);
            ck->res->corruptions_fixed++;
        } else {
            ck->res->corruptions++;
        }
    }
    return check_l2(c, offset);
}

int coroutine_fn qcow2_check_copied(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    const BdrvCheckResult *res = ck->res;
    /* Where only leaks are to be mended, flags are if the refcounts can be relied upon. */
    CopiedCheck c = { .ck = ck, .table = malloc(s->cluster_size),
                      .repair = qcow2_check_fixes_errors(ck) ||
                                ((ck->fix & BDRV_FIX_LEAKS) && !res->check_errors &&
                                 !res->corruptions && !res->leaks) };
    int ret = c.table ? qcow2_check_load_refcounts(ck) : -ENOMEM;

    for (uint32_t i = 0; ret == 0 && i < s->hdr.l1_size; i++) {
        ret = check_l1_entry(&c, i);
    }
    free(c.table);
    if (ret == 0 && s->l1_dirty_to > 0) {
        ret = qcow2_write_back(ck->bs);
        ck->res->check_errors += ret < 0;
    }
    return ret;
}
