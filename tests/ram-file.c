/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The protocol "ram-file", see ram-file.h. */
#include "tests/ram-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/block-driver.h>

#define MOST_DELAYS 6

RamFile ram_files[RAM_FILES];

void ram_file_set(RamFile *file, const void *data, size_t size)
{
    if (!file->data) {
        file->data = mmap(NULL, RAM_FILE_ROOM, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (file->data == MAP_FAILED) {
            abort();
        }
    }
    memcpy(file->data, data, size);
    if (file->size > (int64_t)size) {
        memset(file->data + size, 0, (size_t)file->size - size);
    }
    file->size = (int64_t)size;
}

/* ---- the driver ---- */

static RamFile *file_of(BlockDriverState *bs)
{
    return *(RamFile **)bdrv_state(bs);
}

static int ram_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    json_t *number = json_object_get(options, "number");
    RamFile **file = bdrv_state(bs);

    (void)flags;
    if (!json_is_integer(number) || json_integer_value(number) >= RAM_FILES ||
        !ram_files[json_integer_value(number)].data) {
        error_setg(errp, "There is no such ram-file");
        return -EINVAL;
    }
    *file = &ram_files[json_integer_value(number)];
    qdict_del(options, "number");
    return 0;
}

static int ram_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)bs;
    (void)flags;
    (void)errp;
    return 0;
}

static bool ram_has_zero_init(BlockDriverState *bs)
{
    (void)bs;
    return true;
}

static int64_t coroutine_fn ram_getlength(BlockDriverState *bs)
{
    return file_of(bs)->size;
}

/* Lets other coroutines run, now longer, now shorter. */
static void coroutine_fn delay(RamFile *file)
{
    unsigned turns = file->delays ? (unsigned)rand_r(&file->delays) % MOST_DELAYS : 0;

    while (turns-- > 0) {
        aio_co_schedule(qemu_coroutine_get_aio_context(qemu_coroutine_self()),
                        qemu_coroutine_self());
        qemu_coroutine_yield();
    }
}

/* How much of [offset, offset + bytes) is within `limit`. */
static size_t within(int64_t offset, int64_t bytes, int64_t limit)
{
    return (size_t)(offset >= limit ? 0 : bytes < limit - offset ? bytes : limit - offset);
}

static int coroutine_fn ram_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                   QEMUIOVector *qiov, int flags)
{
    RamFile *file = file_of(bs);
    size_t have;

    (void)flags;
    delay(file);
    have = within(offset, bytes, file->size);
    if (have > 0) {
        qemu_iovec_from_buf(qiov, 0, file->data + offset, have);
    }
    qemu_iovec_memset(qiov, have, 0, (size_t)bytes - have);
    return 0;
}

static int coroutine_fn ram_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                    QEMUIOVector *qiov, int flags)
{
    RamFile *file = file_of(bs);

    (void)flags;
    delay(file);
    if (within(offset, bytes, RAM_FILE_ROOM) < (size_t)bytes) {
        return -ENOSPC;
    }
    qemu_iovec_to_buf(qiov, 0, file->data + offset, (size_t)bytes);
    file->size = offset + bytes > file->size ? offset + bytes : file->size;
    return 0;
}

static int coroutine_fn ram_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                          int flags)
{
    RamFile *file = file_of(bs);

    (void)flags;
    delay(file);
    if (within(offset, bytes, RAM_FILE_ROOM) < (size_t)bytes) {
        return -ENOSPC;
    }
    memset(file->data + offset, 0, within(offset, bytes, file->size));
    file->size = offset + bytes > file->size ? offset + bytes : file->size;
    return 0;
}

static int coroutine_fn ram_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    RamFile *file = file_of(bs);
    size_t have;

    delay(file);
    have = within(offset, bytes, file->size);
    if (have > 0) {
        memset(file->data + offset, 0, have);
    }
    return 0;
}

static int coroutine_fn ram_flush(BlockDriverState *bs)
{
    delay(file_of(bs));
    return 0;
}

static int coroutine_fn ram_truncate(BlockDriverState *bs, int64_t offset, PreallocMode prealloc,
                                     Error **errp)
{
    RamFile *file = file_of(bs);

    (void)prealloc;
    delay(file);
    if (offset > RAM_FILE_ROOM) {
        error_setg(errp, "A ram-file has no room for that");
        return -ENOSPC;
    }
    if (offset < file->size) {
        memset(file->data + offset, 0, (size_t)(file->size - offset));
    }
    file->size = offset;
    return 0;
}

static BlockDriver ram_file_driver = {
    .format_name = "ram-file",
    .protocol_name = "ram-file",
    .instance_size = sizeof(RamFile *),

    .bdrv_open = ram_open,
    .bdrv_reopen = ram_reopen,
    .bdrv_has_zero_init = ram_has_zero_init,
    .bdrv_co_getlength = ram_getlength,
    .bdrv_co_preadv = ram_preadv,
    .bdrv_co_pwritev = ram_pwritev,
    .bdrv_co_pwrite_zeroes = ram_pwrite_zeroes,
    .bdrv_co_pdiscard = ram_pdiscard,
    .bdrv_co_flush_to_disk = ram_flush,
    .bdrv_co_truncate = ram_truncate,
    .prealloc_modes = 1u << PREALLOC_MODE_FALLOC | 1u << PREALLOC_MODE_FULL,
};

BLOCK_DRIVER(ram_file_driver)
