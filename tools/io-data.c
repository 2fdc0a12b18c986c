/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data of requests: made, verified, shown. */
#include "tools/io.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tools/tool.h"

#define MISALIGNMENT 16

/* ---- buffers ---- */

/* Memory without a vector yet. */
static bool allocate(Io *io, IoBuffer *buffer, int64_t bytes)
{
    size_t gap = io->misalign ? MISALIGNMENT : 0;

    buffer->memory = blk_try_blockalign(io->blk, (size_t)bytes + gap);
    if (!buffer->memory) {
        error_report("No memory for a request of %" PRId64 " bytes", bytes);
        return false;
    }
    buffer->data = (uint8_t *)buffer->memory + gap;
    return true;
}

static void fill_one_piece(IoBuffer *buffer, int64_t bytes)
{
    qemu_iovec_init(&buffer->qiov, 1);
    qemu_iovec_add(&buffer->qiov, buffer->data, (size_t)bytes);
}

bool io_buffer_init(Io *io, IoBuffer *buffer, int64_t bytes, int fill)
{
    if (!allocate(io, buffer, bytes)) {
        return false;
    }
    memset(buffer->data, fill, (size_t)bytes);
    fill_one_piece(buffer, bytes);
    return true;
}

void io_buffer_free(IoBuffer *buffer)
{
    if (buffer->memory) {
        qemu_iovec_destroy(&buffer->qiov);
        qemu_vfree(buffer->memory);
        buffer->memory = NULL;
    }
}

/* How much of the file there is, up to `bytes`; 0: none, and it has been reported. */
static size_t read_file(uint8_t *data, size_t bytes, const char *file)
{
    FILE *f = fopen(file, "r");
    size_t n;

    if (!f) {
        perror(file);
        return 0;
    }
    n = fread(data, 1, bytes, f);
    if (ferror(f)) {
        perror(file);
        n = 0;
    } else if (n == 0) {
        fprintf(stderr, "%s: file is empty\n", file);
    }
    fclose(f);
    return n;
}

bool io_buffer_from_file(Io *io, IoBuffer *buffer, int64_t bytes, const char *file)
{
    size_t size = (size_t)bytes, have;

    if (!allocate(io, buffer, bytes)) {
        return false;
    }
    have = read_file(buffer->data, size, file);
    if (have == 0) {
        qemu_vfree(take_ptr(buffer->memory));
        return false;
    }
    while (have < size) {   /* doubles, so it stays a whole number of copies */
        size_t n = size - have < have ? size - have : have;

        memcpy(buffer->data + have, buffer->data, n);
        have += n;
    }
    fill_one_piece(buffer, bytes);
    return true;
}

/* One length of several, into the vector; its memory comes later. */
static bool take_piece(QEMUIOVector *qiov, const char *arg)
{
    int64_t len;

    if (io_take_size(arg, &len) < 0) {
        return false;
    }
    if (len > BDRV_REQUEST_MAX_BYTES) {
        printf("Argument '%s' exceeds maximum size %" PRId64 "\n", arg, BDRV_REQUEST_MAX_BYTES);
        return false;
    }
    if ((int64_t)qiov->size > BDRV_REQUEST_MAX_BYTES - len) {
        printf("The total number of bytes exceed the maximum size %" PRId64 "\n",
               BDRV_REQUEST_MAX_BYTES);
        return false;
    }
    qemu_iovec_add(qiov, NULL, (size_t)len);
    return true;
}

static bool buffer_from_lengths(Io *io, IoBuffer *buffer, char **argv, int n, int fill)
{
    QEMUIOVector *qiov = &buffer->qiov;
    uint8_t *piece;
    bool good = true;

    qemu_iovec_init(qiov, n);
    for (int i = 0; i < n && good; i++) {
        good = take_piece(qiov, argv[i]);
    }
    if (!good || !allocate(io, buffer, (int64_t)qiov->size)) {
        qemu_iovec_destroy(qiov);
        return false;
    }
    memset(buffer->data, fill, qiov->size);
    piece = buffer->data;
    for (int i = 0; i < qiov->niov; i++) {
        qiov->iov[i].iov_base = piece;
        piece += qiov->iov[i].iov_len;
    }
    return true;
}

int io_take_pieces(Io *io, const IoCommand *command, const IoOptions *o, int argc,
                   char **argv, int fill, int64_t *offset, IoBuffer *buffer)
{
    int ret;

    if (o->next > argc - 2) {
        io_print_usage(command);
        return -EINVAL;
    }
    ret = io_take_size(argv[o->next], offset);
    if (ret == 0 &&
        !buffer_from_lengths(io, buffer, argv + o->next + 1, argc - o->next - 1, fill)) {
        ret = -EINVAL;
    }
    return ret;
}

/* ---- what was read ---- */

int io_verify(const uint8_t *data, int64_t bytes, int pattern, int64_t offset)
{
    for (int64_t i = 0; i < bytes; i++) {
        if (data[i] != pattern) {
            printf("Pattern verification failed at offset %" PRId64 ", %" PRId64 " bytes\n",
                   offset, bytes);
            return -EINVAL;
        }
    }
    return 0;
}

void io_dump(const uint8_t *data, int64_t offset, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 16) {
        int n = bytes - i < 16 ? (int)(bytes - i) : 16;

        printf("%08" PRIx64 ":  ", (uint64_t)(offset + i));
        for (int j = 0; j < n; j++) {
            printf("%02x ", data[i + j]);
        }
        printf(" ");
        for (int j = 0; j < n; j++) {
            printf("%c", isalnum(data[i + j]) ? data[i + j] : '.');
        }
        printf("\n");
    }
}
