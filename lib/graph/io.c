/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to a node, byte by byte as the caller wants them, and what it takes
 * to run them on a driver that wants aligned ones.
 *
 *     read:   check ─▶ clip at the node's end ─▶ pad ─▶ track ─▶ transfer
 *     write:  check ─▶ zero detection ─▶ guard of sector 0 ─▶ track ─▶ read-modify-write
 *               ─▶ transfer ─▶ flush if it must be stable ─▶ grow
 *
 * A node that only passes requests on (raw) leaves padding, tracking and
 * splitting to the node below.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <string.h>

/* ---- checks ---- */

static int check_request(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    if (offset < 0 || bytes < 0 || bytes > BDRV_REQUEST_MAX_BYTES || offset > INT64_MAX - bytes) {
        return -EIO;
    }
    return 0;
}

static bool has_bitmaps(BlockDriverState *bs)
{
    return __builtin_expect(atomic_load_explicit(&bs->dirty_bitmaps, memory_order_relaxed) != NULL,
                            false);
}

int bdrv_check_writable(BlockDriverState *bs)
{
    return bs->read_only || (bdrv_get_flags(bs) & BDRV_O_INACTIVE) ||
           (has_bitmaps(bs) && bdrv_has_readonly_bitmaps(bs)) ? -EPERM : 0;
}

/* Nothing is written by zero bytes: even a read-only node takes them (R12). */
static int check_write(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    int ret = check_request(bs, offset, bytes);

    return ret < 0 || bytes == 0 ? ret : bdrv_check_writable(bs);
}

static bool is_aligned(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    return ((offset | bytes) & (bs->bl.request_alignment - 1)) == 0;
}

/* ---- size ---- */

int64_t coroutine_fn bdrv_co_refresh_length(BlockDriverState *bs)
{
    int64_t length;

    if (bs->drv->bdrv_co_getlength) {
        length = bs->drv->bdrv_co_getlength(bs);
    } else {
        length = bs->file ? bdrv_co_getlength(bs->file) : atomic_load(&bs->length);
    }
    if (length < 0) {
        return length;
    }
    if (length > BDRV_MAX_LENGTH) {
        return -EFBIG;
    }
    length = ROUND_UP(length, (int64_t)BDRV_SECTOR_SIZE);
    if (length != atomic_load_explicit(&bs->length, memory_order_relaxed)) {
        atomic_store(&bs->length, length);
    }
    return length;
}

int64_t coroutine_fn bdrv_co_getlength(BlockDriverState *bs)
{
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    if (bs->sg) {
        return 0;
    }
    if (bs->drv->has_variable_length || bs->drv->is_passthrough) {
        return bdrv_co_refresh_length(bs);
    }
    return atomic_load(&bs->length);
}

/* How much of a range lies before the node's end, which is looked up anew before we say "less". */
static int64_t coroutine_fn visible_bytes(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    int64_t length = atomic_load_explicit(&bs->length, memory_order_relaxed);

    if (bytes <= length - offset) {
        return bytes;
    }
    length = bdrv_co_getlength(bs);
    if (length < 0) {
        return length;
    }
    return offset >= length ? 0 : MIN_OF(bytes, length - offset);
}

/* ---- padding: from the caller's range to the enclosing aligned one ---- */

typedef struct Padding {
    int64_t offset, bytes;   /* the enclosing range */
    size_t head, tail;       /* bytes of it before and behind the caller's */
    uint8_t *head_block;     /* request_alignment bytes each; one and the same in a range of one */
    uint8_t *tail_block;
    QEMUIOVector qiov;       /* of the enclosing range */
} Padding;

static int padding_init(Padding *pad, BlockDriverState *bs, int64_t offset, int64_t bytes,
                        QEMUIOVector *qiov)
{
    int64_t align = bs->bl.request_alignment;

    pad->offset = ROUND_DOWN(offset, align);
    pad->bytes = ROUND_UP(offset + bytes, align) - pad->offset;
    pad->head = offset - pad->offset;
    pad->tail = pad->bytes - bytes - pad->head;
    pad->head_block = qemu_try_memalign(bs->bl.opt_mem_alignment, 2 * align);
    if (!pad->head_block) {
        return -ENOMEM;
    }
    pad->tail_block = pad->bytes > align ? pad->head_block + align : pad->head_block;

    qemu_iovec_init(&pad->qiov, qiov->niov + 2);
    if (pad->head) {
        qemu_iovec_add(&pad->qiov, pad->head_block, pad->head);
    }
    qemu_iovec_concat(&pad->qiov, qiov, 0, bytes);
    if (pad->tail) {
        qemu_iovec_add(&pad->qiov, pad->tail_block + align - pad->tail, pad->tail);
    }
    return 0;
}

static void padding_destroy(Padding *pad)
{
    qemu_iovec_destroy(&pad->qiov);
    qemu_vfree(pad->head_block);
}

/* One aligned block, zeroes past the node's end. */
static int coroutine_fn read_block(BlockDriverState *bs, int64_t offset, uint8_t *block)
{
    struct iovec iov = { .iov_base = block, .iov_len = bs->bl.request_alignment };
    int64_t visible = visible_bytes(bs, offset, iov.iov_len);
    QEMUIOVector qiov;

    if (visible <= 0) {
        memset(block, 0, iov.iov_len);
        return visible;
    }
    qemu_iovec_init_external(&qiov, &iov, 1);
    return bdrv_transfer_read(bs, offset, iov.iov_len, &qiov);
}

/* Reads what a write must not change. */
static int coroutine_fn padding_fill(Padding *pad, BlockDriverState *bs)
{
    int64_t align = bs->bl.request_alignment;
    int ret = 0;

    if (pad->head) {
        ret = read_block(bs, pad->offset, pad->head_block);
    }
    if (ret == 0 && pad->tail && !(pad->head && pad->tail_block == pad->head_block)) {
        ret = read_block(bs, pad->offset + pad->bytes - align, pad->tail_block);
    }
    return ret;
}

/* ---- reads ---- */

static int coroutine_fn read_padded(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov)
{
    Padding pad;
    int ret = padding_init(&pad, bs, offset, bytes, qiov);

    if (ret == 0) {
        ret = bdrv_transfer_read(bs, pad.offset, pad.bytes, &pad.qiov);
        padding_destroy(&pad);
    }
    return ret;
}

static int coroutine_fn read_tracked(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     QEMUIOVector *qiov, int flags)
{
    int64_t align = bs->bl.request_alignment;
    int64_t start = offset & -align, end = (offset + bytes + align - 1) & -align;
    TrackedRequest req;
    int ret;

    if (flags & BDRV_REQ_NO_SERIALISING) {
        tracker_begin_no_wait(&req, bs, start, end - start);
    } else {
        tracker_begin(&req, bs, start, end - start, false);
    }
    ret = is_aligned(bs, offset, bytes) ? bdrv_transfer_read(bs, offset, bytes, qiov)
                                        : read_padded(bs, offset, bytes, qiov);
    tracker_end(&req);
    return ret;
}

int coroutine_fn bdrv_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, int flags)
{
    int64_t visible;
    int ret = check_request(bs, offset, bytes);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    visible = visible_bytes(bs, offset, bytes);
    if (visible < 0) {
        return visible;
    }
    if (visible < bytes) {
        qemu_iovec_memset(qiov, visible, 0, bytes - visible);
        if (visible == 0) {
            return 0;
        }
    }
    if (__builtin_expect(bs->backing != NULL, false)) {
        ret = bdrv_must_fill(bs, offset, visible, flags);
        if (ret != 0) {
            return ret < 0 ? ret : bdrv_fill_and_read(bs, offset, visible, qiov);
        }
    }
    return bs->drv->is_passthrough ? bdrv_transfer_read(bs, offset, visible, qiov)
                                   : read_tracked(bs, offset, visible, qiov, flags);
}

int coroutine_fn bdrv_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                  BlockMapping *map)
{
    int64_t visible;
    int ret = check_request(bs, offset, bytes);

    if (ret < 0) {
        return ret;
    }
    visible = visible_bytes(bs, offset, bytes);
    if (visible < 0) {
        return visible;
    }
    if (bytes == 0 || visible < bytes || !bs->drv->bdrv_co_map_read ||
        atomic_load_explicit(&bs->copy_on_read, memory_order_relaxed) > 0) {
        return -ENOTSUP;
    }
    return bs->drv->bdrv_co_map_read(bs, offset, bytes, map);
}

/* ---- writes; a NULL vector means zeroes ---- */

static void raise_to(_Atomic int64_t *value, int64_t floor)
{
    int64_t now = atomic_load_explicit(value, memory_order_relaxed);

    while (now < floor && !atomic_compare_exchange_weak(value, &now, floor)) {
    }
}

static void raise_highest_offset(BlockDriverState *bs, uint64_t end)
{
    uint64_t now = atomic_load_explicit(&bs->wr_highest_offset, memory_order_relaxed);

    while (now < end && !atomic_compare_exchange_weak(&bs->wr_highest_offset, &now, end)) {
    }
}

/* The driver has been asked to change this range, and is done with it. */
static void note_change(BlockDriverState *bs, int64_t offset, int64_t bytes, int ret)
{
    if (has_bitmaps(bs)) {
        bdrv_mark_dirty_bitmaps(bs, offset, bytes, ret == 0);
    }
}

static int coroutine_fn write_padded(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     QEMUIOVector *qiov, int flags)
{
    Padding pad;
    int ret = padding_init(&pad, bs, offset, bytes, qiov);

    if (ret < 0) {
        return ret;
    }
    ret = padding_fill(&pad, bs);
    if (ret == 0) {
        ret = bdrv_transfer_write(bs, pad.offset, pad.bytes, &pad.qiov, flags);
    }
    padding_destroy(&pad);
    return ret;
}

/* Zeroes bytes [from, to), a part of one block. */
static int coroutine_fn zero_in_block(BlockDriverState *bs, int64_t from, int64_t to, int flags)
{
    int64_t align = bs->bl.request_alignment, start = ROUND_DOWN(from, align);
    uint8_t *block = qemu_try_memalign(bs->bl.opt_mem_alignment, align);
    struct iovec iov = { .iov_base = block, .iov_len = align };
    QEMUIOVector qiov;
    int ret;

    if (!block) {
        return -ENOMEM;
    }
    ret = read_block(bs, start, block);
    if (ret == 0) {
        memset(block + (from - start), 0, to - from);
        qemu_iovec_init_external(&qiov, &iov, 1);
        ret = bdrv_transfer_write(bs, start, align, &qiov, flags & BDRV_REQ_FUA);
    }
    qemu_vfree(block);
    return ret;
}

/* The aligned bulk goes first: if it may not fall back to data, nothing is written. */
static int coroutine_fn zero_padded(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags)
{
    int64_t align = bs->bl.request_alignment, end = offset + bytes;
    int64_t bulk = ROUND_UP(offset, align), bulk_end = ROUND_DOWN(end, align);
    int ret = 0;

    if (bulk > bulk_end) {
        return zero_in_block(bs, offset, end, flags);
    }
    if (bulk < bulk_end) {
        ret = bdrv_transfer_zeroes(bs, bulk, bulk_end - bulk, flags);
    }
    if (ret == 0 && offset < bulk) {
        ret = zero_in_block(bs, offset, bulk, flags);
    }
    if (ret == 0 && bulk_end < end) {
        ret = zero_in_block(bs, bulk_end, end, flags);
    }
    return ret;
}

static int coroutine_fn write_aligned(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      QEMUIOVector *qiov, int flags)
{
    return qiov ? bdrv_transfer_write(bs, offset, bytes, qiov, flags)
                : bdrv_transfer_zeroes(bs, offset, bytes, flags);
}

static int coroutine_fn write_unaligned(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags)
{
    return qiov ? write_padded(bs, offset, bytes, qiov, flags)
                : zero_padded(bs, offset, bytes, flags);
}

static int coroutine_fn write_tracked(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      QEMUIOVector *qiov, int flags)
{
    int64_t align = bs->bl.request_alignment;
    int64_t start = offset & -align, end;
    bool aligned = is_aligned(bs, offset, bytes);
    TrackedRequest req;
    int ret;

    if (offset + bytes > BDRV_MAX_LENGTH) {
        return -EFBIG;
    }
    end = (offset + bytes + align - 1) & -align;
    tracker_begin(&req, bs, start, end - start, !aligned);
    ret = aligned ? write_aligned(bs, offset, bytes, qiov, flags)
                  : write_unaligned(bs, offset, bytes, qiov, flags);
    tracker_end(&req);
    return ret;
}

static int coroutine_fn write_to_driver(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags)
{
    int ret = bs->drv->is_passthrough ? write_aligned(bs, offset, bytes, qiov, flags)
                                      : write_tracked(bs, offset, bytes, qiov, flags);

    note_change(bs, offset, bytes, ret);
    raise_highest_offset(bs, offset + bytes);
    return ret;
}

/*
 * A write to sector 0 of an image whose format was guessed to be raw must not
 * make it look like another format, whose header could name any file of the
 * host.  Sector 0 is written from our own copy, which nobody can change after
 * the check, and under a lock, so that two writes of half a header each do not
 * pass one by one.
 */
static int coroutine_fn write_guarded(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      QEMUIOVector *qiov, int flags)
{
    uint8_t sector[BDRV_SECTOR_SIZE];
    struct iovec iov = { .iov_base = sector, .iov_len = sizeof(sector) };
    size_t n = MIN_OF(bytes, (int64_t)sizeof(sector) - offset);
    QEMUIOVector local;
    int ret = 0;

    qemu_co_mutex_lock(&bs->sector0_lock);
    if (n < sizeof(sector)) {
        qemu_iovec_init_external(&local, &iov, 1);
        ret = bdrv_co_preadv(bs, 0, sizeof(sector), &local, 0);
    }
    if (qiov) {
        qemu_iovec_to_buf(qiov, 0, sector + offset, n);
    } else {
        memset(sector + offset, 0, n);
    }
    if (ret == 0 &&
        bdrv_guess_format(sector, sizeof(sector), bdrv_filename(bs)) != bs->drv) {
        ret = -EPERM;
    }
    if (ret == 0 && qiov) {
        qemu_iovec_init(&local, qiov->niov + 1);
        qemu_iovec_add(&local, sector + offset, n);
        qemu_iovec_concat(&local, qiov, n, bytes - n);
        ret = write_to_driver(bs, offset, bytes, &local, flags);
        qemu_iovec_destroy(&local);
    } else if (ret == 0) {
        ret = write_to_driver(bs, offset, bytes, NULL, flags);
    }
    qemu_co_mutex_unlock(&bs->sector0_lock);
    return ret;
}

/* Whether the driver is to make this write stable by itself. */
static bool uses_native_fua(BlockDriverState *bs, int flags)
{
    return (flags & BDRV_REQ_FUA) && bs->native_fua && atomic_load(&bs->enable_write_cache) &&
           !(bdrv_get_flags(bs) & BDRV_O_NO_FLUSH);
}

/* The end of every write: stable if it has to be, and then the node may have grown. */
static int coroutine_fn settle_write(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     bool wants_flush, int ret)
{
    if (ret == 0 && (wants_flush || !atomic_load(&bs->enable_write_cache))) {
        ret = bdrv_co_flush(bs);
    }
    if (ret == 0) {
        raise_to(&bs->length, ROUND_UP(offset + bytes, (int64_t)BDRV_SECTOR_SIZE));
    }
    return ret;
}

static int coroutine_fn write_and_settle(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         QEMUIOVector *qiov, int flags)
{
    bool native = uses_native_fua(bs, flags);
    bool wants_flush = (flags & BDRV_REQ_FUA) && !native;
    int ret;

    if (!native) {
        flags &= ~BDRV_REQ_FUA;
    }
    ret = bs->probed_raw && offset < (int64_t)BDRV_SECTOR_SIZE
          ? write_guarded(bs, offset, bytes, qiov, flags)
          : write_to_driver(bs, offset, bytes, qiov, flags);
    return settle_write(bs, offset, bytes, wants_flush, ret);
}

/* Zero detection (off on all but a few nodes): may this write be done as a zero write? */
static bool is_zero_write(BlockDriverState *bs, int64_t bytes, QEMUIOVector *qiov, int *flags)
{
    int mode = atomic_load_explicit(&bs->detect_zeroes, memory_order_relaxed);

    if (mode == BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF || !bs->drv->bdrv_co_pwrite_zeroes ||
        (uint64_t)bytes != qiov->size || !qemu_iovec_is_zero(qiov)) {
        return false;
    }
    if (mode == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP) {
        *flags |= BDRV_REQ_MAY_UNMAP;
    }
    return true;
}

int coroutine_fn bdrv_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags)
{
    int ret = check_write(bs, offset, bytes);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    flags &= BDRV_REQ_FUA;
    if (is_zero_write(bs, bytes, qiov, &flags)) {
        return bdrv_co_pwrite_zeroes(bs, offset, bytes, flags);
    }
    return write_and_settle(bs, offset, bytes, qiov, flags);
}

int coroutine_fn bdrv_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       int flags)
{
    int ret = check_write(bs, offset, bytes);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    flags &= BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK;
    if (!(bdrv_get_flags(bs) & BDRV_O_UNMAP)) {
        flags &= ~BDRV_REQ_MAY_UNMAP;
    }
    return write_and_settle(bs, offset, bytes, NULL, flags);
}

int bdrv_check_compressed(BlockDriverState *bs)
{
    return bs->drv->bdrv_co_pwritev_compressed ? bdrv_check_writable(bs) : -ENOTSUP;
}

int coroutine_fn bdrv_co_pwritev_compressed(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            QEMUIOVector *qiov)
{
    TrackedRequest req;
    int ret = check_request(bs, offset, bytes);

    if (ret == 0) {
        ret = bdrv_check_compressed(bs);
    }
    if (ret < 0) {
        return ret;
    }
    tracker_begin(&req, bs, offset, bytes, false);
    ret = bs->drv->bdrv_co_pwritev_compressed(bs, offset, bytes, qiov);
    tracker_end(&req);
    if (bytes == 0) {
        return ret < 0 ? ret : 0;   /* the end of a series: no data to make stable, none to add */
    }
    note_change(bs, offset, bytes, ret);
    raise_highest_offset(bs, offset + bytes);
    return settle_write(bs, offset, bytes, false, ret < 0 ? ret : 0);
}

/* ---- discard, flush, resize, ioctl ---- */

static int coroutine_fn discard_aligned(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    TrackedRequest req;
    int ret = 0;

    tracker_begin(&req, bs, offset, bytes, false);
    while (bytes > 0 && ret == 0) {
        int64_t n = bdrv_piece_size(offset, bytes, bs->bl.pdiscard_alignment, bs->bl.max_pdiscard);

        ret = bs->drv->bdrv_co_pdiscard(bs, offset, n);
        ret = ret == -ENOTSUP ? 0 : ret;
        offset += n;
        bytes -= n;
    }
    tracker_end(&req);
    return ret < 0 ? ret : 0;
}

static int coroutine_fn discard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    int64_t start, end;
    int ret;

    if (bs->drv->is_passthrough) {
        ret = bs->drv->bdrv_co_pdiscard(bs, offset, bytes);
        return ret == -ENOTSUP ? 0 : ret;
    }
    /* A hint: blocks that are only partly in the range are left alone. */
    end = ROUND_DOWN(offset + bytes, bs->bl.request_alignment);
    if (offset >= end) {
        return 0;
    }
    start = ROUND_UP(offset, bs->bl.request_alignment);
    return start < end ? discard_aligned(bs, start, end - start) : 0;
}

int coroutine_fn bdrv_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    int ret = check_write(bs, offset, bytes);

    if (ret < 0 || bytes == 0 || !(bdrv_get_flags(bs) & BDRV_O_UNMAP) ||
        !bs->drv->bdrv_co_pdiscard) {
        return ret;
    }
    ret = discard(bs, offset, bytes);
    note_change(bs, offset, bytes, -1);   /* whatever it did, nothing has grown */
    return ret;
}

int coroutine_fn bdrv_co_flush(BlockDriverState *bs)
{
    int ret = 0;

    if (!bdrv_is_inserted(bs) || bs->read_only || bs->sg) {
        return 0;
    }
    if (bs->drv->bdrv_co_flush_to_os) {
        ret = bs->drv->bdrv_co_flush_to_os(bs);
    }
    if (ret == 0 && !(bdrv_get_flags(bs) & BDRV_O_NO_FLUSH) && bs->drv->bdrv_co_flush_to_disk) {
        ret = bs->drv->bdrv_co_flush_to_disk(bs);
    }
    if (ret == 0 && bs->file) {
        ret = bdrv_co_flush(bs->file);
    }
    return ret;
}

static int truncate_error(int err, const char *why, Error **errp)
{
    error_setg(errp, "Could not resize the image: %s", why);
    return err;
}

int coroutine_fn bdrv_co_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                  Error **errp)
{
    Error *local_err = NULL;
    int64_t length;
    int ret;

    if (!bs->drv) {
        return truncate_error(-ENOMEDIUM, "there is no medium", errp);
    }
    if (offset < 0) {
        return truncate_error(-EINVAL, "the size is negative", errp);
    }
    if (!bs->drv->bdrv_co_truncate) {
        return truncate_error(-ENOTSUP, "its driver cannot", errp);
    }
    if (bs->read_only) {
        return truncate_error(-EACCES, "it is read-only", errp);
    }
    if (bdrv_get_flags(bs) & BDRV_O_INACTIVE) {
        return truncate_error(-EPERM, "it is inactive", errp);
    }
    if (prealloc != PREALLOC_MODE_OFF && !(bs->drv->prealloc_modes & (1u << prealloc))) {
        error_setg(errp, "Unsupported preallocation mode '%s' for the driver '%s'",
                   prealloc_mode_name(prealloc), bs->drv->format_name);
        return -ENOTSUP;
    }
    if (!bdrv_can_resize_dirty_bitmaps(bs, offset, errp)) {
        return -ENOTSUP;
    }
    ret = bs->drv->bdrv_co_truncate(bs, offset, prealloc, &local_err);
    if (ret < 0) {
        if (!local_err) {
            truncate_error(ret, strerror(-ret), &local_err);
        }
        error_propagate(errp, local_err);
        return ret;
    }
    error_free(local_err);
    length = bdrv_co_refresh_length(bs);
    if (length < 0) {
        return truncate_error(length, strerror(-length), errp);
    }
    bdrv_resize_dirty_bitmaps(bs, length);
    return 0;
}

int coroutine_fn bdrv_co_ioctl(BlockDriverState *bs, unsigned long req, void *buf)
{
    if (!bs->drv) {
        return -ENOMEDIUM;
    }
    return bs->drv->bdrv_co_ioctl ? bs->drv->bdrv_co_ioctl(bs, req, buf) : -ENOTSUP;
}
