/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Format "raw": what is in the file is what is on the disk.  Options `offset`
 * and `size` cut a window out of the file; all the rest is handed on as it is.
 */
#include <errno.h>
#include <inttypes.h>

#include "util/options.h"

#include <blkbackend/block-driver.h>
#include <blkbackend/image.h>

#define RAW_UNIT 512

typedef struct BDRVRawState {
    int64_t offset;   /* where the window starts in the file */
    int64_t size;     /* its length; -1: to the end of the file, whatever that is now */
} BDRVRawState;

/* ---- opening ---- */

/* Any content is a raw image, but any other format that recognises it knows better. */
static int raw_probe(const uint8_t *buf, int buf_size, const char *filename)
{
    (void)buf;
    (void)buf_size;
    (void)filename;
    return 1;
}

static int raw_check_window(BDRVRawState *s, int64_t file_length, Error **errp)
{
    if (s->offset % RAW_UNIT) {
        error_setg(errp, "Parameter 'offset' must be a multiple of %d", RAW_UNIT);
        return -EINVAL;
    }
    if (s->size >= 0 && s->size % RAW_UNIT) {
        error_setg(errp, "Parameter 'size' must be a multiple of %d", RAW_UNIT);
        return -EINVAL;
    }
    if (s->offset > file_length) {
        error_setg(errp, "Offset (%" PRId64 ") cannot be greater than size of the containing "
                   "file (%" PRId64 ")", s->offset, file_length);
        return -EINVAL;
    }
    if (s->size > file_length - s->offset) {
        error_setg(errp, "The sum of offset (%" PRId64 ") and size (%" PRId64 ") has to be "
                   "smaller or equal to the actual size of the containing file (%" PRId64 ")",
                   s->offset, s->size, file_length);
        return -EINVAL;
    }
    return 0;
}

static int raw_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    BDRVRawState *s = bdrv_state(bs);
    int64_t length;

    (void)flags;
    s->size = -1;
    if (options_take_size(options, "offset", &s->offset, errp) < 0 ||
        options_take_size(options, "size", &s->size, errp) < 0) {
        return -EINVAL;
    }
    if (s->offset == 0 && s->size < 0) {
        return 0;
    }
    length = bdrv_getlength(bdrv_file(bs));
    if (length < 0) {
        error_setg_errno(errp, (int)-length, "Could not get the size of '%s'",
                         bdrv_filename(bdrv_file(bs)));
        return (int)length;
    }
    return raw_check_window(s, length, errp);
}

/* The file's limits hold here too, but its alignment only if the window starts on it. */
static void raw_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    BDRVRawState *s = bdrv_state(bs);

    (void)errp;
    if (limits->request_alignment && s->offset % limits->request_alignment) {
        limits->request_alignment = RAW_UNIT;
    }
}

/* ---- size ---- */

static int64_t coroutine_fn raw_co_getlength(BlockDriverState *bs)
{
    BDRVRawState *s = bdrv_state(bs);
    int64_t length = bdrv_co_getlength(bdrv_file(bs));

    if (length < 0) {
        return length;
    }
    length = length > s->offset ? length - s->offset : 0;
    return s->size >= 0 && s->size < length ? s->size : length;
}

static int coroutine_fn raw_co_truncate(BlockDriverState *bs, int64_t offset,
                                        PreallocMode prealloc, Error **errp)
{
    BDRVRawState *s = bdrv_state(bs);

    if (s->size >= 0) {
        error_setg(errp, "Cannot resize a raw image of fixed size");
        error_append_hint(errp, "Open it without the option 'size'.\n");
        return -ENOTSUP;
    }
    if (offset > INT64_MAX - s->offset) {
        error_setg(errp, "Disk size too large for the chosen offset");
        return -EINVAL;
    }
    return bdrv_co_truncate(bdrv_file(bs), offset + s->offset, prealloc, errp);
}

/* ---- requests ---- */

/* Offset in the window to offset in the file; what changes the medium must stay in the window. */
static int raw_adjust_offset(BDRVRawState *s, int64_t *offset, int64_t bytes, bool is_change)
{
    if (is_change && s->size >= 0 && (bytes > s->size || *offset > s->size - bytes)) {
        return -ENOSPC;
    }
    if (*offset > INT64_MAX - s->offset - bytes) {
        return -EINVAL;
    }
    *offset += s->offset;
    return 0;
}

static int coroutine_fn raw_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      QEMUIOVector *qiov, int flags)
{
    int ret = raw_adjust_offset(bdrv_state(bs), &offset, bytes, false);

    return ret < 0 ? ret : bdrv_co_preadv(bdrv_file(bs), offset, bytes, qiov, flags);
}

static int coroutine_fn raw_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       QEMUIOVector *qiov, int flags)
{
    int ret = raw_adjust_offset(bdrv_state(bs), &offset, bytes, true);

    return ret < 0 ? ret : bdrv_co_pwritev(bdrv_file(bs), offset, bytes, qiov, flags);
}

static int coroutine_fn raw_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             int flags)
{
    int ret = raw_adjust_offset(bdrv_state(bs), &offset, bytes, true);

    return ret < 0 ? ret : bdrv_co_pwrite_zeroes(bdrv_file(bs), offset, bytes, flags);
}

static int coroutine_fn raw_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    int ret = raw_adjust_offset(bdrv_state(bs), &offset, bytes, true);

    return ret < 0 ? ret : bdrv_co_pdiscard(bdrv_file(bs), offset, bytes);
}

static int coroutine_fn raw_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    BDRVRawState *s = bdrv_state(bs);

    *pnum = bytes;
    *map = offset + s->offset;
    *file = bdrv_file(bs);
    return BDRV_BLOCK_RAW | BDRV_BLOCK_OFFSET_VALID;
}

static int coroutine_fn raw_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        BlockMapping *map)
{
    int ret = raw_adjust_offset(bdrv_state(bs), &offset, bytes, false);

    return ret < 0 ? ret : bdrv_co_map_read(bdrv_file(bs), offset, bytes, map);
}

static int coroutine_fn raw_co_ioctl(BlockDriverState *bs, unsigned long req, void *buf)
{
    BDRVRawState *s = bdrv_state(bs);

    /* A device command addresses the whole device: it would escape the window. */
    if (s->offset || s->size >= 0) {
        return -ENOTSUP;
    }
    return bdrv_co_ioctl(bdrv_file(bs), req, buf);
}

/* ---- properties, asked of the file's driver ---- */

static const BlockDriver *raw_file_driver(BlockDriverState *bs)
{
    const char *name = bdrv_get_format_name(bdrv_file(bs));

    return name ? bdrv_find_format(name) : NULL;
}

static int64_t raw_get_allocated_file_size(BlockDriverState *bs)
{
    const BlockDriver *drv = raw_file_driver(bs);

    if (!drv || !drv->bdrv_get_allocated_file_size) {
        return -ENOTSUP;
    }
    return drv->bdrv_get_allocated_file_size(bdrv_file(bs));
}

static bool raw_has_zero_init(BlockDriverState *bs)
{
    const BlockDriver *drv = raw_file_driver(bs);

    return drv && drv->bdrv_has_zero_init && drv->bdrv_has_zero_init(bdrv_file(bs));
}

static int raw_probe_blocksizes(BlockDriverState *bs, BlockSizes *bsz)
{
    BDRVRawState *s = bdrv_state(bs);
    const BlockDriver *drv = raw_file_driver(bs);
    int ret;

    if (!drv || !drv->bdrv_probe_blocksizes) {
        return -ENOTSUP;
    }
    ret = drv->bdrv_probe_blocksizes(bdrv_file(bs), bsz);
    if (ret == 0 && (s->offset % bsz->log || s->offset % bsz->phys)) {
        return -ENOTSUP;   /* the window's blocks straddle the device's */
    }
    return ret;
}

static int raw_probe_geometry(BlockDriverState *bs, HDGeometry *geo)
{
    BDRVRawState *s = bdrv_state(bs);
    const BlockDriver *drv = raw_file_driver(bs);

    if (s->offset || s->size >= 0 || !drv || !drv->bdrv_probe_geometry) {
        return -ENOTSUP;
    }
    return drv->bdrv_probe_geometry(bdrv_file(bs), geo);
}

static void raw_eject(BlockDriverState *bs, bool eject_flag)
{
    const BlockDriver *drv = raw_file_driver(bs);

    if (drv && drv->bdrv_eject) {
        drv->bdrv_eject(bdrv_file(bs), eject_flag);
    }
}

static void raw_lock_medium(BlockDriverState *bs, bool locked)
{
    const BlockDriver *drv = raw_file_driver(bs);

    if (drv && drv->bdrv_lock_medium) {
        drv->bdrv_lock_medium(bdrv_file(bs), locked);
    }
}

/* ---- new images ---- */

static const BdrvOption raw_create_options[] = {
    { "size", BDRV_OPTION_SIZE, "Virtual disk size", NULL },
    { 0 },
};

static int raw_create(const char *filename, const QDict *options, Error **errp)
{
    const BlockDriver *protocol = bdrv_protocol_of(filename, errp);

    return protocol ? bdrv_create(protocol, filename, options, errp) : -EINVAL;
}

static int raw_measure(const QDict *options, BlockDriverState *from, BlockMeasureInfo *info,
                       Error **errp)
{
    int64_t size = from ? bdrv_getlength(from)
                        : json_integer_value(json_object_get(options, "size"));

    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Unable to get image size");
        return (int)size;
    }
    info->required = size > INT64_MAX - RAW_UNIT ? INT64_MAX : (size + RAW_UNIT - 1) & -RAW_UNIT;
    info->fully_allocated = info->required;
    return 0;
}

static int raw_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)bs;
    (void)flags;
    (void)errp;
    return 0;   /* nothing here depends on the flags */
}

static const char *const raw_content_options[] = { "offset", "size", NULL };

static BlockDriver raw_driver = {
    .format_name = "raw",
    .instance_size = sizeof(BDRVRawState),
    .has_file_child = true,
    .is_passthrough = true,
    .is_filter = true,
    .content_options = raw_content_options,
    .has_variable_length = true,
    .native_fua = true,

    .bdrv_probe = raw_probe,
    .bdrv_open = raw_open,
    .create_options = raw_create_options,
    .bdrv_create = raw_create,
    .bdrv_measure = raw_measure,
    .bdrv_reopen = raw_reopen,
    .bdrv_refresh_limits = raw_refresh_limits,
    .bdrv_co_getlength = raw_co_getlength,
    .bdrv_co_truncate = raw_co_truncate,
    .prealloc_modes = ~0u,
    .bdrv_get_allocated_file_size = raw_get_allocated_file_size,
    .bdrv_has_zero_init = raw_has_zero_init,
    .bdrv_co_preadv = raw_co_preadv,
    .bdrv_co_pwritev = raw_co_pwritev,
    .bdrv_co_pwrite_zeroes = raw_co_pwrite_zeroes,
    .bdrv_co_pdiscard = raw_co_pdiscard,
    .bdrv_co_block_status = raw_co_block_status,
    .bdrv_co_map_read = raw_co_map_read,
    .bdrv_co_ioctl = raw_co_ioctl,
    .bdrv_probe_blocksizes = raw_probe_blocksizes,
    .bdrv_probe_geometry = raw_probe_geometry,
    .bdrv_eject = raw_eject,
    .bdrv_lock_medium = raw_lock_medium,
};

BLOCK_DRIVER(raw_driver)
