/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aio_read, aio_write, aio_flush: requests that go on while further commands
 * run, and report when they are done.
 */
#include "tools/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/xalloc.h"
#include "tools/tool.h"

typedef struct AioRequest {
    BlockBackend *blk;
    IoOptions o;
    int64_t offset, bytes;
    IoBuffer buffer;           /* none for a zero write */
    int64_t start;
    BlockAcctCookie cookie;
} AioRequest;

/* ---- the end of a request ---- */

static void account_end(AioRequest *request, int ret)
{
    BlockAcctStats *stats = blk_get_stats(request->blk);

    if (ret < 0) {
        block_acct_failed(stats, &request->cookie);
    } else {
        block_acct_done(stats, &request->cookie);
    }
}

static void free_request(AioRequest *request)
{
    io_buffer_free(&request->buffer);
    free(request);
}

static void read_done(void *opaque, int ret)
{
    AioRequest *request = opaque;
    const IoOptions *o = &request->o;
    int64_t time = io_now() - request->start;

    account_end(request, ret);
    if (ret < 0) {
        io_print_failure("readv", ret);
    } else {
        if (o->given['P']) {
            io_verify(request->buffer.data, request->bytes, o->pattern, request->offset);
        }
        if (o->given['v'] && !o->given['q']) {
            io_dump(request->buffer.data, request->offset, request->bytes);
        }
        io_print_report(o, "read", time, request->offset, request->bytes);
    }
    free_request(request);
}

static void write_done(void *opaque, int ret)
{
    AioRequest *request = opaque;
    int64_t time = io_now() - request->start;

    account_end(request, ret);
    if (ret < 0) {
        io_print_failure("aio_write", ret);
    } else {
        io_print_report(&request->o, "wrote", time, request->offset, request->bytes);
    }
    free_request(request);
}

/* ---- its beginning ---- */

static void start(AioRequest *request, enum BlockAcctType type)
{
    request->start = io_now();
    block_acct_start(blk_get_stats(request->blk), &request->cookie, request->bytes, type);
}

/* -i: only the statistics hear of it. */
static int inject_invalid(Io *io, const char *what, enum BlockAcctType type)
{
    printf("injecting invalid %s request\n", what);
    block_acct_invalid(blk_get_stats(io->blk), type);
    return 0;
}

static int take_data(Io *io, const IoCommand *command, AioRequest *request, int argc, char **argv,
                     int fill, enum BlockAcctType type)
{
    const IoOptions *o = &request->o;
    int ret = io_take_pieces(io, command, o, argc, argv, fill, &request->offset, &request->buffer);

    if (ret == 0) {
        request->bytes = (int64_t)request->buffer.qiov.size;
    } else if (o->next <= argc - 2 && request->offset >= 0) {
        block_acct_invalid(blk_get_stats(io->blk), type);
    }
    return ret;
}

int io_aio_read(Io *io, const IoCommand *command, int argc, char **argv)
{
    AioRequest *request = xcalloc(1, sizeof(*request));
    const IoOptions *o = &request->o;
    int ret = io_take_options(command, argc, argv, &request->o);

    request->blk = io->blk;
    if (ret < 0 || o->given['i']) {
        free(request);
        return ret < 0 ? ret : inject_invalid(io, "read", BLOCK_ACCT_READ);
    }
    ret = take_data(io, command, request, argc, argv, IO_READ_FILL, BLOCK_ACCT_READ);
    if (ret < 0) {
        free(request);
        return ret;
    }
    start(request, BLOCK_ACCT_READ);
    blk_aio_preadv(io->blk, request->offset, &request->buffer.qiov, 0, read_done, request);
    return 0;
}

static int take_zeroes(const IoCommand *command, AioRequest *request, int argc, char **argv)
{
    const IoOptions *o = &request->o;
    int ret;

    if (o->next > argc - 2) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (o->next != argc - 2) {
        printf("-z supports only a single length parameter\n");
        return -EINVAL;
    }
    ret = io_take_size(argv[o->next], &request->offset);
    return ret < 0 ? ret : io_take_size(argv[o->next + 1], &request->bytes);
}

static int take_write(Io *io, const IoCommand *command, AioRequest *request, int argc, char **argv)
{
    const IoOptions *o = &request->o;

    if (o->given['z']) {
        return take_zeroes(command, request, argc, argv);
    }
    if (o->given['u'] && o->next <= argc - 2) {
        printf("-u requires -z to be specified\n");
        return -EINVAL;
    }
    return take_data(io, command, request, argc, argv,
                     o->given['P'] ? o->pattern : IO_WRITE_FILL, BLOCK_ACCT_WRITE);
}

int io_aio_write(Io *io, const IoCommand *command, int argc, char **argv)
{
    AioRequest *request = xcalloc(1, sizeof(*request));
    const IoOptions *o = &request->o;
    int ret = io_take_options(command, argc, argv, &request->o), flags;

    request->blk = io->blk;
    if (ret < 0 || o->given['i']) {
        free(request);
        return ret < 0 ? ret : inject_invalid(io, "write", BLOCK_ACCT_WRITE);
    }
    ret = take_write(io, command, request, argc, argv);
    if (ret < 0) {
        free(request);
        return ret;
    }
    flags = (o->given['f'] ? BDRV_REQ_FUA : 0) | (o->given['u'] ? BDRV_REQ_MAY_UNMAP : 0);
    start(request, BLOCK_ACCT_WRITE);
    if (o->given['z']) {
        blk_aio_pwrite_zeroes(io->blk, request->offset, request->bytes, flags, write_done,
                              request);
    } else {
        blk_aio_pwritev(io->blk, request->offset, &request->buffer.qiov, flags, write_done,
                        request);
    }
    return 0;
}

int io_aio_flush(Io *io, const IoCommand *command, int argc, char **argv)
{
    BlockAcctStats *stats = blk_get_stats(io->blk);
    BlockAcctCookie cookie;

    (void)command, (void)argc, (void)argv;
    block_acct_start(stats, &cookie, 0, BLOCK_ACCT_FLUSH);
    blk_drain_all();
    block_acct_done(stats, &cookie);
    return 0;
}
