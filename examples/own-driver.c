/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * own-driver SIZE OFFSET COUNT
 *
 * A disk whose data nobody stored: a driver of this program's own computes
 * them.  Each 16 bytes are a line of text that holds its own number.  The
 * program opens such a disk of SIZE bytes and prints COUNT bytes from OFFSET on:
 *
 *     $ own-driver 1048576 4096 32
 *     line 0000000256
 *     line 0000000257
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#define LINE 16

/* ---- the driver ---- */

typedef struct LinesState {
    int64_t size;
} LinesState;

/* Takes the options that are the driver's; one that nobody takes is an error. */
static int lines_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    LinesState *s = bdrv_state(bs);
    json_t *size = json_object_get(options, "size");

    if (!json_is_integer(size) || json_integer_value(size) < 0) {
        error_setg(errp, "A disk of lines needs a size");
        return -EINVAL;
    }
    if (flags & BDRV_O_RDWR) {
        error_setg(errp, "A disk of lines is read-only");
        return -EACCES;
    }
    s->size = json_integer_value(size);
    qdict_del(options, "size");
    return 0;
}

static int64_t coroutine_fn lines_getlength(BlockDriverState *bs)
{
    LinesState *s = bdrv_state(bs);

    return s->size;
}

/* Any number of threads may be in here.  Offset and bytes are multiples of 512, thus of LINE. */
static int coroutine_fn lines_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                     QEMUIOVector *qiov, int flags)
{
    char line[LINE + 1];
    int64_t done;

    (void)bs;
    (void)flags;
    for (done = 0; done < bytes; done += LINE) {
        snprintf(line, sizeof(line), "line %010" PRIu32 "\n", (uint32_t)((offset + done) / LINE));
        qemu_iovec_from_buf(qiov, (size_t)done, line, LINE);
    }
    return 0;
}

static BlockDriver lines_driver = {
    .format_name = "lines",
    .instance_size = sizeof(LinesState),
    .bdrv_open = lines_open,
    .bdrv_co_getlength = lines_getlength,
    .bdrv_co_preadv = lines_preadv,
};

BLOCK_DRIVER(lines_driver)

/* ---- the program ---- */

int main(int argc, char **argv)
{
    QDict *options = qdict_new();
    BlockBackend *blk;
    int64_t offset;
    int count, ret;
    char *buf;

    if (argc != 4) {
        fprintf(stderr, "usage: own-driver SIZE OFFSET COUNT\n");
        return 2;
    }
    offset = strtoll(argv[2], NULL, 10);
    count = atoi(argv[3]);

    qemu_init_main_loop(&error_fatal);
    qdict_put(options, "driver", qstring_from_str("lines"));
    qdict_put(options, "size", qint_from_int(strtoll(argv[1], NULL, 10)));
    blk = blk_new_open(NULL, NULL, options, 0, &error_fatal);

    buf = blk_blockalign(blk, count > 0 ? (size_t)count : 0);
    ret = blk_pread(blk, offset, buf, count);
    if (ret < 0) {
        fprintf(stderr, "reading: %s\n", strerror(-ret));
    } else {
        fwrite(buf, 1, (size_t)count, stdout);
    }
    qemu_vfree(buf);
    blk_unref(blk);
    return ret < 0;
}
