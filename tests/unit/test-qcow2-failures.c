/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a qcow2 image as a whole fails, at each write and flush in turn:
 * the image is then consistent, but perhaps for leaks, and has its old content,
 * or, if it was the last write that failed, its new one.
 */
#include "qcow2-test.h"

#include <blkbackend/image.h>

#define FIRST IMAGE ".first"            /* before the change: with two snapshots */
#define PLAIN IMAGE ".plain"            /* or without */

/* ---- a filter whose changes fail ---- */

typedef enum {
    ONCE,                               /* that one, all later ones work */
    FOR_EVER,
    ALTHOUGH_DONE,                      /* it was done nevertheless; later ones fail */
    MODES
} Mode;

static Mode mode;
static int countdown;                   /* changes until it fails; negative: it has */
static bool armed;

/* True if this one fails without being done. */
static bool fails(bool *reports)
{
    int n = armed ? countdown-- : 1;

    *reports = n == 0 || (n < 0 && mode != ONCE);
    return *reports && !(n == 0 && mode == ALTHOUGH_DONE);
}

static int64_t coroutine_fn failing_getlength(BlockDriverState *bs)
{
    return bdrv_co_getlength(bdrv_file(bs));
}

static int coroutine_fn failing_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                       QEMUIOVector *qiov, int flags)
{
    return bdrv_co_preadv(bdrv_file(bs), offset, bytes, qiov, flags);
}

static int coroutine_fn failing_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                        QEMUIOVector *qiov, int flags)
{
    bool reports;
    int ret = fails(&reports) ? 0 : bdrv_co_pwritev(bdrv_file(bs), offset, bytes, qiov, flags);

    return reports ? -EIO : ret;
}

static int coroutine_fn failing_flush(BlockDriverState *bs)
{
    bool reports;
    int ret = fails(&reports) ? 0 : bdrv_co_flush(bdrv_file(bs));

    return reports ? -EIO : ret;
}

static int coroutine_fn failing_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    return bdrv_co_pdiscard(bdrv_file(bs), offset, bytes);
}

static int coroutine_fn failing_truncate(BlockDriverState *bs, int64_t offset,
                                         PreallocMode prealloc, Error **errp)
{
    bool reports;

    if (fails(&reports)) {
        error_setg(errp, "It fails");
        return -EIO;
    }
    return bdrv_co_truncate(bdrv_file(bs), offset, prealloc, errp);
}

static BlockDriver failing_driver = {
    .format_name = "failing",
    .has_file_child = true,
    .is_passthrough = true,
    .bdrv_co_getlength = failing_getlength,
    .bdrv_co_preadv = failing_preadv,
    .bdrv_co_pwritev = failing_pwritev,
    .bdrv_co_flush_to_disk = failing_flush,
    .bdrv_co_pdiscard = failing_pdiscard,
    .bdrv_co_truncate = failing_truncate,
};
BLOCK_DRIVER(failing_driver)

static BlockBackend *open_failing(void)
{
    return open_options(RDWR, &error_abort, "'driver':'qcow2','file':{'driver':'failing','file':{"
                        "'driver':'file','filename':'" IMAGE "','cache':{'no-flush':true}}}");
}

/* ---- changes ---- */

static int take(BlockBackend *blk)
{
    QEMUSnapshotInfo info = { .name = "new", .icount = UINT64_MAX };

    return bdrv_snapshot_create(blk_bs(blk), &info, NULL);
}

static int go_back(BlockBackend *blk)
{
    return bdrv_snapshot_goto(blk_bs(blk), "one", NULL);
}

static int delete_first(BlockBackend *blk)
{
    return bdrv_snapshot_delete(blk_bs(blk), NULL, "one", NULL);
}

static int delete_last(BlockBackend *blk)
{
    return bdrv_snapshot_delete(blk_bs(blk), NULL, "two", NULL);
}

static int save_vmstate(BlockBackend *blk)
{
    static uint8_t buf[100 * KIB];
    int ret = blk_save_vmstate(blk, buf, 0, sizeof(buf));

    return ret < 0 ? ret : blk_flush(blk);
}

static int grow(BlockBackend *blk)
{
    return blk_truncate(blk, MIB);
}

static int change_backing_file(BlockBackend *blk)
{
    return bdrv_change_backing_file(blk_bs(blk), "/dev/null", "raw", NULL);
}

static int make_empty(BlockBackend *blk)
{
    int ret = bdrv_make_empty(blk_bs(blk), NULL);

    return ret < 0 ? ret : blk_flush(blk);
}

typedef struct Change {
    int (*fn)(BlockBackend *blk);
    const char *image;
    const char *after;                  /* what the disk holds then, if that changes */
    bool part_by_part;                  /* a part of the disk may have changed */
    bool repeatable;
} Change;

static const Change changes[] = {
    { take, FIRST, NULL, false, false }, { take, PLAIN, NULL, false, false },
    { go_back, FIRST, "1111", false, true }, { delete_first, FIRST, NULL, false, false },
    { delete_last, FIRST, NULL, false, false }, { save_vmstate, FIRST, NULL, false, true },
    { grow, FIRST, NULL, false, true }, { change_backing_file, FIRST, NULL, false, true },
    { make_empty, FIRST, "0000", true, true }, { make_empty, PLAIN, "0000", false, true },
};

/* ---- an image before and after ---- */

#define DISK (256 * KIB)
#define PART (DISK / 4)

/* Parts of the disk: the snapshot "one" has 1111, "two" 1222, the disk 1233. */
static void make_first(const char *kind)
{
    BlockBackend *blk;
    QEMUSnapshotInfo one = { .name = "one" }, two = { .name = "two" };

    make_image(kind, "256k");
    blk = open_image(RDWR, "");
    write_byte(blk, 0, DISK, 1);
    assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &one, &error_abort), 0);
    write_byte(blk, PART, 3 * PART, 2);
    assert_int_equal(bdrv_snapshot_create(blk_bs(blk), &two, &error_abort), 0);
    write_byte(blk, 2 * PART, 2 * PART, 3);
    blk_unref(blk);
    assert_int_equal(shell("cp " IMAGE " " FIRST " && qemu-img snapshot -d one " IMAGE " && "
                           "qemu-img snapshot -d two " IMAGE " && mv " IMAGE " " PLAIN), 0);
}

static bool holds(BlockBackend *blk, const char *parts)
{
    static uint8_t buf[DISK];

    assert_int_equal(blk_pread(blk, 0, buf, DISK), DISK);
    for (int i = 0; i < DISK; i++) {
        if (buf[i] != parts[i / PART] - '0') {
            return false;
        }
    }
    return true;
}

static void assert_disk(BlockBackend *blk, const Change *change)
{
    if (!change->part_by_part && !holds(blk, "1233") &&
        !(change->after && holds(blk, change->after))) {
        fail_msg("the disk has another content");
    }
}

static void assert_snapshot(const char *name, const char *parts)
{
    BlockBackend *blk = open_image(0, ",'backing':''");

    if (bdrv_snapshot_load_tmp(blk_bs(blk), NULL, name, NULL) == 0) {
        assert_true(holds(blk, parts));
    }
    blk_unref(blk);
}

static void assert_image(const Change *change)
{
    int status = shell("qemu-img check -q " IMAGE " >/dev/null 2>&1");
    BlockBackend *blk;

    if (status != 0 && status != 3 << 8) {
        shell("qemu-img check " IMAGE);
        fail_msg("the image is damaged");
    }
    blk = open_image(0, ",'backing':''");
    assert_disk(blk, change);
    blk_unref(blk);
    assert_snapshot("one", "1111");
    assert_snapshot("two", "1222");
}

/* True: it failed. */
static bool change_failing_at(const Change *change, int n)
{
    BlockBackend *blk;
    int ret;

    assert_int_equal(shell("cp %s " IMAGE, change->image), 0);
    armed = false;
    blk = open_failing();
    countdown = n;
    armed = true;
    ret = change->fn(blk);
    if (mode == ONCE) {   /* without writes, reads may lack a place in the caches */
        assert_disk(blk, change);
    }
    if (ret < 0 && countdown >= 0) {
        fail_msg("it failed (%s) although nothing had", strerror(-ret));
    }
    if (ret < 0 && mode == ONCE && change->repeatable) {
        change->fn(blk);
    }
    if (ret >= 0 && change->after) {
        assert_true(holds(blk, change->after));
    }
    blk_unref(blk);
    assert_image(change);
    return countdown < 0;
}

static void be_quiet(void *opaque, const char *message)
{
    (void)opaque;
    (void)message;
}

static void image_survives_each_failure(void **state)
{
    static const char *const kinds[] = {
        "compat=1.1", "compat=0.10", "cluster_size=512", "cluster_size=4k,refcount_bits=4",
        "cluster_size=16k,extended_l2=on",
    };
    bool v2;

    (void)state;
    blkbackend_set_log_fn(be_quiet, NULL);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        alarm(120);
        make_first(kinds[k]);
        v2 = strstr(kinds[k], "0.10");
        for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
            if (v2 && changes[c].fn == grow) {
                continue;
            }
            for (mode = 0; mode < MODES; mode++) {
                int n = 0;

                while (change_failing_at(&changes[c], n)) {
                    n++;
                }
                assert_true(n > 1);
            }
        }
    }
    unlink(FIRST);
    unlink(PLAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_survives_each_failure),
    };

    if (!have_qemu_img()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, own_folder_setup, own_folder_remove);
}
