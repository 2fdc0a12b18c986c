/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying from node to node: through one buffer of bounded size, and what is
 * known to be zero without one.
 */
#include "graph/graph-int.h"

#include <errno.h>

#define COPY_MAX (1 << 20)

/* The next piece's size, and whether it is known to read as zeroes. */
static int64_t coroutine_fn next_piece(BlockDriverState *src, int64_t offset, int64_t bytes,
                                       bool *zero)
{
    int64_t n;
    int ret = bdrv_co_block_status_above(src, NULL, offset, bytes, &n);

    if (ret < 0) {
        return ret;
    }
    *zero = ret & BDRV_BLOCK_ZERO;
    return *zero ? n : MIN_OF(n, COPY_MAX);
}

static int coroutine_fn copy_data(BlockDriverState *src, int64_t src_offset, BlockDriverState *dst,
                                  int64_t dst_offset, struct iovec *iov, int flags, bool *is_read)
{
    QEMUIOVector qiov;
    int ret;

    qemu_iovec_init_external(&qiov, iov, 1);
    ret = bdrv_co_preadv(src, src_offset, (int64_t)iov->iov_len, &qiov, 0);
    *is_read = ret < 0;
    return ret < 0 ? ret : bdrv_co_pwritev(dst, dst_offset, (int64_t)iov->iov_len, &qiov, flags);
}

int coroutine_fn bdrv_co_copy_range(BlockDriverState *src, int64_t src_offset,
                                    BlockDriverState *dst, int64_t dst_offset, int64_t bytes,
                                    int flags, bool *is_read)
{
    bool unused;
    size_t size = MIN_OF(bytes, COPY_MAX);
    void *buf = qemu_try_memalign(bdrv_opt_mem_align(dst), size ? size : 1);
    int ret = buf ? 0 : -ENOMEM;

    is_read = is_read ? is_read : &unused;
    while (bytes > 0 && ret == 0) {
        bool zero = false;
        int64_t n = next_piece(src, src_offset, bytes, &zero);
        struct iovec iov = { .iov_base = buf, .iov_len = (size_t)n };

        *is_read = n < 0;
        if (n < 0) {
            ret = (int)n;
            break;
        }
        ret = zero ? bdrv_co_pwrite_zeroes(dst, dst_offset, n, flags)
                   : copy_data(src, src_offset, dst, dst_offset, &iov, flags, is_read);
        src_offset += n;
        dst_offset += n;
        bytes -= n;
    }
    qemu_vfree(buf);
    return ret;
}
