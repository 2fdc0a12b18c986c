/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File I/O in a coroutine: a request on the context's ring, or a job for a worker thread. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "aio/aio-int.h"
#include "aio/file-io.h"

/* The plain system calls: in a worker, or where the thread may block. */
static int file_blocking(void *opaque)
{
    AioFileRequest *req = opaque;
    ssize_t ret = -1;

    switch (req->type) {
    case AIO_FILE_READ:
        ret = req->niov == 1
              ? pread(req->fd, req->iov->iov_base, req->iov->iov_len, req->offset)
              : preadv(req->fd, req->iov, req->niov, req->offset);
        break;
    case AIO_FILE_WRITE:
        ret = pwritev2(req->fd, req->iov, req->niov, req->offset, req->flags);
        break;
    case AIO_FILE_FDATASYNC:
        ret = fdatasync(req->fd);
        break;
    case AIO_FILE_FALLOCATE:
        ret = fallocate(req->fd, req->flags, req->offset, req->len);
        break;
    }
    return ret < 0 ? -errno : (int)ret;
}

bool aio_co_has_ring(void)
{
    AioContext *ctx = qemu_get_current_aio_context();

    return ctx->ops->queue_file || ctx->private_to_thread;
}

static int coroutine_fn file_request(AioFileRequest *req)
{
    AioContext *ctx = qemu_get_current_aio_context();

    if (!ctx->ops->queue_file || ctx->private_to_thread) {
        return aio_co_run_in_thread(file_blocking, req);
    }
    req->co = qemu_coroutine_self();
    ctx->ops->queue_file(ctx, req);
    qemu_coroutine_yield();
    return req->ret;
}

ssize_t coroutine_fn aio_co_preadv(int fd, const struct iovec *iov, int niov, int64_t offset)
{
    return file_request(&(AioFileRequest){
        .type = AIO_FILE_READ, .fd = fd, .iov = iov, .niov = niov, .offset = offset });
}

ssize_t coroutine_fn aio_co_pwritev(int fd, const struct iovec *iov, int niov, int64_t offset,
                                    int rw_flags)
{
    return file_request(&(AioFileRequest){
        .type = AIO_FILE_WRITE, .fd = fd, .iov = iov, .niov = niov, .offset = offset,
        .flags = rw_flags });
}

ssize_t coroutine_fn aio_co_preadv_aside(int fd, const struct iovec *iov, int niov, int64_t offset)
{
    return aio_co_run_in_thread(file_blocking, &(AioFileRequest){
        .type = AIO_FILE_READ, .fd = fd, .iov = iov, .niov = niov, .offset = offset });
}

ssize_t coroutine_fn aio_co_pwritev_aside(int fd, const struct iovec *iov, int niov,
                                          int64_t offset, int rw_flags)
{
    return aio_co_run_in_thread(file_blocking, &(AioFileRequest){
        .type = AIO_FILE_WRITE, .fd = fd, .iov = iov, .niov = niov, .offset = offset,
        .flags = rw_flags });
}

int coroutine_fn aio_co_fdatasync(int fd)
{
    return file_request(&(AioFileRequest){ .type = AIO_FILE_FDATASYNC, .fd = fd });
}

int coroutine_fn aio_co_fallocate(int fd, int mode, int64_t offset, int64_t len)
{
    return file_request(&(AioFileRequest){
        .type = AIO_FILE_FALLOCATE, .fd = fd, .flags = mode, .offset = offset, .len = len });
}
