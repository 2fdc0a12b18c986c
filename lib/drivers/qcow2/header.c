/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The header: read, checked field by field before anything is believed, and
 * changed in place.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#include "byte-order.h"

#define FEATURE_ENTRY 48                /* bytes: kind, bit, name */
#define FEATURE_NAME 46
#define HEADER_LEN_COMPRESSION 105u     /* a header so long has the field */

/* What the first cluster holds, while it is being read. */
typedef struct HeaderReader {
    BlockDriverState *bs;
    Qcow2Header *hdr;
    uint8_t *buf;
    uint32_t size;
    const uint8_t *features;            /* the feature name table, NULL: none */
    uint32_t features_len;
    Error **errp;
} HeaderReader;

/* ---- fixed fields ---- */

static void decode_v2(Qcow2Header *hdr, const uint8_t *buf)
{
    hdr->version = load_be32(buf + 4);
    hdr->cluster_bits = load_be32(buf + 20);
    hdr->size = load_be64(buf + QCOW2_HDR_SIZE);
    hdr->l1_size = load_be32(buf + QCOW2_HDR_L1);
    hdr->l1_offset = load_be64(buf + QCOW2_HDR_L1 + 4);
    hdr->reftable_offset = load_be64(buf + QCOW2_HDR_REFTABLE);
    hdr->reftable_clusters = load_be32(buf + QCOW2_HDR_REFTABLE + 8);
    hdr->nb_snapshots = load_be32(buf + QCOW2_HDR_SNAPSHOTS);
    hdr->snapshots_offset = load_be64(buf + QCOW2_HDR_SNAPSHOTS + 4);
    hdr->refcount_order = 4;
    hdr->header_length = QCOW2_V2_HDR_LEN;
}

static void decode_v3(Qcow2Header *hdr, const uint8_t *buf)
{
    hdr->incompatible = load_be64(buf + QCOW2_HDR_INCOMPAT);
    hdr->compatible = load_be64(buf + QCOW2_HDR_COMPAT);
    hdr->autoclear = load_be64(buf + QCOW2_HDR_AUTOCLEAR);
    hdr->refcount_order = load_be32(buf + 96);
    hdr->header_length = load_be32(buf + 100);
    if (hdr->header_length >= HEADER_LEN_COMPRESSION) {
        hdr->compression = buf[104];
    }
}

static int check_basics(const Qcow2Header *hdr, const uint8_t *buf, Error **errp)
{
    if (load_be32(buf) != QCOW2_MAGIC) {
        error_setg(errp, "Image is not in qcow2 format");
    } else if (hdr->version < 2 || hdr->version > 3) {
        error_setg(errp, "Unsupported qcow2 version %" PRIu32, hdr->version);
    } else if (hdr->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
               hdr->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        error_setg(errp, "Unsupported cluster size: 2^%" PRIu32, hdr->cluster_bits);
    } else if (load_be32(buf + 32) == 1) {
        error_setg(errp, "AES-encrypted qcow2 images are not supported");
    } else if (load_be32(buf + 32) == 2) {
        error_setg(errp, "LUKS-encrypted qcow2 images are not supported");
    } else if (load_be32(buf + 32) != 0) {
        error_setg(errp, "Unsupported encryption method %" PRIu32, load_be32(buf + 32));
    } else {
        return 0;
    }
    return -EINVAL;
}

/* ---- extensions ---- */

static char *copy_text(const uint8_t *text, uint32_t len)
{
    char *copy = malloc((size_t)len + 1);

    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

static int take_text(HeaderReader *r, char **text, const uint8_t *data, uint32_t len)
{
    if (len == 0 || len > QCOW2_MAX_BACKING_NAME || memchr(data, '\0', len)) {
        error_setg(r->errp, "A name in the header is empty, too long or holds a zero byte");
        return -EINVAL;
    }
    free(*text);
    *text = copy_text(data, len);
    return *text ? 0 : -ENOMEM;
}

static int take_bitmaps(HeaderReader *r, const uint8_t *data, uint32_t len)
{
    if (len != QCOW2_EXT_BITMAPS_LEN) {
        error_setg(r->errp, "The header's bitmaps extension is %" PRIu32 " bytes long, not %u",
                   len, QCOW2_EXT_BITMAPS_LEN);
        return -EINVAL;
    }
    r->hdr->nb_bitmaps = load_be32(data);
    r->hdr->bitmap_directory_bytes = load_be64(data + 8);
    r->hdr->bitmap_directory_offset = load_be64(data + 16);
    return 0;
}

/* The extension with what precedes and pads it goes behind the others. */
static int keep_extension(HeaderReader *r, const uint8_t *data, uint32_t len)
{
    Qcow2Header *hdr = r->hdr;
    uint32_t used = hdr->unknown_extensions_len, padded = (len + 7) & ~7u;
    uint8_t *larger = realloc(hdr->unknown_extensions, (size_t)used + 8 + padded);

    if (!larger) {
        return -ENOMEM;
    }
    memset(larger + used, 0, (size_t)8 + padded);
    memcpy(larger + used, data - 8, (size_t)8 + len);
    hdr->unknown_extensions = larger;
    hdr->unknown_extensions_len = used + 8 + padded;
    return 0;
}

static int take_extension(HeaderReader *r, uint32_t type, const uint8_t *data, uint32_t len)
{
    switch (type) {
    case QCOW2_EXT_BACKING_FORMAT:
        return len == 0 ? 0 : take_text(r, &r->hdr->backing_format, data, len);
    case QCOW2_EXT_DATA_FILE:
        return take_text(r, &r->hdr->data_file, data, len);
    case QCOW2_EXT_FEATURE_NAMES:
        r->features = data;
        r->features_len = len;
        return 0;
    case QCOW2_EXT_BITMAPS:
        return take_bitmaps(r, data, len);
    default:
        return keep_extension(r, data, len);
    }
}

/* From the end of the fixed fields to the backing file's name or the end of the cluster. */
static int read_extensions(HeaderReader *r, uint32_t end)
{
    uint32_t pos = r->hdr->header_length;
    int ret = 0;

    while (ret == 0 && pos < end && end - pos >= 8) {
        uint32_t type = load_be32(r->buf + pos), len = load_be32(r->buf + pos + 4);

        if (type == QCOW2_EXT_END) {
            break;
        }
        pos += 8;
        if (len > end - pos) {
            error_setg(r->errp, "Header extension too large");
            return -EINVAL;
        }
        ret = take_extension(r, type, r->buf + pos, len);
        pos += len > UINT32_MAX - 7 ? len : (len + 7) & ~7u;
    }
    return ret;
}

static int read_backing_name(HeaderReader *r, uint32_t *extensions_end)
{
    uint64_t offset = load_be64(r->buf + 8);
    uint32_t len = load_be32(r->buf + 16);

    *extensions_end = r->size;
    if (offset == 0) {
        return 0;
    }
    if (offset > r->size || offset < r->hdr->header_length) {
        error_setg(r->errp, "Invalid backing file offset");
        return -EINVAL;
    }
    *extensions_end = offset;
    if (len == 0) {
        return 0;
    }
    if (len > QCOW2_MAX_BACKING_NAME || len > r->size - offset) {
        error_setg(r->errp, "Backing file name too long");
        return -EINVAL;
    }
    return take_text(r, &r->hdr->backing_file, r->buf + offset, len);
}

/* ---- features ---- */

static void name_feature(const HeaderReader *r, unsigned bit, char *name, size_t size)
{
    for (uint32_t pos = 0; r->features_len - pos >= FEATURE_ENTRY; pos += FEATURE_ENTRY) {
        const uint8_t *entry = r->features + pos;

        if (entry[0] == 0 && entry[1] == bit && entry[2] != '\0') {
            snprintf(name, size, "%.*s", FEATURE_NAME, (const char *)entry + 2);
            for (char *c = name; *c; c++) {
                if (*c < ' ' || *c > '~') {
                    *c = '?';
                }
            }
            return;
        }
    }
    snprintf(name, size, "Unknown incompatible feature: %" PRIx64, UINT64_C(1) << bit);
}

static int check_features(const HeaderReader *r)
{
    uint64_t unknown = r->hdr->incompatible & ~QCOW2_INCOMPAT_KNOWN;
    char list[512] = "", name[80];
    size_t used = 0;

    if (!unknown) {
        return 0;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        if (unknown & (UINT64_C(1) << bit)) {
            name_feature(r, bit, name, sizeof(name));
            if (used + strlen(name) + 3 < sizeof(list)) {
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                         used ? ", " : "", name);
            }
        }
    }
    error_setg(r->errp, "Unsupported qcow2 feature(s): %s", list);
    return -ENOTSUP;
}

static int check_compression(const Qcow2Header *hdr, Error **errp)
{
    if ((hdr->incompatible & QCOW2_INCOMPAT_COMPRESSION) ? hdr->compression == 0
                                                         : hdr->compression != 0) {
        error_setg(errp, "The compression type and its incompatible feature bit disagree");
        return -EINVAL;
    }
    if (!qcow2_can_compress(hdr->compression)) {
        error_setg(errp, "Unsupported compression type %" PRIu32, hdr->compression);
        return -ENOTSUP;
    }
    return 0;
}

/* ---- places of tables ---- */

static bool table_fits(const Qcow2Header *hdr, uint64_t offset, uint64_t bytes)
{
    return offset % (UINT64_C(1) << hdr->cluster_bits) == 0 && offset <= INT64_MAX - bytes;
}

/* for_check: without what a check itself finds, and mends. */
static int check_tables(const Qcow2Header *hdr, bool for_check, Error **errp)
{
    uint64_t reftable_bytes = (uint64_t)hdr->reftable_clusters << hdr->cluster_bits;

    if (hdr->refcount_order > 6) {
        error_setg(errp, "Reference count entry width too large; may not exceed 64 bits");
    } else if ((hdr->incompatible & QCOW2_INCOMPAT_EXTL2) && hdr->cluster_bits < 14) {
        error_setg(errp, "Extended L2 entries are only supported with cluster sizes of at least "
                   "16384 bytes");
    } else if (hdr->reftable_clusters == 0 && !for_check) {
        error_setg(errp, "Image does not contain a reference count table");
    } else if (reftable_bytes > QCOW2_MAX_REFTABLE_BYTES) {
        error_setg(errp, "Reference count table too large");
    } else if (!table_fits(hdr, hdr->reftable_offset, reftable_bytes)) {
        error_setg(errp, "Reference count table offset invalid");
    } else if (hdr->l1_size > QCOW2_MAX_L1_BYTES / sizeof(uint64_t)) {
        error_setg(errp, "Active L1 table too large");
    } else if (!table_fits(hdr, hdr->l1_offset, hdr->l1_size * sizeof(uint64_t))) {
        error_setg(errp, "Active L1 table offset invalid");
    } else if (hdr->nb_snapshots > QCOW2_MAX_SNAPSHOTS && !for_check) {
        error_setg(errp, "Snapshot table too large");
    } else if (hdr->nb_snapshots && !table_fits(hdr, hdr->snapshots_offset, 0) && !for_check) {
        error_setg(errp, "Snapshot table offset invalid");
    } else if (hdr->size > INT64_MAX - (UINT64_C(1) << 30)) {
        error_setg(errp, "Image is too big");
    } else {
        return 0;
    }
    return -EINVAL;
}

static int check_data_file(const Qcow2Header *hdr, Error **errp)
{
    bool external = hdr->incompatible & QCOW2_INCOMPAT_DATA_FILE;

    if (!external && (hdr->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW)) {
        error_setg(errp, "data-file-raw requires an external data file");
        return -EINVAL;
    }
    if ((hdr->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) && hdr->backing_file) {
        error_setg(errp, "A raw external data file and a backing file exclude each other");
        return -EINVAL;
    }
    return 0;
}

/* ---- the whole ---- */

static int keep_unknown_fields(HeaderReader *r)
{
    Qcow2Header *hdr = r->hdr;
    uint32_t len = hdr->header_length > QCOW2_FULL_HDR_LEN
                   ? hdr->header_length - QCOW2_FULL_HDR_LEN : 0;

    if (len > 0) {
        hdr->unknown_fields = malloc(len);
        if (!hdr->unknown_fields) {
            return -ENOMEM;
        }
        memcpy(hdr->unknown_fields, r->buf + QCOW2_FULL_HDR_LEN, len);
        hdr->unknown_fields_len = len;
    }
    return 0;
}

static int read_first_cluster(HeaderReader *r)
{
    uint32_t end;
    int ret = bdrv_pread(bdrv_file(r->bs), 0, r->size, r->buf);

    if (ret < 0) {
        error_setg_errno(r->errp, -ret, "Could not read the qcow2 header");
        return ret;
    }
    ret = keep_unknown_fields(r);
    if (ret == 0) {
        ret = read_backing_name(r, &end);
    }
    if (ret == 0) {
        ret = read_extensions(r, end);
    }
    if (ret == 0) {
        ret = check_features(r);
    }
    if (ret == 0) {
        ret = check_compression(r->hdr, r->errp);
    }
    if (ret == 0) {
        ret = check_tables(r->hdr, bdrv_get_flags(r->bs) & BDRV_O_CHECK, r->errp);
    }
    return ret < 0 ? ret : check_data_file(r->hdr, r->errp);
}

static int read_fixed_fields(BlockDriverState *bs, Qcow2Header *hdr, Error **errp)
{
    uint8_t buf[512];
    int ret = bdrv_pread(bdrv_file(bs), 0, sizeof(buf), buf);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read the qcow2 header");
        return ret;
    }
    decode_v2(hdr, buf);
    ret = check_basics(hdr, buf, errp);
    if (ret < 0 || hdr->version == 2) {
        return ret;
    }
    decode_v3(hdr, buf);
    if (hdr->header_length < QCOW2_V3_HDR_LEN ||
        hdr->header_length > UINT32_C(1) << hdr->cluster_bits || hdr->header_length % 8) {
        error_setg(errp, "qcow2 header length %" PRIu32 " is invalid", hdr->header_length);
        return -EINVAL;
    }
    return 0;
}

int qcow2_read_header(BlockDriverState *bs, Qcow2Header *hdr, Error **errp)
{
    HeaderReader reader = { .bs = bs, .hdr = hdr, .errp = errp };
    int ret;

    memset(hdr, 0, sizeof(*hdr));
    ret = read_fixed_fields(bs, hdr, errp);
    if (ret < 0) {
        return ret;
    }
    reader.size = UINT32_C(1) << hdr->cluster_bits;
    reader.buf = malloc(reader.size);
    ret = reader.buf ? read_first_cluster(&reader) : -ENOMEM;
    free(reader.buf);
    return ret;
}

void qcow2_free_header(Qcow2Header *hdr)
{
    free(hdr->backing_file);
    free(hdr->backing_format);
    free(hdr->data_file);
    free(hdr->unknown_fields);
    free(hdr->unknown_extensions);
    hdr->backing_file = hdr->backing_format = hdr->data_file = NULL;
    hdr->unknown_fields = hdr->unknown_extensions = NULL;
}

/* ---- changes ---- */

int qcow2_update_header(BlockDriverState *bs, uint32_t offset, const void *buf, uint32_t bytes)
{
    return bdrv_pwrite_sync(bdrv_file(bs), offset, bytes, buf);
}

int qcow2_set_incompatible(BlockDriverState *bs, uint64_t bits)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t field[8];
    int ret;

    if (s->hdr.version < 3 || (s->hdr.incompatible & bits) == bits) {
        return 0;
    }
    store_be64(field, s->hdr.incompatible | bits);
    ret = qcow2_update_header(bs, QCOW2_HDR_INCOMPAT, field, sizeof(field));
    if (ret == 0) {
        s->hdr.incompatible |= bits;
    }
    return ret;
}

int qcow2_clear_incompatible(BlockDriverState *bs, uint64_t bits)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t field[8];
    int ret;

    if (s->hdr.version < 3 || !(s->hdr.incompatible & bits)) {
        return 0;
    }
    store_be64(field, s->hdr.incompatible & ~bits);
    ret = qcow2_update_header(bs, QCOW2_HDR_INCOMPAT, field, sizeof(field));
    if (ret == 0) {
        s->hdr.incompatible &= ~bits;
    }
    return ret;
}

int qcow2_clear_autoclear(BlockDriverState *bs, uint64_t keep)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t field[8];
    int ret;

    if (s->hdr.version < 3 || !(s->hdr.autoclear & ~keep)) {
        return 0;
    }
    store_be64(field, s->hdr.autoclear & keep);
    ret = qcow2_update_header(bs, QCOW2_HDR_AUTOCLEAR, field, sizeof(field));
    if (ret == 0) {
        s->hdr.autoclear &= keep;
    }
    return ret;
}
