/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every form of every request answers in every state of the backend: the
 * order of the checks (R1 to R3, R7), zero lengths (R12), the rules of AIO (R5),
 * cancellation, and the questions about size.
 */
#include "blkdebug-test.h"

#define SECTORS (DISK_SIZE / 512)

static uint8_t buf[DISK_SIZE];

/* ---- a driver that takes device commands ---- */

static unsigned long last_ioctl;

static int toy_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    (void)bs;
    (void)options;
    (void)flags;
    (void)errp;
    return 0;
}

static int64_t coroutine_fn toy_co_getlength(BlockDriverState *bs)
{
    (void)bs;
    return DISK_SIZE;
}

static int coroutine_fn toy_co_ioctl(BlockDriverState *bs, unsigned long req, void *arg)
{
    (void)bs;
    last_ioctl = req;
    memcpy(arg, "done", 5);
    return 17;
}

static BlockDriver toy_driver = {
    .format_name = "toy",
    .protocol_name = "toy",
    .bdrv_open = toy_open,
    .bdrv_co_getlength = toy_co_getlength,
    .bdrv_co_ioctl = toy_co_ioctl,
};

BLOCK_DRIVER(toy_driver)

/* ---- states ---- */

typedef enum State { EMPTY, DRIVERLESS, TRAY_OPEN, READ_ONLY, INACTIVE, WRITABLE, STATES } State;

static bool tray_is_open(void *opaque)
{
    (void)opaque;
    return true;
}

static BlockBackend *open_state(State state)
{
    static const BlockDevOps open_tray = { .is_tray_open = tray_is_open };
    int flags = state == READ_ONLY ? 0 : WRITE_BACK;
    BlockBackend *blk;

    if (state == EMPTY) {
        return blk_new(NULL);
    }
    if (state == DRIVERLESS) {
        return blk_new_with_bs(NULL);
    }
    if (state == INACTIVE) {
        flags |= BDRV_O_INACTIVE;
    }
    blk = open_options(flags, &error_abort,
                       "'driver':'raw','file':{'driver':'memory','size':%d}", DISK_SIZE);
    if (state == TRAY_OPEN) {
        blk_set_dev_ops(blk, &open_tray, NULL);
    }
    return blk;
}

static bool has_medium(State state)
{
    return state >= READ_ONLY;
}

/* ---- forms: pos and count are sectors or bytes ---- */

typedef enum Kind { READ, WRITE, ZEROES, DISCARD } Kind;

typedef struct Form {
    Kind kind;
    bool sectors;
    bool vector;             /* its length is the vector's: never negative */
    int64_t (*run)(BlockBackend *blk, int64_t pos, int64_t count);
} Form;

static int64_t f_read(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_read(blk, pos, buf, (int)count);
}

static int64_t f_read_unthrottled(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_read_unthrottled(blk, pos, buf, (int)count);
}

static int64_t f_write(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_write(blk, pos, buf, (int)count);
}

static int64_t f_write_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_write_zeroes(blk, pos, (int)count, 0);
}

static int64_t f_discard(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_discard(blk, pos, (int)count);
}

/* Linear transfers return the count. */
static int64_t without_count(int64_t ret, int64_t count)
{
    return ret >= 0 && ret == count ? 0 : ret >= 0 ? 1000000 + ret : ret;
}

static int64_t f_pread(BlockBackend *blk, int64_t pos, int64_t count)
{
    return without_count(blk_pread(blk, pos, buf, (int)count), count);
}

static int64_t f_pwrite(BlockBackend *blk, int64_t pos, int64_t count)
{
    return without_count(blk_pwrite(blk, pos, buf, (int)count), count);
}

static int64_t f_pwrite_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_pwrite_zeroes(blk, pos, count, 0);
}

static int64_t f_pdiscard(BlockBackend *blk, int64_t pos, int64_t count)
{
    return blk_pdiscard(blk, pos, count);
}

/* Rule R5 in the frame of every AIO form. */
static int finish(BlockBackend *blk, BlockAIOCB *acb, AioResult *r)
{
    AioContext *home = blk_get_aio_context(blk);
    int ret;

    assert_non_null(acb);
    ret = aio_result_wait(r);
    poll_what_is_due();
    assert_int_equal(r->calls, 1);
    assert_true(r->ctx == home);
    assert_true(ret <= 0);
    return ret;
}

/* A vector as long as a valid count says; a wrong one is found out first. */
static QEMUIOVector *vector_for(Linear *l, int64_t bytes)
{
    return linear(l, buf, bytes < 0 ? 0 : (size_t)bytes);
}

static int64_t f_aio_readv(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };
    Linear l;

    return finish(blk, blk_aio_readv(blk, pos, vector_for(&l, count * 512), (int)count,
                                     aio_result_cb, &r), &r);
}

static int64_t f_aio_writev(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };
    Linear l;

    return finish(blk, blk_aio_writev(blk, pos, vector_for(&l, count * 512), (int)count,
                                      aio_result_cb, &r), &r);
}

static int64_t f_aio_write_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };

    return finish(blk, blk_aio_write_zeroes(blk, pos, (int)count, 0, aio_result_cb, &r), &r);
}

static int64_t f_aio_discard(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };

    return finish(blk, blk_aio_discard(blk, pos, (int)count, aio_result_cb, &r), &r);
}

static int64_t f_aio_preadv(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };
    Linear l;

    return finish(blk, blk_aio_preadv(blk, pos, vector_for(&l, count), 0, aio_result_cb, &r), &r);
}

static int64_t f_aio_pwritev(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };
    Linear l;

    return finish(blk, blk_aio_pwritev(blk, pos, vector_for(&l, count), 0, aio_result_cb, &r), &r);
}

static int64_t f_aio_pwrite_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };

    return finish(blk, blk_aio_pwrite_zeroes(blk, pos, count, 0, aio_result_cb, &r), &r);
}

static int64_t f_aio_pdiscard(BlockBackend *blk, int64_t pos, int64_t count)
{
    AioResult r = { 0 };

    return finish(blk, blk_aio_pdiscard(blk, pos, count, aio_result_cb, &r), &r);
}

typedef struct CoRange {
    BlockBackend *blk;
    int64_t pos, count;
} CoRange;

static int64_t in_coroutine(CoFunc *fn, BlockBackend *blk, int64_t pos, int64_t count)
{
    return co_call(fn, &(CoRange){ blk, pos, count });
}

static int64_t coroutine_fn c_preadv(void *arg)
{
    CoRange *r = arg;
    Linear l;

    return blk_co_preadv(r->blk, r->pos, r->count, vector_for(&l, r->count), 0);
}

static int64_t f_co_preadv(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_preadv, blk, pos, count);
}

static int64_t coroutine_fn c_pwritev(void *arg)
{
    CoRange *r = arg;
    Linear l;

    return blk_co_pwritev(r->blk, r->pos, r->count, vector_for(&l, r->count), 0);
}

static int64_t f_co_pwritev(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_pwritev, blk, pos, count);
}

static int64_t coroutine_fn c_pwrite_zeroes(void *arg)
{
    CoRange *r = arg;

    return blk_co_pwrite_zeroes(r->blk, r->pos, r->count, 0);
}

static int64_t f_co_pwrite_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_pwrite_zeroes, blk, pos, count);
}

static int64_t coroutine_fn c_write_zeroes(void *arg)
{
    CoRange *r = arg;

    return blk_co_write_zeroes(r->blk, r->pos, (int)r->count, 0);
}

static int64_t f_co_write_zeroes(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_write_zeroes, blk, pos, count);
}

static int64_t coroutine_fn c_discard(void *arg)
{
    CoRange *r = arg;

    return blk_co_discard(r->blk, r->pos, (int)r->count);
}

static int64_t f_co_discard(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_discard, blk, pos, count);
}

static int64_t coroutine_fn c_pdiscard(void *arg)
{
    CoRange *r = arg;

    return blk_co_pdiscard(r->blk, r->pos, r->count);
}

static int64_t f_co_pdiscard(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_pdiscard, blk, pos, count);
}

static int64_t coroutine_fn c_pread(void *arg)
{
    CoRange *r = arg;

    return f_pread(r->blk, r->pos, r->count);
}

static int64_t f_pread_in_coroutine(BlockBackend *blk, int64_t pos, int64_t count)
{
    return in_coroutine(c_pread, blk, pos, count);
}

static int64_t f_block_status(BlockBackend *blk, int64_t pos, int64_t count)
{
    int64_t n;
    int ret = blk_block_status(blk, pos, count, &n);

    assert_int_equal(n > 0, ret >= 0 && count > 0);
    return ret > 0 ? 0 : ret;
}

static const Form forms[] = {
    { READ,    true,  false, f_read },
    { READ,    true,  false, f_read_unthrottled },
    { READ,    true,  false, f_aio_readv },
    { READ,    false, false, f_pread },
    { READ,    false, false, f_pread_in_coroutine },
    { READ,    false, true,  f_aio_preadv },
    { READ,    false, false, f_co_preadv },
    { READ,    false, false, f_block_status },
    { WRITE,   true,  false, f_write },
    { WRITE,   true,  false, f_aio_writev },
    { WRITE,   false, false, f_pwrite },
    { WRITE,   false, true,  f_aio_pwritev },
    { WRITE,   false, false, f_co_pwritev },
    { ZEROES,  true,  false, f_write_zeroes },
    { ZEROES,  true,  false, f_aio_write_zeroes },
    { ZEROES,  true,  false, f_co_write_zeroes },
    { ZEROES,  false, false, f_pwrite_zeroes },
    { ZEROES,  false, false, f_aio_pwrite_zeroes },
    { ZEROES,  false, false, f_co_pwrite_zeroes },
    { DISCARD, true,  false, f_discard },
    { DISCARD, true,  false, f_aio_discard },
    { DISCARD, true,  false, f_co_discard },
    { DISCARD, false, false, f_pdiscard },
    { DISCARD, false, false, f_aio_pdiscard },
    { DISCARD, false, false, f_co_pdiscard },
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static void assert_result(BlockBackend *blk, State state, size_t form, int64_t pos, int64_t count,
                          int64_t want)
{
    int64_t got = forms[form].run(blk, pos, count);

    if (got != want) {
        fail_msg("state %d, form %zu, %lld+%lld: %lld, not %lld", state, form, (long long)pos,
                 (long long)count, (long long)got, (long long)want);
    }
}

/* Every form in every state, or the ones in sectors or in bytes. */
#define FOR_ALL(state, blk, form, condition)                                                \
    for (State state = 0; state < STATES; state++)                                          \
        for (BlockBackend *blk = open_state(state); blk; blk_unref(blk), blk = NULL)        \
            for (size_t form = 0; form < FORMS; form++)                                     \
                if (condition)

/* ---- the matrices of §5.3 ---- */

static int64_t result_of_valid(State state, Kind kind)
{
    if (!has_medium(state)) {
        return -ENOMEDIUM;
    }
    return kind == READ || state == WRITABLE ? 0 : -EPERM;
}

static void valid_range_in_every_state(void **unused)
{
    (void)unused;
    FOR_ALL(state, blk, form, true) {
        int64_t unit = forms[form].sectors ? 1 : 512;

        assert_result(blk, state, form, 0, unit, result_of_valid(state, forms[form].kind));
        assert_result(blk, state, form, (SECTORS - 8) * unit, 8 * unit,
                      result_of_valid(state, forms[form].kind));
    }
}

/* The range beats read-only, no medium beats the end. */
static void past_the_end_in_every_state(void **unused)
{
    (void)unused;
    FOR_ALL(state, blk, form, true) {
        int64_t unit = forms[form].sectors ? 1 : 512;
        int64_t want = has_medium(state) ? -EIO : -ENOMEDIUM;

        assert_result(blk, state, form, SECTORS * unit, 1 * unit, want);
        assert_result(blk, state, form, (SECTORS - 1) * unit, 2 * unit, want);
        assert_result(blk, state, form, SECTORS * unit + 1, 0, want);
    }
    FOR_ALL(state, blk, form, !forms[form].sectors) {
        int64_t want = has_medium(state) ? -EIO : -ENOMEDIUM;

        assert_result(blk, state, form, DISK_SIZE - 1, 2, want);
        assert_result(blk, state, form, INT64_MAX, 1, want);
        assert_result(blk, state, form, INT64_MAX - 511, 512, want);
    }
}

/* R3: a bad sector or count beats a missing medium. */
static void bad_sectors_in_every_state(void **unused)
{
    (void)unused;
    FOR_ALL(state, blk, form, forms[form].sectors) {
        assert_result(blk, state, form, -1, 1, -EIO);
        assert_result(blk, state, form, INT64_MIN, 1, -EIO);
        assert_result(blk, state, form, INT64_MAX / 512 + 1, 1, -EIO);
        assert_result(blk, state, form, INT64_MAX, 1, -EIO);
        assert_result(blk, state, form, INT64_MAX / 512 + 1, 0, -EIO);
        assert_result(blk, state, form, 0, -1, -EIO);
        assert_result(blk, state, form, 0, INT_MIN, -EIO);
        assert_result(blk, state, form, 0, INT_MAX / 512 + 1, -EIO);
        assert_result(blk, state, form, 0, INT_MAX, -EIO);
        assert_result(blk, state, form, -1, -1, -EIO);
        /* good ones, but past the end */
        assert_result(blk, state, form, INT64_MAX / 512, 1,
                      has_medium(state) ? -EIO : -ENOMEDIUM);
        assert_result(blk, state, form, 0, INT_MAX / 512, has_medium(state) ? -EIO : -ENOMEDIUM);
    }
}

/* R2: a missing medium beats a negative offset, a bad count beats both. */
static void bad_bytes_in_every_state(void **unused)
{
    (void)unused;
    FOR_ALL(state, blk, form, !forms[form].sectors) {
        int64_t want = has_medium(state) ? -EIO : -ENOMEDIUM;

        assert_result(blk, state, form, -1, 1, want);
        assert_result(blk, state, form, -1, 0, want);
        assert_result(blk, state, form, INT64_MIN, 512, want);
        if (!forms[form].vector) {
            assert_result(blk, state, form, 0, -1, -EIO);
            assert_result(blk, state, form, -1, -1, -EIO);
        }
        if (forms[form].run != f_pread && forms[form].run != f_pread_in_coroutine &&
            forms[form].run != f_pwrite) {
            assert_result(blk, state, form, 0, (int64_t)INT_MAX + 1, -EIO);
            assert_result(blk, state, form, INT64_MAX, INT64_MAX, -EIO);
        }
        /* one byte more than the largest request: the last check of all */
        assert_result(blk, state, form, 0, BDRV_REQUEST_MAX_BYTES + 1, want);
        assert_result(blk, state, form, 0, INT_MAX, want);
    }
}

/* R12: a range that is good is good enough, also on a medium that takes no writes. */
static void zero_length_in_every_state(void **unused)
{
    (void)unused;
    FOR_ALL(state, blk, form, true) {
        int64_t unit = forms[form].sectors ? 1 : 512;
        int64_t want = has_medium(state) ? 0 : -ENOMEDIUM;

        assert_result(blk, state, form, 0, 0, want);
        assert_result(blk, state, form, SECTORS * unit, 0, want);
        assert_result(blk, state, form, SECTORS * unit + 1, 0, has_medium(state) ? -EIO : want);
    }
}

/* R12, D5: nothing is read, nothing is changed, misaligned or not. */
static void zero_length_touches_nothing(void **unused)
{
    DebugDisk d;

    (void)unused;
    debug_open(&d, WRITE_BACK, "'align':4096");
    for (size_t form = 0; form < FORMS; form++) {
        assert_result(d.blk, WRITABLE, form, 3, 0, 0);
        assert_result(d.blk, WRITABLE, form, 0, 0, 0);
    }
    assert_calls(&d, "");
    assert_int_equal(blk_getlength(d.blk), DISK_SIZE);
    debug_close(&d);
}

static int64_t coroutine_fn c_flush(void *arg)
{
    return blk_co_flush(arg);
}

static void flush_in_every_state(void **unused)
{
    (void)unused;
    for (State state = 0; state < STATES; state++) {
        BlockBackend *blk = open_state(state);
        int want = has_medium(state) ? 0 : -ENOMEDIUM;
        AioResult r = { 0 };

        assert_int_equal(blk_flush(blk), want);
        assert_int_equal(finish(blk, blk_aio_flush(blk, aio_result_cb, &r), &r), want);
        assert_int_equal(co_call(c_flush, blk), want);
        blk_unref(blk);
    }
}

static void size_in_every_state(void **unused)
{
    (void)unused;
    for (State state = 0; state < STATES; state++) {
        BlockBackend *blk = open_state(state);
        bool in = has_medium(state);
        uint64_t sectors = 77;

        assert_int_equal(blk_getlength(blk), in ? DISK_SIZE : -ENOMEDIUM);
        assert_int_equal(blk_nb_sectors(blk), in ? SECTORS : -ENOMEDIUM);
        blk_get_geometry(blk, &sectors);
        assert_int_equal(sectors, in || state == TRAY_OPEN ? SECTORS : 0);
        assert_int_equal(blk_is_inserted(blk), in || state == TRAY_OPEN);
        assert_int_equal(blk_is_available(blk), in);
        blk_unref(blk);
    }
}

static void truncate_in_every_state(void **unused)
{
    BlockBackend *blk;

    (void)unused;
    for (State state = 0; state < STATES; state++) {
        int want = !has_medium(state) ? -ENOMEDIUM : state == READ_ONLY ? -EACCES
                   : state == INACTIVE ? -EPERM : 0;

        blk = open_state(state);
        assert_int_equal(blk_truncate(blk, 4096), want);
        assert_int_equal(blk_truncate(blk, -1), has_medium(state) ? -EINVAL : -ENOMEDIUM);
        blk_unref(blk);
    }
    /* a driver that cannot beats read-only, a negative size beats both */
    blk = open_options(0, &error_abort, "'driver':'null-co','size':4096");
    assert_int_equal(blk_truncate(blk, 512), -ENOTSUP);
    assert_int_equal(blk_truncate(blk, -512), -EINVAL);
    blk_unref(blk);
}

static void ioctl_in_every_state(void **unused)
{
    (void)unused;
    for (State state = 0; state < STATES; state++) {
        BlockBackend *blk = open_state(state);
        int want = has_medium(state) ? -ENOTSUP : -ENOMEDIUM;
        AioResult r = { 0 };

        assert_int_equal(blk_ioctl(blk, 1, buf), want);
        assert_int_equal(finish(blk, blk_aio_ioctl(blk, 1, buf, aio_result_cb, &r), &r), want);
        blk_unref(blk);
    }
}

/* ---- reads and writes of data ---- */

static void counts_are_whole(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);
    uint8_t some[1000];

    (void)unused;
    memset(some, 0x3c, sizeof(some));
    assert_int_equal(blk_pwrite(blk, 777, some, 1000), 1000);
    memset(some, 0, sizeof(some));
    assert_int_equal(blk_pread(blk, 777, some, 1000), 1000);
    assert_int_equal(some[0], 0x3c);
    assert_int_equal(some[999], 0x3c);
    assert_int_equal(blk_pread(blk, 5, some, 1), 1);
    assert_int_equal(blk_pread(blk, 5, some, 0), 0);
    assert_int_equal(blk_read(blk, 1, buf, 2), 0);
    assert_int_equal(blk_write(blk, 1, buf, 2), 0);
    blk_unref(blk);
}

/* The order of the last check: a request that is too long for the node, but not for an int. */
static void largest_request(void **unused)
{
    BlockBackend *blk = open_options(WRITE_BACK, &error_abort, "'driver':'null-co','size':'4G'");

    (void)unused;
    assert_int_equal(blk_pdiscard(blk, 0, BDRV_REQUEST_MAX_BYTES), 0);
    assert_int_equal(blk_pdiscard(blk, 0, BDRV_REQUEST_MAX_BYTES + 1), -EIO);
    assert_int_equal(blk_write_zeroes(blk, 0, BDRV_REQUEST_MAX_SECTORS, 0), 0);
    assert_int_equal(blk_write_zeroes(blk, 1, BDRV_REQUEST_MAX_SECTORS, 0), 0);
    assert_int_equal(blk_write_zeroes(blk, 0, BDRV_REQUEST_MAX_SECTORS + 1, 0), -EIO);
    assert_int_equal(blk_pwrite_zeroes(blk, 0, INT_MAX, 0), -EIO);
    assert_int_equal(blk_pread(blk, 0, buf, INT_MAX), -EIO);
    blk_unref(blk);
}

static void file_of_1000_bytes_has_1024(void **unused)
{
    BlockBackend *blk;
    TestFile file;
    uint64_t sectors;

    (void)unused;
    test_file_make(&file, ON_DISK, 1000);
    blk = open_options(WRITE_BACK, &error_abort,
                       "'driver':'raw','file':{'driver':'file','filename':'%s'}", file.path);
    assert_int_equal(blk_getlength(blk), 1024);
    assert_int_equal(blk_nb_sectors(blk), 2);
    blk_get_geometry(blk, &sectors);
    assert_int_equal(sectors, 2);
    write_byte(blk, 0, 900, 0x77);
    assert_bytes(blk, 900, 124, 0);
    assert_int_equal(blk_pread(blk, 1000, buf, 25), -EIO);
    write_byte(blk, 1020, 4, 0x78);
    assert_bytes(blk, 1020, 4, 0x78);
    assert_bytes(blk, 1000, 20, 0);
    blk_unref(blk);
    test_file_remove(&file);
}

/* Row 4 of R2: where the size is asked, its error is the request's. */
static void failing_length_is_the_result(void **unused)
{
    uint64_t sectors = 77;
    DebugDisk d;

    (void)unused;
    debug_open_root(&d, "blkdebug", WRITE_BACK,
                    "'inject-error':[{'iotype':'getlength','after':1,'errno':6}]");
    assert_int_equal(blk_getlength(d.blk), -ENXIO);
    assert_int_equal(blk_nb_sectors(d.blk), -ENXIO);
    blk_get_geometry(d.blk, &sectors);
    assert_int_equal(sectors, 0);
    for (size_t form = 0; form < FORMS; form++) {
        assert_result(d.blk, WRITABLE, form, DISK_SIZE, 1, -ENXIO);
    }
    /* beyond the end allowed, the check does not ask */
    blk_set_allow_write_beyond_eof(d.blk, true);
    assert_int_equal(blk_pwrite(d.blk, DISK_SIZE, buf, 512), -ENOSPC);
    debug_close(&d);
}

/* ---- beyond the end, allowed (F17) ---- */

static void beyond_the_end_if_allowed(void **unused)
{
    BlockBackend *blk;
    TestFile file;

    (void)unused;
    test_file_make(&file, ON_DISK, 4096);
    blk = open_options(WRITE_BACK, &error_abort,
                       "'driver':'raw','file':{'driver':'file','filename':'%s'}", file.path);
    for (size_t form = 0; form < FORMS; form++) {
        assert_result(blk, WRITABLE, form, 8192, 1, -EIO);
    }
    blk_set_allow_write_beyond_eof(blk, true);
    assert_bytes(blk, 4000, 8192, 0);
    assert_int_equal(blk_getlength(blk), 4096);
    assert_int_equal(blk_discard(blk, 100, 8), 0);
    assert_int_equal(blk_getlength(blk), 4096);
    write_byte(blk, 8192, 512, 0x21);
    assert_int_equal(blk_getlength(blk), 8704);
    assert_bytes(blk, 4096, 4096, 0);
    assert_int_equal(blk_write_zeroes(blk, 20, 4, 0), 0);
    assert_int_equal(blk_getlength(blk), 12288);
    write_byte(blk, 12288 + 100, 10, 0x22);
    assert_int_equal(blk_getlength(blk), 12800);
    assert_bytes(blk, 12288, 100, 0);
    blk_set_allow_write_beyond_eof(blk, false);
    assert_int_equal(blk_pwrite(blk, 12800, buf, 1), -EIO);
    assert_int_equal(blk_pread(blk, 12800, buf, 1), -EIO);
    assert_bytes(blk, 12288 + 100, 10, 0x22);
    blk_unref(blk);
    test_file_remove(&file);
}

static void beyond_the_end_a_driver_may_refuse(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);

    (void)unused;
    blk_set_allow_write_beyond_eof(blk, true);
    assert_int_equal(blk_write(blk, SECTORS, buf, 1), -ENOSPC);
    assert_int_equal(blk_write_zeroes(blk, SECTORS, 1, 0), -ENOSPC);
    assert_int_equal(blk_getlength(blk), DISK_SIZE);
    assert_int_equal(blk_discard(blk, SECTORS, 1), 0);
    assert_bytes(blk, DISK_SIZE, 512, 0);
    blk_unref(blk);
}

/* D1: the end of such a request must still be a number. */
static void beyond_the_end_of_numbers(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE), *empty = open_state(EMPTY);

    (void)unused;
    blk_set_allow_write_beyond_eof(blk, true);
    blk_set_allow_write_beyond_eof(empty, true);
    for (size_t form = 0; form < FORMS; form++) {
        if (!forms[form].sectors) {
            assert_result(blk, WRITABLE, form, INT64_MAX, 1, -EIO);
            assert_result(blk, WRITABLE, form, INT64_MAX - 510, 512, -EIO);
            assert_result(blk, WRITABLE, form, -1, 1, -EIO);
            assert_result(blk, WRITABLE, form, 0, BDRV_REQUEST_MAX_BYTES + 1, -EIO);
            assert_result(empty, EMPTY, form, INT64_MAX, 1, -ENOMEDIUM);
        } else {
            assert_result(blk, WRITABLE, form, INT64_MAX / 512, 1, -EIO);
            assert_result(blk, WRITABLE, form, INT64_MAX / 512, 2, -EIO);
        }
    }
    assert_int_equal(blk_pread(blk, INT64_MAX - 512, buf, 512), 512);
    blk_unref(empty);
    blk_unref(blk);
}

static void permission_survives_the_medium(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);
    BlockDriverState *bs = blk_bs(blk);

    (void)unused;
    blk_set_allow_write_beyond_eof(blk, true);
    bdrv_ref(bs);
    blk_remove_bs(blk);
    assert_int_equal(blk_pread(blk, DISK_SIZE, buf, 512), -ENOMEDIUM);
    blk_insert_bs(blk, bs);
    bdrv_unref(bs);
    assert_int_equal(blk_pread(blk, DISK_SIZE, buf, 512), 512);
    blk_unref(blk);
}

/* ---- flags (D38, D4) ---- */

static int64_t coroutine_fn c_write_zeroes_flags(void *arg)
{
    CoRange *r = arg;

    return blk_co_write_zeroes(r->blk, 0, 1, (BdrvRequestFlags)r->count);
}

static void unknown_flags_are_refused(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);

    (void)unused;
    for (unsigned bit = 0; bit < 32; bit++) {
        int flags = (int)(1u << bit);
        bool known = flags == BDRV_REQ_MAY_UNMAP || flags == BDRV_REQ_FUA ||
                     flags == BDRV_REQ_ZERO_WRITE;
        int want = known ? 0 : -EINVAL;
        AioResult r = { 0 };

        assert_int_equal(blk_write_zeroes(blk, 0, 1, (BdrvRequestFlags)flags), want);
        assert_int_equal(finish(blk, blk_aio_write_zeroes(blk, 0, 1, (BdrvRequestFlags)flags,
                                                          aio_result_cb, &r), &r), want);
        assert_int_equal(co_call(c_write_zeroes_flags, &(CoRange){ blk, 0, flags }), want);
        /* the byte forms also know how to refuse data in place of zeroes */
        assert_int_equal(blk_pwrite_zeroes(blk, 0, 512, (BdrvRequestFlags)flags),
                         flags == BDRV_REQ_NO_FALLBACK ? 0 : want);
    }
    blk_unref(blk);
}

static int64_t coroutine_fn c_pwrite_zeroes_unmap(void *arg)
{
    return blk_co_write_zeroes(arg, 0, 8, BDRV_REQ_MAY_UNMAP);
}

/* Without BDRV_O_UNMAP the flag is dropped, whatever the form. */
static void unmap_needs_the_open_flag(void **unused)
{
    DebugDisk d;

    (void)unused;
    for (int unmap = 0; unmap < 2; unmap++) {
        const char *want = unmap ? "zero@0+4096:unmap" : "zero@0+4096";
        AioResult r = { 0 };

        debug_open_root(&d, "blkdebug", BDRV_O_RDWR | BDRV_O_CACHE_WB |
                        (unmap ? BDRV_O_UNMAP : 0), "");
        assert_int_equal(blk_write_zeroes(d.blk, 0, 8, BDRV_REQ_MAY_UNMAP), 0);
        assert_calls(&d, want);
        blk_aio_write_zeroes(d.blk, 0, 8, BDRV_REQ_MAY_UNMAP, aio_result_cb, &r);
        assert_int_equal(aio_result_wait(&r), 0);
        assert_calls(&d, want);
        assert_int_equal(co_call(c_pwrite_zeroes_unmap, d.blk), 0);
        assert_calls(&d, want);
        assert_int_equal(blk_discard(d.blk, 0, 8), 0);
        assert_calls(&d, unmap ? "discard@0+4096" : "");
        debug_close(&d);
    }
}

/* ---- AIO (R5) ---- */

static void callbacks_run_in_the_home_of_the_backend(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);
    AioContext *home = aio_context_new(&error_abort);
    AioResult r = { 0 };
    Linear l;

    (void)unused;
    aio_context_acquire(qemu_get_aio_context());
    blk_set_aio_context(blk, home);
    aio_context_release(qemu_get_aio_context());
    blk_aio_readv(blk, 0, linear(&l, buf, 512), 1, aio_result_cb, &r);
    poll_what_is_due();
    assert_int_equal(r.calls, 0);
    while (!r.calls) {
        aio_poll(home, true);
    }
    assert_true(r.ctx == home);
    assert_int_equal(r.ret, 0);

    /* early errors too */
    r = (AioResult){ 0 };
    blk_aio_readv(blk, -1, &l.qiov, 1, aio_result_cb, &r);
    poll_what_is_due();
    assert_int_equal(r.calls, 0);
    while (!r.calls) {
        aio_poll(home, true);
    }
    assert_true(r.ctx == home);
    assert_int_equal(r.ret, -EIO);
    aio_context_acquire(home);
    blk_set_aio_context(blk, qemu_get_aio_context());
    aio_context_release(home);
    blk_unref(blk);
    aio_context_unref(home);
}

static void *submit_in_a_thread(void *opaque)
{
    CoRange *r = opaque;

    blk_aio_write_zeroes(r->blk, r->pos, 1, 0, aio_result_cb, (void *)(intptr_t)r->count);
    return NULL;
}

static void callbacks_come_home_from_other_threads(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);
    AioResult good = { 0 }, bad = { 0 };
    CoRange ranges[2] = { { blk, 0, (intptr_t)&good }, { blk, -1, (intptr_t)&bad } };
    pthread_t threads[2];

    (void)unused;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, submit_in_a_thread, &ranges[i]), 0);
        pthread_join(threads[i], NULL);
    }
    /* nobody polled the backend's context */
    assert_int_equal(good.calls + bad.calls, 0);
    blk_drain(blk);
    assert_int_equal(good.calls, 1);
    assert_int_equal(good.ret, 0);
    assert_int_equal(bad.calls, 1);
    assert_int_equal(bad.ret, -EIO);
    assert_true(good.ctx == qemu_get_aio_context() && bad.ctx == good.ctx);
    blk_unref(blk);
}

/* Submitted inside a coroutine, the callback still comes from the loop. */
static int64_t coroutine_fn c_submit(void *arg)
{
    CoRange *r = arg;
    AioResult *result = (AioResult *)(intptr_t)r->count;

    blk_aio_write_zeroes(r->blk, r->pos, 1, 0, aio_result_cb, result);
    assert_int_equal(result->calls, 0);
    return 0;
}

static void aio_may_be_submitted_in_a_coroutine(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE), *empty = open_state(EMPTY);
    AioResult good = { 0 }, bad = { 0 }, none = { 0 };

    (void)unused;
    co_call(c_submit, &(CoRange){ blk, 0, (intptr_t)&good });
    co_call(c_submit, &(CoRange){ blk, -1, (intptr_t)&bad });
    co_call(c_submit, &(CoRange){ empty, 0, (intptr_t)&none });
    blk_drain(blk);
    blk_drain(empty);
    assert_int_equal(good.calls + bad.calls + none.calls, 3);
    assert_int_equal(good.ret, 0);
    assert_int_equal(bad.ret, -EIO);
    assert_int_equal(none.ret, -ENOMEDIUM);
    blk_unref(empty);
    blk_unref(blk);
}

static void multiwrite_is_refused_as_a_whole(void **unused)
{
    Linear l[2];

    (void)unused;
    for (State state = 0; state < STATES; state++) {
        BlockBackend *blk = open_state(state);
        AioResult r = { 0 };
        BlockRequest reqs[2];

        for (int i = 0; i < 2; i++) {
            reqs[i] = (BlockRequest){ .sector = i * 10, .nb_sectors = 1, .error = 1,
                                      .qiov = linear(&l[i], buf, 512),
                                      .cb = aio_result_cb, .opaque = &r };
        }
        assert_int_equal(blk_aio_multiwrite(blk, reqs, 0), 0);
        reqs[1].sector = -1;
        assert_int_equal(blk_aio_multiwrite(blk, reqs, 2),
                         has_medium(state) ? -EIO : -ENOMEDIUM);
        assert_int_equal(reqs[0].error, has_medium(state) ? -EIO : -ENOMEDIUM);
        assert_int_equal(reqs[1].error, reqs[0].error);
        poll_what_is_due();
        assert_int_equal(r.calls, 0);

        reqs[1].sector = 10;
        reqs[0].error = reqs[1].error = 0;
        assert_int_equal(blk_aio_multiwrite(blk, reqs, 2), has_medium(state) ? 0 : -ENOMEDIUM);
        assert_int_equal(r.calls, 0);
        blk_drain(blk);
        assert_int_equal(r.calls, has_medium(state) ? 2 : 0);
        assert_int_equal(r.ret, has_medium(state) && state != WRITABLE ? -EPERM : 0);
        blk_unref(blk);
    }
}

/* ---- cancellation (F43, F44) ---- */

static void resume_bh(void *opaque)
{
    assert_int_equal(blk_debug_resume(opaque, "A"), 0);
}

static void cancel_waits_and_the_request_succeeds(void **unused)
{
    static const char *const ops[] = { "read", "write", "write-zeroes", "discard", "flush" };
    DebugDisk d;
    Linear l;

    (void)unused;
    debug_open(&d, WRITE_BACK, "");
    linear(&l, buf, 512);
    for (int i = 0; i < 10; i++) {
        AioResult r = { 0 };
        BlockAIOCB *acb[5];

        assert_int_equal(blk_debug_breakpoint(d.blk, ops[i / 2], "A"), 0);
        acb[i / 2] = i / 2 == 0 ? blk_aio_readv(d.blk, 0, &l.qiov, 1, aio_result_cb, &r)
                     : i / 2 == 1 ? blk_aio_writev(d.blk, 0, &l.qiov, 1, aio_result_cb, &r)
                     : i / 2 == 2 ? blk_aio_write_zeroes(d.blk, 0, 1, 0, aio_result_cb, &r)
                     : i / 2 == 3 ? blk_aio_discard(d.blk, 0, 1, aio_result_cb, &r)
                     : blk_aio_flush(d.blk, aio_result_cb, &r);
        assert_true(blk_debug_is_suspended(d.blk, "A"));
        if (i % 2) {
            blk_aio_cancel_async(acb[i / 2]);
            poll_what_is_due();
            assert_int_equal(r.calls, 0);
            resume_bh(d.blk);
            assert_int_equal(aio_result_wait(&r), 0);
        } else {
            aio_bh_schedule_oneshot(qemu_get_aio_context(), resume_bh, d.blk);
            blk_aio_cancel(acb[i / 2]);
        }
        poll_what_is_due();
        assert_int_equal(r.calls, 1);
        assert_int_equal(r.ret, 0);
    }
    debug_close(&d);
}

static void cancel_of_a_failing_request(void **unused)
{
    BlockBackend *empty = open_state(EMPTY);
    AioResult r = { 0 };
    Linear l;

    (void)unused;
    blk_aio_cancel(blk_aio_readv(empty, 0, linear(&l, buf, 512), 1, aio_result_cb, &r));
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.ret, -ENOMEDIUM);
    r = (AioResult){ 0 };
    blk_aio_cancel(blk_abort_aio_request(empty, aio_result_cb, &r, -EILSEQ));
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.ret, -EILSEQ);
    blk_unref(empty);
}

/* An AIOCB of the user's own making (F91). */
typedef struct OwnAio {
    BlockAIOCB common;
    bool withdrawn;
} OwnAio;

static void own_finish(void *opaque)
{
    OwnAio *own = opaque;

    own->common.cb(own->common.opaque, own->withdrawn ? -ECANCELED : 0);
    qemu_aio_unref(own);
}

static void own_cancel_async(BlockAIOCB *acb)
{
    ((OwnAio *)acb)->withdrawn = true;
    aio_bh_schedule_oneshot(qemu_get_aio_context(), own_finish, acb);
}

static AioContext *own_context(BlockAIOCB *acb)
{
    (void)acb;
    return qemu_get_aio_context();
}

static void cancel_withdraws_what_can_be_withdrawn(void **unused)
{
    static const AIOCBInfo info = { own_cancel_async, own_context, sizeof(OwnAio) };
    State states[] = { EMPTY, WRITABLE };

    (void)unused;
    for (int i = 0; i < 4; i++) {
        BlockBackend *blk = open_state(states[i / 2]);
        AioResult r = { 0 };
        OwnAio *own = blk_aio_get(&info, blk, aio_result_cb, &r);

        assert_true(own->common.aiocb_info == &info);
        assert_true(own->common.bs == blk_bs(blk));
        assert_true(own->common.cb == aio_result_cb);
        assert_true(own->common.opaque == &r);
        blk_drain(blk);     /* does not wait for it */
        own->withdrawn = false;
        if (i % 2) {
            blk_aio_cancel_async(&own->common);
            assert_int_equal(aio_result_wait(&r), -ECANCELED);
        } else {
            blk_aio_cancel(&own->common);
        }
        assert_int_equal(r.calls, 1);
        assert_int_equal(r.ret, -ECANCELED);
        blk_unref(blk);
    }
}

/* ---- F100, F46, F47 ---- */

static void abort_request_delivers_any_value(void **unused)
{
    static const int values[] = { 0, -EIO, -ENOMEDIUM, 12345, INT_MIN, INT_MAX };

    (void)unused;
    for (State state = 0; state < STATES; state++) {
        BlockBackend *blk = open_state(state);

        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            AioResult r = { 0 };

            assert_non_null(blk_abort_aio_request(blk, aio_result_cb, &r, values[i]));
            assert_int_equal(aio_result_wait(&r), values[i]);
            assert_true(r.ctx == blk_get_aio_context(blk));
        }
        blk_unref(blk);
    }
}

static void drain_and_unref_wait_for_abort_requests(void **unused)
{
    BlockBackend *blk = open_state(EMPTY);
    AioResult r = { 0 };

    (void)unused;
    blk_abort_aio_request(blk, aio_result_cb, &r, -EIO);
    blk_drain(blk);
    assert_int_equal(r.calls, 1);
    blk_abort_aio_request(blk, aio_result_cb, &r, -EIO);
    blk_drain_all();
    assert_int_equal(r.calls, 2);
    blk_abort_aio_request(blk, aio_result_cb, &r, -EIO);
    blk_unref(blk);
    assert_int_equal(r.calls, 3);
}

static void ioctl_reaches_the_driver_with_all_its_bits(void **unused)
{
    const unsigned long number = (unsigned long)INT64_C(-0x123456789abcdef);
    BlockBackend *blk;
    AioResult r = { 0 };
    char answer[8] = "";

    (void)unused;
    blk = open_options(0, &error_abort,
                       "'driver':'raw','file':{'driver':'blkdebug','image':{'driver':'toy'}}");
    assert_int_equal(blk_ioctl(blk, number, answer), 17);
    assert_true(last_ioctl == number);
    assert_string_equal(answer, "done");

    answer[0] = '\0';
    assert_int_equal(blk_debug_breakpoint(blk, "ioctl", "A"), 0);
    blk_aio_ioctl(blk, number + 1, answer, aio_result_cb, &r);
    assert_true(blk_debug_is_suspended(blk, "A"));
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume_bh, blk);
    blk_drain(blk);         /* waits for it */
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.ret, 17);
    assert_true(last_ioctl == number + 1);
    assert_string_equal(answer, "done");
    blk_unref(blk);
}

/* ---- synchronous calls (R4) ---- */

static void count_bh(void *opaque)
{
    ++*(int *)opaque;
}

/* The loop goes on while a synchronous call waits. */
static void synchronous_call_polls(void **unused)
{
    AioResult r = { 0 };
    Linear l;
    DebugDisk d;
    int ran = 0;

    (void)unused;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_breakpoint(d.blk, "read", "A"), 0);
    blk_aio_writev(d.blk, 0, linear(&l, buf, 512), 1, aio_result_cb, &r);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), count_bh, &ran);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resume_bh, d.blk);
    assert_int_equal(blk_pread(d.blk, 512, buf, 512), 512);
    assert_int_equal(ran, 1);
    assert_int_equal(r.calls, 1);
    debug_close(&d);
}

static int64_t coroutine_fn c_read_block(void *arg)
{
    return blk_read(arg, 0, buf, 1);
}

/* In a coroutine it yields: whoever entered that goes on. */
static void synchronous_call_in_a_coroutine_yields(void **unused)
{
    CoCall call = { .fn = c_read_block };
    DebugDisk d;
    int ran = 0;

    (void)unused;
    debug_open(&d, WRITE_BACK, "");
    call.arg = d.blk;
    assert_int_equal(blk_debug_breakpoint(d.blk, "read", "A"), 0);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), count_bh, &ran);
    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    assert_false(call.done);
    assert_int_equal(ran, 0);
    resume_bh(d.blk);
    while (!call.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(call.ret, 0);
    debug_close(&d);
}

/* Rule R13: nobody counts for the user. */
static void requests_leave_the_statistics_alone(void **unused)
{
    BlockBackend *blk = open_state(WRITABLE);
    BlockAcctStats *stats = blk_get_stats(blk);

    (void)unused;
    for (size_t form = 0; form < FORMS; form++) {
        forms[form].run(blk, 0, 1);
        forms[form].run(blk, -1, 1);
    }
    for (int i = 0; i < BLOCK_MAX_IOTYPE; i++) {
        assert_int_equal(stats->nr_ops[i] + stats->nr_bytes[i] + stats->failed_ops[i] +
                         stats->invalid_ops[i] + stats->total_time_ns[i] + stats->merged[i], 0);
    }
    assert_int_equal(stats->last_access_time_ns, 0);
    assert_int_equal(blk_iostatus(blk), BLOCK_DEVICE_IO_STATUS_OK);
    blk_unref(blk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_range_in_every_state),
        cmocka_unit_test(past_the_end_in_every_state),
        cmocka_unit_test(bad_sectors_in_every_state),
        cmocka_unit_test(bad_bytes_in_every_state),
        cmocka_unit_test(zero_length_in_every_state),
        cmocka_unit_test(zero_length_touches_nothing),
        cmocka_unit_test(flush_in_every_state),
        cmocka_unit_test(size_in_every_state),
        cmocka_unit_test(truncate_in_every_state),
        cmocka_unit_test(ioctl_in_every_state),
        cmocka_unit_test(counts_are_whole),
        cmocka_unit_test(largest_request),
        cmocka_unit_test(file_of_1000_bytes_has_1024),
        cmocka_unit_test(failing_length_is_the_result),
        cmocka_unit_test(beyond_the_end_if_allowed),
        cmocka_unit_test(beyond_the_end_a_driver_may_refuse),
        cmocka_unit_test(beyond_the_end_of_numbers),
        cmocka_unit_test(permission_survives_the_medium),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(unmap_needs_the_open_flag),
        cmocka_unit_test(callbacks_run_in_the_home_of_the_backend),
        cmocka_unit_test(callbacks_come_home_from_other_threads),
        cmocka_unit_test(aio_may_be_submitted_in_a_coroutine),
        cmocka_unit_test(multiwrite_is_refused_as_a_whole),
        cmocka_unit_test(cancel_waits_and_the_request_succeeds),
        cmocka_unit_test(cancel_of_a_failing_request),
        cmocka_unit_test(cancel_withdraws_what_can_be_withdrawn),
        cmocka_unit_test(abort_request_delivers_any_value),
        cmocka_unit_test(drain_and_unref_wait_for_abort_requests),
        cmocka_unit_test(ioctl_reaches_the_driver_with_all_its_bits),
        cmocka_unit_test(synchronous_call_polls),
        cmocka_unit_test(synchronous_call_in_a_coroutine_yields),
        cmocka_unit_test(requests_leave_the_statistics_alone),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
