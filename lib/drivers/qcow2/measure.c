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

static bool has_bitmaps(const Qcow2Header *hdr, BlockDriverState *from)
{
    const char *format = from ? bdrv_get_format_name(from) : NULL;
    const Qcow2State *s = format && strcmp(format, "qcow2") == 0 ? bdrv_state(from) : NULL;

    return hdr->version >= 3 && s && s->hdr.version >= 3;
}

/* For each bitmap its bits and their table, and the directory; -1: there cannot be any. */
static int64_t bitmaps_bytes(const Qcow2Header *hdr, BlockDriverState *from)
{
    int64_t cluster = INT64_C(1) << hdr->cluster_bits, bytes = 0, directory = 0;
    BdrvDirtyBitmap *bitmap = has_bitmaps(hdr, from) ? bdrv_dirty_bitmap_first(from) : NULL;

    for (; bitmap; bitmap = bdrv_dirty_bitmap_next(bitmap)) {
        int64_t granularity = bdrv_dirty_bitmap_granularity(bitmap), bits, clusters;

        if (!bdrv_dirty_bitmap_get_persistence(bitmap) || bdrv_dirty_bitmap_inconsistent(bitmap)) {
            continue;
        }
        bits = round_up(bdrv_dirty_bitmap_size(bitmap), granularity) / granularity;
        clusters = round_up(round_up(bits, 8) / 8, cluster) / cluster;
        bytes += clusters * cluster + round_up(clusters * (int64_t)sizeof(uint64_t), cluster);
        directory += round_up(QCOW2_BITMAP_ENTRY +
                              (int64_t)strlen(bdrv_dirty_bitmap_name(bitmap)), 8);
    }
    return has_bitmaps(hdr, from) ? bytes + round_up(directory, cluster) : -1;
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
    info->bitmaps = bitmaps_bytes(&hdr, from);
    return 0;
}
