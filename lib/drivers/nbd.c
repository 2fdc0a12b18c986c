/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protocol "nbd": an export of an NBD server as a disk of ours.
 *
 * Lengths are rounded up to whole sectors above us, the server's need not be: what lies between
 * its end and ours reads as zeroes, and only zeroes are written there.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "drivers/create-in-place.h"
#include "drivers/nbd.h"

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#define MAX_TRANSFER (INT64_C(32) << 20)   /* what every server takes (proto.md, "Block sizes") */
#define MAX_NO_DATA (INT64_C(1) << 30)     /* of zeroing, trimming, status: lengths have 32 bits */

/* ---- opening ---- */

static int check_export(BlockDriverState *bs, const FarInfo *info, int flags, Error **errp)
{
    BDRVNbdState *s = bdrv_state(bs);

    if (info->size < 0) {
        error_setg(errp, "NBD export '%s' is larger than 2^63 bytes", s->set.name);
        return -EFBIG;
    }
    if (!(flags & BDRV_O_RDWR) || !info->read_only) {
        return 0;
    }
    if (flags & BDRV_O_AUTO_RDONLY) {
        bdrv_set_read_only(bs);
        return 0;
    }
    error_setg(errp, "NBD export '%s' is read-only", s->set.name);
    error_append_hint(errp, "Open it read-only, or make its server offer it writable.\n");
    return -EACCES;
}

static int nbd_drv_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    BDRVNbdState *s = bdrv_state(bs);
    struct nbd_handle *first = NULL;
    FarInfo info;
    int ret = far_take_options(&s->set, options, errp);

    if (ret == 0) {
        first = far_connect(&s->set, errp);
        ret = first ? 0 : -ECONNREFUSED;
    }
    if (ret == 0) {
        info = far_get_info(first);
        bdrv_set_native_fua(bs, info.fua);
        ret = check_export(bs, &info, flags, errp);
        if (ret < 0) {
            far_disconnect(first);
        } else {
            ret = far_link_start(s, first, errp);
        }
    }
    if (ret < 0) {
        far_settings_destroy(&s->set);
    }
    return ret;
}

static void nbd_drv_close(BlockDriverState *bs)
{
    BDRVNbdState *s = bdrv_state(bs);

    far_link_stop(s);
    far_settings_destroy(&s->set);
}

static int nbd_drv_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    BDRVNbdState *s = bdrv_state(bs);

    if ((flags & BDRV_O_RDWR) && s->info.read_only) {
        error_setg(errp, "NBD export '%s' is read-only", s->set.name);
        return -EACCES;
    }
    return 0;
}

static void nbd_drv_refresh_limits(BlockDriverState *bs, BlockLimits *limits, Error **errp)
{
    BDRVNbdState *s = bdrv_state(bs);
    int64_t max = s->info.max_block;

    (void)errp;
    limits->request_alignment = (uint32_t)s->info.min_block;
    limits->opt_transfer = s->info.opt_block;
    limits->max_transfer = max && max < MAX_TRANSFER ? max : MAX_TRANSFER;
    limits->max_pdiscard = MAX_NO_DATA;
    limits->max_pwrite_zeroes = MAX_NO_DATA;
}

/* In whole sectors, as those above us see it. */
static bool is_past_end(BDRVNbdState *s, int64_t end)
{
    return end > ((atomic_load(&s->size) + FAR_SECTOR - 1) & -(int64_t)FAR_SECTOR);
}

static int64_t coroutine_fn nbd_drv_co_getlength(BlockDriverState *bs)
{
    BDRVNbdState *s = bdrv_state(bs);

    return atomic_load(&s->size);
}

/* As with a device: less is no error, the rest is not used. */
static int coroutine_fn nbd_drv_co_truncate(BlockDriverState *bs, int64_t offset,
                                            PreallocMode prealloc, Error **errp)
{
    BDRVNbdState *s = bdrv_state(bs);

    (void)prealloc;
    if (is_past_end(s, offset)) {
        error_setg(errp, "Could not resize '%s' to %" PRId64 " bytes: an NBD export cannot grow, "
                   "and it has %" PRId64, s->set.name, offset, atomic_load(&s->size));
        return -ENOSPC;
    }
    return 0;
}

/* ---- requests ---- */

/* How much of the range the server has. */
static int64_t there(BDRVNbdState *s, int64_t offset, int64_t bytes)
{
    int64_t left = atomic_load(&s->size) - offset;

    return left < 0 ? 0 : left < bytes ? left : bytes;
}

/* libnbd takes data in one piece only. */
static void *linear_buffer(BlockDriverState *bs, QEMUIOVector *qiov, int64_t bytes, void **bounce)
{
    *bounce = NULL;
    if (qiov->niov > 0 && (int64_t)qiov->iov[0].iov_len >= bytes) {
        return qiov->iov[0].iov_base;
    }
    *bounce = qemu_try_memalign(bdrv_opt_mem_align(bs), (size_t)bytes);
    return *bounce;
}

static int coroutine_fn nbd_drv_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                          QEMUIOVector *qiov, int flags)
{
    BDRVNbdState *s = bdrv_state(bs);
    FarRequest req = { .command = FAR_READ, .offset = offset, .bytes = there(s, offset, bytes) };
    void *bounce = NULL;
    int ret = 0;

    (void)flags;
    if (req.bytes > 0) {
        req.buf = linear_buffer(bs, qiov, req.bytes, &bounce);
        ret = req.buf ? far_co_run(s, &req) : -ENOMEM;
    }
    if (ret == 0 && bounce) {
        qemu_iovec_from_buf(qiov, 0, bounce, (size_t)req.bytes);
    }
    if (ret == 0 && req.bytes < bytes) {
        qemu_iovec_memset(qiov, (size_t)req.bytes, 0, (size_t)(bytes - req.bytes));
    }
    qemu_vfree(bounce);
    return ret;
}

static int coroutine_fn nbd_drv_co_flush(BlockDriverState *bs)
{
    BDRVNbdState *s = bdrv_state(bs);
    FarRequest req = { .command = FAR_FLUSH };
    int ret = far_co_run(s, &req);

    /* A server without it promises nothing, unless it did so before it came back without. */
    return ret == -ENOTSUP ? (s->info.flush ? -EIO : 0) : ret;
}

static int far_flags(int flags)
{
    return (flags & BDRV_REQ_FUA ? LIBNBD_CMD_FLAG_FUA : 0);
}

/* A change, stable if it has to be. */
static int coroutine_fn run_change(BlockDriverState *bs, FarRequest *req)
{
    int ret = far_co_run(bdrv_state(bs), req);

    return ret == 0 && req->fua_dropped ? nbd_drv_co_flush(bs) : ret;
}

static bool is_zero_from(QEMUIOVector *qiov, int64_t start, int64_t end)
{
    QEMUIOVector rest;
    bool zero;

    qemu_iovec_init(&rest, qiov->niov);
    qemu_iovec_concat(&rest, qiov, (size_t)start, (size_t)(end - start));
    zero = qemu_iovec_is_zero(&rest);
    qemu_iovec_destroy(&rest);
    return zero;
}

static int coroutine_fn nbd_drv_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                           QEMUIOVector *qiov, int flags)
{
    BDRVNbdState *s = bdrv_state(bs);
    FarRequest req = { .command = FAR_WRITE, .offset = offset, .bytes = there(s, offset, bytes),
                       .flags = far_flags(flags) };
    void *bounce;
    int ret;

    if (is_past_end(s, offset + bytes) ||
        (req.bytes < bytes && !is_zero_from(qiov, req.bytes, bytes))) {
        return -ENOSPC;
    }
    req.buf = linear_buffer(bs, qiov, req.bytes, &bounce);
    if (!req.buf) {
        return -ENOMEM;
    }
    if (bounce) {
        qemu_iovec_to_buf(qiov, 0, bounce, (size_t)req.bytes);
    }
    ret = run_change(bs, &req);
    qemu_vfree(bounce);
    return ret;
}

static int coroutine_fn nbd_drv_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                                 int64_t bytes, int flags)
{
    BDRVNbdState *s = bdrv_state(bs);
    FarRequest req = { .command = FAR_ZERO, .offset = offset, .bytes = there(s, offset, bytes),
                       .flags = far_flags(flags) };

    if (!(flags & BDRV_REQ_MAY_UNMAP)) {
        req.flags |= LIBNBD_CMD_FLAG_NO_HOLE;
    }
    if (flags & BDRV_REQ_NO_FALLBACK) {
        req.flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
    }
    return is_past_end(s, offset + bytes) ? -ENOSPC : run_change(bs, &req);
}

static int coroutine_fn nbd_drv_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    BDRVNbdState *s = bdrv_state(bs);
    FarRequest req = { .command = FAR_TRIM, .offset = offset, .bytes = there(s, offset, bytes) };

    return req.bytes > 0 ? far_co_run(s, &req) : 0;
}

/* A hole that need not read as zeroes is data to us: what is in it may be anything. */
static int status_bits(uint32_t state)
{
    return (state & LIBNBD_STATE_ZERO ? BDRV_BLOCK_ZERO : BDRV_BLOCK_DATA) |
           (state & LIBNBD_STATE_HOLE ? 0 : BDRV_BLOCK_DATA);
}

static int coroutine_fn nbd_drv_co_block_status(BlockDriverState *bs, int64_t offset,
                                                int64_t bytes, int64_t *pnum, int64_t *map,
                                                BlockDriverState **file)
{
    BDRVNbdState *s = bdrv_state(bs);
    int64_t ours = there(s, offset, bytes);
    FarRequest req = { .command = FAR_STATUS, .offset = offset,
                       .bytes = ours < MAX_NO_DATA ? ours : MAX_NO_DATA };
    int ret = far_co_run(s, &req);

    *pnum = bytes;
    *map = offset;
    *file = bs;
    if (ret == -ENOTSUP) {
        return BDRV_BLOCK_DATA | BDRV_BLOCK_OFFSET_VALID;
    }
    if (ret < 0) {
        return ret;
    }
    if (req.length == 0) {
        return -EIO;
    }
    if (req.length < ours) {
        *pnum = req.length;
    }
    return status_bits(req.state) | BDRV_BLOCK_OFFSET_VALID;
}

/* ---- the table ---- */

static const BdrvOption nbd_drv_create_options[] = {
    { "size", BDRV_OPTION_SIZE, "Virtual disk size", NULL },
    { 0 }
};

/* The export is there already; what is on it loses the header that says what it is. */
static int nbd_drv_create(const char *filename, const QDict *options, Error **errp)
{
    return create_in_place("nbd", filename, options, errp);
}

static const char *const nbd_drv_other_names[] = {
    "nbd+tcp", "nbd+unix", "nbds", "nbds+tcp", "nbds+unix", NULL
};

static BlockDriver nbd_driver = {
    .format_name = "nbd",
    .protocol_name = "nbd",
    .other_protocol_names = nbd_drv_other_names,
    .instance_size = sizeof(BDRVNbdState),
    .has_variable_length = true,
    .native_no_fallback = true,

    .bdrv_parse_filename = far_parse_filename,
    .bdrv_open = nbd_drv_open,
    .bdrv_close = nbd_drv_close,
    .bdrv_reopen = nbd_drv_reopen,
    .bdrv_refresh_limits = nbd_drv_refresh_limits,
    .bdrv_co_getlength = nbd_drv_co_getlength,
    .bdrv_co_truncate = nbd_drv_co_truncate,
    .create_options = nbd_drv_create_options,
    .bdrv_create = nbd_drv_create,
    .bdrv_co_preadv = nbd_drv_co_preadv,
    .bdrv_co_pwritev = nbd_drv_co_pwritev,
    .bdrv_co_pwrite_zeroes = nbd_drv_co_pwrite_zeroes,
    .bdrv_co_pdiscard = nbd_drv_co_pdiscard,
    .bdrv_co_flush_to_disk = nbd_drv_co_flush,
    .bdrv_co_block_status = nbd_drv_co_block_status,
};

BLOCK_DRIVER(nbd_driver)
