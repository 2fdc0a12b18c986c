/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * References to host clusters, counted while they are found.
 *
 * The counts have the width and the order that they have in refcount blocks, so
 * that a block and its part of the counts compare, and copy, as they are.
 */
#include "drivers/qcow2/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What counts may take beside as much as the file takes. */
#define COUNTS_FREE_BYTES (UINT64_C(256) << 20)

/* ---- the array ---- */

static uint64_t bytes_of(const Qcow2State *s, uint64_t clusters)
{
    return clusters >> s->refblock_bits << s->cluster_bits;
}

/* Refcounts of their own take as much on the disk: a file that needs more room only claims to be
 * so large. */
static bool is_plausible(const Qcow2Check *ck, uint64_t bytes)
{
    int64_t allocated = bdrv_get_allocated_file_size(bdrv_file(ck->bs));

    return bytes <= COUNTS_FREE_BYTES || (allocated > 0 ? bytes <= (uint64_t)allocated
                                                        : bytes <= ck->file_bytes >> 6);
}

int qcow2_check_grow_counts(Qcow2Check *ck, uint64_t clusters)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t per_block = UINT64_C(1) << s->refblock_bits;
    uint64_t room = (clusters + per_block - 1) & ~(per_block - 1), bytes;
    uint8_t *counts;

    if (room <= ck->room) {
        return 0;
    }
    bytes = room >> 56 ? UINT64_MAX : bytes_of(s, room);
    counts = is_plausible(ck, bytes) ? calloc(1, bytes) : NULL;   /* untouched parts cost nothing */
    if (!counts) {
        qcow2_check_say(ck, "ERROR not enough memory to count the references of a file of %" PRIu64
                        " clusters", clusters);
        ck->res->check_errors++;
        return -ENOMEM;
    }
    if (ck->counts) {
        memcpy(counts, ck->counts, bytes_of(s, ck->room));
    }
    free(ck->counts);
    ck->counts = counts;
    ck->room = room;
    return 0;
}

int qcow2_check_clear_counts(Qcow2Check *ck, uint64_t file_bytes)
{
    const Qcow2State *s = bdrv_state(ck->bs);

    free(ck->counts);
    ck->counts = NULL;
    ck->room = 0;
    free(ck->uses);
    ck->uses = NULL;
    ck->uses_bits = ck->uses_count = 0;
    ck->rebuild = false;
    ck->beyond_end = 0;
    ck->far_start = UINT64_MAX;
    ck->file_bytes = file_bytes;
    ck->clusters = qcow2_clusters_up(s, file_bytes);
    return qcow2_check_grow_counts(ck, ck->clusters + 1);
}

uint64_t qcow2_check_count(const Qcow2Check *ck, uint64_t cluster)
{
    const Qcow2State *s = bdrv_state(ck->bs);

    return qcow2_count_get(ck->counts, cluster, s->hdr.refcount_order);
}

/* ---- counting ---- */

static void add_users(Qcow2Check *ck, uint64_t cluster, uint32_t users)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t count = qcow2_check_count(ck, cluster), space = s->refcount_max - count;

    if (users > space) {
        qcow2_check_say(ck, "ERROR: overflow cluster offset=0x%" PRIx64,
                        cluster << s->cluster_bits);
        qcow2_check_say(ck, "Use qemu-img amend to increase the refcount entry width or qemu-img "
                        "convert to create a clean copy if the image cannot be opened for writing");
        ck->res->corruptions += users - (int64_t)space;
        users = (uint32_t)space;
    }
    qcow2_count_set(ck->counts, cluster, s->hdr.refcount_order, count + users);
}

/* Keeps in mind what a rebuild must not take for free. */
static void note_beyond(Qcow2Check *ck, uint64_t offset, uint64_t bytes)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t first = qcow2_cluster_of(s, offset), end = qcow2_clusters_up(s, offset + bytes);

    if (end <= 2 * ck->clusters) {
        ck->beyond_end = end > ck->beyond_end ? end : ck->beyond_end;
    } else {
        ck->far_start = first < ck->far_start ? first : ck->far_start;
    }
}

void qcow2_check_add(Qcow2Check *ck, uint64_t offset, uint64_t bytes, uint32_t users)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    uint64_t first = qcow2_cluster_of(s, offset), end = qcow2_clusters_up(s, offset + bytes);

    if (bytes == 0 || users == 0) {
        return;
    }
    /* The last cluster of the file may be there in part only. */
    if (offset + bytes >= ck->file_bytes + s->cluster_size) {
        qcow2_check_say(ck, "ERROR: counting reference for region exceeding the end of the file by "
                        "one cluster or more: offset 0x%" PRIx64 " size 0x%" PRIx64, offset,
                        bytes);
        ck->res->corruptions += users;
        note_beyond(ck, offset, bytes);
        return;
    }
    for (uint64_t cluster = first; cluster < end; cluster++) {
        add_users(ck, cluster, users);
    }
    ck->clusters = end > ck->clusters ? end : ck->clusters;
}

/* ---- all of them ---- */

int coroutine_fn qcow2_check_count_all(Qcow2Check *ck)
{
    const Qcow2State *s = bdrv_state(ck->bs);
    int ret;

    qcow2_check_add(ck, 0, s->cluster_size, 1);
    ret = qcow2_check_count_tables(ck);
    if (ret < 0) {
        return ret;
    }
    if (s->hdr.nb_snapshots > 0) {
        qcow2_check_add(ck, s->hdr.snapshots_offset, ck->snapshots_bytes, 1);
    }
    qcow2_check_add(ck, s->hdr.reftable_offset,
                    (uint64_t)s->hdr.reftable_clusters << s->cluster_bits, 1);
    ret = qcow2_check_count_bitmaps(ck);
    if (ret == 0) {
        qcow2_check_count_refblocks(ck);
    }
    return ret;
}
