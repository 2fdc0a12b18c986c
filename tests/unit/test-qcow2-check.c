/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Damaged qcow2 images: what a check may cost, what is mended without being asked, and which
 * writes are refused. */
#include "qcow2-test.h"

#include <blkbackend/image.h>

#include "drivers/qcow2/qcow2.h"
#include "byte-order.h"

#define COPIED (UINT64_C(1) << 63)

static void poke_number(off_t offset, uint64_t value)
{
    uint8_t bytes[8];

    store_be64(bytes, value);
    poke(offset, bytes, sizeof(bytes));
}

static uint64_t peek_number(off_t offset)
{
    uint8_t bytes[8];
    int fd = open(IMAGE, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), offset), sizeof(bytes));
    close(fd);
    return load_be64(bytes);
}

static bool is_marked(uint64_t bit)
{
    return peek_number(QCOW2_HDR_INCOMPAT) & bit;
}

/* 64 KiB clusters: header, refcount table and block, L1 table at 192k, L2 table, data from 320k. */
#define REFBLOCK (128 * KIB)
#define L1 (192 * KIB)
#define L2 (256 * KIB)

static void make_image_with_data(const char *options)
{
    make_image(options, "8M");
    assert_int_equal(shell("qemu-io -f qcow2 -c 'write -P 7 0 1M' " IMAGE " >/dev/null"), 0);
}

static int check(int fix, BdrvCheckResult *result)
{
    BlockBackend *blk = open_image(BDRV_O_CHECK | (fix ? RDWR : 0), "");
    int ret = bdrv_check(blk_bs(blk), result, fix, NULL, NULL);

    blk_unref(blk);
    return ret;
}

/* ---- dirty and corrupt ---- */

static void dirty_image_is_mended_when_opened_for_writing(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image_with_data("lazy_refcounts=on");
    poke_number(REFBLOCK + 8, 0);       /* no count of the L2 table, nor of the first data */
    poke_number(QCOW2_HDR_INCOMPAT, QCOW2_INCOMPAT_DIRTY);
    blk = open_image(0, "");
    assert_bytes(blk, 0, MIB, 7);
    blk_unref(blk);
    assert_true(is_marked(QCOW2_INCOMPAT_DIRTY));
    blk = open_image(RDWR, "");
    assert_bytes(blk, 0, MIB, 7);
    write_byte(blk, 2 * MIB, MIB, 8);
    assert_bytes(blk, 0, MIB, 7);
    blk_unref(blk);
    assert_false(is_marked(QCOW2_INCOMPAT_DIRTY));
    assert_clean();
}

static void check_does_not_mend_unasked(void **state)
{
    BdrvCheckResult result;
    BlockBackend *blk;

    (void)state;
    make_image_with_data("compat=1.1");
    poke_number(REFBLOCK + 8, 0);
    poke_number(QCOW2_HDR_INCOMPAT, QCOW2_INCOMPAT_DIRTY);
    blk = open_image(BDRV_O_CHECK | RDWR, "");
    blk_unref(blk);
    assert_true(is_marked(QCOW2_INCOMPAT_DIRTY));
    assert_int_equal(check(0, &result), 0);
    assert_int_equal(result.corruptions, 4 + 3 + 1);   /* counts; flags of 3 clusters and a table */
    assert_true(is_marked(QCOW2_INCOMPAT_DIRTY));
}

static void dirty_image_is_mended_when_it_becomes_writable(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image_with_data("compat=1.1");
    poke_number(QCOW2_HDR_INCOMPAT, QCOW2_INCOMPAT_DIRTY);
    poke_number(REFBLOCK + 8, 0);
    blk = open_image(BDRV_O_ALLOW_RDWR | BDRV_O_CACHE_WB, "");
    assert_true(is_marked(QCOW2_INCOMPAT_DIRTY));
    assert_int_equal(bdrv_reopen(blk_bs(blk), RDWR, NULL), 0);
    assert_false(is_marked(QCOW2_INCOMPAT_DIRTY));
    write_byte(blk, 2 * MIB, MIB, 8);
    blk_unref(blk);
    assert_clean();
}

static void repair_makes_a_corrupt_image_writable(void **state)
{
    BdrvCheckResult result;

    (void)state;
    make_image_with_data("compat=1.1");
    poke_number(QCOW2_HDR_INCOMPAT, QCOW2_INCOMPAT_CORRUPT);
    assert_open_fails("Image is corrupt", RDWR, "'driver':'qcow2','file':{'driver':'file',"
                      "'filename':'" IMAGE "'}");
    assert_int_equal(check(BDRV_FIX_ERRORS, &result), 0);
    blk_unref(open_image(RDWR, ""));
    assert_clean();
}

static void image_stays_usable_after_its_own_check(void **state)
{
    BdrvCheckResult result;
    BlockBackend *blk;

    (void)state;
    make_image_with_data("cluster_size=64k");
    poke_number(REFBLOCK, 0);
    blk = open_image(RDWR, "");
    assert_int_equal(bdrv_check(blk_bs(blk), &result, BDRV_FIX_ERRORS | BDRV_FIX_LEAKS, NULL,
                                NULL), 0);
    assert_int_equal(result.corruptions, 0);
    assert_true(result.corruptions_fixed > 0);
    write_byte(blk, 4 * MIB, 2 * MIB, 3);
    assert_bytes(blk, 0, MIB, 7);
    assert_bytes(blk, 4 * MIB, 2 * MIB, 3);
    assert_int_equal(bdrv_check(blk_bs(blk), &result, 0, NULL, NULL), 0);
    assert_int_equal(result.corruptions + result.leaks, 0);
    blk_unref(blk);
    assert_clean();
}

/* ---- cost ---- */

static void l1_entries_that_share_a_table_cost_one_read(void **state)
{
    enum { ENTRIES = 4 * MIB };
    uint64_t *l1 = malloc(ENTRIES * sizeof(l1[0])), l1_offset;
    BdrvCheckResult result;

    (void)state;
    make_image("cluster_size=64k,refcount_bits=64", "2P");
    assert_int_equal(shell("qemu-io -f qcow2 -c 'write 0 1M' " IMAGE " >/dev/null"), 0);
    l1_offset = peek_number(40);
    store_be64(&l1[0], peek_number((off_t)l1_offset));
    for (int i = 1; i < ENTRIES; i++) {
        l1[i] = l1[0];
    }
    poke((off_t)l1_offset, l1, ENTRIES * sizeof(l1[0]));
    free(l1);
    assert_int_equal(check(0, &result), 0);
    assert_int_equal(result.corruptions, 17);   /* the table, and 16 clusters of data */
}

static void large_sparse_file_costs_no_memory(void **state)
{
    BdrvCheckResult result;

    (void)state;
    make_image("cluster_size=512", "1M");
    assert_int_equal(truncate(IMAGE, INT64_C(4) << 40), 0);
    assert_int_equal(check(0, &result), -ENOMEM);
    assert_int_equal(result.check_errors, 1);
}

/* ---- writes on metadata ---- */

/* The first write to an image whose first L2 entry points to `place`. */
static int write_on(uint64_t place, const char *options)
{
    uint8_t buf[512] = { 0 };
    BlockBackend *blk;
    int ret;

    poke_number(QCOW2_HDR_INCOMPAT, 0);
    poke_number(L2, place | COPIED);
    blk = open_image(RDWR, options);
    ret = blk_pwrite(blk, 60 * KIB, buf, sizeof(buf));
    assert_int_equal(blk_pread(blk, 0, buf, sizeof(buf)), ret < 0 ? -ENOMEDIUM : 512);
    blk_unref(blk);
    assert_int_equal(is_marked(QCOW2_INCOMPAT_CORRUPT), ret < 0);
    return ret;
}

static void data_are_not_written_onto_metadata(void **state)
{
    (void)state;
    make_image_with_data("cluster_size=64k");
    assert_int_equal(write_on(L1, ""), -EIO);
    assert_int_equal(write_on(L2, ""), -EIO);
    assert_int_equal(write_on(REFBLOCK, ""), -EIO);
    assert_int_equal(write_on(REFBLOCK, ",'overlap-check':'all'"), -EIO);
    assert_int_equal(write_on(64 * KIB, ""), -EIO);
    assert_int_equal(write_on(REFBLOCK, ",'overlap-check.refcount-block':false"), 512);
    assert_int_equal(write_on(REFBLOCK, ",'overlap-check':'constant'"), 512);
    assert_int_equal(write_on(REFBLOCK, ",'overlap-check.template':'constant',"
                              "'overlap-check.refcount-block':'on'"), -EIO);
    assert_int_equal(write_on(L1, ",'overlap-check':'none'"), 512);
}

static void data_are_not_written_onto_tables_of_snapshots(void **state)
{
    uint64_t l1, l2;

    (void)state;
    make_image_with_data("cluster_size=64k");
    assert_int_equal(shell("qemu-img snapshot -c s " IMAGE " && "
                           "qemu-io -f qcow2 -c 'write -P 8 0 1M' " IMAGE " >/dev/null"), 0);
    l1 = peek_number((off_t)peek_number(64));
    l2 = peek_number((off_t)l1) & QCOW2_OFFSET_MASK;
    poke_number(L1, L2 | COPIED);       /* so that the table that is poked is in use */
    assert_int_equal(write_on(l1, ""), -EIO);
    assert_int_equal(write_on(l1, ",'overlap-check.inactive-l1':false"), 512);
    if (l2 != L2) {
        assert_int_equal(write_on(l2, ""), 512);
        assert_int_equal(write_on(l2, ",'overlap-check':'all'"), -EIO);
    }
}

static void sound_writes_pass_every_check(void **state)
{
    static const char *const words[] = { "none", "constant", "cached", "all" };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char option[50];
        BlockBackend *blk;

        make_image_with_data("cluster_size=4k");
        assert_int_equal(shell("qemu-img snapshot -c s " IMAGE), 0);
        snprintf(option, sizeof(option), ",'overlap-check':'%s'", words[i]);
        blk = open_image(RDWR, option);
        for (int k = 0; k < 8; k++) {
            write_byte(blk, k * MIB / 2, MIB, k + 1);
        }
        for (int k = 0; k < 7; k++) {
            assert_bytes(blk, k * MIB / 2, MIB / 2, k + 1);
        }
        blk_unref(blk);
        assert_clean();
    }
}

/* ---- options ---- */

#define BAD_OPTION(text, option)                                                              \
    assert_open_fails(text, RDWR, "'driver':'qcow2','file':{'driver':'file','filename':'"     \
                      IMAGE "'}," option)

static void bad_options_are_refused(void **state)
{
    (void)state;
    make_image("compat=0.10", "1M");
    BAD_OPTION("Unsupported value 'some' for qcow2 option 'overlap-check'. Allowed are any of the "
               "following: none, constant, cached, all", "'overlap-check':'some'");
    BAD_OPTION("Conflicting values for qcow2 options 'overlap-check' ('all') and "
               "'overlap-check.template' ('none')",
               "'overlap-check':'all','overlap-check.template':'none'");
    BAD_OPTION("overlap-check.active-l1", "'overlap-check.active-l1':'perhaps'");
    BAD_OPTION("overlap-check.active-l3", "'overlap-check.active-l3':true");
    BAD_OPTION("Lazy refcounts require", "'lazy-refcounts':true");
    BAD_OPTION("Cache clean interval too big", "'cache-clean-interval':4294967296");
    make_image("compat=1.1", "1M");
    blk_unref(open_image(RDWR, ",'lazy-refcounts':true,'pass-discard-request':false,"
                         "'pass-discard-snapshot':false,'pass-discard-other':true"));
}

static int64_t now_ns;

static int64_t stepped_clock(void *opaque)
{
    (void)opaque;
    return now_ns;
}

static void step(int64_t seconds)
{
    now_ns += seconds * 1000 * SCALE_MS * SCALE_NS;
    while (aio_poll(qemu_get_aio_context(), false)) {
    }
}

static bool has_cached(BlockBackend *blk)
{
    const Qcow2State *s = bdrv_state(blk_bs(blk));

    return s->l2_cache.filled > 0 && s->l2_cache.tables[0].data;
}

static void unused_tables_leave_the_cache(void **state)
{
    BlockBackend *blk;

    (void)state;
    make_image_with_data("compat=1.1");
    blkbackend_set_clock(stepped_clock, NULL);
    blk = open_image(RDWR, ",'cache-clean-interval':30");
    write_byte(blk, 0, MIB, 9);
    assert_true(has_cached(blk));
    assert_int_equal(blk_flush(blk), 0);
    step(29);
    assert_true(has_cached(blk));
    step(2);
    assert_true(has_cached(blk));       /* used since the clock started */
    assert_bytes(blk, 0, MIB, 9);
    step(30);
    assert_true(has_cached(blk));
    step(30);
    assert_false(has_cached(blk));
    assert_bytes(blk, 0, MIB, 9);
    blk_unref(blk);
    blkbackend_set_clock(NULL, NULL);
    assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dirty_image_is_mended_when_opened_for_writing),
        cmocka_unit_test(check_does_not_mend_unasked),
        cmocka_unit_test(dirty_image_is_mended_when_it_becomes_writable),
        cmocka_unit_test(repair_makes_a_corrupt_image_writable),
        cmocka_unit_test(image_stays_usable_after_its_own_check),
        cmocka_unit_test(l1_entries_that_share_a_table_cost_one_read),
        cmocka_unit_test(large_sparse_file_costs_no_memory),
        cmocka_unit_test(data_are_not_written_onto_metadata),
        cmocka_unit_test(data_are_not_written_onto_tables_of_snapshots),
        cmocka_unit_test(sound_writes_pass_every_check),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(unused_tables_leave_the_cache),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
