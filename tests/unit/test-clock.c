/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clocks, and the one that can be replaced. */
#include <time.h>

#include "unit.h"

static int64_t read_variable(void *opaque)
{
    return *(const int64_t *)opaque;
}

static void virtual_clock_can_be_replaced(void **state)
{
    int64_t now = 5, before;

    (void)state;
    blkbackend_set_clock(read_variable, &now);
    assert_int_equal(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), 5);
    now = 7;
    assert_int_equal(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), 7);
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) > 7);
    blkbackend_set_clock(NULL, NULL);
    before = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    assert_true(before <= now && now <= qemu_clock_get_ns(QEMU_CLOCK_REALTIME));
}

static void host_clock_is_wall_time(void **state)
{
    int64_t seconds = time(NULL);

    (void)state;
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_HOST) / 1000000000 >= seconds);
}

static const int64_t one = 1, two = 2;
static atomic_bool stop;

static int64_t must_be_one(void *opaque)
{
    assert_ptr_equal(opaque, &one);
    return one;
}

static int64_t must_be_two(void *opaque)
{
    assert_ptr_equal(opaque, &two);
    return two;
}

static void *read_until_stopped(void *opaque)
{
    while (!atomic_load(&stop)) {
        int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

        assert_true(now == 1 || now == 2);
    }
    return opaque;
}

/* A reader never sees one replacement's function with the other's argument. */
static void replacing_is_atomic(void **state)
{
    pthread_t reader;

    (void)state;
    blkbackend_set_clock(must_be_one, (void *)&one);
    assert_int_equal(pthread_create(&reader, NULL, read_until_stopped, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        blkbackend_set_clock(must_be_two, (void *)&two);
        blkbackend_set_clock(must_be_one, (void *)&one);
    }
    atomic_store(&stop, true);
    pthread_join(reader, NULL);
    blkbackend_set_clock(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_clock_can_be_replaced),
        cmocka_unit_test(host_clock_is_wall_time),
        cmocka_unit_test(replacing_is_atomic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
