/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Zero writes (rule R9): the driver's own operation where it can, a zeroed
 * buffer where it cannot.
 */
#include "graph/graph-int.h"

#include <errno.h>

#define ZEROES_SIZE (64 * 1024)
#define FALLBACK_MAX (32768 * (int64_t)BDRV_SECTOR_SIZE)

/* Never written to; untouched pages of it all are the kernel's one zero page. */
static uint8_t zeroes[ZEROES_SIZE] __attribute__((aligned(4096)));

/* One piece of at most FALLBACK_MAX: the same buffer again and again. */
static int coroutine_fn write_zero_buffer(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                          int flags)
{
    struct iovec iov[FALLBACK_MAX / ZEROES_SIZE];
    QEMUIOVector qiov;
    int niov = 0;

    for (int64_t left = bytes; left > 0; left -= ZEROES_SIZE) {
        iov[niov++] = (struct iovec){ .iov_base = zeroes, .iov_len = MIN_OF(left, ZEROES_SIZE) };
    }
    qemu_iovec_init_external(&qiov, iov, niov);
    return bdrv_transfer_write(bs, offset, bytes, &qiov, flags & BDRV_REQ_FUA);
}

static int coroutine_fn fall_back(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags)
{
    int64_t max = FALLBACK_MAX;
    int ret = 0;

    if (bs->bl.max_transfer > 0 && bs->bl.max_transfer < max) {
        max = bs->bl.max_transfer;
    }
    if (max > bs->bl.request_alignment) {
        max = ROUND_DOWN(max, bs->bl.request_alignment);
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = MIN_OF(bytes, max);

        ret = write_zero_buffer(bs, offset, n, flags);
        offset += n;
        bytes -= n;
    }
    return ret;
}

static int coroutine_fn zero_piece(BlockDriverState *bs, int64_t offset, int64_t bytes, int flags)
{
    const BlockDriver *drv = bs->drv;
    int ret = -ENOTSUP;

    if (drv->bdrv_co_pwrite_zeroes) {
        /* The decision about the fallback is ours, unless a fallback hides behind the driver. */
        int for_driver = drv->is_passthrough || drv->native_no_fallback
                         ? flags : flags & ~BDRV_REQ_NO_FALLBACK;

        ret = drv->bdrv_co_pwrite_zeroes(bs, offset, bytes, for_driver);
    }
    if (ret == -ENOTSUP && !(flags & BDRV_REQ_NO_FALLBACK)) {
        ret = fall_back(bs, offset, bytes, flags);
    }
    return ret < 0 ? ret : 0;
}

int coroutine_fn bdrv_transfer_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                      int flags)
{
    int ret = 0;

    if (bs->drv->is_passthrough) {
        return zero_piece(bs, offset, bytes, flags);
    }
    while (bytes > 0 && ret == 0) {
        int64_t n = bdrv_piece_size(offset, bytes, bs->bl.pwrite_zeroes_alignment,
                                    bs->bl.max_pwrite_zeroes);

        ret = zero_piece(bs, offset, n, flags);
        offset += n;
        bytes -= n;
    }
    return ret;
}
