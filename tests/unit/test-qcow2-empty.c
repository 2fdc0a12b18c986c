/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A qcow2 image that forgets its content, and one that another process has changed. */
#include "qcow2-test.h"

#include <blkbackend/image.h>

static const char *const kinds[] = {
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=512,refcount_bits=64",
    "cluster_size=4k,refcount_bits=1", "extended_l2=on", "cluster_size=2M",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static off_t image_length(void)
{
    struct stat st;

    assert_int_equal(stat(IMAGE, &st), 0);
    return st.st_size;
}

static off_t cluster_size(const char *kind)
{
    return strstr(kind, "=2M") ? 2 * MIB : strstr(kind, "=4k") ? 4 * KIB
           : strstr(kind, "=512") ? 512 : 64 * KIB;
}

static void emptied_overlay_shows_its_base_and_is_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;

        make_overlay(kinds[i], "3M");
        blk = open_image(RDWR, "");
        write_byte(blk, 0, 3 * MIB, 0x22);
        assert_int_equal(bdrv_make_empty(blk_bs(blk), &error_abort), 0);
        assert_true(image_length() <= 5 * cluster_size(kinds[i]));
        assert_bytes(blk, 0, 3 * MIB, 0x11);
        write_byte(blk, 500 * KIB, 700 * KIB, 0x33);
        assert_int_equal(blk_flush(blk), 0);
        assert_bytes(blk, 0, 500 * KIB, 0x11);
        assert_bytes(blk, 500 * KIB, 700 * KIB, 0x33);
        blk_unref(blk);
        assert_clean();
        assert_int_equal(shell("qemu-io -f qcow2 -c 'read -P 0x11 0 500k' -c 'read -P 0x33 500k "
                               "700k' -c 'read -P 0x11 1200k 1872k' " IMAGE " >/dev/null"), 0);
    }
}

static void snapshots_and_bitmaps_survive(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_overlay("cluster_size=4k", "2M");
    assert_int_equal(shell("qemu-io -c 'write -P 5 0 1M' " IMAGE " >/dev/null && "
                           "qemu-img snapshot -c one " IMAGE " && "
                           "qemu-img bitmap --add " IMAGE " two"), 0);
    blk = open_image(RDWR, "");
    assert_int_equal(bdrv_make_empty(blk_bs(blk), &error_abort), 0);
    assert_bytes(blk, 0, 2 * MIB, 0x11);
    blk_unref(blk);
    assert_clean();
    assert_int_equal(shell("qemu-img info " IMAGE " | grep -q 'name: two' && qemu-img bitmap "
                           "--remove " IMAGE " two && qemu-img snapshot -a one " IMAGE " && "
                           "qemu-io -c 'read -P 5 0 1M' " IMAGE " >/dev/null"), 0);
    assert_clean();
}

/* ---- what another process changed ---- */

static void invalidated_image_is_read_anew(void **state)
{
    (void)state;
    for (size_t i = 1; i < KINDS; i++) {   /* qemu-img does not grow the first */
        BlockBackend *blk;

        make_overlay(kinds[i], "1M");
        blk = open_image(RDWR | BDRV_O_INACTIVE, "");
        assert_bytes(blk, 0, MIB, 0x11);
        assert_int_equal(shell("qemu-img resize -q " IMAGE " 3M && qemu-io -f qcow2 -c "
                               "'write -P 7 100k 2M' " IMAGE " >/dev/null"), 0);
        blk_invalidate_cache(blk, &error_abort);
        assert_int_equal(blk_getlength(blk), 3 * MIB);
        assert_bytes(blk, 0, 100 * KIB, 0x11);
        assert_bytes(blk, 100 * KIB, 2 * MIB, 7);
        write_byte(blk, 2 * MIB, MIB, 8);
        blk_unref(blk);
        assert_clean();
        assert_int_equal(shell("qemu-io -f qcow2 -c 'read -P 7 100k 1948k' -c 'read -P 8 2M 1M' "
                               IMAGE " >/dev/null"), 0);
    }
}

static void damage_found_then_leaves_the_image_inactive(void **state)
{
    Error *err = NULL;
    BlockBackend *blk;

    (void)state;
    make_overlay("compat=1.1", "1M");
    blk = open_image(RDWR | BDRV_O_INACTIVE, "");
    poke(0, "QFIX", 4);
    blk_invalidate_cache(blk, &err);
    assert_non_null(err);
    assert_non_null(strstr(error_get_pretty(err), "not in qcow2 format"));
    error_free(err);
    assert_bytes(blk, 0, MIB, 0x11);
    assert_int_equal(blk_pwrite(blk, 0, "x", 1), -EPERM);
    blk_unref(blk);
}

static void dirty_image_can_be_taken_over(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_overlay("compat=1.1", "1M");
    poke(79, "\1", 1);
    blk = open_image(RDWR | BDRV_O_INACTIVE, "");
    poke(79, "\0", 1);      /* the other one has closed it */
    blk_invalidate_cache(blk, &error_abort);
    write_byte(blk, 0, 4 * KIB, 1);
    blk_unref(blk);
    assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emptied_overlay_shows_its_base_and_is_short),
        cmocka_unit_test(snapshots_and_bitmaps_survive),
        cmocka_unit_test(invalidated_image_is_read_anew),
        cmocka_unit_test(damage_found_then_leaves_the_image_inactive),
        cmocka_unit_test(dirty_image_can_be_taken_over),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
