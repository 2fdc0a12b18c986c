/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stranger's program: opens an image, writes and reads it by each kind of call, closes it. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>

#define SIZE (1 << 20)

static uint8_t data[4096], back[4096];

static void done(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static void by_waiting(BlockBackend *blk)
{
    assert(blk_pwrite(blk, 4096, data, sizeof(data)) == sizeof(data));
    assert(blk_pread(blk, 4096, back, sizeof(back)) == sizeof(back));
    assert(memcmp(data, back, sizeof(data)) == 0);
    assert(blk_pread(blk, SIZE, back, 1) < 0);
}

static void by_callback(BlockBackend *blk)
{
    struct iovec iov = { back, sizeof(back) };
    QEMUIOVector qiov;
    int ret = 1;

    qemu_iovec_init_external(&qiov, &iov, 1);
    memset(back, 0, sizeof(back));
    blk_aio_preadv(blk, 4096, &qiov, 0, done, &ret);
    assert(ret == 1);
    while (ret == 1) {
        aio_poll(blk_get_aio_context(blk), true);
    }
    assert(ret >= 0);
    assert(memcmp(data, back, sizeof(data)) == 0);
}

typedef struct Run {
    BlockBackend *blk;
    bool ended;
} Run;

static void coroutine_fn in_coroutine(void *opaque)
{
    Run *run = opaque;
    BlockBackend *blk = run->blk;
    struct iovec iov = { back, sizeof(back) };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    assert(blk_co_pwrite_zeroes(blk, 4096, sizeof(back), 0) == 0);
    assert(blk_co_preadv(blk, 4096, sizeof(back), &qiov, 0) >= 0);
    assert(buffer_is_zero(back, sizeof(back)));
    assert(blk_co_flush(blk) == 0);
    run->ended = true;
}

static void by_coroutine(BlockBackend *blk)
{
    Run run = { blk, false };

    qemu_coroutine_enter(qemu_coroutine_create(in_coroutine), &run);
    while (!run.ended) {
        aio_poll(blk_get_aio_context(blk), true);
    }
}

int main(void)
{
    const char *engine = getenv("ENGINE");
    char path[] = "/tmp/blk-straight-path-XXXXXX";
    int fd = mkstemp(path);
    BlockBackend *blk;
    QDict *options;

    assert(fd >= 0 && ftruncate(fd, SIZE) == 0);
    close(fd);
    memset(data, 0x5a, sizeof(data));

    aio_set_engine(engine ? engine : "auto", &error_abort);
    qemu_init_main_loop(&error_abort);
    options = qdict_new();
    qdict_put(options, "driver", qstring_from_str("raw"));
    blk = blk_new_open(path, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB, &error_abort);
    unlink(path);
    assert(blk_getlength(blk) == SIZE);

    by_waiting(blk);
    by_callback(blk);
    by_coroutine(blk);
    assert(blk_flush(blk) == 0);
    blk_unref(blk);
    return 0;
}
