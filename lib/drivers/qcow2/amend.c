/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of an image, changed in place.  All of them are checked before the
 * first change; upgrades come first and downgrades last, because some of the rest
 * needs version 3.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

const BdrvOption qcow2_amend_options[] = {
    { "encrypt.state", BDRV_OPTION_STRING,
      "Select new state of affected keyslots (active/inactive)", NULL },
    { "encrypt.keyslot", BDRV_OPTION_NUMBER,
      "Select a single keyslot to modify explicitly", NULL },
    { "encrypt.old-secret", BDRV_OPTION_STRING,
      "Select all keyslots that match this password", NULL },
    { "encrypt.new-secret", BDRV_OPTION_STRING,
      "New secret to set in the matching keyslots. Empty string to erase", NULL },
    { "encrypt.iter-time", BDRV_OPTION_NUMBER, "Time to spend in PBKDF in milliseconds", NULL },
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

/* What the image is to be. */
typedef struct Amendment {
    uint32_t version, refcount_order;
    int64_t size;                       /* 0: as it is */
    const char *data_file;              /* NULL: as it is; "": none is named */
    bool lazy_refcounts, data_file_raw;
    int operations, operation;          /* that take long: their number, the one under way */
    BdrvProgressFunc *progress;
    void *opaque;
} Amendment;

/* ---- the options ---- */

static int refuse(Error **errp, const char *message)
{
    error_setg(errp, "%s", message);
    return -EINVAL;
}

static bool changes(const QDict *options, const char *name, const char *now)
{
    const char *wanted = qdict_get_try_str(options, name);

    return wanted && strcmp(wanted, now ? now : "") != 0;
}

static int check_names(BlockDriverState *bs, const QDict *options, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);
    const char *key;
    json_t *value;

    json_object_foreach((QDict *)options, key, value) {
        if (strncmp(key, "encrypt.", strlen("encrypt.")) == 0) {
            return refuse(errp, "Can't amend encryption options - encryption not present");
        }
    }
    if (changes(options, "backing_file", s->hdr.backing_file) ||
        changes(options, "backing_fmt", s->hdr.backing_format)) {
        refuse(errp, "Cannot amend the backing file");
        error_append_hint(errp, "You can use 'qemu-img rebase' instead.\n");
        return -EINVAL;
    }
    if (qdict_haskey(options, "data_file") && !s->external) {
        return refuse(errp, "data-file can only be set for images that use an external data "
                      "file");
    }
    return 0;
}

static int parse_width(const QDict *options, Amendment *a, Error **errp)
{
    const QObject *option = json_object_get(options, "refcount_bits");
    int64_t bits = option ? json_integer_value(option) : 1 << a->refcount_order;

    if (bits < 1 || bits > 64 || (bits & (bits - 1))) {
        return refuse(errp, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    a->refcount_order = (uint32_t)__builtin_ctzll((uint64_t)bits);
    return 0;
}

static void parse_switch(const QDict *options, const char *name, bool *value)
{
    const QObject *option = json_object_get(options, name);

    *value = option ? json_is_true(option) : *value;
}

static int parse(BlockDriverState *bs, const QDict *options, Amendment *a, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);
    const char *compat = qdict_get_try_str(options, "compat");
    bool was_raw = s->hdr.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW;

    a->version = s->hdr.version;
    a->refcount_order = s->hdr.refcount_order;
    a->lazy_refcounts = s->hdr.compatible & QCOW2_COMPAT_LAZY_REFCOUNTS;
    a->data_file_raw = was_raw;
    a->size = json_integer_value(json_object_get(options, "size"));
    a->data_file = qdict_get_try_str(options, "data_file");
    parse_switch(options, "lazy_refcounts", &a->lazy_refcounts);
    parse_switch(options, "data_file_raw", &a->data_file_raw);
    if (compat && qcow2_parse_compat(compat, &a->version, NULL) < 0) {
        error_setg(errp, "Unknown compatibility level %s", compat);
        return -EINVAL;
    }
    if (a->data_file_raw && !was_raw) {
        return refuse(errp, "data-file-raw cannot be set on existing images");
    }
    return parse_width(options, a, errp);
}

static int check_combination(BlockDriverState *bs, const QDict *options, const Amendment *a,
                             Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);

    if (a->version < 3 && a->refcount_order != s->hdr.refcount_order && a->refcount_order != 4) {
        return refuse(errp, "Refcount widths other than 16 bits require compatibility level 1.1 "
                      "or above (use compat=1.1 or greater)");
    }
    if (a->version < 3 && a->lazy_refcounts && qdict_haskey(options, "lazy_refcounts")) {
        return refuse(errp, "Lazy refcounts only supported with compatibility level 1.1 and "
                      "above (use compat=1.1 or greater)");
    }
    if (a->size % (int64_t)BDRV_SECTOR_SIZE) {
        return refuse(errp, "The new size must be a multiple of 512");
    }
    return a->version < s->hdr.version ? qcow2_check_downgrade(bs, a->refcount_order, errp) : 0;
}

/* ---- the changes ---- */

/* Of one operation to of all of them. */
static void report(void *opaque, int64_t done, int64_t total)
{
    const Amendment *a = opaque;

    total = total > 0 ? total : 1;
    a->progress(a->opaque, a->operation * total + done, a->operations * total);
}

static void end_operation(Amendment *a)
{
    report(a, 1, 1);
    a->operation++;
}

static void swap_data_file(Qcow2Header *hdr, char **name)
{
    char *old = hdr->data_file;

    hdr->data_file = *name;
    *name = old;
}

static int coroutine_fn change_header(BlockDriverState *bs, const Amendment *a, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint64_t compatible = s->hdr.compatible, autoclear = s->hdr.autoclear;
    char *name = a->data_file && *a->data_file ? strdup(a->data_file) : NULL;
    int ret;

    qemu_co_mutex_lock(&s->lock);
    if (a->data_file) {
        swap_data_file(&s->hdr, &name);
    }
    if (!a->data_file_raw) {
        s->hdr.autoclear &= ~QCOW2_AUTOCLEAR_DATA_FILE_RAW;
    }
    if (s->hdr.version >= 3) {
        s->hdr.compatible &= ~QCOW2_COMPAT_LAZY_REFCOUNTS;
        s->hdr.compatible |= a->lazy_refcounts ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0;
    }
    ret = qcow2_write_header(bs, errp);
    if (ret < 0) {
        s->hdr.compatible = compatible;
        s->hdr.autoclear = autoclear;
        if (a->data_file) {
            swap_data_file(&s->hdr, &name);
        }
    }
    qemu_co_mutex_unlock(&s->lock);
    free(name);
    return ret;
}

static int coroutine_fn change_all(BlockDriverState *bs, Amendment *a, Error **errp)
{
    Qcow2State *s = bdrv_state(bs);
    uint32_t old_version = s->hdr.version;
    int ret = 0;

    if (a->version > old_version) {
        ret = qcow2_upgrade(bs, report, a, errp);
        end_operation(a);
    }
    if (ret == 0 && a->refcount_order != s->hdr.refcount_order) {
        ret = qcow2_change_refcount_width(bs, a->refcount_order, report, a, errp);
        end_operation(a);
    }
    if (ret == 0) {
        ret = change_header(bs, a, errp);
    }
    if (ret == 0 && a->size > 0 && (uint64_t)a->size != s->hdr.size) {
        ret = bdrv_co_truncate(bs, a->size, PREALLOC_MODE_OFF, errp);
    }
    if (ret == 0 && a->version < old_version) {
        ret = qcow2_downgrade(bs, report, a, errp);
        end_operation(a);
    }
    return ret;
}

int coroutine_fn qcow2_co_amend(BlockDriverState *bs, const QDict *options, bool force,
                                BdrvProgressFunc *progress, void *opaque, Error **errp)
{
    const Qcow2State *s = bdrv_state(bs);
    Amendment a = { .progress = progress, .opaque = opaque };
    int ret = parse(bs, options, &a, errp);

    (void)force;   /* nothing that an option can do loses data */
    if (ret == 0) {
        ret = check_names(bs, options, errp);
    }
    if (ret == 0) {
        ret = check_combination(bs, options, &a, errp);
    }
    if (ret == 0) {
        ret = qcow2_prepare_write(bs);
    }
    a.operations = (a.version != s->hdr.version) + (a.refcount_order != s->hdr.refcount_order);
    return ret < 0 ? ret : change_all(bs, &a, errp);
}
