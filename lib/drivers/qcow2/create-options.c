/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of a new image: what there is, and which of them go together. */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <string.h>

#include <blkbackend/block-backend.h>

const BdrvOption qcow2_create_options[] = {
    { "encryption", BDRV_OPTION_BOOL,
      "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)", NULL },
    { "encrypt.format", BDRV_OPTION_STRING,
      "Encrypt the image, format choices: 'aes', 'luks'", NULL },
    { "encrypt.key-secret", BDRV_OPTION_STRING,
      "ID of secret providing qcow AES key or LUKS passphrase", NULL },
    { "encrypt.cipher-alg", BDRV_OPTION_STRING, "Name of encryption cipher algorithm", NULL },
    { "encrypt.cipher-mode", BDRV_OPTION_STRING, "Name of encryption cipher mode", NULL },
    { "encrypt.ivgen-alg", BDRV_OPTION_STRING, "Name of IV generator algorithm", NULL },
    { "encrypt.ivgen-hash-alg", BDRV_OPTION_STRING, "Name of IV generator hash algorithm", NULL },
    { "encrypt.hash-alg", BDRV_OPTION_STRING, "Name of encryption hash algorithm", NULL },
    { "encrypt.iter-time", BDRV_OPTION_NUMBER, "Time to spend in PBKDF in milliseconds", NULL },
    { "cluster_size", BDRV_OPTION_SIZE, "qcow2 cluster size", "65536" },
    { "extended_l2", BDRV_OPTION_BOOL, "Extended L2 tables", "off" },
    { "preallocation", BDRV_OPTION_STRING,
      "Preallocation mode (allowed values: off, metadata, falloc, full)", NULL },
    { "compression_type", BDRV_OPTION_STRING,
      "Compression method used for image cluster compression", "zlib" },
    { "size", BDRV_OPTION_SIZE, "Virtual disk size", NULL },
    { "compat", BDRV_OPTION_STRING, "Compatibility level (v2 [0.10] or v3 [1.1])", NULL },
    { "backing_file", BDRV_OPTION_STRING, "File name of a base image", NULL },
    { "backing_fmt", BDRV_OPTION_STRING, "Image format of the base image", NULL },
    { "data_file", BDRV_OPTION_STRING, "File name of an external data file", NULL },
    { "data_file_raw", BDRV_OPTION_BOOL,
      "The external data file must stay valid as a raw image", NULL },
    { "lazy_refcounts", BDRV_OPTION_BOOL, "Postpone refcount updates", "off" },
    { "refcount_bits", BDRV_OPTION_NUMBER, "Width of a reference count entry in bits", "16" },
    { 0 },
};

#define NEEDS_V3 "compatibility level 1.1 and above (use version=v3 or greater)"

static bool is_on(const QDict *options, const char *name)
{
    return json_is_true(json_object_get(options, name));
}

static int64_t number(const QDict *options, const char *name, int64_t def)
{
    const QObject *value = json_object_get(options, name);

    return value ? json_integer_value(value) : def;
}

/* ---- words ---- */

static int refuse_word(Error **errp, const char *name, const char *word)
{
    error_setg(errp, "Parameter '%s' does not accept value '%s'", name, word);
    return -EINVAL;
}

int qcow2_parse_compat(const char *word, uint32_t *version, Error **errp)
{
    if (strcmp(word, "0.10") == 0 || strcmp(word, "v2") == 0) {
        *version = 2;
    } else if (strcmp(word, "1.1") == 0 || strcmp(word, "v3") == 0) {
        *version = 3;
    } else {
        return refuse_word(errp, "version", word);
    }
    return 0;
}

static int parse_compression(const char *word, uint32_t *compression, Error **errp)
{
    if (strcmp(word, "zlib") == 0) {
        *compression = QCOW2_COMPRESSION_ZLIB;
    } else if (strcmp(word, "zstd") == 0 && qcow2_can_compress(QCOW2_COMPRESSION_ZSTD)) {
        *compression = QCOW2_COMPRESSION_ZSTD;
    } else {
        return refuse_word(errp, "compression-type", word);
    }
    return 0;
}

static int parse_words(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                       Error **errp)
{
    const char *compat = qdict_get_try_str(options, "compat");
    const char *format = qdict_get_try_str(options, "backing_fmt");
    const char *mode = qdict_get_try_str(options, "preallocation");
    const char *compression = qdict_get_try_str(options, "compression_type");
    int ret = compat ? qcow2_parse_compat(compat, &hdr->version, errp) : 0;

    if (ret == 0 && format && !bdrv_find_format(format)) {
        ret = refuse_word(errp, "backing-fmt", format);
    }
    if (ret == 0 && mode && prealloc_mode_parse(mode, prealloc) < 0) {
        ret = refuse_word(errp, "preallocation", mode);
    }
    return ret == 0 && compression ? parse_compression(compression, &hdr->compression, errp) : ret;
}

static int refuse_encryption(const QDict *options, Error **errp)
{
    const char *key;
    json_t *value;

    json_object_foreach((QDict *)options, key, value) {
        if (strncmp(key, "encrypt.", strlen("encrypt.")) == 0 ||
            (strcmp(key, "encryption") == 0 && json_is_true(value))) {
            error_setg(errp, "Encrypted qcow2 images are not supported (option '%s')", key);
            return -ENOTSUP;
        }
    }
    return 0;
}

/* ---- numbers and combinations ---- */

static int parse_refcount_bits(const QDict *options, Qcow2Header *hdr, const char *remedy,
                               Error **errp)
{
    int64_t bits = number(options, "refcount_bits", 16);

    if (bits < 1 || bits > 64 || (bits & (bits - 1))) {
        error_setg(errp, "Refcount width must be a power of two and may not exceed 64 bits");
        return -EINVAL;
    }
    hdr->refcount_order = (uint32_t)__builtin_ctzll((uint64_t)bits);
    if (hdr->version < 3 && bits != 16) {
        error_setg(errp, "Different refcount widths than 16 bits require compatibility level 1.1 "
                   "or above (use %s or greater)", remedy);
        return -EINVAL;
    }
    return 0;
}

static int parse_clusters(const QDict *options, Qcow2Header *hdr, Error **errp)
{
    int64_t size = number(options, "cluster_size", 65536);
    bool extended = is_on(options, "extended_l2");

    if (extended && hdr->version < 3) {
        error_setg(errp, "Extended L2 entries are only supported with " NEEDS_V3);
        return -EINVAL;
    }
    if (size < 1 << QCOW2_MIN_CLUSTER_BITS || size > 1 << QCOW2_MAX_CLUSTER_BITS ||
        (size & (size - 1))) {
        error_setg(errp, "Cluster size must be a power of two between %d and %dk",
                   1 << QCOW2_MIN_CLUSTER_BITS, 1 << (QCOW2_MAX_CLUSTER_BITS - 10));
        return -EINVAL;
    }
    if (extended && size < 16384) {
        error_setg(errp, "Extended L2 entries are only supported with cluster sizes of at least "
                   "16384 bytes");
        return -EINVAL;
    }
    hdr->cluster_bits = (uint32_t)__builtin_ctzll((uint64_t)size);
    hdr->incompatible |= extended ? QCOW2_INCOMPAT_EXTL2 : 0;
    return 0;
}

static int parse_backing(const QDict *options, Qcow2Header *hdr, PreallocMode prealloc,
                         Error **errp)
{
    hdr->backing_file = (char *)qdict_get_try_str(options, "backing_file");
    hdr->backing_format = (char *)qdict_get_try_str(options, "backing_fmt");
    if (hdr->backing_file && prealloc != PREALLOC_MODE_OFF && !is_on(options, "extended_l2")) {
        error_setg(errp, "Backing file and preallocation can only be used at the same time if "
                   "extended_l2 is on");
        return -EINVAL;
    }
    if (hdr->backing_format && !hdr->backing_file) {
        error_setg(errp, "Backing format cannot be used without backing file");
        return -EINVAL;
    }
    if (hdr->backing_file && strlen(hdr->backing_file) > QCOW2_MAX_BACKING_NAME) {
        error_setg(errp, "The name of the backing file is longer than %u bytes",
                   QCOW2_MAX_BACKING_NAME);
        return -EINVAL;
    }
    return 0;
}

static int parse_lazy_refcounts(const QDict *options, Qcow2Header *hdr, Error **errp)
{
    if (!is_on(options, "lazy_refcounts")) {
        return 0;
    }
    if (hdr->version < 3) {
        error_setg(errp, "Lazy refcounts only supported with " NEEDS_V3);
        return -EINVAL;
    }
    hdr->compatible |= QCOW2_COMPAT_LAZY_REFCOUNTS;
    return 0;
}

static int parse_data_file(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                           Error **errp)
{
    bool raw = is_on(options, "data_file_raw");

    hdr->data_file = (char *)qdict_get_try_str(options, "data_file");
    if (raw && !hdr->data_file) {
        error_setg(errp, "data-file-raw requires data-file");
    } else if (raw && hdr->backing_file) {
        error_setg(errp, "Backing file and data-file-raw cannot be used at the same time");
    } else if (hdr->data_file && hdr->version < 3) {
        error_setg(errp, "External data files are only supported with " NEEDS_V3);
    } else {
        hdr->incompatible |= hdr->data_file ? QCOW2_INCOMPAT_DATA_FILE : 0;
        hdr->autoclear |= raw ? QCOW2_AUTOCLEAR_DATA_FILE_RAW : 0;
        if (raw && *prealloc == PREALLOC_MODE_OFF) {
            /* Whoever reads through the tables must see what the raw file holds. */
            *prealloc = PREALLOC_MODE_METADATA;
        }
        return 0;
    }
    return -EINVAL;
}

static int check_compression(Qcow2Header *hdr, Error **errp)
{
    if (hdr->compression == QCOW2_COMPRESSION_ZLIB) {
        return 0;
    }
    if (hdr->version < 3) {
        error_setg(errp, "Non-zlib compression type is only supported with " NEEDS_V3);
        return -EINVAL;
    }
    hdr->incompatible |= QCOW2_INCOMPAT_COMPRESSION;
    return 0;
}

/* ---- the whole ---- */

static int parse_combinations(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                              Error **errp)
{
    int ret = parse_clusters(options, hdr, errp);

    if (ret == 0) {
        ret = parse_backing(options, hdr, *prealloc, errp);
    }
    if (ret == 0) {
        ret = parse_lazy_refcounts(options, hdr, errp);
    }
    if (ret == 0) {
        ret = parse_refcount_bits(options, hdr, "version=v3", errp);
    }
    if (ret == 0) {
        ret = parse_data_file(options, hdr, prealloc, errp);
    }
    return ret < 0 ? ret : check_compression(hdr, errp);
}

int qcow2_parse_create_options(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                               Error **errp)
{
    int64_t size = number(options, "size", 0);
    int ret;

    *hdr = (Qcow2Header){ .version = 3 };
    *prealloc = PREALLOC_MODE_OFF;
    ret = parse_words(options, hdr, prealloc, errp);
    if (ret == 0) {
        ret = refuse_encryption(options, errp);
    }
    if (ret == 0 && size > INT64_MAX - (int64_t)BDRV_SECTOR_SIZE) {
        ret = -EFBIG;
    }
    hdr->size = ((uint64_t)size + BDRV_SECTOR_SIZE - 1) & BDRV_SECTOR_MASK;
    return ret < 0 ? ret : parse_combinations(options, hdr, prealloc, errp);
}

int qcow2_parse_measure_options(const QDict *options, Qcow2Header *hdr, PreallocMode *prealloc,
                                Error **errp)
{
    const char *compat = qdict_get_try_str(options, "compat");
    const char *mode = qdict_get_try_str(options, "preallocation");
    int ret;

    *hdr = (Qcow2Header){ .version = 3, .size = (uint64_t)number(options, "size", 0) };
    *prealloc = PREALLOC_MODE_OFF;
    ret = parse_clusters(options, hdr, errp);
    if (ret == 0 && compat && qcow2_parse_compat(compat, &hdr->version, NULL) < 0) {
        error_setg(errp, "Invalid compatibility level: '%s'", compat);
        ret = -EINVAL;
    }
    if (ret == 0) {
        ret = parse_refcount_bits(options, hdr, "compat=1.1", errp);
    }
    if (ret == 0 && mode && prealloc_mode_parse(mode, prealloc) < 0) {
        error_setg(errp, "invalid parameter value: %s", mode);
        ret = -EINVAL;
    }
    return ret < 0 ? ret : refuse_encryption(options, errp);
}
