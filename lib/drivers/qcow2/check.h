/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A check of an image: all references to each host cluster are counted anew from
 * the tables, and compared with the refcounts.
 *
 *     check.c            the steps, and what becomes of the header's bits
 *     check-snapshots.c  the snapshot table
 *     check-counts.c     how many references were found
 *     check-tables.c     L1 and L2 tables, of the disk and of the snapshots
 *     check-bitmaps.c    the bitmap directory and what it lists
 *     check-refcounts.c  refcount blocks: are they sound, do they agree
 *     check-rebuild.c    new ones where they are not
 *     check-copied.c     the flag that tells whether a cluster is used once
 *
 * Time and memory are bounded by what the file really holds, not by what it
 * claims: each L2 table is read once, however many refer to it; what is a hole in
 * the file is not read; and all that is read comes out of a budget, which only
 * tables that lie on each other can exhaust.
 */
#ifndef BLKBACKEND_QCOW2_CHECK_H
#define BLKBACKEND_QCOW2_CHECK_H

#include "drivers/qcow2/qcow2.h"

#include <blkbackend/image.h>

/* An L2 table, and how many L1 entries refer to it. */
typedef struct Qcow2L2Use {
    uint64_t offset;                    /* 0: none */
    uint32_t total, active;             /* of all L1 tables; of the disk's */
    bool counted, compared;             /* and what has been done with it */
} Qcow2L2Use;

/* An entry of the snapshot table. */
typedef struct Qcow2CheckSnapshot {
    uint64_t at;                        /* where in the file */
    uint64_t l1_offset;
    uint32_t l1_size, extra;            /* entries; bytes of extra data */
    uint16_t id_len, name_len;
} Qcow2CheckSnapshot;

typedef struct Qcow2Check {
    BlockDriverState *bs;
    BdrvCheckResult *res;
    int fix;                            /* BDRV_FIX_* */
    BdrvReportFunc *report;
    void *opaque;
    int64_t budget;                     /* bytes that may still be read */

    uint64_t file_bytes, clusters;      /* how far references may go */
    uint8_t *counts;                    /* of references, as in refcount blocks */
    uint64_t room;                      /* entries that counts has: whole refcount blocks */
    uint64_t beyond_end;                /* where the references end that go beyond the file, but
                                           not far; clusters */
    uint64_t far_start;                 /* where those begin that go far beyond it; clusters */
    uint64_t highest;                   /* the last cluster that has a count or a reference */
    bool rebuild;                       /* the refcounts are past mending one by one */

    Qcow2L2Use *uses;                   /* a hash table */
    uint32_t uses_bits, uses_count;
    Qcow2CheckSnapshot *snapshots;      /* hdr.nb_snapshots */
    uint64_t snapshots_bytes;           /* of the snapshot table */
} Qcow2Check;

/* ---- check.c ---- */

/* A line to who wants to know. */
void qcow2_check_say(const Qcow2Check *ck, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Reads metadata; beyond the end of the file there are zeroes.  1: nothing but zeroes. */
int coroutine_fn qcow2_check_read(Qcow2Check *ck, uint64_t offset, uint64_t bytes, void *buf);

static inline bool qcow2_check_fixes_errors(const Qcow2Check *ck)
{
    return ck->fix & BDRV_FIX_ERRORS;
}

/* ---- check-snapshots.c ---- */

int coroutine_fn qcow2_check_snapshot_table(Qcow2Check *ck);
/* Writes the table anew, with entries that are complete and not too long. */
int coroutine_fn qcow2_check_fix_snapshot_table(Qcow2Check *ck);

/* ---- check-counts.c ---- */

/* Room for all of a file of so many bytes, with no reference to anything. */
int qcow2_check_clear_counts(Qcow2Check *ck, uint64_t file_bytes);
/* At least so many clusters. */
int qcow2_check_grow_counts(Qcow2Check *ck, uint64_t clusters);
uint64_t qcow2_check_count(const Qcow2Check *ck, uint64_t cluster);
/* So many users of [offset, offset + bytes) have been found. */
void qcow2_check_add(Qcow2Check *ck, uint64_t offset, uint64_t bytes, uint32_t users);
/* All that the image refers to. */
int coroutine_fn qcow2_check_count_all(Qcow2Check *ck);

/* ---- check-tables.c ---- */

int coroutine_fn qcow2_check_count_tables(Qcow2Check *ck);
Qcow2L2Use *qcow2_check_find_use(Qcow2Check *ck, uint64_t offset);

/* ---- check-bitmaps.c ---- */

int coroutine_fn qcow2_check_count_bitmaps(Qcow2Check *ck);

/* ---- check-refcounts.c ---- */

/* Where the refcount block of that index is; 0: there is none; -EIO: at no possible place. */
int64_t qcow2_check_refblock(const Qcow2State *s, uint64_t index);
void qcow2_check_count_refblocks(Qcow2Check *ck);
/* Compares, and mends what fix says; otherwise adds to the result. */
int coroutine_fn qcow2_check_compare(Qcow2Check *ck, int fix);
/* The counts are from now on what the refcount blocks say. */
int coroutine_fn qcow2_check_load_refcounts(Qcow2Check *ck);

/* ---- check-rebuild.c ---- */

int coroutine_fn qcow2_check_rebuild(Qcow2Check *ck);

/* ---- check-copied.c ---- */

int coroutine_fn qcow2_check_copied(Qcow2Check *ck);

#endif
