/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a qcow2 image written anew: what is in there, and what has to stay. */
#include "qcow2-test.h"

#include <blkbackend/image.h>

#define LONG_NAME 1000

static BlockDriverState *open_node(BlockBackend **blk)
{
    *blk = open_image(RDWR, ",'backing':''");
    return blk_bs(*blk);
}

static void assert_info(const char *line)
{
    if (shell("qemu-img info -U " IMAGE " | grep -qxF '%s'", line) != 0) {
        shell("qemu-img info -U " IMAGE);
        fail_msg("qemu-img info does not say: %s", line);
    }
}

static const char *const kinds[] = {
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=1k,refcount_bits=1",
    "cluster_size=4k", "extended_l2=on", "lazy_refcounts=on", "compression_type=zstd",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void backing_file_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        BlockBackend *blk;
        BlockDriverState *bs;

        make_image(kinds[i], "1M");
        shell("cp " IMAGE " " IMAGE ".first");
        bs = open_node(&blk);
        assert_int_equal(bdrv_change_backing_file(bs, "some/where.img", "raw", &error_abort), 0);
        assert_info("backing file: some/where.img");
        assert_info("backing file format: raw");
        assert_int_equal(bdrv_change_backing_file(bs, "where.qcow2", NULL, &error_abort), 0);
        assert_info("backing file: where.qcow2");
        assert_int_not_equal(shell("qemu-img info -U " IMAGE " | grep -q 'backing file format'"),
                             0);
        assert_int_equal(bdrv_change_backing_file(bs, NULL, NULL, &error_abort), 0);
        blk_unref(blk);
        assert_int_equal(shell("cmp " IMAGE " " IMAGE ".first"), 0);
        assert_clean();
    }
}

static void long_names_fit_or_are_refused(void **state)
{
    char name[LONG_NAME + 100], line[LONG_NAME + 200];
    Error *err = NULL;
    BlockBackend *blk;
    BlockDriverState *bs;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[LONG_NAME] = '\0';
    make_image("cluster_size=64k", "1M");
    bs = open_node(&blk);
    assert_int_equal(bdrv_change_backing_file(bs, name, "qcow2", &error_abort), 0);
    snprintf(line, sizeof(line), "backing file: %s", name);
    assert_info(line);
    name[LONG_NAME] = 'n';
    name[1024] = '\0';
    assert_int_equal(bdrv_change_backing_file(bs, name, "qcow2", NULL), -EINVAL);
    assert_info(line);
    blk_unref(blk);

    name[500] = '\0';
    make_image("cluster_size=512", "1M");
    bs = open_node(&blk);
    assert_int_equal(bdrv_change_backing_file(bs, name, "qcow2", &err), -ENOSPC);
    assert_non_null(strstr(error_get_pretty(err), "do not fit"));
    error_free(err);
    blk_unref(blk);
    assert_clean();
}

/* Whether the first 64 KiB of the image hold these bytes somewhere. */
static bool header_holds(const char *text)
{
    return shell("head -c 65536 " IMAGE " | grep -qaF '%s'", text) == 0;
}

static void what_is_unknown_stays(void **state)
{
    BlockBackend *blk;
    BlockDriverState *bs;

    (void)state;
    make_image("compat=1.1", "1M");
    /* behind the table of feature names: an extension of 5 bytes, and the end */
    poke(504, "\x12\x34\x56\x78" "\0\0\0\5" "hello\0\0\0" "\0\0\0\0\0\0\0\0", 24);
    poke(87, "\x82", 1);    /* compatible features that nobody knows yet */
    bs = open_node(&blk);
    assert_int_equal(bdrv_change_backing_file(bs, "other", "raw", &error_abort), 0);
    assert_int_equal(bdrv_change_backing_file(bs, "another", "raw", &error_abort), 0);
    blk_unref(blk);
    assert_true(header_holds("hello"));
    assert_true(header_holds("raw external data"));
    assert_int_equal(shell("test \"$(od -An -tx1 -j87 -N1 " IMAGE ")\" = ' 82'"), 0);
    assert_info("backing file: another");
    assert_info("Format specific information:");
}

static void fields_of_a_longer_header_stay(void **state)
{
    BlockBackend *blk;
    BlockDriverState *bs;

    (void)state;
    make_image("compat=1.1,cluster_size=4k", "1M");
    poke(103, "\x80", 1);   /* 128 bytes: 16 more than are known */
    poke(112, "future12future34" "\0\0\0\0\0\0\0\0", 24);
    bs = open_node(&blk);
    assert_int_equal(bdrv_change_backing_file(bs, "other", "raw", &error_abort), 0);
    blk_unref(blk);
    assert_true(header_holds("future12future34"));
    assert_info("backing file: other");
}

static void bitmaps_stay(void **state)
{
    BlockBackend *blk;
    BlockDriverState *bs;

    (void)state;
    make_image("compat=1.1", "1M");
    assert_int_equal(shell("qemu-img bitmap --add " IMAGE " one"), 0);
    bs = open_node(&blk);
    assert_int_equal(bdrv_change_backing_file(bs, "other", "raw", &error_abort), 0);
    blk_unref(blk);
    assert_int_equal(shell("qemu-img info " IMAGE " | grep -q 'backing file: other'"), 0);
    assert_true(header_holds("raw external data"));
}

static void wrong_bitmaps_extension_is_refused(void **state)
{
    (void)state;
    make_image("compat=1.1", "1M");
    poke(504, "\x23\x85\x28\x75" "\0\0\0\5" "hello\0\0\0" "\0\0\0\0\0\0\0\0", 24);
    assert_open_fails("bitmaps extension is 5 bytes long, not 24", 0, "'driver':'qcow2',"
                      "'file':{'driver':'file','filename':'" IMAGE "'}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backing_file_changes),
        cmocka_unit_test(long_names_fit_or_are_refused),
        cmocka_unit_test(what_is_unknown_stays),
        cmocka_unit_test(fields_of_a_longer_header_stay),
        cmocka_unit_test(bitmaps_stay),
        cmocka_unit_test(wrong_bitmaps_extension_is_refused),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
