/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The null devices: nothing is kept, everything succeeds. */
#include "driver-test.h"

static void written_data_is_forgotten(void **state)
{
    static const char *const drivers[] = { "null-co", "null-aio" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        BlockBackend *blk = open_options(RDWR, &error_abort, "'driver':'%s','size':'1M'",
                                         drivers[i]);

        assert_int_equal(blk_getlength(blk), MIB);
        write_byte(blk, 100, 5000, 0x5a);
        assert_bytes(blk, 0, MIB, 0);
        assert_int_equal(blk_pwrite_zeroes(blk, 0, MIB, BDRV_REQ_FUA), 0);
        assert_int_equal(blk_flush(blk), 0);
        assert_status(blk, 0, MIB, BDRV_BLOCK_ZERO);
        blk_unref(blk);
    }
}

static void size_is_a_gibibyte_unless_told(void **state)
{
    BlockBackend *blk = blk_new_open("null-co:", NULL, NULL, BDRV_O_PROTOCOL, &error_abort);

    (void)state;
    assert_int_equal(blk_getlength(blk), 1024LL * MIB);
    blk_unref(blk);
}

static void without_zeroes_the_buffer_is_left_alone(void **state)
{
    BlockBackend *blk = open_options(RDWR, &error_abort, "'driver':'null-co','read-zeroes':false");
    uint8_t buf[512];

    (void)state;
    memset(buf, 0x33, sizeof(buf));
    assert_int_equal(blk_pread(blk, 0, buf, sizeof(buf)), sizeof(buf));
    assert_int_equal(buf[0], 0x33);
    assert_status(blk, 0, MIB, BDRV_BLOCK_DATA);
    blk_unref(blk);
}

static void latency_is_waited_for(void **state)
{
    const int64_t latency = 20 * SCALE_MS;
    BlockBackend *blk = open_options(RDWR, &error_abort, "'driver':'null-aio','latency-ns':%lld",
                                     (long long)latency);
    int64_t start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    (void)state;
    assert_bytes(blk, 0, 512, 0);
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start >= latency);
    blk_unref(blk);
}

typedef struct Started {
    BlockBackend *blk;
    bool done;
} Started;

static void coroutine_fn read_once(void *opaque)
{
    Started *started = opaque;
    uint8_t buf[512];
    struct iovec iov = { buf, sizeof(buf) };
    QEMUIOVector qiov;

    qemu_iovec_init_external(&qiov, &iov, 1);
    assert_int_equal(blk_co_preadv(started->blk, 0, sizeof(buf), &qiov, 0), 0);
    started->done = true;
}

static void only_null_aio_takes_a_turn_of_the_loop(void **state)
{
    Started co = { .blk = open_options(0, &error_abort, "'driver':'null-co'") };
    Started aio = { .blk = open_options(0, &error_abort, "'driver':'null-aio'") };

    (void)state;
    qemu_coroutine_enter(qemu_coroutine_create(read_once), &co);
    assert_true(co.done);
    qemu_coroutine_enter(qemu_coroutine_create(read_once), &aio);
    assert_false(aio.done);
    while (!aio.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    blk_unref(co.blk);
    blk_unref(aio.blk);
}

static void bad_options_are_refused(void **state)
{
    Error *err = NULL;

    (void)state;
    assert_open_fails("'size'", 0, "'driver':'null-co','size':'1x'");
    assert_open_fails("'latency-ns'", 0, "'driver':'null-co','latency-ns':true");
    assert_open_fails("'read-zeroes' expects", 0, "'driver':'null-co','read-zeroes':'maybe'");
    assert_null(blk_new_open("null-co:disk.img", NULL, NULL, BDRV_O_PROTOCOL, &err));
    assert_non_null(strstr(error_get_pretty(err), "disk.img"));
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_data_is_forgotten),
        cmocka_unit_test(size_is_a_gibibyte_unless_told),
        cmocka_unit_test(without_zeroes_the_buffer_is_left_alone),
        cmocka_unit_test(latency_is_waited_for),
        cmocka_unit_test(only_null_aio_takes_a_turn_of_the_loop),
        cmocka_unit_test(bad_options_are_refused),
    };

    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
