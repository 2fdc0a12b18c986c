/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of internal snapshots.
 *
 * An entry is kept as it is on disk, so that what of it nobody here knows
 * survives when the table is written anew.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#include "byte-order.h"

#define MAX_EXTRA 1024u
#define MAX_TABLE_BYTES (64u << 20)

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7) & ~UINT64_C(7);
}

/* ---- reading ---- */

/* Bytes of the entry with all that follows it; 0: it is invalid, errp says why. */
static uint32_t check_entry(const Qcow2State *s, const uint8_t *entry, Error **errp)
{
    uint32_t l1_size = load_be32(entry + 8), extra = load_be32(entry + 36);
    uint64_t l1_offset = load_be64(entry);

    if (l1_size > QCOW2_MAX_L1_BYTES / sizeof(uint64_t)) {
        error_setg(errp, "Snapshot L1 table too large");
        return 0;
    }
    if ((l1_offset & (s->cluster_size - 1)) || l1_offset > INT64_MAX - QCOW2_MAX_L1_BYTES) {
        error_setg(errp, "Snapshot L1 table offset invalid");
        return 0;
    }
    if (extra > MAX_EXTRA) {
        error_setg(errp, "Too much extra metadata in the snapshot table");
        return 0;
    }
    return QCOW2_SNAPSHOT_FIXED + extra + load_be16(entry + 12) + load_be16(entry + 14);
}

static int read_entry(BlockDriverState *bs, uint32_t i, uint64_t offset, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Snapshot *sn = &s->snapshots[i];
    uint8_t fixed[QCOW2_SNAPSHOT_FIXED];
    int ret = bdrv_pread(bdrv_file(bs), (int64_t)offset, sizeof(fixed), fixed);

    if (ret == 0) {
        sn->bytes = check_entry(s, fixed, errp);
        if (sn->bytes == 0) {
            return -EINVAL;
        }
        sn->l1_offset = load_be64(fixed);
        sn->l1_size = load_be32(fixed + 8);
        sn->raw = malloc(sn->bytes);
        ret = sn->raw ? bdrv_pread(bdrv_file(bs), (int64_t)offset, sn->bytes, sn->raw) : -ENOMEM;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read snapshots");
    }
    return ret;
}

int qcow2_read_snapshots(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t pos = 0;

    s->snapshots = calloc((size_t)s->hdr.nb_snapshots + 1, sizeof(s->snapshots[0]));
    if (!s->snapshots) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        int ret;

        if (pos > MAX_TABLE_BYTES || s->hdr.snapshots_offset > INT64_MAX - 2 * MAX_TABLE_BYTES) {
            error_setg(errp, "Snapshot table is too large");
            return -EFBIG;
        }
        ret = read_entry(bs, i, s->hdr.snapshots_offset + pos, errp);
        if (ret < 0) {
            return ret;
        }
        pos += padded(s->snapshots[i].bytes);
    }
    s->snapshots_bytes = pos;
    return 0;
}

void qcow2_free_snapshots(Qcow2Snapshot *list, uint32_t count)
{
    for (uint32_t i = 0; list && i < count; i++) {
        free(list[i].raw);
    }
    free(list);
}

int qcow2_reload_snapshots(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    Error *ignored = NULL;
    int ret;

    qcow2_free_snapshots(s->snapshots, s->hdr.nb_snapshots);
    s->snapshots = NULL;
    s->snapshots_bytes = 0;
    ret = s->hdr.nb_snapshots > QCOW2_MAX_SNAPSHOTS ? -EINVAL : qcow2_read_snapshots(bs, &ignored);
    error_free(ignored);
    if (ret < 0) {
        qcow2_free_snapshots(s->snapshots, s->hdr.nb_snapshots);
        s->snapshots = NULL;
    }
    return ret == -ENOMEM ? ret : 0;
}

/* ---- writing ---- */

int coroutine_fn qcow2_write_snapshots(BlockDriverState *bs, const Qcow2Snapshot *list,
                                       uint32_t count, uint64_t *offset, uint64_t *bytes)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t total = 0, pos = 0, first;
    uint8_t *buf;
    int ret;

    for (uint32_t i = 0; i < count; i++) {
        total += padded(list[i].bytes);
    }
    *offset = 0;
    *bytes = total;
    if (count == 0) {
        return 0;
    }
    ret = total > MAX_TABLE_BYTES ? -EFBIG
          : qcow2_alloc_table(bs, qcow2_clusters_up(s, total), &first);
    if (ret < 0) {
        return ret;
    }
    buf = calloc(1, total);
    if (!buf) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(buf + pos, list[i].raw, list[i].bytes);
        pos += padded(list[i].bytes);
    }
    *offset = first << s->cluster_bits;
    ret = bdrv_pwrite(bdrv_file(bs), (int64_t)*offset, (int64_t)total, buf);
    free(buf);
    return ret;
}

/* ---- what the entries say ---- */

static void copy_text(char *to, size_t size, const uint8_t *text, uint16_t len)
{
    snprintf(to, size, "%.*s", (int)len, (const char *)text);
}

/* Sizes and counts that older versions of the format did not have follow the fixed part. */
void qcow2_snapshot_info(BlockDriverState *bs, const Qcow2Snapshot *sn, QEMUSnapshotInfo *info)
{
    const Qcow2State *s = bdrv_state(bs);
    const uint8_t *raw = sn->raw, *extra = raw + QCOW2_SNAPSHOT_FIXED;
    uint32_t extra_len = load_be32(raw + 36);
    uint16_t id_len = load_be16(raw + 12), name_len = load_be16(raw + 14);

    *info = (QEMUSnapshotInfo){
        .date_sec = load_be32(raw + 16),
        .date_nsec = load_be32(raw + 20),
        .vm_clock_nsec = load_be64(raw + 24),
        .vm_state_size = extra_len >= 8 ? load_be64(extra) : load_be32(raw + 32),
        .disk_size = extra_len >= 16 ? load_be64(extra + 8) : s->hdr.size,
        .icount = extra_len >= 24 ? load_be64(extra + 16) : UINT64_MAX,
    };
    copy_text(info->id_str, sizeof(info->id_str), extra + extra_len, id_len);
    copy_text(info->name, sizeof(info->name), extra + extra_len + id_len, name_len);
}

int qcow2_find_snapshot(BlockDriverState *bs, const char *id)
{
    const Qcow2State *s = bdrv_state(bs);
    QEMUSnapshotInfo info;

    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        qcow2_snapshot_info(bs, &s->snapshots[i], &info);
        if (strcmp(info.id_str, id) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

int qcow2_snapshot_list(BlockDriverState *bs, QEMUSnapshotInfo **list)
{
    const Qcow2State *s = bdrv_state(bs);

    if (s->external) {
        return -ENOTSUP;
    }
    if (s->hdr.nb_snapshots > 0 && !s->snapshots) {
        return -EINVAL;   /* opened for a check, and damaged */
    }
    *list = calloc((size_t)s->hdr.nb_snapshots + 1, sizeof((*list)[0]));
    if (!*list) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        qcow2_snapshot_info(bs, &s->snapshots[i], &(*list)[i]);
    }
    return (int)s->hdr.nb_snapshots;
}

int qcow2_check_can_snapshot(BlockDriverState *bs, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (s->external) {
        error_setg(errp, "An image with an external data file cannot have internal snapshots");
        return -ENOTSUP;
    }
    if (s->hdr.nb_snapshots > 0 && !s->snapshots) {
        error_setg(errp, "The snapshot table is damaged");
        return -EINVAL;
    }
    return 0;
}
