/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BDRV_O_SNAPSHOT: what is written is there until the image is closed, and never in the image. */
#include "driver-test.h"

#include <blkbackend/image.h>

#define FOLDER "temporary"

/* How many files there are in the folder for temporary ones. */
static int temporary_files(void)
{
    DIR *dir = opendir(FOLDER);
    int n = -2;   /* . and .. */

    assert_non_null(dir);
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void make_image(TestFile *file, const char *format)
{
    QDict *options = qdict_new();

    test_file_make(file, ON_DISK, 0);
    qdict_put(options, "size", qint_from_int(MIB));
    assert_int_equal(bdrv_create(bdrv_find_format(format), file->path, options, &error_abort), 0);
    QDECREF(options);
}

static void writes_are_gone_with_the_backend(void **state)
{
    static const char *const formats[] = { "raw", "qcow2" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        TestFile file;
        BlockBackend *blk, *other;

        make_image(&file, formats[i]);
        blk = open_options(RDWR, &error_abort, "'driver':'%s','file.filename':'%s'", formats[i],
                           file.path);
        write_byte(blk, 0, MIB, 1);
        blk_unref(blk);
        blk = open_options(RDWR | BDRV_O_SNAPSHOT, &error_abort,
                           "'driver':'%s','file.filename':'%s'", formats[i], file.path);
        assert_int_equal(blk_getlength(blk), MIB);
        assert_bytes(blk, 0, MIB, 1);
        write_byte(blk, 1000, 100 * KIB, 2);
        assert_bytes(blk, 0, 1000, 1);
        assert_bytes(blk, 1000, 100 * KIB, 2);
        assert_int_equal(temporary_files(), 0);     /* not even now */
        other = open_options(BDRV_O_SNAPSHOT, &error_abort,
                             "'driver':'%s','file.filename':'%s'", formats[i], file.path);
        assert_bytes(other, 0, MIB, 1);
        assert_true(blk_is_read_only(other));
        blk_unref(other);
        blk_unref(blk);
        blk = open_options(0, &error_abort, "'driver':'%s','file.filename':'%s'", formats[i],
                           file.path);
        assert_bytes(blk, 0, MIB, 1);
        blk_unref(blk);
        test_file_remove(&file);
    }
}

static void read_only_file_can_be_written_over(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    make_image(&file, "raw");
    assert_int_equal(fchmod(file.fd, 0444), 0);
    blk = open_options(RDWR | BDRV_O_SNAPSHOT, &error_abort, "'driver':'raw','file.filename':'%s'",
                       file.path);
    write_byte(blk, 0, MIB, 2);
    assert_bytes(blk, 0, MIB, 2);
    blk_unref(blk);
    test_file_remove(&file);
}

static void what_cannot_be_opened_leaves_nothing(void **state)
{
    TestFile file;

    (void)state;
    assert_open_fails("No such file", RDWR | BDRV_O_SNAPSHOT,
                      "'driver':'raw','file.filename':'/does/not/exist'");
    assert_int_equal(temporary_files(), 0);
    make_image(&file, "raw");
    setenv("TMPDIR", "/does/not/exist", 1);
    assert_open_fails("Could not create the temporary file '/does/not/exist/blkbackend-",
                      RDWR | BDRV_O_SNAPSHOT, "'driver':'raw','file.filename':'%s'", file.path);
    setenv("TMPDIR", FOLDER, 1);
    test_file_remove(&file);
}

static int setup(void **state)
{
    int ret = own_folder_setup(state);

    mkdir(FOLDER, 0700);
    setenv("TMPDIR", FOLDER, 1);
    return ret;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_are_gone_with_the_backend),
        cmocka_unit_test(read_only_file_can_be_written_over),
        cmocka_unit_test(what_cannot_be_opened_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, setup, own_folder_remove);
}
