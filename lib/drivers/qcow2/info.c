/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an image says about itself, in the words of `qemu-img info`.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/image.h>

int qcow2_get_info(BlockDriverState *bs, BlockDriverInfo *info)
{
    const Qcow2State *s = bdrv_state(bs);

    info->cluster_size = (int)s->cluster_size;
    info->subcluster_size = (int)s->subcluster_size;
    /* Behind all that the L1 table of the disk alone would map. */
    info->vm_state_offset = (int64_t)(qcow2_l1_entries(s, s->hdr.size) <<
                                      (s->cluster_bits + s->l2_bits));
    info->is_dirty = s->hdr.incompatible & QCOW2_INCOMPAT_DIRTY;
    info->is_corrupt = s->hdr.incompatible & QCOW2_INCOMPAT_CORRUPT;
    return 0;
}

static void put_v3(BlockDriverState *bs, QDict *data)
{
    const Qcow2State *s = bdrv_state(bs);
    QObject *bitmaps = qcow2_bitmaps_info(bs);
    const Qcow2Header *hdr = &s->hdr;

    qdict_put(data, "compression-type",
              json_string(hdr->compression == QCOW2_COMPRESSION_ZSTD ? "zstd" : "zlib"));
    qdict_put(data, "lazy-refcounts", json_boolean(hdr->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS));
    if (bitmaps) {
        qdict_put(data, "bitmaps", bitmaps);
    }
    qdict_put(data, "refcount-bits", json_integer(1 << hdr->refcount_order));
    if (hdr->data_file) {
        qdict_put(data, "data-file", json_string(hdr->data_file));
    }
    if (s->external) {
        qdict_put(data, "data-file-raw",
                  json_boolean(hdr->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW));
    }
    qdict_put(data, "corrupt", json_boolean(hdr->incompatible & QCOW2_INCOMPAT_CORRUPT));
    qdict_put(data, "extended-l2", json_boolean(qcow2_has_subclusters(s)));
}

QDict *qcow2_get_specific_info(BlockDriverState *bs, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);
    QDict *info = qdict_new(), *data = qdict_new();

    (void)errp;
    if (s->hdr.version < 3) {
        qdict_put(data, "compat", json_string("0.10"));
        qdict_put(data, "compression-type", json_string("zlib"));
        qdict_put(data, "refcount-bits", json_integer(1 << s->hdr.refcount_order));
    } else {
        qdict_put(data, "compat", json_string("1.1"));
        put_v3(bs, data);
    }
    qdict_put(info, "type", json_string("qcow2"));
    qdict_put(info, "data", data);
    return info;
}
