/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New images: options first, then the file, then all metadata in one sweep from
 * its first byte to its last.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

#define SWEEP_BYTES (1u << 20)          /* made at once */

typedef struct NewImage {
    Qcow2Header hdr;
    PreallocMode prealloc;
    Qcow2Layout layout;
    uint32_t cluster_size;
} NewImage;

/* ---- the content of a cluster of metadata ---- */

/* Entry i of a table is first + i * step, from i = from on, as long as i < count. */
static void fill_entries(const NewImage *image, uint8_t *cluster, uint64_t from, uint64_t count,
                         uint32_t entry, uint64_t first, uint64_t flags)
{
    for (uint64_t i = from; i < count && (i - from) * entry < image->cluster_size; i++) {
        store_be64(cluster + (i - from) * entry,
                   ((first + i) << image->hdr.cluster_bits) | flags);
    }
}

/* All clusters up to the last one are in use once. */
static void fill_refcounts(const NewImage *image, uint8_t *cluster, uint64_t index)
{
    unsigned order = image->hdr.refcount_order;
    uint64_t counts = (uint64_t)image->cluster_size * 8 >> order, first = index * counts;
    uint64_t used = image->layout.total - first < counts ? image->layout.total - first : counts;

    for (uint64_t i = 0; i < used; i++) {
        if (order < 3) {
            cluster[i >> (3 - order)] |= (uint8_t)(1u << ((i << order) & 7));
        } else {
            cluster[((i + 1) << (order - 3)) - 1] = 1;   /* the lowest byte of a big endian */
        }
    }
}

/* With subclusters: all have a place, none has data. */
static void fill_l2(const NewImage *image, uint8_t *cluster, uint64_t index)
{
    uint32_t entry = image->hdr.incompatible & QCOW2_INCOMPAT_EXTL2 ? 16 : 8;
    uint64_t entries = image->cluster_size / entry;
    uint64_t clusters = (image->hdr.size + image->cluster_size - 1) >> image->hdr.cluster_bits;

    fill_entries(image, cluster, index * entries, clusters, entry,
                 image->hdr.data_file ? 0 : image->layout.data, QCOW2_COPIED);
}

static void fill_cluster(const NewImage *image, uint8_t *cluster, uint64_t index)
{
    const Qcow2Layout *layout = &image->layout;
    uint64_t per_cluster = image->cluster_size / sizeof(uint64_t);

    if (index == 0) {
        qcow2_lay_out_header(cluster, image->cluster_size, &image->hdr);
    } else if (index < layout->refblocks) {
        fill_entries(image, cluster, (index - layout->reftable) * per_cluster,
                     layout->l1 - layout->refblocks, 8, layout->refblocks, 0);
    } else if (index < layout->l1) {
        fill_refcounts(image, cluster, index - layout->refblocks);
    } else if (index < layout->l2) {
        fill_entries(image, cluster, (index - layout->l1) * per_cluster,
                     layout->data - layout->l2, 8, layout->l2, QCOW2_COPIED);
    } else {
        fill_l2(image, cluster, index - layout->l2);
    }
}

/* ---- writing ---- */

/* The last cluster may be one of the L1 table, of which only a little is used. */
static uint64_t metadata_bytes(const NewImage *image)
{
    const Qcow2Layout *layout = &image->layout;
    uint64_t end = (layout->l1 << image->hdr.cluster_bits) +
                   layout->l1_entries * sizeof(uint64_t);

    return layout->l2 < layout->data ? layout->data << image->hdr.cluster_bits
                                     : (end + BDRV_SECTOR_SIZE - 1) & BDRV_SECTOR_MASK;
}

/* The zeroes as well: a file whose metadata are holes looks as if its data were, too. */
static int write_metadata(const NewImage *image, BlockDriverState *file)
{
    uint64_t sweep = SWEEP_BYTES > image->cluster_size ? SWEEP_BYTES : image->cluster_size;
    uint64_t end = metadata_bytes(image), at_once = sweep;
    uint8_t *buf = malloc(sweep);
    int ret = buf ? 0 : -ENOMEM;

    for (uint64_t offset = 0; offset < end && ret == 0; offset += at_once) {
        memset(buf, 0, sweep);
        for (uint64_t i = 0; i < sweep && offset + i < end; i += image->cluster_size) {
            fill_cluster(image, buf + i, (offset + i) >> image->hdr.cluster_bits);
        }
        at_once = end - offset < sweep ? end - offset : sweep;
        ret = bdrv_pwrite(file, (int64_t)offset, (int64_t)at_once, buf);
    }
    free(buf);
    return ret;
}

static PreallocMode space_mode(PreallocMode prealloc)
{
    return prealloc == PREALLOC_MODE_METADATA ? PREALLOC_MODE_OFF : prealloc;
}

static int write_image(const NewImage *image, BlockDriverState *file, Error **errp)
{
    uint64_t end = image->layout.total << image->hdr.cluster_bits;
    int ret = write_metadata(image, file);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write the new image's metadata");
        return ret;
    }
    if (image->layout.total > image->layout.data) {
        ret = bdrv_truncate(file, (int64_t)end, space_mode(image->prealloc), errp);
    }
    return ret < 0 ? ret : bdrv_flush(file);
}

/* ---- the files ---- */

/* With what options say that is the protocol's business alone. */
static int create_file(const char *filename, const QDict *options, uint64_t size,
                       PreallocMode prealloc, Error **errp)
{
    const BlockDriver *protocol = bdrv_protocol_of(filename, errp);
    const BdrvOption *option = protocol ? bdrv_create_options(protocol) : NULL;
    QDict *own = qdict_new();
    int ret = -EINVAL;

    for (; option && option->name; option++) {
        if (qdict_haskey(options, option->name)) {
            qdict_put(own, option->name, json_incref(json_object_get(options, option->name)));
        }
    }
    qdict_put(own, "size", qint_from_int((int64_t)size));
    qdict_del(own, "preallocation");
    if (prealloc != PREALLOC_MODE_OFF) {
        qdict_put(own, "preallocation", qstring_from_str(prealloc_mode_name(prealloc)));
    }
    if (protocol) {
        ret = bdrv_create(protocol, filename, own, errp);
    }
    QDECREF(own);
    return ret;
}

static int create_image_file(const NewImage *image, const char *filename, const QDict *options,
                             Error **errp)
{
    BlockDriverState *file = NULL;
    int ret = create_file(filename, options, 0, PREALLOC_MODE_OFF, errp);

    if (ret == 0) {
        ret = bdrv_open(&file, filename, NULL, NULL,
                        BDRV_O_RDWR | BDRV_O_PROTOCOL | BDRV_O_CACHE_WB, errp);
    }
    if (ret == 0) {
        ret = write_image(image, file, errp);
    }
    bdrv_unref(file);
    return ret;
}

/* ---- the whole ---- */

/* Everything that can be known before anything is written. */
static int plan_image(NewImage *image, const char *filename, const QDict *options, Error **errp)
{
    Qcow2Header *hdr = &image->hdr;
    bool preallocated;
    uint8_t *cluster;
    int ret = qcow2_parse_create_options(options, hdr, &image->prealloc, errp);

    if (ret < 0) {
        return ret;
    }
    if (hdr->data_file && strcmp(hdr->data_file, filename) == 0) {
        error_setg(errp, "The external data file cannot be the image itself");
        return -EINVAL;
    }
    image->cluster_size = 1u << hdr->cluster_bits;
    preallocated = image->prealloc != PREALLOC_MODE_OFF;
    ret = qcow2_lay_out(hdr, preallocated, preallocated && !hdr->data_file
                        ? (hdr->size + image->cluster_size - 1) >> hdr->cluster_bits : 0,
                        &image->layout);
    if (ret < 0 || (image->layout.refblocks - image->layout.reftable) * image->cluster_size >
        QCOW2_MAX_REFTABLE_BYTES) {
        error_setg(errp, "The image size is too large for clusters of %u bytes",
                   image->cluster_size);
        return -EFBIG;
    }
    hdr->l1_size = (uint32_t)image->layout.l1_entries;
    hdr->l1_offset = hdr->l1_size ? image->layout.l1 << hdr->cluster_bits : 0;
    hdr->reftable_offset = image->layout.reftable << hdr->cluster_bits;
    hdr->reftable_clusters = (uint32_t)(image->layout.refblocks - image->layout.reftable);
    cluster = malloc(image->cluster_size);
    if (!cluster || !qcow2_lay_out_header(cluster, image->cluster_size, hdr)) {
        ret = cluster ? -ENOSPC : -ENOMEM;
        error_setg(errp, "The names of the backing file and the data file do not fit into a "
                   "cluster of %u bytes", image->cluster_size);
    }
    free(cluster);
    return ret;
}

int qcow2_create(const char *filename, const QDict *options, Error **errp)
{
    NewImage image = { 0 };
    int ret = plan_image(&image, filename, options, errp);

    if (ret == 0) {
        ret = create_image_file(&image, filename, options, errp);
    }
    if (ret == 0 && image.hdr.data_file) {
        /* Last: what fails here undoes itself, and the caller the rest. */
        ret = create_file(image.hdr.data_file, options, image.hdr.size,
                          space_mode(image.prealloc), errp);
    }
    return ret;
}
