/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads: from the image's data, its zeroes, its compressed clusters or the
 * backing file.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- pieces of a vector ---- */

void qcow2_piece_init(QEMUIOVector *piece, QEMUIOVector *qiov, size_t skip, size_t bytes)
{
    qemu_iovec_init(piece, qiov->niov);
    qemu_iovec_concat(piece, qiov, skip, bytes);
}

/* Reads [offset, offset + bytes) of bs into the vector, from its byte `skip` on. */
static int coroutine_fn read_piece(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                   QEMUIOVector *qiov, size_t skip)
{
    QEMUIOVector piece;
    int ret;

    if (skip == 0 && (size_t)bytes == qiov->size) {
        return bdrv_co_preadv(bs, offset, bytes, qiov, 0);
    }
    qcow2_piece_init(&piece, qiov, skip, (size_t)bytes);
    ret = bdrv_co_preadv(bs, offset, bytes, &piece, 0);
    qemu_iovec_destroy(&piece);
    return ret;
}

/* ---- one extent ---- */

static int coroutine_fn read_compressed_piece(BlockDriverState *bs, int64_t offset,
                                              const Qcow2Extent *ext, QEMUIOVector *qiov,
                                              size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    uint8_t *cluster = malloc(s->cluster_size);
    int ret = cluster ? qcow2_read_compressed(bs, ext->host, cluster) : -ENOMEM;

    if (ret == 0) {
        qemu_iovec_from_buf(qiov, skip, cluster + qcow2_in_cluster(s, (uint64_t)offset),
                            (size_t)ext->bytes);
    }
    free(cluster);
    return ret;
}

/* VM state is in no backing file, however long that is. */
static BlockDriverState *backing_at(BlockDriverState *bs, int64_t offset)
{
    const Qcow2State *s = bdrv_state(bs);

    return (uint64_t)offset < s->hdr.size ? bdrv_backing(bs) : NULL;
}

static int coroutine_fn read_extent(BlockDriverState *bs, int64_t offset, const Qcow2Extent *ext,
                                    QEMUIOVector *qiov, size_t skip)
{
    Qcow2State *s = bdrv_state(bs);
    BlockDriverState *backing = backing_at(bs, offset);

    switch (ext->type) {
    case QCOW2_NORMAL:
        return read_piece(s->data_file, (int64_t)ext->host, ext->bytes, qiov, skip);
    case QCOW2_COMPRESSED_CLUSTER:
        return read_compressed_piece(bs, offset, ext, qiov, skip);
    case QCOW2_UNALLOCATED:
    case QCOW2_UNALLOCATED_HOST:
        if (backing) {
            return read_piece(backing, offset, ext->bytes, qiov, skip);
        }
        break;
    default:
        break;
    }
    qemu_iovec_memset(qiov, skip, 0, (size_t)ext->bytes);
    return 0;
}

int coroutine_fn qcow2_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, int flags)
{
    Qcow2State *s = bdrv_state(bs);
    int64_t done = 0;

    (void)flags;
    if (atomic_load_explicit(&s->refused, memory_order_relaxed)) {
        return -ENOMEDIUM;
    }
    while (done < bytes) {
        Qcow2Extent ext;
        Qcow2Pin pin;
        int ret = qcow2_map(bs, offset + done, bytes - done, &ext, &pin);

        if (ret == 0) {
            ret = read_extent(bs, offset + done, &ext, qiov, (size_t)done);
            qcow2_unpin(s, pin);
        }
        if (ret < 0) {
            return ret;
        }
        done += ext.bytes;
    }
    return 0;
}

/* Of a disk that ends inside a cluster, what is behind the end is nobody's: zeroes; but from some
 * place on it is VM state. */
int coroutine_fn qcow2_read_guest(BlockDriverState *bs, int64_t offset, int64_t bytes, void *buf)
{
    const Qcow2State *s = bdrv_state(bs);
    int64_t end = (uint64_t)offset < s->hdr.size ? (int64_t)s->hdr.size
                  : (uint64_t)offset < qcow2_vmstate_offset(s) ? 0 : INT64_MAX;
    int64_t visible = offset >= end ? 0 : bytes < end - offset ? bytes : end - offset;
    struct iovec iov = { .iov_base = buf, .iov_len = (size_t)visible };
    QEMUIOVector qiov;

    memset((uint8_t *)buf + visible, 0, (size_t)(bytes - visible));
    qemu_iovec_init_external(&qiov, &iov, 1);
    return visible > 0 ? qcow2_co_preadv(bs, offset, visible, &qiov, 0) : 0;
}

/* ---- reads without a copy ---- */

/*
 * What is lent is not pinned: it may be kept for as long as a client is slow, and nothing that
 * goes out of use meanwhile could be used again.  The price: who reads a range while he discards
 * it may get other bytes of the same image.
 */

int coroutine_fn qcow2_co_map_read(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                   BlockMapping *map)
{
    Qcow2State *s = bdrv_state(bs);
    BlockDriverState *backing = bdrv_backing(bs);
    Qcow2Extent ext;
    Qcow2Pin pin;
    int ret = -ENOTSUP;

    if (atomic_load_explicit(&s->refused, memory_order_relaxed) ||
        !qcow2_map_quick(s, offset, bytes, &ext, &pin)) {
        return -ENOTSUP;
    }
    if (ext.bytes == bytes && ext.type == QCOW2_NORMAL &&
        (!s->external || ext.host == (uint64_t)offset)) {
        ret = bdrv_co_map_read(s->data_file, (int64_t)ext.host, bytes, map);
    } else if (ext.bytes == bytes && backing &&
               (ext.type == QCOW2_UNALLOCATED || ext.type == QCOW2_UNALLOCATED_HOST)) {
        ret = bdrv_co_map_read(backing, offset, bytes, map);
    }
    qcow2_unpin(s, pin);
    return ret;
}
