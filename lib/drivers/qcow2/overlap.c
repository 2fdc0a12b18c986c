/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must not be overwritten, and what happens to an image that wants it to be.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/block-backend.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static bool overlaps(uint64_t offset, uint64_t bytes, uint64_t other, uint64_t other_bytes)
{
    return other_bytes > 0 && offset < other + other_bytes && other < offset + bytes;
}

/* Metadata whose places the header names. */
static bool hits_header(const Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    const Qcow2Header *hdr = &s->hdr;

    return offset < s->cluster_size ||
           overlaps(offset, bytes, hdr->l1_offset, hdr->l1_size * sizeof(uint64_t)) ||
           overlaps(offset, bytes, hdr->reftable_offset,
                    (uint64_t)hdr->reftable_clusters << s->cluster_bits) ||
           overlaps(offset, bytes, hdr->snapshots_offset, s->snapshots_bytes) ||
           overlaps(offset, bytes, hdr->bitmap_directory_offset, hdr->bitmap_directory_bytes);
}

bool qcow2_is_data_area(const Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    return !hits_header(s, offset, bytes) && !qcow2_filter_has(s, offset, bytes);
}

static bool hits_one_of(const Qcow2State *s, const uint64_t *entries, uint32_t size, uint64_t mask,
                        uint64_t offset, uint64_t bytes)
{
    for (uint32_t i = 0; i < size; i++) {
        if ((entries[i] & mask) &&
            overlaps(offset, bytes, entries[i] & mask, s->cluster_size)) {
            return true;
        }
    }
    return false;
}

static bool hits_a_table(Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        if (overlaps(offset, bytes, s->snapshots[i].l1_offset,
                     s->snapshots[i].l1_size * sizeof(uint64_t))) {
            return true;
        }
    }
    return qcow2_filter_has_now(s, offset, bytes) &&
           (hits_one_of(s, s->l1, s->hdr.l1_size, QCOW2_OFFSET_MASK, offset, bytes) ||
            hits_one_of(s, s->reftable, s->reftable_size, QCOW2_REFTABLE_MASK, offset, bytes));
}

bool qcow2_hits_metadata(Qcow2State *s, uint64_t offset, uint64_t bytes)
{
    return hits_header(s, offset, bytes) || hits_a_table(s, offset, bytes);
}

int coroutine_fn qcow2_check_new_area(BlockDriverState *bs, uint64_t offset, uint64_t bytes)
{
    if (!qcow2_hits_metadata(bdrv_state(bs), offset, bytes)) {
        return 0;
    }
    return qcow2_corrupt(bs, "preventing invalid write on metadata at %#" PRIx64, offset);
}

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
    blkbackend_log("qcow2: image '%s' is corrupt: %s%s", name, what,
                   writable ? "; it is marked so, and no longer written to"
                            : "; further corruption events will be suppressed");
    if (writable) {
        atomic_store(&s->broken, true);
        qcow2_set_incompatible(bs, QCOW2_INCOMPAT_CORRUPT);
    }
    return -EIO;
}
