/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The header as a whole: fixed fields, extensions, the backing file's name, all
 * laid anew into the first cluster.
 *
 * A power cut may tear a write between two sectors, and where one extension
 * begins follows from the length of those before it.  So what reaches beyond the
 * first sector is written while the first sector alone is a whole header: the new
 * one without the table of feature names, which nobody depends on.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

#define FEATURE_ENTRY 48u               /* bytes: kind, bit, name */
#define MIN_CLUSTER_WITH_NAMES 8192u    /* smaller ones need the room for other things */

typedef struct HeaderWriter {
    uint8_t *buf;
    uint32_t size, pos;
    bool full;                          /* something did not fit */
} HeaderWriter;

static void put(HeaderWriter *w, const void *data, uint32_t len)
{
    if (len > w->size - w->pos) {
        w->full = true;
    } else if (len > 0) {
        memcpy(w->buf + w->pos, data, len);
        w->pos += len;
    }
}

/* ---- fixed fields ---- */

static void put_v2_fields(HeaderWriter *w, const Qcow2Header *hdr)
{
    uint8_t *buf = w->buf;

    store_be32(buf, QCOW2_MAGIC);
    store_be32(buf + 4, hdr->version);
    store_be32(buf + 20, hdr->cluster_bits);
    store_be64(buf + QCOW2_HDR_SIZE, hdr->size);
    store_be32(buf + QCOW2_HDR_L1, hdr->l1_size);
    store_be64(buf + QCOW2_HDR_L1 + 4, hdr->l1_offset);
    store_be64(buf + QCOW2_HDR_REFTABLE, hdr->reftable_offset);
    store_be32(buf + QCOW2_HDR_REFTABLE + 8, hdr->reftable_clusters);
    store_be32(buf + QCOW2_HDR_SNAPSHOTS, hdr->nb_snapshots);
    store_be64(buf + QCOW2_HDR_SNAPSHOTS + 4, hdr->snapshots_offset);
    w->pos = QCOW2_V2_HDR_LEN;
}

static void put_v3_fields(HeaderWriter *w, const Qcow2Header *hdr)
{
    uint8_t *buf = w->buf;

    store_be64(buf + QCOW2_HDR_INCOMPAT, hdr->incompatible);
    store_be64(buf + QCOW2_HDR_COMPAT, hdr->compatible);
    store_be64(buf + QCOW2_HDR_AUTOCLEAR, hdr->autoclear);
    store_be32(buf + 96, hdr->refcount_order);
    store_be32(buf + 100, QCOW2_FULL_HDR_LEN + hdr->unknown_fields_len);
    buf[104] = (uint8_t)hdr->compression;
    w->pos = QCOW2_FULL_HDR_LEN;
    put(w, hdr->unknown_fields, hdr->unknown_fields_len);
}

/* ---- extensions ---- */

static void put_extension(HeaderWriter *w, uint32_t type, const void *data, uint32_t len)
{
    static const uint8_t padding[8];
    uint8_t head[8];

    store_be32(head, type);
    store_be32(head + 4, len);
    put(w, head, sizeof(head));
    put(w, data, len);
    put(w, padding, (8 - len % 8) % 8);
}

static void put_text(HeaderWriter *w, uint32_t type, const char *text)
{
    if (text) {
        put_extension(w, type, text, (uint32_t)strlen(text));
    }
}

static void put_bitmaps(HeaderWriter *w, const Qcow2Header *hdr)
{
    uint8_t data[QCOW2_EXT_BITMAPS_LEN] = { 0 };

    if (hdr->nb_bitmaps > 0) {
        store_be32(data, hdr->nb_bitmaps);
        store_be64(data + 8, hdr->bitmap_directory_bytes);
        store_be64(data + 16, hdr->bitmap_directory_offset);
        put_extension(w, QCOW2_EXT_BITMAPS, data, sizeof(data));
    }
}

/* For programs that do not know one of them, to say which. */
static void put_feature_names(HeaderWriter *w)
{
    static const struct { uint8_t kind, bit; const char *name; } names[] = {
        { 0, 0, "dirty bit" }, { 0, 1, "corrupt bit" }, { 0, 2, "external data file" },
        { 0, 3, "compression type" }, { 0, 4, "extended L2 entries" }, { 1, 0, "lazy refcounts" },
        { 2, 0, "bitmaps" }, { 2, 1, "raw external data" },
    };
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    uint8_t table[COUNT * FEATURE_ENTRY] = { 0 };

    for (uint32_t i = 0; i < COUNT; i++) {
        table[i * FEATURE_ENTRY] = names[i].kind;
        table[i * FEATURE_ENTRY + 1] = names[i].bit;
        memcpy(table + i * FEATURE_ENTRY + 2, names[i].name, strlen(names[i].name));
    }
    put_extension(w, QCOW2_EXT_FEATURE_NAMES, table, sizeof(table));
}

/* ---- the whole ---- */

static void put_backing_name(HeaderWriter *w, const Qcow2Header *hdr)
{
    uint32_t len = hdr->backing_file ? (uint32_t)strlen(hdr->backing_file) : 0;

    if (len > 0) {
        store_be64(w->buf + 8, w->pos);
        store_be32(w->buf + 16, len);
        put(w, hdr->backing_file, len);
    }
}

/* Into the first `size` bytes of buf; false: it does not fit. */
static bool lay_out(uint8_t *buf, uint32_t size, const Qcow2Header *hdr, bool with_names)
{
    HeaderWriter w = { .buf = buf, .size = size };

    memset(buf, 0, size);
    put_v2_fields(&w, hdr);
    if (hdr->version >= 3) {
        put_v3_fields(&w, hdr);
    }
    put_text(&w, QCOW2_EXT_BACKING_FORMAT, hdr->backing_format);
    if (hdr->incompatible & QCOW2_INCOMPAT_DATA_FILE) {
        put_text(&w, QCOW2_EXT_DATA_FILE, hdr->data_file);
    }
    put_bitmaps(&w, hdr);   /* early: what changes often is in the first sector */
    if (with_names) {
        put_feature_names(&w);
    }
    put(&w, hdr->unknown_extensions, hdr->unknown_extensions_len);
    put_extension(&w, QCOW2_EXT_END, NULL, 0);
    put_backing_name(&w, hdr);
    return !w.full;
}

bool qcow2_lay_out_header(uint8_t *buf, uint32_t size, const Qcow2Header *hdr)
{
    return lay_out(buf, size, hdr, hdr->version >= 3 && size >= MIN_CLUSTER_WITH_NAMES);
}

/* `old` is what is on the disk; it serves as a buffer from then on. */
static int coroutine_fn write_in_steps(BlockDriverState *bs, uint8_t *old, const uint8_t *new,
                                       uint32_t size)
{
    const Qcow2State *s = bdrv_state(bs);
    const uint32_t sector = BDRV_SECTOR_SIZE;
    int ret;

    if (size == sector || memcmp(old + sector, new + sector, size - sector) == 0) {
        return qcow2_update_header(bs, 0, new, sector);
    }
    if (!lay_out(old, sector, &s->hdr, false)) {
        return qcow2_update_header(bs, 0, new, size);   /* very long names: as well as it goes */
    }
    ret = qcow2_update_header(bs, 0, old, sector);
    if (ret == 0) {
        ret = qcow2_update_header(bs, sector, new + sector, size - sector);
    }
    return ret < 0 ? ret : qcow2_update_header(bs, 0, new, sector);
}

int coroutine_fn qcow2_write_header(BlockDriverState *bs, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *old = malloc(s->cluster_size), *new = malloc(s->cluster_size);
    int ret = old && new ? 0 : -ENOMEM;

    if (ret == 0 && !qcow2_lay_out_header(new, s->cluster_size, &s->hdr)) {
        error_setg(errp, "The names in the header are too long: they do not fit into the image's "
                   "first cluster of %u bytes", s->cluster_size);
        free(old);
        free(new);
        return -ENOSPC;
    }
    if (ret == 0) {
        ret = bdrv_pread(bdrv_file(bs), 0, s->cluster_size, old);
    }
    if (ret == 0) {
        ret = write_in_steps(bs, old, new, s->cluster_size);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write the qcow2 header");
    } else {
        s->hdr.header_length = s->hdr.version < 3 ? QCOW2_V2_HDR_LEN
                               : QCOW2_FULL_HDR_LEN + s->hdr.unknown_fields_len;
    }
    free(old);
    free(new);
    return ret;
}

/* ---- another backing file ---- */

static char *copy_name(const char *name)
{
    return name && *name ? strdup(name) : NULL;
}

static void swap_names(Qcow2Header *hdr, char **file, char **format)
{
    char *old_file = hdr->backing_file, *old_format = hdr->backing_format;

    hdr->backing_file = *file;
    hdr->backing_format = *format;
    *file = old_file;
    *format = old_format;
}

int coroutine_fn qcow2_co_change_backing_file(BlockDriverState *bs, const char *filename,
                                              const char *format, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    char *file = copy_name(filename), *kind = copy_name(format);
    int ret = qcow2_prepare_write(bs);

    if (file && strlen(file) > QCOW2_MAX_BACKING_NAME) {
        error_setg(errp, "The name of the backing file is longer than %u bytes",
                   QCOW2_MAX_BACKING_NAME);
        ret = -EINVAL;
    } else if (file && (s->hdr.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW)) {
        error_setg(errp, "A raw external data file and a backing file exclude each other");
        ret = -EINVAL;
    }
    if (ret == 0) {
        qemu_co_mutex_lock(&s->lock);
        swap_names(&s->hdr, &file, &kind);
        ret = qcow2_write_header(bs, errp);
        if (ret < 0) {
            swap_names(&s->hdr, &file, &kind);
        }
        qemu_co_mutex_unlock(&s->lock);
    }
    free(file);
    free(kind);
    return ret;
}
