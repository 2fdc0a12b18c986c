/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A second opinion on a qcow2 image in memory, see qcow2-walk.h. */
#include "tests/qcow2-walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

#define MAX_CLUSTERS (1u << 18)
#define OFFSET UINT64_C(0x00fffffffffffe00)
#define COPIED (UINT64_C(1) << 63)
#define COMPRESSED (UINT64_C(1) << 62)
#define SNAPSHOT_BYTES 40

typedef struct Image {
    const uint8_t *data;
    size_t size;
    unsigned version, bits, order, entry_bytes;
    uint64_t cluster, clusters;
    uint64_t incompatible, reftable, reftable_clusters;
    bool external;              /* the guest's data are in another file */
    uint16_t *uses;             /* of each cluster, that the walk has found */
    Qcow2Walk *walk;
} Image;

static void __attribute__((format(printf, 2, 3))) error(Image *im, const char *fmt, ...)
{
    va_list ap;

    if (im->walk->errors++ == 0) {
        va_start(ap, fmt);
        vsnprintf(im->walk->first, sizeof(im->walk->first), fmt, ap);
        va_end(ap);
    }
}

/* ---- reading ---- */

static uint64_t get(const Image *im, uint64_t at, unsigned bytes)
{
    uint8_t field[8] = { 0 };

    for (unsigned i = 0; i < bytes; i++) {
        field[8 - bytes + i] = at + i < im->size ? im->data[at + i] : 0;
    }
    return load_be64(field);
}

static uint64_t refcount(const Image *im, uint64_t cluster)
{
    unsigned per_block_bits = im->bits + 3 - im->order;
    uint64_t index = cluster >> per_block_bits, i = cluster & ((1u << per_block_bits) - 1), block;

    if (index >= im->reftable_clusters << (im->bits - 3)) {
        return 0;
    }
    block = get(im, im->reftable + 8 * index, 8);
    if (!block) {
        return 0;
    }
    if (im->order >= 3) {
        return get(im, block + (i << (im->order - 3)), 1u << (im->order - 3));
    }
    return get(im, block + (i << im->order >> 3), 1) >> ((i << im->order) & 7) &
           ((1u << (1u << im->order)) - 1);
}

/* ---- what points to what ---- */

static void use(Image *im, uint64_t offset, uint64_t bytes, const char *what)
{
    uint64_t last = (offset + bytes - 1) / im->cluster;

    if (offset == 0 && strcmp(what, "header") != 0) {
        error(im, "%s at the header's place", what);
    }
    for (uint64_t i = offset / im->cluster; i <= last; i++) {
        if (i >= im->clusters) {
            error(im, "%s at %#" PRIx64 " is far behind the end", what, offset);
            return;
        }
        im->uses[i]++;
    }
}

/* A table or cluster that the walk needs in one piece. */
static bool use_cluster(Image *im, uint64_t offset, bool copied, const char *what)
{
    if (offset % im->cluster) {
        error(im, "%s at %#" PRIx64 " is not aligned", what, offset);
        return false;
    }
    use(im, offset, im->cluster, what);
    if (copied && refcount(im, offset / im->cluster) != 1) {
        error(im, "%s at %#" PRIx64 " is said to be used once, but counted %" PRIu64 " times", what,
              offset, refcount(im, offset / im->cluster));
    }
    return true;
}

static void walk_compressed(Image *im, uint64_t entry)
{
    unsigned shift = 62 - (im->bits - 8);
    uint64_t offset = entry & ((UINT64_C(1) << shift) - 1);
    uint64_t sectors = (entry & ~(COPIED | COMPRESSED)) >> shift;

    if (entry & COPIED) {
        error(im, "compressed cluster at %#" PRIx64 " is marked as used once", offset);
    }
    use(im, offset, (sectors + 1) * 512 - offset % 512, "compressed data");
}

static void walk_l2(Image *im, uint64_t table, bool active)
{
    for (uint64_t at = 0; at < im->cluster; at += im->entry_bytes) {
        uint64_t entry = get(im, table + at, 8);
        uint64_t bitmap = im->entry_bytes == 16 ? get(im, table + at + 8, 8) : 0;

        if (entry & COMPRESSED) {
            walk_compressed(im, entry);
        } else if ((entry & OFFSET) && !im->external) {
            use_cluster(im, entry & OFFSET, active && entry & COPIED, "data cluster");
        }
        if (bitmap & bitmap >> 32 & UINT32_MAX) {
            error(im, "a subcluster is both data and zeroes: %#" PRIx64, bitmap);
        }
        if (!(entry & COMPRESSED) && !(entry & (OFFSET | COPIED)) && bitmap & UINT32_MAX) {
            error(im, "a subcluster is data without a place: %#" PRIx64, bitmap);
        }
        if (im->version < 3 && !(entry & COMPRESSED) && entry & 1) {
            error(im, "a zero cluster in version 2");
        }
    }
}

static void walk_l1(Image *im, uint64_t table, uint64_t entries, bool active)
{
    if (entries == 0) {
        return;
    }
    use(im, table, entries * 8, "L1 table");
    for (uint64_t i = 0; i < entries; i++) {
        uint64_t entry = get(im, table + 8 * i, 8);

        if ((entry & OFFSET) &&
            use_cluster(im, entry & OFFSET, active && entry & COPIED, "L2 table")) {
            walk_l2(im, entry & OFFSET, active);
        }
    }
}

static void walk_refcounts(Image *im)
{
    use(im, im->reftable, im->reftable_clusters << im->bits, "refcount table");
    for (uint64_t i = 0; i < im->reftable_clusters << (im->bits - 3); i++) {
        uint64_t block = get(im, im->reftable + 8 * i, 8);

        if (block) {
            use_cluster(im, block, false, "refcount block");
        }
    }
}

static void walk_snapshots(Image *im)
{
    uint64_t count = get(im, 60, 4), table = get(im, 64, 8), at = table;

    for (uint64_t i = 0; i < count && im->walk->errors == 0; i++) {
        walk_l1(im, get(im, at, 8), get(im, at + 8, 4), false);
        at += (SNAPSHOT_BYTES + get(im, at + 12, 2) + get(im, at + 14, 2) + get(im, at + 36, 4) +
               7) & ~UINT64_C(7);
    }
    if (count > 0) {
        use(im, table, at - table, "snapshot table");
    }
}

/* ---- the whole ---- */

static void compare(Image *im)
{
    for (uint64_t i = 0; i < im->clusters; i++) {
        uint64_t counted = refcount(im, i);

        if (counted < im->uses[i]) {
            error(im, "cluster %" PRIu64 " is used %d times, but counted %" PRIu64 " times", i,
                  im->uses[i], counted);
        }
        im->walk->leaks += counted > im->uses[i];
    }
}

static bool read_header(Image *im)
{
    im->version = (unsigned)get(im, 4, 4);
    im->bits = (unsigned)get(im, 20, 4);
    im->incompatible = im->version >= 3 ? get(im, 72, 8) : 0;
    im->order = im->version >= 3 ? (unsigned)get(im, 96, 4) : 4;
    im->reftable = get(im, 48, 8);
    im->reftable_clusters = get(im, 56, 4);
    if (get(im, 0, 4) != 0x514649fb || im->bits < 9 || im->bits > 21 || im->order > 6) {
        error(im, "the header is no header");
        return false;
    }
    im->walk->dirty = im->incompatible & 1;
    im->external = im->incompatible & 4;
    im->entry_bytes = im->incompatible & 16 ? 16 : 8;
    im->cluster = UINT64_C(1) << im->bits;
    /* Room for counts of what had been allocated, but not yet written. */
    im->clusters = im->size / im->cluster + 1024;
    if (im->clusters > MAX_CLUSTERS || im->reftable_clusters > MAX_CLUSTERS) {
        error(im, "it is too large");
        return false;
    }
    if (im->incompatible & 2) {
        error(im, "it is marked as corrupt");
    }
    return true;
}

void qcow2_walk(const uint8_t *image, size_t size, Qcow2Walk *walk)
{
    Image im = { .data = image, .size = size, .walk = walk };

    *walk = (Qcow2Walk){ 0 };
    if (!read_header(&im)) {
        return;
    }
    im.uses = calloc(im.clusters, sizeof(im.uses[0]));
    if (!im.uses) {
        abort();
    }
    use(&im, 0, im.cluster, "header");
    walk_refcounts(&im);
    walk_l1(&im, get(&im, 40, 8), get(&im, 36, 4), true);
    walk_snapshots(&im);
    compare(&im);
    free(im.uses);
}
