/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protocols "null-co" and "null-aio": a disk that forgets what is written.
 * null-co completes a request at once, null-aio only after a turn of the event
 * loop, as a real device would.  For measurements and tests.
 *
 * Options: size (default 1 GiB), latency-ns, read-zeroes.  Reads give zeroes unless
 * read-zeroes=off: then they leave the buffer alone, which may hold anything
 * that was in memory before; hence never the default.
 */
#include <errno.h>
#include <string.h>

#include "util/options.h"

#include <blkbackend/block-driver.h>

#define NULL_DEFAULT_SIZE (INT64_C(1) << 30)

typedef struct BDRVNullState {
    int64_t length;
    int64_t latency_ns;
    bool read_zeroes;
} BDRVNullState;

static int null_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    BDRVNullState *s = bdrv_state(bs);

    (void)flags;
    s->length = NULL_DEFAULT_SIZE;
    s->read_zeroes = true;
    if (options_take_size(options, "size", &s->length, errp) < 0 ||
        options_take_size(options, "latency-ns", &s->latency_ns, errp) < 0 ||
        options_take_bool(options, "read-zeroes", &s->read_zeroes, errp) < 0) {
        return -EINVAL;
    }
    return 0;
}

/* There is nothing to name: "null-co:" and "null-co://" are whole. */
static void null_parse_filename(const char *filename, QDict *options, Error **errp)
{
    (void)options;
    if (filename[0] != '\0' && strcmp(filename, "//") != 0) {
        error_setg(errp, "A null device has no file name, but '%s' was given", filename);
        error_append_hint(errp, "Use options, for example size=1G.\n");
    }
}

static int64_t coroutine_fn null_co_getlength(BlockDriverState *bs)
{
    BDRVNullState *s = bdrv_state(bs);

    return s->length;
}

/* ---- requests ---- */

static void null_wake(void *opaque)
{
    aio_co_wake(opaque);
}

static void coroutine_fn null_co_delay(BDRVNullState *s, bool always_yield)
{
    if (s->latency_ns > 0) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, s->latency_ns);
    } else if (always_yield) {
        aio_bh_schedule_oneshot(qemu_get_current_aio_context(), null_wake, qemu_coroutine_self());
        qemu_coroutine_yield();
    }
}

static int coroutine_fn null_read(BlockDriverState *bs, QEMUIOVector *qiov, bool always_yield)
{
    BDRVNullState *s = bdrv_state(bs);

    null_co_delay(s, always_yield);
    if (s->read_zeroes) {
        qemu_iovec_memset(qiov, 0, 0, qiov->size);
    }
    return 0;
}

static int coroutine_fn null_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       QEMUIOVector *qiov, int flags)
{
    (void)offset;
    (void)bytes;
    (void)flags;
    return null_read(bs, qiov, false);
}

static int coroutine_fn null_aio_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags)
{
    (void)offset;
    (void)bytes;
    (void)flags;
    return null_read(bs, qiov, true);
}

static int coroutine_fn null_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags)
{
    (void)offset;
    (void)bytes;
    (void)qiov;
    (void)flags;
    null_co_delay(bdrv_state(bs), false);
    return 0;
}

static int coroutine_fn null_aio_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                         QEMUIOVector *qiov, int flags)
{
    (void)offset;
    (void)bytes;
    (void)qiov;
    (void)flags;
    null_co_delay(bdrv_state(bs), true);
    return 0;
}

static int coroutine_fn null_co_flush(BlockDriverState *bs)
{
    null_co_delay(bdrv_state(bs), false);
    return 0;
}

static int coroutine_fn null_aio_flush(BlockDriverState *bs)
{
    null_co_delay(bdrv_state(bs), true);
    return 0;
}

static int coroutine_fn null_co_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                             int64_t *pnum, int64_t *map, BlockDriverState **file)
{
    BDRVNullState *s = bdrv_state(bs);

    *pnum = bytes;
    *map = offset;
    *file = bs;
    return BDRV_BLOCK_OFFSET_VALID | (s->read_zeroes ? BDRV_BLOCK_ZERO : BDRV_BLOCK_DATA);
}

static int64_t null_get_allocated_file_size(BlockDriverState *bs)
{
    (void)bs;
    return 0;
}

static bool null_has_zero_init(BlockDriverState *bs)
{
    BDRVNullState *s = bdrv_state(bs);

    return s->read_zeroes;
}

static int null_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)bs;
    (void)flags;
    (void)errp;
    return 0;
}

static BlockDriver null_co_driver = {
    .format_name = "null-co",
    .protocol_name = "null-co",
    .instance_size = sizeof(BDRVNullState),
    .bdrv_parse_filename = null_parse_filename,
    .bdrv_open = null_open,
    .bdrv_reopen = null_reopen,
    .bdrv_co_getlength = null_co_getlength,
    .bdrv_get_allocated_file_size = null_get_allocated_file_size,
    .bdrv_has_zero_init = null_has_zero_init,
    .bdrv_co_preadv = null_co_preadv,
    .bdrv_co_pwritev = null_co_pwritev,
    .bdrv_co_flush_to_disk = null_co_flush,
    .bdrv_co_block_status = null_co_block_status,
};

static BlockDriver null_aio_driver = {
    .format_name = "null-aio",
    .protocol_name = "null-aio",
    .instance_size = sizeof(BDRVNullState),
    .bdrv_parse_filename = null_parse_filename,
    .bdrv_open = null_open,
    .bdrv_reopen = null_reopen,
    .bdrv_co_getlength = null_co_getlength,
    .bdrv_get_allocated_file_size = null_get_allocated_file_size,
    .bdrv_has_zero_init = null_has_zero_init,
    .bdrv_co_preadv = null_aio_preadv,
    .bdrv_co_pwritev = null_aio_pwritev,
    .bdrv_co_flush_to_disk = null_aio_flush,
    .bdrv_co_block_status = null_co_block_status,
};

BLOCK_DRIVER(null_co_driver)
BLOCK_DRIVER(null_aio_driver)
