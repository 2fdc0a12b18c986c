/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening nodes: file names, options, probing, names, references. */
#include "graph-test.h"

/* The message of an open that must fail; *ret its result. */
static const char *open_error(const char *filename, const char *json, int flags, int *ret)
{
    static char message[512];
    BlockDriverState *bs = NULL;
    Error *err = NULL;

    *ret = bdrv_open(&bs, filename, NULL, json ? options_from(json) : NULL, flags, &err);
    assert_true(*ret < 0);
    assert_null(bs);
    assert_non_null(err);
    snprintf(message, sizeof(message), "%s", error_get_pretty(err));
    error_free(err);
    assert_int_equal(disk.opened, disk.closed);
    return message;
}

#define assert_open_fails(filename, json, flags, error, message)                     \
    do {                                                                             \
        int ret_;                                                                    \
        assert_string_equal(open_error((filename), (json), (flags), &ret_), message); \
        assert_int_equal(ret_, -(error));                                            \
    } while (0)

/* ---- which driver ---- */

static void unknown_content_is_raw(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, 0);

    (void)state;
    assert_string_equal(bdrv_get_format_name(bs), "raw");
    assert_true(bs->probed_raw);
    assert_string_equal(bdrv_get_format_name(bdrv_file(bs)), "test");
    assert_int_equal(bdrv_getlength(bs), DISK_SIZE);
    assert_string_equal(bdrv_filename(bs), "test:x");
    bdrv_unref(bs);
    assert_int_equal(disk.closed, 1);
}

static void known_content_is_its_format(void **state)
{
    BlockDriverState *bs;

    (void)state;
    memcpy(disk.data, "TFMT", 4);
    bs = open_ok("test:x", NULL, 0);
    assert_string_equal(bdrv_get_format_name(bs), "testfmt");
    assert_false(bs->probed_raw);
    assert_int_equal(bdrv_getlength(bs), DISK_SIZE - 512);
    bdrv_unref(bs);
}

static void named_format_is_not_probed(void **state)
{
    BlockDriverState *bs;

    (void)state;
    memcpy(disk.data, "TFMT", 4);
    bs = open_ok("test:x", "{\"driver\":\"raw\"}", 0);
    assert_string_equal(bdrv_get_format_name(bs), "raw");
    assert_false(bs->probed_raw);
    assert_int_equal(disk_count('r'), 0);
    bdrv_unref(bs);
}

static void empty_file_is_raw_unread(void **state)
{
    BlockDriverState *bs;

    (void)state;
    disk.length = 0;
    bs = open_ok("test:x", NULL, 0);
    assert_true(bs->probed_raw);
    assert_int_equal(disk_count('r'), 0);
    bdrv_unref(bs);
}

static void protocol_flag_takes_the_protocol_alone(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, BDRV_O_PROTOCOL);

    (void)state;
    assert_string_equal(bdrv_get_format_name(bs), "test");
    assert_null(bdrv_file(bs));
    bdrv_unref(bs);
}

static void colon_after_slash_is_no_protocol(void **state)
{
    (void)state;
    assert_open_fails("./nosuch:file", NULL, 0, ENOENT,
                      "Could not open './nosuch:file': No such file or directory");
    assert_open_fails("file:/nosuch:file", NULL, 0, ENOENT,
                      "Could not open '/nosuch:file': No such file or directory");
}

static void unknown_names_are_named(void **state)
{
    (void)state;
    assert_open_fails("nosuch:x", NULL, 0, EINVAL, "Unknown protocol 'nosuch' in 'nosuch:x'");
    assert_open_fails("test:x", "{\"driver\":\"nosuch\"}", 0, EINVAL, "Unknown driver 'nosuch'");
    assert_open_fails("test:x", "{\"driver\":7}", 0, EINVAL, "Option 'driver' must be a string");
}

/* ---- options ---- */

static void nested_dotted_and_json_options_are_alike(void **state)
{
    static const char *const forms[] = {
        "{\"driver\":\"raw\",\"file\":{\"driver\":\"test\",\"node-name\":\"below\"}}",
        "{\"driver\":\"raw\",\"file.driver\":\"test\",\"file.node-name\":\"below\"}",
    };

    (void)state;
    for (int i = 0; i < 2; i++) {
        char filename[128];
        BlockDriverState *bs = open_ok(NULL, forms[i], 0);

        assert_ptr_equal(bdrv_find_node("below"), bdrv_file(bs));
        bdrv_unref(bs);
        snprintf(filename, sizeof(filename), "json:%s", forms[i]);
        bs = open_ok(filename, NULL, 0);
        assert_ptr_equal(bdrv_find_node("below"), bdrv_file(bs));
        bdrv_unref(bs);
    }
    assert_null(bdrv_find_node("below"));
}

static void nodes_are_listed_in_the_order_they_were_made(void **state)
{
    BlockDriverState *first = open_ok("test:x", "{\"node-name\":\"first\"}", 0);
    BlockDriverState *second = open_ok("test:x", "{\"driver\":\"test\"}", 0);

    (void)state;
    assert_ptr_equal(bdrv_next_node(NULL), first);
    assert_ptr_equal(bdrv_next_node(first), bdrv_file(first));
    assert_ptr_equal(bdrv_next_node(bdrv_file(first)), second);
    assert_null(bdrv_next_node(second));
    bdrv_unref(second);
    bdrv_unref(first);
    assert_null(bdrv_next_node(NULL));
}

static void options_win_over_json(void **state)
{
    BlockDriverState *bs = open_ok("json:{\"driver\":\"testfmt\",\"file.driver\":\"test\"}",
                                   "{\"driver\":\"raw\"}", 0);

    (void)state;
    assert_string_equal(bdrv_get_format_name(bs), "raw");
    bdrv_unref(bs);
}

static void options_are_taken_over_and_left_alone(void **state)
{
    QDict *options = options_from("{\"driver\":\"test\"}");
    BlockDriverState *bs = NULL;

    (void)state;
    QINCREF(options);
    assert_int_equal(bdrv_open(&bs, NULL, NULL, options, 0, &error_abort), 0);
    assert_int_equal(options->refcount, 1);
    assert_int_equal(qdict_size(options), 1);
    bdrv_unref(bs);
    QDECREF(options);
}

static void bad_json_is_refused(void **state)
{
    int ret;

    (void)state;
    assert_non_null(strstr(open_error("json:{", NULL, 0, &ret), "Could not parse 'json:{'"));
    assert_open_fails("json:[]", NULL, 0, EINVAL, "Could not parse 'json:[]': not a JSON object");
    assert_open_fails("json:{\"file\":{\"driver\":\"test\"},\"file.driver\":\"test\"}", NULL, 0,
                      EINVAL, "Option 'file.driver' is given twice");
}

static void option_nobody_wants_is_named(void **state)
{
    (void)state;
    assert_open_fails("test:x", "{\"driver\":\"raw\",\"xyz\":1}", 0, EINVAL,
                      "Block format 'raw' does not support the option 'xyz'");
    assert_open_fails("test:x", "{\"file.xyz\":1}", 0, EINVAL,
                      "Block protocol 'test' doesn't support the option 'xyz'");
    assert_open_fails("test:x", "{\"driver\":\"raw\",\"filename\":\"y\"}", 0, EINVAL,
                      "Block format 'raw' does not support the option 'filename'");
}

static void something_must_be_named_and_only_once(void **state)
{
    (void)state;
    assert_open_fails(NULL, NULL, 0, EINVAL, "Must specify either driver or file");
    assert_open_fails(NULL, NULL, BDRV_O_PROTOCOL, EINVAL, "Must specify either driver or file");
    assert_open_fails(NULL, "{\"driver\":\"raw\"}", 0, EINVAL,
                      "Driver 'raw' needs a file: a file name or the option 'file'");
    assert_open_fails("x", "{\"driver\":\"test\",\"filename\":\"y\"}", 0, EINVAL,
                      "'x' and the option 'filename' both name the file");
    assert_open_fails("x", "{\"file.filename\":\"y\"}", 0, EINVAL,
                      "'x' and the option 'filename' both name the file");
    assert_open_fails("x", "{\"file\":\"y\"}", 0, EINVAL,
                      "Cannot reference 'y' and give a file name or options too");
}

static void driver_without_words_gets_ours(void **state)
{
    (void)state;
    assert_open_fails("missing", "{\"driver\":\"raw\",\"file.driver\":\"test\"}", 0, ENOENT,
                      "Could not open 'missing': No such file or directory");
}

/* ---- flags ---- */

static void cache_options_win_over_flags(void **state)
{
    BlockDriverState *bs;
    int flags;

    (void)state;
    bs = open_ok("x", "{\"driver\":\"test\",\"cache\":{\"direct\":true,\"no-flush\":\"off\"},"
                 "\"cache.writeback\":\"off\"}", BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH);
    flags = bdrv_get_flags(bs);
    assert_int_equal(flags & BDRV_O_CACHE_MASK, BDRV_O_NOCACHE);
    assert_false(bs->enable_write_cache);
    bdrv_unref(bs);
    assert_open_fails("test:x", "{\"cache.direct\":\"maybe\"}", 0, EINVAL,
                      "Option 'cache.direct' must be 'on' or 'off'");
}

static void access_options_win_over_flags(void **state)
{
    BlockDriverState *bs;

    (void)state;
    bs = open_ok("test:x", "{\"read-only\":\"on\",\"discard\":\"unmap\"}", BDRV_O_RDWR);
    assert_true(bdrv_is_read_only(bs));
    assert_int_equal(bdrv_get_flags(bs) & (BDRV_O_RDWR | BDRV_O_UNMAP), BDRV_O_UNMAP);
    bdrv_unref(bs);
    bs = open_ok("test:x", "{\"read-only\":false,\"discard\":\"ignore\",\"force-share\":\"off\"}",
                 BDRV_O_UNMAP);
    assert_false(bdrv_is_read_only(bs));
    assert_int_equal(bdrv_get_flags(bs) & (BDRV_O_RDWR | BDRV_O_UNMAP), BDRV_O_RDWR);
    bdrv_unref(bs);
    assert_open_fails("test:x", "{\"discard\":\"never\"}", 0, EINVAL,
                      "Parameter 'discard' expects one of: ignore, off, unmap, on");
}

static void zero_detection_may_be_an_option(void **state)
{
    BlockDriverState *bs;

    (void)state;
    bs = open_ok("test:x", "{\"detect-zeroes\":\"unmap\",\"discard\":\"unmap\"}", BDRV_O_RDWR);
    assert_int_equal(bs->detect_zeroes, BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP);
    bdrv_unref(bs);
    assert_open_fails("test:x", "{\"detect-zeroes\":\"unmap\"}", BDRV_O_RDWR, EINVAL,
                      "setting detect-zeroes to unmap is not allowed without setting discard "
                      "operation to unmap");
}

static void file_inherits_flags(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, BDRV_O_RDWR | BDRV_O_NO_FLUSH |
                                   BDRV_O_NOCACHE | BDRV_O_NO_BACKING);

    (void)state;
    assert_int_equal(disk.open_flags, BDRV_O_RDWR | BDRV_O_NO_FLUSH | BDRV_O_NOCACHE |
                     BDRV_O_ALLOW_RDWR | BDRV_O_PROTOCOL | BDRV_O_UNMAP | BDRV_O_CACHE_WB);
    assert_false(bs->enable_write_cache);
    assert_true(bdrv_file(bs)->enable_write_cache);
    assert_true(bdrv_get_flags(bs) & BDRV_O_ALLOW_RDWR);
    bdrv_unref(bs);
}

static void flags_that_cannot_be_are_refused(void **state)
{
    (void)state;
    assert_open_fails("test:x", NULL, BDRV_O_COPY_ON_READ, EINVAL,
                      "Can't use copy-on-read on read-only device");
    assert_open_fails("test:x", NULL, BDRV_O_NATIVE_AIO, EINVAL,
                      "aio=native was specified, but it requires cache.direct=on, which was not "
                      "specified.");
}

static void read_only_file_makes_read_only_node_if_allowed(void **state)
{
    BlockDriverState *bs;

    (void)state;
    disk.read_only_only = true;
    bs = open_ok("test:x", NULL, BDRV_O_RDWR | BDRV_O_AUTO_RDONLY);
    assert_true(bdrv_is_read_only(bs));
    assert_false(bdrv_get_flags(bs) & BDRV_O_RDWR);
    bdrv_unref(bs);
    assert_open_fails("test:x", NULL, BDRV_O_RDWR, EACCES,
                      "Could not open 'test:x': Permission denied");
}

/* ---- names and references ---- */

static void node_names_are_checked(void **state)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\",\"node-name\":\"a-1._\"}", 0);

    (void)state;
    assert_ptr_equal(bdrv_find_node("a-1._"), bs);
    disk.opened = 0;
    assert_open_fails("test:x", "{\"node-name\":\"a-1._\"}", 0, EINVAL,
                      "Node name 'a-1._' is already in use");
    assert_open_fails("test:x", "{\"node-name\":\"1a\"}", 0, EINVAL, "Invalid node name '1a'");
    assert_open_fails("test:x", "{\"node-name\":\"\"}", 0, EINVAL, "Invalid node name ''");
    assert_open_fails("test:x", "{\"node-name\":\"n\",\"file.node-name\":\"n\"}", 0, EINVAL,
                      "Node name 'n' is already in use");
    assert_null(bdrv_find_node("n"));
    bdrv_drop_node_name(bs);
    assert_null(bdrv_find_node("a-1._"));
    bdrv_unref(bs);
}

static void generated_names_differ(void **state)
{
    BlockDriverState *bs = open_ok("test:x", NULL, 0);

    (void)state;
    assert_int_equal(bdrv_get_node_name(bs)[0], '#');
    assert_int_equal(bdrv_get_node_name(bdrv_file(bs))[0], '#');
    assert_string_not_equal(bdrv_get_node_name(bs), bdrv_get_node_name(bdrv_file(bs)));
    bdrv_unref(bs);
}

static void file_may_be_an_existing_node(void **state)
{
    BlockDriverState *below = open_ok("x", "{\"driver\":\"test\",\"node-name\":\"below\"}", 0);
    BlockDriverState *bs = open_ok(NULL, "{\"driver\":\"raw\",\"file\":\"below\"}", 0);

    (void)state;
    assert_ptr_equal(bdrv_file(bs), below);
    bdrv_unref(below);
    assert_int_equal(disk.closed, 0);
    disk.opened = 0;
    assert_open_fails(NULL, "{\"driver\":\"raw\",\"file\":\"below\"}", BDRV_O_RDWR, EACCES,
                      "Node 'below' is read-only");
    bdrv_unref(bs);
    assert_int_equal(disk.closed, 1);
    disk.closed = 0;
    assert_open_fails(NULL, "{\"driver\":\"raw\",\"file\":\"below\"}", 0, ENODEV,
                      "Cannot find device or node 'below'");
    assert_open_fails(NULL, "{\"driver\":\"raw\",\"file\":\"me\",\"node-name\":\"me\"}", 0, ENODEV,
                      "Device 'me' has no medium");
}

static void reference_opens_nothing_new(void **state)
{
    BlockDriverState *bs = open_ok("x", "{\"driver\":\"test\",\"node-name\":\"n\"}", 0);
    BlockDriverState *same = NULL, *none = NULL;
    Error *err = NULL;

    (void)state;
    assert_int_equal(bdrv_open(&same, NULL, "n", qdict_new(), 0, &error_abort), 0);
    assert_ptr_equal(same, bs);
    assert_int_equal(bdrv_open(&none, "x", "n", NULL, 0, &err), -EINVAL);
    error_free(err);
    assert_null(none);
    bdrv_unref(same);
    bdrv_unref(bs);
}

static void driverless_node_is_opened_in_place(void **state)
{
    BlockDriverState *bs = bdrv_new(), *same = bs;
    Error *err = NULL;

    (void)state;
    assert_false(bdrv_is_inserted(bs));
    assert_int_equal(bdrv_getlength(bs), -ENOMEDIUM);
    assert_int_equal(bdrv_open(&bs, "test:missing", NULL, options_from("{\"node-name\":\"n\","
                               "\"xyz\":1}"), BDRV_O_RDWR, &err), -EINVAL);
    error_free(err);
    assert_ptr_equal(bs, same);
    assert_string_equal(bdrv_get_node_name(bs), "");
    assert_int_equal(bdrv_get_flags(bs), 0);
    assert_int_equal(bdrv_open(&bs, "test:x", NULL, NULL, 0, &error_abort), 0);
    assert_ptr_equal(bs, same);
    assert_true(bdrv_is_inserted(bs));
    bdrv_unref(bs);
}

static void limits_must_be_powers_of_two(void **state)
{
    (void)state;
    disk.limits.request_alignment = 1536;
    assert_open_fails("test:x", NULL, 0, EINVAL, "Driver 'test' asks for an alignment that is "
                      "not a power of two up to 1073741824");
}

static void limits_are_filled_in(void **state)
{
    BlockDriverState *bs;

    (void)state;
    disk.limits = (BlockLimits){ .request_alignment = 4096, .max_transfer = 10000,
                                 .min_mem_alignment = 8192, .pwrite_zeroes_alignment = 5000 };
    bs = open_ok("test:x", NULL, 0);
    assert_int_equal(bdrv_limits(bs)->request_alignment, 4096);
    assert_int_equal(bdrv_limits(bs)->max_transfer, 8192);
    assert_int_equal(bdrv_limits(bs)->pwrite_zeroes_alignment, 8192);
    assert_int_equal(bdrv_limits(bs)->pdiscard_alignment, 4096);
    assert_int_equal(bdrv_limits(bs)->max_iov, 1024);
    assert_true(bdrv_opt_mem_align(bs) >= 8192);
    bdrv_unref(bs);
}

#define TEST(fn) cmocka_unit_test_setup(fn, unit_reset_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unknown_content_is_raw),
        TEST(known_content_is_its_format),
        TEST(named_format_is_not_probed),
        TEST(empty_file_is_raw_unread),
        TEST(protocol_flag_takes_the_protocol_alone),
        TEST(colon_after_slash_is_no_protocol),
        TEST(unknown_names_are_named),
        TEST(nested_dotted_and_json_options_are_alike),
        TEST(nodes_are_listed_in_the_order_they_were_made),
        TEST(options_win_over_json),
        TEST(options_are_taken_over_and_left_alone),
        TEST(bad_json_is_refused),
        TEST(option_nobody_wants_is_named),
        TEST(something_must_be_named_and_only_once),
        TEST(driver_without_words_gets_ours),
        TEST(cache_options_win_over_flags),
        TEST(access_options_win_over_flags),
        TEST(zero_detection_may_be_an_option),
        TEST(file_inherits_flags),
        TEST(flags_that_cannot_be_are_refused),
        TEST(read_only_file_makes_read_only_node_if_allowed),
        TEST(node_names_are_checked),
        TEST(generated_names_differ),
        TEST(file_may_be_an_existing_node),
        TEST(reference_opens_nothing_new),
        TEST(driverless_node_is_opened_in_place),
        TEST(limits_must_be_powers_of_two),
        TEST(limits_are_filled_in),
    };

    return cmocka_run_group_tests(tests, unit_main_loop, NULL);
}
