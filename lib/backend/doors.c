/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The forms in which a request can be made.  Each fills in a BlkRequest and
 * hands it to the one path: coroutine form (blk_request), synchronous form
 * (blk_request_sync: in place inside a coroutine, else polling the caller's
 * context) or asynchronous form (blk_aio_submit).
 */
#include "backend/aio.h"

/* ---- the synchronous form (R4) ---- */

static int64_t coroutine_fn do_request(void *opaque)
{
    return blk_request(opaque);
}

/* What is plugged would wait for its submitter, who waits here. */
int64_t blk_request_sync(BlkRequest *r)
{
    bool plugged = atomic_load_explicit(&r->blk->plug, memory_order_relaxed) > 0;
    int64_t ret;

    if (plugged) {
        blk_plug_suspend(r->blk);
    }
    ret = bdrv_run_sync(do_request, r);
    if (plugged) {
        blk_plug_resume(r->blk);
    }
    return ret;
}

/* ---- coroutine form ---- */

int coroutine_fn blk_co_preadv(BlockBackend *blk, int64_t offset, int64_t bytes,
                               QEMUIOVector *qiov, BdrvRequestFlags flags)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_read, .offset = offset,
                                           .bytes = bytes, .qiov = qiov, .flags = (int)flags });
}

int coroutine_fn blk_co_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes,
                                QEMUIOVector *qiov, BdrvRequestFlags flags)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_write, .offset = offset,
                                           .bytes = bytes, .qiov = qiov, .flags = (int)flags });
}

int coroutine_fn blk_co_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                      BdrvRequestFlags flags)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_pwrite_zeroes,
                                           .offset = offset, .bytes = bytes,
                                           .flags = (int)flags });
}

int coroutine_fn blk_co_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                     BdrvRequestFlags flags)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_write_zeroes,
                                           SECTOR_RANGE(sector_num, nb_sectors),
                                           .flags = (int)flags });
}

int coroutine_fn blk_co_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_discard, .offset = offset,
                                           .bytes = bytes });
}

int coroutine_fn blk_co_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_discard,
                                           SECTOR_RANGE(sector_num, nb_sectors) });
}

int coroutine_fn blk_co_flush(BlockBackend *blk)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_flush });
}

int coroutine_fn blk_co_block_status(BlockBackend *blk, int64_t offset, int64_t bytes,
                                     int64_t *pnum)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_block_status,
                                           .offset = offset, .bytes = bytes, .arg = pnum });
}

int coroutine_fn blk_co_is_allocated_above(BlockBackend *blk, BlockDriverState *base,
                                           bool include_base, int64_t offset, int64_t bytes,
                                           int64_t *pnum)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_is_allocated,
                                           .offset = offset, .bytes = bytes, .arg = pnum,
                                           .base = base && include_base ? bdrv_backing(base)
                                                                        : base });
}

int coroutine_fn blk_co_map_read(BlockBackend *blk, int64_t offset, int64_t bytes,
                                 BlockMapping *map)
{
    return (int)blk_request(&(BlkRequest){ .blk = blk, .op = blk_op_map_read, .offset = offset,
                                           .bytes = bytes, .arg = map });
}

void blk_unmap(BlockMapping *map)
{
    map->release(map);
}

/* ---- synchronous form ---- */

/* One linear buffer as a vector.  A negative count makes no vector: the range check refuses it. */
static int64_t sync_linear(BlkRequest *r, void *buf)
{
    struct iovec iov = { .iov_base = buf, .iov_len = r->bytes > 0 ? (size_t)r->bytes : 0 };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    r->qiov = &qiov;
    return blk_request_sync(r);
}

int blk_pread(BlockBackend *blk, int64_t offset, void *buf, int count)
{
    int64_t ret = sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_read, .offset = offset,
                                             .bytes = count }, buf);

    return ret < 0 ? (int)ret : count;
}

int blk_pwrite(BlockBackend *blk, int64_t offset, const void *buf, int count)
{
    int64_t ret = sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_write, .offset = offset,
                                             .bytes = count }, (void *)buf);

    return ret < 0 ? (int)ret : count;
}

int blk_read(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors)
{
    return (int)sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_read,
                                           SECTOR_RANGE(sector_num, nb_sectors) }, buf);
}

int blk_read_unthrottled(BlockBackend *blk, int64_t sector_num, uint8_t *buf, int nb_sectors)
{
    return (int)sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_read, .unthrottled = true,
                                           SECTOR_RANGE(sector_num, nb_sectors) }, buf);
}

int blk_write(BlockBackend *blk, int64_t sector_num, const uint8_t *buf, int nb_sectors)
{
    return (int)sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_write,
                                           SECTOR_RANGE(sector_num, nb_sectors) }, (void *)buf);
}

int blk_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors, BdrvRequestFlags flags)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_write_zeroes,
                                            SECTOR_RANGE(sector_num, nb_sectors),
                                            .flags = (int)flags });
}

int blk_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, QEMUIOVector *qiov,
               BdrvRequestFlags flags)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_read, .offset = offset,
                                                .bytes = bytes, .qiov = qiov,
                                                .flags = (int)flags });
}

int blk_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, QEMUIOVector *qiov,
                BdrvRequestFlags flags)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_write, .offset = offset,
                                                .bytes = bytes, .qiov = qiov,
                                                .flags = (int)flags });
}

int blk_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, BdrvRequestFlags flags)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_pwrite_zeroes,
                                            .offset = offset, .bytes = bytes,
                                            .flags = (int)flags });
}

int blk_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_discard,
                                            SECTOR_RANGE(sector_num, nb_sectors) });
}

int blk_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_discard, .offset = offset,
                                            .bytes = bytes });
}

int blk_flush(BlockBackend *blk)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_flush });
}

int blk_ioctl(BlockBackend *blk, unsigned long int req, void *buf)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_ioctl, .ioctl = req,
                                            .arg = buf });
}

int blk_block_status(BlockBackend *blk, int64_t offset, int64_t bytes, int64_t *pnum)
{
    return (int)blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_block_status,
                                            .offset = offset, .bytes = bytes, .arg = pnum });
}

int64_t blk_getlength(BlockBackend *blk)
{
    return blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_getlength });
}

int64_t blk_nb_sectors(BlockBackend *blk)
{
    int64_t length = blk_getlength(blk);

    return length < 0 ? length : length >> BDRV_SECTOR_BITS;
}

void blk_get_geometry(BlockBackend *blk, uint64_t *nb_sectors_ptr)
{
    int64_t length = blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_geometry });

    *nb_sectors_ptr = length < 0 ? 0 : (uint64_t)length >> BDRV_SECTOR_BITS;
}

int blk_truncate(BlockBackend *blk, int64_t offset)
{
    int64_t ret = blk_request_sync(&(BlkRequest){ .blk = blk, .op = blk_op_truncate,
                                              .offset = offset });

    if (ret == 0) {
        blk_dev_resize_cb(blk);
    }
    return (int)ret;
}

int blk_write_compressed(BlockBackend *blk, int64_t sector_num, const uint8_t *buf,
                         int nb_sectors)
{
    return (int)sync_linear(&(BlkRequest){ .blk = blk, .op = blk_op_write_compressed,
                                           SECTOR_RANGE(sector_num, nb_sectors) }, (void *)buf);
}

/* ---- asynchronous form (R5) ---- */

BlockAIOCB *blk_aio_preadv(BlockBackend *blk, int64_t offset, QEMUIOVector *qiov,
                           BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_read, .offset = offset,
                                         .bytes = (int64_t)qiov->size, .qiov = qiov,
                                         .flags = (int)flags }, cb, opaque);
}

BlockAIOCB *blk_aio_pwritev(BlockBackend *blk, int64_t offset, QEMUIOVector *qiov,
                            BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_write, .offset = offset,
                                         .bytes = (int64_t)qiov->size, .qiov = qiov,
                                         .flags = (int)flags }, cb, opaque);
}

BlockAIOCB *blk_aio_readv(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                          int nb_sectors, BlockCompletionFunc *cb, void *opaque)
{
    BLK_PRECONDITION(blk_sector_bytes(sector_num, nb_sectors) < 0 ||
                     iov->size == (size_t)nb_sectors << BDRV_SECTOR_BITS,
                     "the vector's size is not that of the sectors");
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_read,
                                         SECTOR_RANGE(sector_num, nb_sectors), .qiov = iov },
                          cb, opaque);
}

BlockAIOCB *blk_aio_writev(BlockBackend *blk, int64_t sector_num, QEMUIOVector *iov,
                           int nb_sectors, BlockCompletionFunc *cb, void *opaque)
{
    BLK_PRECONDITION(blk_sector_bytes(sector_num, nb_sectors) < 0 ||
                     iov->size == (size_t)nb_sectors << BDRV_SECTOR_BITS,
                     "the vector's size is not that of the sectors");
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_write,
                                         SECTOR_RANGE(sector_num, nb_sectors), .qiov = iov },
                          cb, opaque);
}

BlockAIOCB *blk_aio_write_zeroes(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                                 BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_write_zeroes,
                                         SECTOR_RANGE(sector_num, nb_sectors),
                                         .flags = (int)flags }, cb, opaque);
}

BlockAIOCB *blk_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                  BdrvRequestFlags flags, BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_pwrite_zeroes, .offset = offset,
                                         .bytes = bytes, .flags = (int)flags }, cb, opaque);
}

BlockAIOCB *blk_aio_discard(BlockBackend *blk, int64_t sector_num, int nb_sectors,
                            BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_discard,
                                         SECTOR_RANGE(sector_num, nb_sectors) }, cb, opaque);
}

BlockAIOCB *blk_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes,
                             BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_discard, .offset = offset,
                                         .bytes = bytes }, cb, opaque);
}

BlockAIOCB *blk_aio_block_status(BlockBackend *blk, int64_t offset, int64_t bytes, int64_t *pnum,
                                 BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_block_status, .offset = offset,
                                         .bytes = bytes, .arg = pnum }, cb, opaque);
}

BlockAIOCB *blk_aio_flush(BlockBackend *blk, BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_flush }, cb, opaque);
}

BlockAIOCB *blk_aio_ioctl(BlockBackend *blk, unsigned long int req, void *buf,
                          BlockCompletionFunc *cb, void *opaque)
{
    return blk_aio_submit(&(BlkRequest){ .blk = blk, .op = blk_op_ioctl, .ioctl = req,
                                         .arg = buf }, cb, opaque);
}
