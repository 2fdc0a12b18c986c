/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of the bitmaps that an image keeps: what the header says of it,
 * its entries in memory and on the disk.
 */
#include "drivers/qcow2/qcow2.h"

#include <blkbackend/block-backend.h>
#include <blkbackend/dirty-bitmap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byte-order.h"

#define TYPE_DIRTY_TRACKING 1
#define FLAGS_KNOWN (QCOW2_BITMAP_IN_USE | QCOW2_BITMAP_AUTO)

/* ---- the header's extension ---- */

static void forget_extension(Qcow2Header *hdr)
{
    hdr->nb_bitmaps = 0;
    hdr->bitmap_directory_bytes = hdr->bitmap_directory_offset = 0;
}

int qcow2_check_bitmaps_extension(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    Qcow2Header *hdr = &s->hdr;

    if (hdr->nb_bitmaps == 0) {
        return 0;
    }
    if (hdr->version < 3 || !(hdr->autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
        blkbackend_log("qcow2: a program lacking bitmap support modified '%s', so all bitmaps are "
                       "now considered inconsistent; some clusters may be leaked, run 'blk-img "
                       "check -r leaks' on the image file to fix that",
                       bdrv_filename(bdrv_file(bs)));
        forget_extension(hdr);
    } else if (hdr->nb_bitmaps > QCOW2_MAX_BITMAPS) {
        error_setg(errp, "bitmaps_ext: Image has %" PRIu32 " bitmaps, exceeding the supported "
                   "maximum of %u", hdr->nb_bitmaps, QCOW2_MAX_BITMAPS);
        return -EINVAL;
    } else if (hdr->bitmap_directory_offset == 0 ||
               qcow2_in_cluster(s, hdr->bitmap_directory_offset) ||
               hdr->bitmap_directory_offset > INT64_MAX / 2) {
        error_setg(errp, "bitmaps_ext: invalid bitmap directory offset");
        return -EINVAL;
    } else if (hdr->bitmap_directory_bytes > QCOW2_MAX_BITMAP_DIRECTORY) {
        error_setg(errp, "bitmaps_ext: bitmap directory size (%" PRIu64 ") exceeds the maximum "
                   "supported size (%u)", hdr->bitmap_directory_bytes, QCOW2_MAX_BITMAP_DIRECTORY);
        return -EINVAL;
    }
    return 0;
}

/* ---- entries in memory ---- */

void qcow2_free_bitmaps(Qcow2Bitmap *bitmaps, uint32_t count)
{
    for (uint32_t i = 0; bitmaps && i < count; i++) {
        free(bitmaps[i].name);
    }
    free(bitmaps);
}

uint64_t qcow2_bitmap_entry_bytes(uint64_t name_len)
{
    return (QCOW2_BITMAP_ENTRY + name_len + 7) & ~UINT64_C(7);
}

/* Entries that the table of a bitmap of the whole disk has. */
uint64_t qcow2_bitmap_table_entries(const Qcow2State *s, unsigned granularity_bits)
{
    uint64_t granularity = UINT64_C(1) << granularity_bits;
    uint64_t bits = ((s->hdr.size & ~UINT64_C(511)) + granularity - 1) >> granularity_bits;

    return qcow2_clusters_up(s, (bits + 7) / 8);
}

static bool entry_is_valid(const Qcow2State *s, const Qcow2Bitmap *b, uint8_t type)
{
    uint64_t bytes = (uint64_t)b->table_entries << s->cluster_bits;

    return b->table_entries > 0 && b->table_entries <= QCOW2_MAX_BITMAP_TABLE &&
           b->table_offset > 0 && !qcow2_in_cluster(s, b->table_offset) &&
           b->table_offset <= INT64_MAX / 2 &&
           b->granularity_bits >= QCOW2_MIN_BITMAP_GRANULARITY_BITS &&
           b->granularity_bits <= QCOW2_MAX_BITMAP_GRANULARITY_BITS &&
           !(b->flags & ~FLAGS_KNOWN) && type == TYPE_DIRTY_TRACKING &&
           bytes <= QCOW2_MAX_BITMAP_BYTES &&
           ((b->flags & QCOW2_BITMAP_IN_USE) ||
            b->table_entries >= qcow2_bitmap_table_entries(s, b->granularity_bits));
}

/* ---- reading ---- */

typedef struct DirectoryReader {
    const Qcow2State *s;
    const uint8_t *buf;
    uint64_t pos, size;
    Error **errp;
} DirectoryReader;

static int read_entry(DirectoryReader *r, Qcow2Bitmap *b)
{
    const uint8_t *entry = r->buf + r->pos, *name = entry + QCOW2_BITMAP_ENTRY;
    uint64_t room = r->size - r->pos, bytes;
    uint32_t name_len, extra_len;

    if (room < QCOW2_BITMAP_ENTRY) {
        error_setg(r->errp, "Broken bitmap directory");
        return -EINVAL;
    }
    b->table_offset = load_be64(entry);
    b->table_entries = load_be32(entry + 8);
    b->flags = load_be32(entry + 12);
    b->granularity_bits = entry[17];
    name_len = load_be16(entry + 18);
    extra_len = load_be32(entry + 20);
    bytes = qcow2_bitmap_entry_bytes((uint64_t)name_len + extra_len);
    if (bytes > room) {
        error_setg(r->errp, "Broken bitmap directory");
        return -EINVAL;
    }
    if (extra_len > 0) {
        error_setg(r->errp, "Bitmap extra data is not supported");
        return -ENOTSUP;
    }
    if (name_len == 0 || name_len > BDRV_BITMAP_MAX_NAME_SIZE || memchr(name, '\0', name_len) ||
        !entry_is_valid(r->s, b, entry[16])) {
        error_setg(r->errp, "Bitmap '%.*s' doesn't satisfy the constraints", (int)name_len,
                   (const char *)name);
        return -EINVAL;
    }
    b->name = strndup((const char *)name, name_len);
    r->pos += bytes;
    return b->name ? 0 : -ENOMEM;
}

static int read_entries(BlockDriverState *bs, DirectoryReader *r)
{
    Qcow2State *s = bdrv_state(bs);
    int ret = 0;

    for (uint32_t i = 0; i < s->hdr.nb_bitmaps && ret == 0; i++) {
        if (r->pos == r->size) {
            error_setg(r->errp, "Less bitmaps found than specified in header extension");
            return -EINVAL;
        }
        ret = read_entry(r, &s->bitmaps[i]);
    }
    if (ret == 0 && r->pos != r->size) {
        error_setg(r->errp, "More bitmaps found than specified in header extension");
        ret = -EINVAL;
    }
    return ret;
}

/* It is written in place: that must not hit anything else. */
static int check_place(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = s->hdr.bitmap_directory_bytes;
    bool hits;

    s->hdr.bitmap_directory_bytes = 0;   /* anything but itself; no request is in flight */
    hits = bytes > 0 && qcow2_hits_metadata(s, s->hdr.bitmap_directory_offset, bytes);
    s->hdr.bitmap_directory_bytes = bytes;
    if (hits) {
        error_setg(errp, "bitmaps_ext: the bitmap directory overlaps other metadata");
        return -EINVAL;
    }
    return 0;
}

int qcow2_read_bitmap_directory(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t size = s->hdr.bitmap_directory_bytes;
    uint8_t *buf = malloc(size + 1);
    DirectoryReader reader = { .s = s, .buf = buf, .size = size, .errp = errp };
    int ret = 0;

    s->bitmaps = calloc((size_t)s->hdr.nb_bitmaps + 1, sizeof(s->bitmaps[0]));
    s->bitmap_count = s->hdr.nb_bitmaps;
    if (!buf || !s->bitmaps) {
        error_setg(errp, "Failed to allocate space for bitmap directory");
        ret = -ENOMEM;
    } else if (size == 0) {
        error_setg(errp, "Requested bitmap directory size is zero");
        ret = -EINVAL;
    } else {
        ret = check_place(bs, errp);
    }
    if (ret == 0) {
        ret = bdrv_pread(bdrv_file(bs), (int64_t)s->hdr.bitmap_directory_offset, (int64_t)size,
                         buf);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to read bitmap directory");
        }
    }
    if (ret == 0) {
        ret = read_entries(bs, &reader);
    }
    free(buf);
    return ret;
}

/* ---- writing ---- */

static uint64_t directory_bytes(const Qcow2Bitmap *bitmaps, uint32_t count)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += qcow2_bitmap_entry_bytes(strlen(bitmaps[i].name));
    }
    return bytes;
}

static void put_entries(uint8_t *at, const Qcow2Bitmap *bitmaps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const Qcow2Bitmap *b = &bitmaps[i];
        size_t name_len = strlen(b->name);

        store_be64(at, b->table_offset);
        store_be32(at + 8, b->table_entries);
        store_be32(at + 12, b->flags);
        at[16] = TYPE_DIRTY_TRACKING;
        at[17] = b->granularity_bits;
        store_be16(at + 18, (uint16_t)name_len);
        memcpy(at + QCOW2_BITMAP_ENTRY, b->name, name_len);
        at += qcow2_bitmap_entry_bytes(name_len);
    }
}

static int coroutine_fn write_entries(BlockDriverState *bs, uint64_t offset,
                                      const Qcow2Bitmap *bitmaps, uint32_t count)
{
    uint64_t bytes = directory_bytes(bitmaps, count);
    uint8_t *buf = calloc(1, bytes);
    int ret = -ENOMEM;

    if (buf) {
        put_entries(buf, bitmaps, count);
        ret = bdrv_pwrite_sync(bdrv_file(bs), (int64_t)offset, (int64_t)bytes, buf);
    }
    free(buf);
    return ret;
}

/*
 * In place: only flags change, and none of them is in two sectors, so whatever
 * a power cut leaves is a directory in which some bitmaps are marked already.
 */
int coroutine_fn qcow2_mark_bitmaps_in_use(BlockDriverState *bs)
{
    Qcow2State *s = bdrv_state(bs);
    bool any = false;
    int ret;

    for (uint32_t i = 0; i < s->bitmap_count; i++) {
        any |= !(s->bitmaps[i].flags & QCOW2_BITMAP_IN_USE);
        s->bitmaps[i].flags |= QCOW2_BITMAP_IN_USE;
    }
    if (!any) {
        return 0;
    }
    ret = write_entries(bs, s->hdr.bitmap_directory_offset, s->bitmaps, s->bitmap_count);
    if (ret < 0) {
        atomic_store(&s->broken, true);   /* nobody knows what the disk now says */
    }
    return ret;
}

/* The header says where the new directory is, which is on the disk as a whole. */
static int coroutine_fn switch_header(BlockDriverState *bs, uint32_t count, uint64_t offset,
                                      uint64_t bytes, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t old_offset = s->hdr.bitmap_directory_offset, old_autoclear = s->hdr.autoclear;
    uint64_t old_bytes = s->hdr.bitmap_directory_bytes;
    uint32_t old_count = s->hdr.nb_bitmaps;
    int ret;

    s->hdr.nb_bitmaps = count;
    s->hdr.bitmap_directory_offset = offset;
    s->hdr.bitmap_directory_bytes = bytes;
    s->hdr.autoclear &= ~QCOW2_AUTOCLEAR_BITMAPS;
    s->hdr.autoclear |= count > 0 ? QCOW2_AUTOCLEAR_BITMAPS : 0;
    ret = qcow2_write_header(bs, errp);
    if (ret < 0) {
        s->hdr.nb_bitmaps = old_count;
        s->hdr.bitmap_directory_offset = old_offset;
        s->hdr.bitmap_directory_bytes = old_bytes;
        s->hdr.autoclear = old_autoclear;
        if (ret != -ENOSPC) {
            atomic_store(&s->broken, true);   /* nobody knows which of the two it now names */
        }
    } else if (old_count > 0) {
        qcow2_change_refcount(bs, old_offset >> s->cluster_bits, qcow2_clusters_up(s, old_bytes),
                              -1);
    }
    return ret;
}

int coroutine_fn qcow2_write_bitmap_directory(BlockDriverState *bs, const Qcow2Bitmap *bitmaps,
                                              uint32_t count, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t bytes = directory_bytes(bitmaps, count), clusters = qcow2_clusters_up(s, bytes);
    uint64_t first = 0;
    Error *err = NULL;
    int ret = 0;

    if (count > 0) {
        ret = qcow2_alloc_table(bs, clusters, &first);
    }
    if (ret == 0 && count > 0) {
        ret = write_entries(bs, first << s->cluster_bits, bitmaps, count);
        if (ret < 0) {
            qcow2_change_refcount(bs, first, clusters, -1);
        }
    }
    /* All that it refers to is counted, and there, before the header names it. */
    if (ret == 0) {
        ret = qcow2_write_back(bs);
    }
    if (ret == 0) {
        ret = bdrv_co_flush(bdrv_file(bs));
    }
    if (ret == 0) {
        ret = switch_header(bs, count, first << s->cluster_bits, bytes, &err);
        if (ret == -ENOSPC && count > 0) {
            qcow2_change_refcount(bs, first, clusters, -1);
        }
    }
    if (ret < 0 && !err) {
        error_setg_errno(&err, -ret, "Failed to update bitmap extension");
    }
    error_propagate(errp, err);
    return ret;
}
