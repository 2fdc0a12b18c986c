/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * throttle BYTES-PER-SECOND SECONDS
 *
 * Two disks share one limit.  Both are read as fast as they go, one in small
 * pieces, one in large ones; at the end the program says how much it got.
 * Members of a group take turns request by request, so the one with the larger
 * requests gets more bytes; together they get what the limit allows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>

#define DISK_SIZE (1 << 30)

typedef struct Reader {
    BlockBackend *blk;
    struct iovec iov;
    QEMUIOVector qiov;
    int64_t bytes;
    int error;
} Reader;

static bool time_is_up;

static void read_more(Reader *reader);

static void have_read(void *opaque, int ret)
{
    Reader *reader = opaque;

    if (time_is_up) {
        return;
    }
    if (ret < 0) {
        reader->error = ret;
        return;
    }
    reader->bytes += (int64_t)reader->qiov.size;
    read_more(reader);
}

static void read_more(Reader *reader)
{
    int64_t offset = reader->bytes % DISK_SIZE;

    blk_aio_preadv(reader->blk, offset, &reader->qiov, 0, have_read, reader);
}

static void reader_init(Reader *reader, size_t request)
{
    QDict *options = qdict_new();

    memset(reader, 0, sizeof(*reader));
    qdict_put(options, "driver", qstring_from_str("null-co"));
    qdict_put(options, "size", qint_from_int(DISK_SIZE));
    reader->blk = blk_new_open(NULL, NULL, options, 0, &error_fatal);
    reader->iov.iov_base = blk_blockalign(reader->blk, request);
    reader->iov.iov_len = request;
    qemu_iovec_init_external(&reader->qiov, &reader->iov, 1);
    blk_io_limits_enable(reader->blk, "both");
}

static void reader_destroy(Reader *reader)
{
    /* Requests that the limit still holds back are let go, and end. */
    blk_io_limits_disable(reader->blk);
    blk_unref(reader->blk);
    qemu_vfree(reader->iov.iov_base);
}

static void end_of_time(void *opaque)
{
    (void)opaque;
    time_is_up = true;
}

int main(int argc, char **argv)
{
    ThrottleConfig limits;
    Reader small, large;
    QEMUTimer *timer;
    int64_t start;
    double seconds;

    if (argc != 3) {
        fprintf(stderr, "usage: throttle BYTES-PER-SECOND SECONDS\n");
        return 2;
    }
    throttle_config_init(&limits);
    limits.buckets[THROTTLE_BPS_TOTAL].avg = atof(argv[1]);
    throttle_is_valid(&limits, &error_fatal);

    qemu_init_main_loop(&error_fatal);
    reader_init(&small, 16 * 1024);
    reader_init(&large, 64 * 1024);
    blk_set_io_limits(small.blk, &limits);    /* sets them for the whole group */

    timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS, end_of_time,
                          NULL);
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    timer_mod(timer, start + (int64_t)(atof(argv[2]) * 1e9));
    read_more(&small);
    read_more(&large);
    while (!time_is_up && !small.error && !large.error) {
        main_loop_wait(false);
    }
    time_is_up = true;
    seconds = (double)(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start) / 1e9;
    timer_free(timer);
    reader_destroy(&small);
    reader_destroy(&large);
    printf("small %" PRId64 " large %" PRId64 " per second %.0f\n", small.bytes, large.bytes,
           (double)(small.bytes + large.bytes) / seconds);
    return small.error || large.error;
}
