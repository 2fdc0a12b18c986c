/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a new image would take: all metadata of a full image, and the data that
 * have to be stored.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/dirty-bitmap.h>

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) & -unit;
}

/* Bytes of clusters that a copy of `from` stores. */
static int64_t stored_bytes(BlockDriverState *from, int64_t size, int64_t cluster, Error **errp)
{
    const int stored = BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED;
    int64_t bytes = 0;

    for (int64_t offset = 0, n; offset < size; offset += n) {
        int depth;
        int status = bdrv_block_status_above(from, NULL, offset, size - offset, &n, NULL, NULL,
                                             &depth);

        if (status < 0) {
            error_setg_errno(errp, -status, "Unable to get block status");
            return status;
        }
        if (!(status & BDRV_BLOCK_ZERO) && (status & stored) == stored) {
            n = round_up(offset + n, cluster) - offset;
            bytes += offset % cluster + n;
        }
    }
    return bytes;
}

/* All clusters of each bitmap, its table and its share of the directory. */
static int64_t bitmap_bytes(BlockDriverState *from, int64_t cluster)
{
    int64_t bytes = 0, directory = 0;

    for (BdrvDirtyBitmap *b = bdrv_dirty_bitmap_first(from); b; b = bdrv_dirty_bitmap_next(b)) {
        if (bdrv_dirty_bitmap_get_persistence(b) && !bdrv_dirty_bitmap_inconsistent(b)) {
            int64_t bits = round_up(bdrv_dirty_bitmap_size(b), bdrv_dirty_bitmap_granularity(b)) /
                           bdrv_dirty_bitmap_granularity(b);
            int64_t data = round_up((bits + 7) / 8, cluster);

            bytes += data + round_up(data / cluster * (int64_t)sizeof(uint64_t), cluster);
            directory += (int64_t)qcow2_bitmap_entry_bytes(strlen(bdrv_dirty_bitmap_name(b)));
        }
    }
    return bytes + round_up(directory, cluster);
}

static int too_large(Error **errp)
{
    error_setg(errp, "The image size is too large (try using a larger cluster size)");
    return -EFBIG;
}

/* hdr->size: of `from` if there is one, in whole clusters. */
static int64_t data_bytes(const Qcow2Header *hdr, BlockDriverState *from, bool has_backing,
                          PreallocMode prealloc, Error **errp)
{
    if (prealloc == PREALLOC_MODE_FALLOC || prealloc == PREALLOC_MODE_FULL ||
        (from && has_backing)) {
        return (int64_t)hdr->size;   /* with a backing file nobody knows how much it shares */
    }
    return from ? stored_bytes(from, bdrv_getlength(from), INT64_C(1) << hdr->cluster_bits, errp)
                : 0;
}

int qcow2_measure(const QDict *options, BlockDriverState *from, BlockMeasureInfo *info,
                  Error **errp)
{
    Qcow2Header hdr;
    Qcow2Layout layout;
    PreallocMode prealloc;
    int64_t size, data;
    int ret = qcow2_parse_measure_options(options, &hdr, &prealloc, errp);

    if (ret < 0) {
        return ret;
    }
    size = from ? bdrv_getlength(from) : (int64_t)hdr.size;
    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Unable to get image virtual_size");
        return (int)size;
    }
    if (size > INT64_MAX - (1 << QCOW2_MAX_CLUSTER_BITS)) {
        return too_large(errp);
    }
    hdr.size = (uint64_t)round_up(size, INT64_C(1) << hdr.cluster_bits);
    if (qcow2_lay_out(&hdr, true, hdr.size >> hdr.cluster_bits, &layout) < 0) {
        return too_large(errp);
    }
    data = data_bytes(&hdr, from, qdict_haskey(options, "backing_file"), prealloc, errp);
    if (data < 0) {
        return (int)data;
    }
    info->fully_allocated = (int64_t)(layout.total << hdr.cluster_bits);
    info->required = info->fully_allocated - (int64_t)hdr.size + data;
    info->bitmaps = hdr.version >= 3 && from && bdrv_supports_persistent_dirty_bitmap(from)
                    ? bitmap_bytes(from, INT64_C(1) << hdr.cluster_bits) : -1;
    return 0;
}
