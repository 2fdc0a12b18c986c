/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as a qcow2 image, and any requests to it.
 *
 *     image │ operations, 4 bytes each │ how many │ flags of opening
 *
 * The last two bytes say how the bytes before them are read.  Image, backing and data file are in
 * memory, whatever names the header gives.  There is nothing to compare with: the sanitizers, the
 * fuzzer's clock and its memory limit say whether the library behaves.
 *
 * A new operation is a function, here (requests) or in qcow2-upkeep.c (the image as a whole), and a
 * row of operations[], at its end: the corpus counts on the order.
 */
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/block-driver.h>

#include "fuzz/fuzz.h"
#include "fuzz/qcow2-target.h"
#include "tests/ram-file.h"

#define MAX_OPS 32
#define ZERO_SHIFT 5                    /* zero writes and discards are so much longer */
#define BACKING_SIZE (1 << 20)
#define INCOMPAT 79                     /* the header's byte with the bit for a data file */
#define INCOMPAT_DATA_FILE 4

enum { IMAGE, BACKING, DATA_FILE };     /* of ram_files */

typedef enum {
    OPEN_READ_ONLY = 1,
    OPEN_NO_BACKING = 2,                /* else: another one than the header names */
    OPEN_SMALL_CACHES = 4,
    OPEN_UNMAP = 8,
    OPEN_WRITE_THROUGH = 16,
    OPEN_COPY_ON_READ = 32,
    OPEN_DELAYS = 64,                   /* requests wait for each other */
    OPEN_CHECK = 128,
} OpenFlags;

/* ---- operations ---- */

static void op_read(Target *t, const Args *args)
{
    blk_pread(t->blk, args->offset, t->buf, (int)args->bytes);
}

static void op_write(Target *t, const Args *args)
{
    memset(t->buf, args->raw[0], (size_t)args->bytes);
    blk_pwrite(t->blk, args->offset, t->buf, (int)args->bytes);
}

static void op_zero(Target *t, const Args *args)
{
    blk_pwrite_zeroes(t->blk, args->offset, args->bytes << ZERO_SHIFT, 0);
}

static void op_unmap(Target *t, const Args *args)
{
    blk_pwrite_zeroes(t->blk, args->offset, args->bytes << ZERO_SHIFT, BDRV_REQ_MAY_UNMAP);
}

static void op_discard(Target *t, const Args *args)
{
    blk_pdiscard(t->blk, args->offset, args->bytes << ZERO_SHIFT);
}

static void op_status(Target *t, const Args *args)
{
    int64_t left = args->bytes << ZERO_SHIFT, offset = args->offset, n;

    for (int i = 0; i < 64 && left > 0; i++) {
        if (blk_block_status(t->blk, offset, left, &n) < 0) {
            break;
        }
        offset += n;
        left -= n;
    }
}

static void op_flush(Target *t, const Args *args)
{
    (void)args;
    blk_flush(t->blk);
}

static void op_truncate(Target *t, const Args *args)
{
    int64_t size = blk_getlength(t->blk) + args->bytes * (args->raw[0] & 1 ? 1 : -1);

    blk_truncate(t->blk, size & ~INT64_C(511));
}

static void op_truncate_far(Target *t, const Args *args)
{
    blk_truncate(t->blk, INT64_C(512) << args->raw[0] % 54);
}

static void op_compressed(Target *t, const Args *args)
{
    memset(t->buf, args->raw[1], (size_t)args->bytes);
    blk_write_compressed(t->blk, args->offset / 512, t->buf, (int)(args->bytes / 512));
}

static void op_save_vmstate(Target *t, const Args *args)
{
    memset(t->buf, args->raw[0], (size_t)args->bytes);
    blk_save_vmstate(t->blk, t->buf, args->raw[1] << 9, (int)args->bytes);
}

static void op_load_vmstate(Target *t, const Args *args)
{
    blk_load_vmstate(t->blk, t->buf, args->raw[1] << 9, (int)args->bytes);
}

static void written(void *opaque, int ret)
{
    struct Write *w = opaque;

    (void)ret;
    free(w->iov.iov_base);
    w->pending = false;
}

/* Starts a write and leaves it running, if one more may be. */
static void op_write_beside(Target *t, const Args *args)
{
    struct Write *w = t->writes;
    size_t bytes = args->bytes > 1 << 16 ? 1 << 16 : (size_t)args->bytes;

    while (w < t->writes + IN_FLIGHT && w->pending) {
        w++;
    }
    if (w < t->writes + IN_FLIGHT) {
        w->iov = (struct iovec){ .iov_base = calloc(1, bytes + 1), .iov_len = bytes };
        w->pending = true;
        qemu_iovec_init_external(&w->qiov, &w->iov, 1);
        blk_aio_pwritev(t->blk, args->offset, &w->qiov, 0, written, w);
    }
}

static void op_drain(Target *t, const Args *args)
{
    (void)args;
    blk_drain(t->blk);
}

static void op_read_only(Target *t, const Args *args)
{
    bdrv_reopen(blk_bs(t->blk), args->raw[0] & 1 ? BDRV_O_RDWR | BDRV_O_CACHE_WB : BDRV_O_CACHE_WB,
                NULL);
}

static void op_make_zero(Target *t, const Args *args)
{
    if (blk_getlength(t->blk) <= SMALL_DISK) {
        blk_make_zero(t->blk, args->raw[0] & 1 ? BDRV_REQ_MAY_UNMAP : 0);
    }
}

/* ---- opening ---- */

static json_t *ram_file(int number)
{
    return json_pack("{s:s, s:i}", "driver", "ram-file", "number", number);
}

static QDict *make_options(uint8_t flags)
{
    const uint8_t *image = ram_files[IMAGE].data;
    QDict *options = json_pack("{s:s, s:o}", "driver", "qcow2", "file", ram_file(IMAGE));

    if (image[7] >= 3 && image[INCOMPAT] & INCOMPAT_DATA_FILE) {
        qdict_put(options, "data-file", ram_file(DATA_FILE));
    }
    if (!(flags & OPEN_NO_BACKING)) {
        qdict_put(options, "backing", json_pack("{s:s, s:o}", "driver", "raw", "file",
                                                ram_file(BACKING)));
    }
    if (flags & OPEN_SMALL_CACHES) {
        qdict_put(options, "l2-cache-size", qint_from_int(1024));
        qdict_put(options, "l2-cache-entry-size", qint_from_int(512));
        qdict_put(options, "refcount-cache-size", qint_from_int(1024));
    }
    return options;
}

static int open_flags(uint8_t flags)
{
    return (flags & OPEN_READ_ONLY ? BDRV_O_ALLOW_RDWR : BDRV_O_RDWR) |
           (flags & OPEN_NO_BACKING ? BDRV_O_NO_BACKING : 0) |
           (flags & OPEN_UNMAP ? BDRV_O_UNMAP : 0) |
           (flags & OPEN_WRITE_THROUGH ? 0 : BDRV_O_CACHE_WB) |
           (flags & OPEN_COPY_ON_READ && !(flags & (OPEN_READ_ONLY | OPEN_NO_BACKING))
            ? BDRV_O_COPY_ON_READ : 0) |
           (flags & OPEN_CHECK ? BDRV_O_CHECK : 0);
}

/* What is in the files now. */
static void open_files(Target *t)
{
    t->blk = blk_new_open(NULL, NULL, make_options(t->flags), open_flags(t->flags), NULL);
}

static void op_open_again(Target *t, const Args *args)
{
    (void)args;
    blk_unref(t->blk);
    open_files(t);
}

static void set_files(const uint8_t *image, size_t size, uint8_t flags)
{
    static const uint8_t backing[BACKING_SIZE] = { 0x42, [BACKING_SIZE - 1] = 0x42 };

    ram_file_set(&ram_files[IMAGE], image, size);
    ram_file_set(&ram_files[BACKING], backing, sizeof(backing));
    ram_file_set(&ram_files[DATA_FILE], backing, sizeof(backing));
    ram_files[IMAGE].delays = flags & OPEN_DELAYS ? 1 : 0;
}

/* ---- running ---- */

static Operation *const operations[] = {
    op_read, op_write, op_zero, op_unmap, op_discard, op_status, op_flush, op_truncate,
    op_truncate_far, op_compressed, op_save_vmstate, op_load_vmstate, op_write_beside, op_drain,
    op_read_only, op_make_zero, op_check, op_snapshot_create, op_snapshot_goto, op_snapshot_delete,
    op_snapshot_load_tmp, op_make_empty, op_amend, op_change_backing_file, op_bitmap_add,
    op_bitmap_remove, op_bitmap_change, op_bitmap_merge, op_describe, op_measure,
    op_truncate_prealloc, op_invalidate, op_open_again,
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/*
 * Small disks are hit all over, and of large ones the beginning and the end.  Most ranges start
 * and end at sectors, as most clients' do.
 */
static Args decode(const Target *t, const uint8_t *op)
{
    Args args = { .raw = { op[1], op[2], op[3] } };
    int64_t size = blk_getlength(t->blk), at = (int64_t)(op[1] | op[2] << 8);

    args.bytes = ((op[3] & 15) + 1) * INT64_C(512) << (op[3] >> 4) % 9;
    args.offset = at * 512;
    if (op[0] & 0x80 && size > 0) {
        args.offset = size - args.offset > 0 ? size - args.offset : 0;
    }
    if (op[0] & 0x40) {
        args.offset += 7;
        args.bytes -= 100;
    }
    if (size > 0 && args.offset >= size) {
        args.offset %= size;
    }
    if (args.offset + args.bytes > size && size > args.offset && args.offset < INT64_MAX / 2) {
        args.bytes = size - args.offset < args.bytes ? size - args.offset : args.bytes;
    }
    return args;
}

static void run(Target *t, const uint8_t *ops, size_t count)
{
    for (size_t i = 0; i < count && t->blk; i++, ops += OP_BYTES) {
        Args args = decode(t, ops);

        operations[(ops[0] & 0x3f) % OPERATIONS](t, &args);
    }
    if (t->blk) {
        blk_drain(t->blk);
    }
}

static void ignore(void *opaque, const char *message)
{
    (void)opaque;
    (void)message;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    blkbackend_set_log_fn(ignore, NULL);
    return qemu_init_main_loop(&error_abort);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buf[MAX_LENGTH];
    Target target = { .buf = buf };
    size_t ops = size >= 2 ? data[size - 2] % (MAX_OPS + 1) : 0, image;

    if (size < 2 + OP_BYTES * ops || size - 2 - OP_BYTES * ops > RAM_FILE_ROOM) {
        return 0;
    }
    image = size - 2 - OP_BYTES * ops;
    target.flags = data[size - 1];
    set_files(data, image, target.flags);
    open_files(&target);
    run(&target, data + image, ops);
    blk_unref(target.blk);
    return 0;
}
