/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Backing files: which one, what is read through them, what is blocked. */
#include "testfmt.h"

#define TOP "'driver':'testfmt','file.driver':'testfile','file.filename':'top'"

static BlockBackend *open_options(int flags, Error **errp, const char *more)
{
    return blk_new_open(NULL, NULL, options_of(TOP "%s", more), flags, errp);
}

/* ---- which one ---- */

static void the_header_names_it(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("base", 2 * CLUSTER, NULL);
    image_make("top", 2 * CLUSTER, "base");
    blk = open_image("top", RW);
    assert_string_equal(bdrv_filename(bdrv_backing(blk_bs(blk))), "testfile:base");
    assert_string_equal(bdrv_get_format_name(bdrv_backing(blk_bs(blk))), "testfmt");
    assert_ptr_equal(bdrv_child(blk_bs(blk), 0), bdrv_file(blk_bs(blk)));
    assert_ptr_equal(bdrv_child(blk_bs(blk), 1), bdrv_backing(blk_bs(blk)));
    assert_null(bdrv_child(blk_bs(blk), 2));
    blk_unref(blk);
}

static void options_come_before_the_header(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_fill(image_make("other", CLUSTER, NULL), 0, 1, 7);
    image_make("top", CLUSTER, "base");
    blk = open_options(RW, &error_abort, ",'backing':{'driver':'testfmt','node-name':'low',"
                       "'file':{'driver':'testfile','filename':'other'}}");
    assert_read(blk, 0, CLUSTER, 7);
    assert_string_equal(bdrv_get_node_name(bdrv_backing(blk_bs(blk))), "low");
    blk_unref(blk);

    /* Some options, and the header's name. */
    blk = open_options(RW, &error_abort, ",'backing.node-name':'low'");
    assert_string_equal(bdrv_get_node_name(bdrv_backing(blk_bs(blk))), "low");
    assert_string_equal(bdrv_filename(bdrv_backing(blk_bs(blk))), "testfile:base");
    blk_unref(blk);
}

static void a_node_may_be_named(void **state)
{
    BlockDriverState *bs = NULL;
    BlockBackend *blk;

    (void)state;
    image_fill(image_make("other", CLUSTER, NULL), 0, 1, 9);
    image_make("top", CLUSTER, NULL);
    bdrv_open(&bs, "testfile:other", NULL, options_of("'driver':'testfmt','node-name':'low'"), 0,
              &error_abort);
    blk = open_options(RW, &error_abort, ",'backing':'low'");
    assert_ptr_equal(bdrv_backing(blk_bs(blk)), bs);
    bdrv_unref(bs);
    assert_read(blk, 0, CLUSTER, 9);
    blk_unref(blk);
}

static void there_may_be_none(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("top", CLUSTER, "missing");
    blk = open_options(RW, &error_abort, ",'backing':''");
    assert_null(bdrv_backing(blk_bs(blk)));
    blk_unref(blk);
    blk = open_options(RW, &error_abort, ",'backing':null");
    assert_null(bdrv_backing(blk_bs(blk)));
    assert_null(bdrv_child(blk_bs(blk), 1));
    blk_unref(blk);
    blk = open_options(RW | BDRV_O_NO_BACKING, &error_abort, "");
    assert_null(bdrv_backing(blk_bs(blk)));
    assert_read(blk, 0, CLUSTER, 0);
    blk_unref(blk);
}

static void failing_to_open_it_is_an_error(void **state)
{
    Error *err = NULL;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, "missing");
    assert_null(open_options(RW, &err, ""));
    assert_error(err, "Could not open backing file: There is no image 'missing'");
    assert_null(open_options(RW, &err, ",'backing':'nobody'"));
    assert_error(err, "Could not open backing file: Cannot find device or node 'nobody'");
    assert_null(open_options(RW, &err, ",'backing':'','backing.driver':'testfmt'"));
    assert_error(err, "Could not open backing file: ");
    assert_null(blk_new_open("testfile:base", NULL,
                             options_of("'driver':'testplain','backing':'x'"), RW, &err));
    assert_error(err, "does not support the option 'backing'");
}

static void a_relative_name_starts_at_the_image(void **state)
{
    TestImage *top = image_make("d/top", CLUSTER, NULL);
    BlockBackend *blk;

    (void)state;
    image_make("d/base", CLUSTER, NULL);
    strcpy(top->backing, "base");
    blk = blk_new_open("testfile:d/top", NULL, options_of("'driver':'testfmt'"), RW, &error_abort);
    assert_string_equal(bdrv_filename(bdrv_backing(blk_bs(blk))), "testfile:d/base");
    blk_unref(blk);
}

static void flags_are_inherited(void **state)
{
    BlockBackend *blk;
    int flags;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, "base");
    blk = open_image("top", BDRV_O_RDWR | BDRV_O_NOCACHE | BDRV_O_CACHE_WB | BDRV_O_COPY_ON_READ);
    flags = bdrv_get_flags(bdrv_backing(blk_bs(blk)));
    assert_true(bdrv_is_read_only(bdrv_backing(blk_bs(blk))));
    assert_int_equal(flags & (BDRV_O_RDWR | BDRV_O_COPY_ON_READ), 0);
    assert_int_equal(flags & BDRV_O_CACHE_MASK, BDRV_O_NOCACHE | BDRV_O_CACHE_WB);
    assert_true(flags & BDRV_O_ALLOW_RDWR);
    blk_unref(blk);
    blk = open_image("top", 0);
    assert_false(bdrv_get_flags(bdrv_backing(blk_bs(blk))) & BDRV_O_ALLOW_RDWR);
    blk_unref(blk);
}

/* ---- reading and writing ---- */

static void absent_ranges_read_from_below(void **state)
{
    TestImage *base = image_make("base", 4 * CLUSTER, NULL);
    TestImage *mid = image_make("mid", 4 * CLUSTER, "base");
    TestImage *top = image_make("top", 4 * CLUSTER, "mid");
    BlockBackend *blk;

    (void)state;
    image_fill(base, 0, 4, 1);
    image_fill(mid, 1, 2, 2);
    image_fill(top, 2, 1, 3);
    blk = open_image("top", RW);
    assert_read(blk, 0, CLUSTER, 1);
    assert_read(blk, CLUSTER, CLUSTER, 2);
    assert_read(blk, 2 * CLUSTER, CLUSTER, 3);
    assert_read(blk, 3 * CLUSTER, CLUSTER, 1);

    /* A write copies the rest of its cluster up first. */
    assert_int_equal(write_fill(blk, 512, 512, 8), 512);
    assert_map(top, "D-D-");
    assert_read(blk, 0, 512, 1);
    assert_read(blk, 512, 512, 8);
    assert_read(blk, 1024, CLUSTER - 1024, 1);
    assert_int_equal(base->data[512], 1);
    blk_unref(blk);
}

static void past_a_shorter_backing_file_are_zeroes(void **state)
{
    TestImage *base = image_make("base", CLUSTER + 1024, NULL);
    BlockBackend *blk;

    (void)state;
    memset(base->data, 5, IMAGE_MAX);
    base->map[0] = base->map[1] = DATA;
    image_make("top", 4 * CLUSTER, "base");
    blk = open_image("top", RW);
    assert_read(blk, 0, CLUSTER + 1024, 5);
    assert_read(blk, CLUSTER + 1024, 3 * CLUSTER - 1024, 0);
    blk_unref(blk);
}

static void a_longer_backing_file_does_not_show(void **state)
{
    BlockBackend *blk;
    uint8_t buf[512];

    (void)state;
    image_fill(image_make("base", 4 * CLUSTER, NULL), 0, 4, 5);
    image_make("top", CLUSTER, "base");
    blk = open_image("top", RW);
    assert_int_equal(blk_getlength(blk), CLUSTER);
    assert_int_equal(blk_pread(blk, CLUSTER, buf, 512), -EIO);
    blk_set_allow_write_beyond_eof(blk, true);
    assert_read(blk, CLUSTER, CLUSTER, 0);
    blk_unref(blk);
}

static void block_status_looks_through(void **state)
{
    BlockBackend *blk;
    int64_t n;

    (void)state;
    image_fill(image_make("base", 2 * CLUSTER, NULL), 0, 1, 5);
    image_make("top", 4 * CLUSTER, "base");
    blk = open_image("top", RW);
    assert_int_equal(write_fill(blk, 2 * CLUSTER, CLUSTER, 1), CLUSTER);
    assert_int_equal(blk_block_status(blk, 0, 4 * CLUSTER, &n), BDRV_BLOCK_DATA);
    assert_int_equal(n, CLUSTER);
    assert_int_equal(blk_block_status(blk, CLUSTER, 3 * CLUSTER, &n), BDRV_BLOCK_ZERO);
    assert_int_equal(n, CLUSTER);
    assert_int_equal(blk_block_status(blk, 2 * CLUSTER, 2 * CLUSTER, &n),
                     BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED);
    assert_int_equal(n, CLUSTER);
    assert_int_equal(blk_block_status(blk, 3 * CLUSTER, CLUSTER, &n), BDRV_BLOCK_ZERO);
    blk_unref(blk);
}

/* What a node passes on may come from what backs its file. */
static void block_status_looks_through_a_window(void **state)
{
    BlockBackend *blk;
    int64_t n;

    (void)state;
    image_fill(image_make("base", 3 * CLUSTER, NULL), 0, 2, 5);
    image_make("top", 4 * CLUSTER, "base");
    blk = blk_new_open(NULL, NULL, options_of("'driver':'raw','offset':%d,'file.driver':'testfmt',"
                                              "'file.file.driver':'testfile',"
                                              "'file.file.filename':'top'", CLUSTER),
                       RW, &error_abort);
    assert_int_equal(blk_block_status(blk, 0, 3 * CLUSTER, &n),
                     BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED);
    assert_int_equal(n, CLUSTER);
    assert_int_equal(blk_block_status(blk, CLUSTER, CLUSTER, &n) & ~BDRV_BLOCK_ALLOCATED,
                     BDRV_BLOCK_ZERO);
    assert_read(blk, 0, CLUSTER, 5);
    blk_unref(blk);
}

static void a_backing_file_is_not_flushed(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, "base");
    blk = open_image("top", RW);
    events_clear();
    assert_int_equal(blk_flush(blk), 0);
    assert_events("top flush\n");
    blk_unref(blk);
}

/* ---- what is blocked ---- */

static void all_but_commit_is_blocked(void **state)
{
    BlockDriverState *base;
    BlockBackend *blk;
    Error *err = NULL;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, "base");
    blk = open_options(RW, &error_abort, ",'node-name':'overlay','backing.node-name':'low'");
    base = bdrv_backing(blk_bs(blk));
    for (int op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        assert_int_equal(bdrv_op_is_blocked(base, (BlockOpType)op, NULL),
                         op != BLOCK_OP_TYPE_COMMIT_TARGET);
        assert_false(blk_op_is_blocked(blk, (BlockOpType)op, NULL));
    }
    assert_true(bdrv_op_is_blocked(base, BLOCK_OP_TYPE_RESIZE, &err));
    assert_error(err, "Node 'low' is busy: node is used as backing hd of 'overlay'");

    /* The blockers go with the overlay. */
    bdrv_ref(base);
    blk_unref(blk);
    assert_false(bdrv_op_is_blocked(base, BLOCK_OP_TYPE_RESIZE, NULL));
    bdrv_unref(base);
}

/* ---- a medium needs all of its chain ---- */

static bool base_is_in;

static bool base_is_inserted(BlockDriverState *bs)
{
    (void)bs;
    return base_is_in;
}

static void inserted_means_the_backing_file_too(void **state)
{
    BlockBackend *blk;

    (void)state;
    image_make("base", CLUSTER, NULL);
    image_make("top", CLUSTER, NULL);
    testvmfile_driver.bdrv_is_inserted = base_is_inserted;
    base_is_in = true;
    blk = open_options(RW, &error_abort, ",'backing':{'driver':'testfmt',"
                       "'file':{'driver':'testvmfile','filename':'base'}}");
    assert_true(blk_is_inserted(blk));
    base_is_in = false;
    assert_false(blk_is_inserted(blk));
    assert_int_equal(blk_flush(blk), -ENOMEDIUM);
    base_is_in = true;
    blk_unref(blk);
    testvmfile_driver.bdrv_is_inserted = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMAGE_TEST(the_header_names_it),
        IMAGE_TEST(options_come_before_the_header),
        IMAGE_TEST(a_node_may_be_named),
        IMAGE_TEST(there_may_be_none),
        IMAGE_TEST(failing_to_open_it_is_an_error),
        IMAGE_TEST(a_relative_name_starts_at_the_image),
        IMAGE_TEST(flags_are_inherited),
        IMAGE_TEST(absent_ranges_read_from_below),
        IMAGE_TEST(past_a_shorter_backing_file_are_zeroes),
        IMAGE_TEST(a_longer_backing_file_does_not_show),
        IMAGE_TEST(block_status_looks_through),
        IMAGE_TEST(block_status_looks_through_a_window),
        IMAGE_TEST(a_backing_file_is_not_flushed),
        IMAGE_TEST(all_but_commit_is_blocked),
        IMAGE_TEST(inserted_means_the_backing_file_too),
    };

    return cmocka_run_group_tests(tests, testfmt_setup, NULL);
}
