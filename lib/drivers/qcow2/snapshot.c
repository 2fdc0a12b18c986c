/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Internal snapshots: where their tables are, so that nothing else is put there.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "byte-order.h"

#define ENTRY_LEN 40u                   /* what every entry begins with */
#define MAX_EXTRA 1024u
#define MAX_TABLE_BYTES (64u << 20)

/* Bytes of the entry with all that follows it; 0: it is invalid, errp says why. */
static uint64_t read_entry(const Qcow2State *s, const uint8_t *entry, struct Qcow2Area *l1,
                           Error **errp)
{
    uint32_t l1_size = load_be32(entry + 8), extra = load_be32(entry + 36);

    l1->offset = load_be64(entry);
    l1->bytes = (uint64_t)l1_size * sizeof(uint64_t);
    if (l1->bytes > QCOW2_MAX_L1_BYTES) {
        error_setg(errp, "Snapshot L1 table too large");
        return 0;
    }
    if ((l1->offset & (s->cluster_size - 1)) || l1->offset > INT64_MAX - l1->bytes) {
        error_setg(errp, "Snapshot L1 table offset invalid");
        return 0;
    }
    if (extra > MAX_EXTRA) {
        error_setg(errp, "Too much extra metadata in the snapshot table");
        return 0;
    }
    return ((uint64_t)ENTRY_LEN + extra + load_be16(entry + 12) + load_be16(entry + 14) + 7) &
           ~UINT64_C(7);
}

int qcow2_reload_snapshots(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    Error *ignored = NULL;
    int ret;

    free(s->inactive_l1);
    s->inactive_l1 = NULL;
    s->snapshots_bytes = 0;
    ret = s->hdr.nb_snapshots > QCOW2_MAX_SNAPSHOTS ? -EINVAL : qcow2_read_snapshots(bs, &ignored);
    error_free(ignored);
    if (ret < 0) {
        free(s->inactive_l1);
        s->inactive_l1 = NULL;
    }
    return ret == -ENOMEM ? ret : 0;
}

int qcow2_read_snapshots(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t pos = 0, len;
    uint8_t entry[ENTRY_LEN];

    s->inactive_l1 = calloc(s->hdr.nb_snapshots + 1, sizeof(s->inactive_l1[0]));
    if (!s->inactive_l1) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->hdr.nb_snapshots; i++) {
        int ret = bdrv_pread(bdrv_file(bs), (int64_t)(s->hdr.snapshots_offset + pos),
                             sizeof(entry), entry);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "Could not read snapshots");
            return ret;
        }
        len = read_entry(s, entry, &s->inactive_l1[i], errp);
        if (len == 0) {
            return -EINVAL;
        }
        pos += len;
        if (pos > MAX_TABLE_BYTES || s->hdr.snapshots_offset > INT64_MAX - pos - ENTRY_LEN) {
            error_setg(errp, "Snapshot table is too large");
            return -EFBIG;
        }
    }
    s->snapshots_bytes = pos;
    return 0;
}
