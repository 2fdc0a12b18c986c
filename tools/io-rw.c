/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read, readv, write, writev: one request, waited for. */
#include "tools/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tools/tool.h"

/* ---- requests that are waited for ---- */

#define IN_FLIGHT 1   /* no result: those are 0 or negative */

static void request_done(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static int wait_for(const int *result)
{
    while (*result == IN_FLIGHT) {
        main_loop_wait(false);
    }
    return *result;
}

static int read_data(Io *io, int64_t offset, IoBuffer *buffer)
{
    int result = IN_FLIGHT;

    blk_aio_preadv(io->blk, offset, &buffer->qiov, 0, request_done, &result);
    return wait_for(&result);
}

static int write_data(Io *io, int64_t offset, IoBuffer *buffer, const IoOptions *o)
{
    int result = IN_FLIGHT;

    blk_aio_pwritev(io->blk, offset, &buffer->qiov, o->given['f'] ? BDRV_REQ_FUA : 0,
                    request_done, &result);
    return wait_for(&result);
}

static int write_zeroes(Io *io, int64_t offset, int64_t bytes, const IoOptions *o)
{
    int flags = (o->given['f'] ? BDRV_REQ_FUA : 0) | (o->given['u'] ? BDRV_REQ_MAY_UNMAP : 0) |
                (o->given['n'] ? BDRV_REQ_NO_FALLBACK : 0);

    return blk_pwrite_zeroes(io->blk, offset, bytes, flags);
}

/* Only whole sectors have a place in the VM state and in compressed writes. */
static int check_sectors(int64_t offset, int64_t bytes)
{
    if (offset % BDRV_SECTOR_SIZE) {
        printf("%" PRId64 " is not a sector-aligned value for 'offset'\n", offset);
        return -EINVAL;
    }
    if (bytes % BDRV_SECTOR_SIZE) {
        printf("%" PRId64 " is not a sector-aligned value for 'count'\n", bytes);
        return -EINVAL;
    }
    return 0;
}

/* ---- read ---- */

/* Which part of the data -s and -l name. */
static int take_part(const IoCommand *command, IoOptions *o, int64_t bytes)
{
    if (!o->given['P'] && (o->given['l'] || o->given['s'])) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (!o->given['l']) {
        o->length = bytes - o->skip;
    }
    if (o->skip > bytes || o->length > bytes - o->skip) {
        printf("pattern verification range exceeds end of read data\n");
        return -EINVAL;
    }
    return 0;
}

/* Reads into the buffer and shows what the options ask for. */
static int read_and_show(Io *io, const IoOptions *o, const char *name, int64_t offset,
                         IoBuffer *buffer)
{
    int64_t bytes = (int64_t)buffer->qiov.size, start = io_now(), time;
    int ret = o->given['b'] ? blk_load_vmstate(io->blk, buffer->data, offset, (int)bytes)
                            : read_data(io, offset, buffer);

    time = io_now() - start;
    if (ret < 0) {
        io_print_failure(name, ret);
        return ret;
    }
    ret = 0;
    if (o->given['P']) {
        ret = io_verify(buffer->data + o->skip, o->length, o->pattern, offset + o->skip);
    }
    if (o->given['v'] && !o->given['q']) {
        io_dump(buffer->data, offset, bytes);
    }
    io_print_report(o, "read", time, offset, bytes);
    return ret;
}

int io_read(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t offset, bytes;
    IoOptions o;
    IoBuffer buffer;
    int ret = io_take_options(command, argc, argv, &o);

    if (ret == 0 && o.next != argc - 2) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (ret == 0) {
        ret = io_take_range(command, &o, argv + o.next, &offset, &bytes);
    }
    if (ret == 0) {
        ret = take_part(command, &o, bytes);
    }
    if (ret == 0 && o.given['b']) {
        ret = check_sectors(offset, bytes);
    }
    if (ret < 0) {
        return ret;
    }
    if (!io_buffer_init(io, &buffer, bytes, IO_READ_FILL)) {
        return -ENOMEM;
    }
    ret = read_and_show(io, &o, "read", offset, &buffer);
    io_buffer_free(&buffer);
    return ret;
}

int io_readv(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t offset;
    IoOptions o;
    IoBuffer buffer;
    int ret = io_take_options(command, argc, argv, &o);

    if (ret == 0) {
        ret = io_take_pieces(io, command, &o, argc, argv, IO_READ_FILL, &offset, &buffer);
    }
    if (ret == 0) {
        o.length = (int64_t)buffer.qiov.size;
        ret = read_and_show(io, &o, "readv", offset, &buffer);
        io_buffer_free(&buffer);
    }
    return ret;
}

/* ---- write ---- */

static int write_fill(const IoOptions *o)
{
    return o->given['P'] ? o->pattern : IO_WRITE_FILL;
}

static const char *write_conflict(const bool *given)
{
    if (given['b'] && given['z']) {
        return "-b and -z cannot be specified at the same time";
    }
    if (given['f'] && (given['b'] || given['c'])) {
        return "-f and -b or -c cannot be specified at the same time";
    }
    if (given['n'] && !given['z']) {
        return "-n requires -z to be specified";
    }
    if (given['u'] && !given['z']) {
        return "-u requires -z to be specified";
    }
    if (given['z'] + given['P'] + given['s'] > 1) {
        return "Only one of -z, -P, and -s can be specified at the same time";
    }
    return NULL;
}

static int take_write(const IoCommand *command, IoOptions *o, int argc, char **argv,
                      int64_t *offset, int64_t *bytes)
{
    int ret = io_take_options(command, argc, argv, o);
    const char *conflict;

    if (ret == 0 && o->next != argc - 2) {
        io_print_usage(command);
        return -EINVAL;
    }
    conflict = ret == 0 ? write_conflict(o->given) : NULL;
    if (conflict) {
        printf("%s\n", conflict);
        return -EINVAL;
    }
    if (ret == 0) {
        ret = io_take_range(command, o, argv + o->next, offset, bytes);
    }
    if (ret == 0 && (o->given['b'] || o->given['c'])) {
        ret = check_sectors(*offset, *bytes);
    }
    return ret;
}

static int write_as_asked(Io *io, const IoOptions *o, int64_t offset, int64_t bytes,
                          IoBuffer *buffer)
{
    if (o->given['b']) {
        return blk_save_vmstate(io->blk, buffer->data, offset, (int)bytes);
    }
    if (o->given['z']) {
        return write_zeroes(io, offset, bytes, o);
    }
    if (o->given['c']) {
        return blk_write_compressed(io->blk, offset >> BDRV_SECTOR_BITS, buffer->data,
                                    (int)(bytes >> BDRV_SECTOR_BITS));
    }
    return write_data(io, offset, buffer, o);
}

static int finish_write(const IoOptions *o, const char *name, int ret, int64_t start,
                        int64_t offset, int64_t bytes)
{
    int64_t time = io_now() - start;

    if (ret < 0) {
        io_print_failure(name, ret);
        return ret;
    }
    io_print_report(o, "wrote", time, offset, bytes);
    return 0;
}

int io_write(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t offset, bytes, start;
    IoOptions o;
    IoBuffer buffer = {0};
    int ret = take_write(command, &o, argc, argv, &offset, &bytes);
    bool ready = true;

    if (ret < 0) {
        return ret;
    }
    if (o.given['s']) {
        ready = io_buffer_from_file(io, &buffer, bytes, o.file);
    } else if (!o.given['z']) {
        ready = io_buffer_init(io, &buffer, bytes, write_fill(&o));
    }
    if (!ready) {
        return -EINVAL;
    }
    start = io_now();
    ret = write_as_asked(io, &o, offset, bytes, &buffer);
    ret = finish_write(&o, "write", ret, start, offset, bytes);
    io_buffer_free(&buffer);
    return ret;
}

int io_writev(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t offset, start;
    IoOptions o;
    IoBuffer buffer;
    int ret = io_take_options(command, argc, argv, &o);

    if (ret == 0) {
        ret = io_take_pieces(io, command, &o, argc, argv, write_fill(&o), &offset, &buffer);
    }
    if (ret < 0) {
        return ret;
    }
    start = io_now();
    ret = write_data(io, offset, &buffer, &o);
    ret = finish_write(&o, "writev", ret, start, offset, (int64_t)buffer.qiov.size);
    io_buffer_free(&buffer);
    return ret;
}
