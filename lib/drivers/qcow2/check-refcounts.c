/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The refcounts on the disk: whether their blocks are sound, and whether they
 * agree with the references that were found.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REFTABLE_RESERVED UINT64_C(0x1ff)

/* ---- blocks ---- */

int64_t qcow2_check_refblock(const Qcow2State *s, uint64_t index)
{
    uint64_t offset = index < s->reftable_size ? s->reftable[index] & QCOW2_REFTABLE_MASK : 0;

    return qcow2_in_cluster(s, offset) || offset > INT64_MAX - (uint64_t)s->cluster_size
           ? -EIO : (int64_t)offset;
}

static void count_refblock(Qcow2Check *ck, uint32_t index)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t entry = s->reftable[index], offset = entry & QCOW2_REFTABLE_MASK;
    uint64_t cluster = qcow2_cluster_of(s, offset);

    if (entry & REFTABLE_RESERVED) {
        qcow2_check_say(ck, "ERROR refcount table entry %" PRIu32 " has reserved bits set", index);
    } else if (qcow2_in_cluster(s, offset)) {
        qcow2_check_say(ck, "ERROR refcount block %" PRIu32 " is not cluster aligned; refcount "
                        "table entry corrupted", index);
    } else if (cluster >= ck->clusters) {
        qcow2_check_say(ck, "%s refcount block %" PRIu32 " is outside image",
                        qcow2_check_fixes_errors(ck) ? "Repairing" : "ERROR", index);
        ck->res->corruptions++;
        ck->rebuild = ck->rebuild || qcow2_check_fixes_errors(ck);
        return;
    } else {
        qcow2_check_add(ck, offset, s->cluster_size, 1);
        if (qcow2_check_count(ck, cluster) == 1) {
            return;
        }
        qcow2_check_say(ck, "ERROR refcount block %" PRIu32 " refcount=%" PRIu64, index,
                        qcow2_check_count(ck, cluster));
    }
    ck->res->corruptions++;
    ck->rebuild = true;
}

void qcow2_check_count_refblocks(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);

    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i]) {
            count_refblock(ck, i);
        }
    }
}

/* ---- comparing ---- */

/* A refcount block beside the references that were found to the same clusters. */
typedef struct BlockCompare {
    Qcow2Check *ck;
    int fix;
    int64_t offset;                     /* of the block in the file; 0: there is none */
    uint64_t first, entries;            /* clusters */
    uint8_t *block;
    uint8_t *freed;                     /* a bit for each entry that is 0 now, and was not */
    bool changed;
    int64_t leaks, errors;              /* mended in memory, not yet on the disk */
} BlockCompare;

static void compare_entry(BlockCompare *b, uint64_t i)
{
    Qcow2Check *ck = b->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t count = qcow2_count_get(b->block, i, s->hdr.refcount_order);
    uint64_t found = qcow2_check_count(ck, b->first + i);
    bool leaked = count > found, mend;

    if (count || found) {
        ck->highest = b->first + i;
    }
    if (count == found) {
        return;
    }
    if (count == 0) {
        ck->rebuild = true;
    }
    mend = count != 0 && (b->fix & (leaked ? BDRV_FIX_LEAKS : BDRV_FIX_ERRORS));
    qcow2_check_say(ck, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
                    mend ? "Repairing" : leaked ? "Leaked" : "ERROR", b->first + i, count, found);
    if (mend) {
        qcow2_count_set(b->block, i, s->hdr.refcount_order, found);
        b->freed[i / 8] |= (uint8_t)((found == 0) << i % 8);
        b->changed = true;
        b->leaks += leaked;
        b->errors += !leaked;
    } else if (leaked) {
        ck->res->leaks++;
    } else {
        ck->res->corruptions++;
    }
}

/* Clusters that lost their last count give their space back: a hint. */
static void coroutine_fn discard_leaks(const BlockCompare *b)
{
    const Qcow2State *s = bdrv_state(b->ck->bs);
    uint64_t run = 0;

    for (uint64_t i = 0; i <= b->entries; i++) {
        if (i < b->entries && (b->freed[i / 8] >> i % 8 & 1)) {
            run++;
        } else if (run > 0) {
            bdrv_co_pdiscard(bdrv_file(b->ck->bs),
                             (int64_t)((b->first + i - run) << s->cluster_bits),
                             (int64_t)(run << s->cluster_bits));
            run = 0;
        }
    }
}

static int coroutine_fn write_block(BlockCompare *b)
{
    Qcow2Check *ck = b->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    int ret = bdrv_pwrite(bdrv_file(ck->bs), b->offset, s->cluster_size, b->block);

    if (ret < 0) {
        qcow2_check_say(ck, "ERROR writing refblock: %s", strerror(-ret));
        ck->res->leaks += b->leaks;
        ck->res->corruptions += b->errors;
        return ret;
    }
    ck->res->leaks_fixed += b->leaks;
    ck->res->corruptions_fixed += b->errors;
    discard_leaks(b);
    return 0;
}

static void cannot_compare(BlockCompare *b, int err)
{
    for (uint64_t i = 0; i < b->entries; i++) {
        qcow2_check_say(b->ck, "Can't get refcount for cluster %" PRIu64 ": %s", b->first + i,
                        strerror(-err));
        b->ck->res->check_errors++;
    }
}

/* The last cluster with a count, of a block that agrees with what was found. */
static uint64_t last_used(const BlockCompare *b, uint64_t before)
{
    const Qcow2State *s = bdrv_state(b->ck->bs);
    uint64_t i = b->entries;

    while (i > 0 && qcow2_count_get(b->block, i - 1, s->hdr.refcount_order) == 0) {
        i--;
    }
    return i > 0 ? b->first + i - 1 : before;
}

static int coroutine_fn compare_block(BlockCompare *b)
{
    Qcow2Check *ck = b->ck;
    const Qcow2State *s = bdrv_state(ck->bs);
    const uint8_t *found = ck->counts + (b->first >> s->refblock_bits << s->cluster_bits);
    bool whole = b->entries == UINT64_C(1) << s->refblock_bits;
    int ret = b->offset < 0 ? (int)b->offset : 0;

    if (b->offset > 0) {
        ret = qcow2_check_read(ck, (uint64_t)b->offset, s->cluster_size, b->block);
    } else if (b->offset == 0) {
        memset(b->block, 0, s->cluster_size);
    }
    if (ret < 0) {
        cannot_compare(b, ret);
        return 0;
    }
    if (whole && memcmp(b->block, found, s->cluster_size) == 0) {
        ck->highest = last_used(b, ck->highest);
        return 0;
    }
    memset(b->freed, 0, (b->entries + 7) / 8);
    for (uint64_t i = 0; i < b->entries; i++) {
        compare_entry(b, i);
    }
    return b->changed ? write_block(b) : 0;
}

int coroutine_fn qcow2_check_compare(Qcow2Check *ck, int fix)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t per_block = UINT64_C(1) << s->refblock_bits;
    /* A block has an entry of at least one bit for each bit of `freed`. */
    uint8_t *block = malloc(2 * (size_t)s->cluster_size);
    int ret = block ? 0 : -ENOMEM;

    ck->highest = 0;
    for (uint64_t first = 0; first < ck->clusters && ret == 0; first += per_block) {
        uint64_t left = ck->clusters - first;
        BlockCompare b = {
            .ck = ck, .fix = fix, .first = first, .block = block,
            .freed = block + s->cluster_size,
            .entries = left < per_block ? left : per_block,
            .offset = qcow2_check_refblock(s, first >> s->refblock_bits),
        };

        ret = compare_block(&b);
    }
    free(block);
    return ret;
}

int coroutine_fn qcow2_check_load_refcounts(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t blocks = ck->room >> s->refblock_bits;
    int ret = 0;

    for (uint64_t i = 0; i < blocks && ret >= 0; i++) {
        int64_t offset = qcow2_check_refblock(s, i);
        uint8_t *counts = ck->counts + (i << s->cluster_bits);

        if (offset > 0) {
            ret = qcow2_check_read(ck, (uint64_t)offset, s->cluster_size, counts);
        } else {
            memset(counts, 0, s->cluster_size);
        }
    }
    return ret < 0 ? ret : 0;
}
