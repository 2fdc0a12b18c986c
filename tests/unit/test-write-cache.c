/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The write cache (§3.2): which calls reach the lowest driver, in which order,
 * with FUA or a flush, in every cache mode and for every kind of write.
 */
#include "blkdebug-test.h"

#define RULE(text) "'inject-error':[{" text "}]"

static const char *const roots[] = { "raw", "blkdebug" };

/* ---- a format that compresses (to the same size) and keeps VM state (in the second half) ---- */

static int64_t coroutine_fn pack_co_getlength(BlockDriverState *bs)
{
    return bdrv_co_getlength(bdrv_file(bs)) / 2;
}

static int coroutine_fn pack_co_pwritev_compressed(BlockDriverState *bs, int64_t offset,
                                                   int64_t bytes, QEMUIOVector *qiov)
{
    return bdrv_co_pwritev(bdrv_file(bs), offset, bytes, qiov, 0);
}

static int coroutine_fn pack_co_save_vmstate(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    return bdrv_co_pwritev(bdrv_file(bs), DISK_SIZE / 2 + pos, (int64_t)qiov->size, qiov, 0);
}

static BlockDriver pack_driver = {
    .format_name = "pack",
    .has_file_child = true,
    .bdrv_co_getlength = pack_co_getlength,
    .bdrv_co_pwritev_compressed = pack_co_pwritev_compressed,
    .bdrv_co_save_vmstate = pack_co_save_vmstate,
};

BLOCK_DRIVER(pack_driver)

/* ---- every kind of write ---- */

static uint8_t data[4096];

static int sync_write(BlockBackend *blk, int flags)
{
    (void)flags;
    return blk_write(blk, 2, data, 2);
}

static int sync_pwrite(BlockBackend *blk, int flags)
{
    int ret = blk_pwrite(blk, 512, data, 1024);

    (void)flags;
    return ret == 1024 ? 0 : ret;
}

static int sync_misaligned(BlockBackend *blk, int flags)
{
    int ret = blk_pwrite(blk, 100, data, 1000);

    (void)flags;
    return ret == 1000 ? 0 : ret;
}

static int sync_write_zeroes(BlockBackend *blk, int flags)
{
    return blk_write_zeroes(blk, 2, 2, (BdrvRequestFlags)flags);
}

static int sync_pwrite_zeroes(BlockBackend *blk, int flags)
{
    return blk_pwrite_zeroes(blk, 1024, 1024, (BdrvRequestFlags)flags);
}

static int sync_zeroes_in_a_block(BlockBackend *blk, int flags)
{
    return blk_pwrite_zeroes(blk, 1100, 100, (BdrvRequestFlags)flags);
}

static int sync_zeroes_with_ends(BlockBackend *blk, int flags)
{
    return blk_pwrite_zeroes(blk, 500, 1000, (BdrvRequestFlags)flags);
}

static int aio_writev(BlockBackend *blk, int flags)
{
    AioResult r = { 0 };
    Linear l;

    (void)flags;
    blk_aio_writev(blk, 2, linear(&l, data, 1024), 2, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static int aio_pwritev(BlockBackend *blk, int flags)
{
    AioResult r = { 0 };
    Linear l;

    blk_aio_pwritev(blk, 1024, linear(&l, data, 1024), (BdrvRequestFlags)flags, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static int aio_write_zeroes(BlockBackend *blk, int flags)
{
    AioResult r = { 0 };

    blk_aio_write_zeroes(blk, 2, 2, (BdrvRequestFlags)flags, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static int aio_pwrite_zeroes(BlockBackend *blk, int flags)
{
    AioResult r = { 0 };

    blk_aio_pwrite_zeroes(blk, 1024, 1024, (BdrvRequestFlags)flags, aio_result_cb, &r);
    return aio_result_wait(&r);
}

/* Two neighbours become one write; a third one stays alone. */
static int multiwrite(BlockBackend *blk, int flags)
{
    AioResult r[3] = { { 0 }, { 0 }, { 0 } };
    BlockRequest reqs[3];
    Linear l[3];

    for (int i = 0; i < 3; i++) {
        reqs[i] = (BlockRequest){ .sector = i == 2 ? 100 : i, .nb_sectors = 1, .flags = flags,
                                  .qiov = linear(&l[i], data + 512 * i, 512),
                                  .cb = aio_result_cb, .opaque = &r[i] };
    }
    assert_int_equal(blk_aio_multiwrite(blk, reqs, 3), 0);
    aio_result_wait(&r[0]);
    assert_int_equal(r[1].calls + r[2].calls, 2);
    assert_int_equal(r[1].ret, r[0].ret);
    assert_int_equal(r[2].ret, r[0].ret);
    return r[0].ret;
}

typedef struct CoWrite {
    BlockBackend *blk;
    int flags;
} CoWrite;

static int64_t coroutine_fn do_co_pwritev(void *arg)
{
    CoWrite *w = arg;
    Linear l;

    return blk_co_pwritev(w->blk, 1024, 1024, linear(&l, data, 1024), (BdrvRequestFlags)w->flags);
}

static int co_pwritev(BlockBackend *blk, int flags)
{
    CoWrite w = { blk, flags };

    return (int)co_call(do_co_pwritev, &w);
}

static int64_t coroutine_fn do_co_write_zeroes(void *arg)
{
    CoWrite *w = arg;

    return blk_co_write_zeroes(w->blk, 2, 2, (BdrvRequestFlags)w->flags);
}

static int co_write_zeroes(BlockBackend *blk, int flags)
{
    CoWrite w = { blk, flags };

    return (int)co_call(do_co_write_zeroes, &w);
}

static int64_t coroutine_fn do_co_pwrite_zeroes(void *arg)
{
    CoWrite *w = arg;

    return blk_co_pwrite_zeroes(w->blk, 1024, 1024, (BdrvRequestFlags)w->flags);
}

static int co_pwrite_zeroes(BlockBackend *blk, int flags)
{
    CoWrite w = { blk, flags };

    return (int)co_call(do_co_pwrite_zeroes, &w);
}

/* A synchronous call inside a coroutine runs in place. */
static int64_t coroutine_fn do_sync_in_coroutine(void *arg)
{
    CoWrite *w = arg;

    return sync_write(w->blk, 0);
}

static int sync_in_coroutine(BlockBackend *blk, int flags)
{
    CoWrite w = { blk, flags };

    return (int)co_call(do_sync_in_coroutine, &w);
}

/*
 * What reaches the driver: in calls, "!" stands for where a flush is added and
 * "%" for the FUA flag of a driver that honours it.
 */
static const struct Kind {
    int (*write)(BlockBackend *blk, int flags);
    const char *calls;
    bool takes_flags;
} kinds[] = {
    { sync_write,             "write@1024+1024%!", false },
    { sync_pwrite,            "write@512+1024%!", false },
    { sync_misaligned,        "read@0+512 read@1024+512 write@0+1536%!", false },
    { sync_write_zeroes,      "zero@1024+1024%!", true },
    { sync_pwrite_zeroes,     "zero@1024+1024%!", true },
    { sync_zeroes_in_a_block, "read@1024+512 write@1024+512%!", true },
    { sync_zeroes_with_ends,  "zero@512+512% read@0+512 write@0+512% "
                              "read@1024+512 write@1024+512%!", true },
    { aio_writev,             "write@1024+1024%!", false },
    { aio_pwritev,            "write@1024+1024%!", true },
    { aio_write_zeroes,       "zero@1024+1024%!", true },
    { aio_pwrite_zeroes,      "zero@1024+1024%!", true },
    { multiwrite,             "write@0+1024%! write@51200+512%!", true },
    { co_pwritev,             "write@1024+1024%!", true },
    { co_write_zeroes,        "zero@1024+1024%!", true },
    { co_pwrite_zeroes,       "zero@1024+1024%!", true },
    { sync_in_coroutine,      "write@1024+1024%!", false },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* calls with its marks replaced. */
static const char *expected(const char *calls, const char *fua, const char *flush)
{
    static char text[512];
    size_t len = 0;

    for (const char *c = calls; *c; c++) {
        const char letter[2] = { *c, '\0' };

        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                *c == '%' ? fua : *c == '!' ? flush : letter);
    }
    return text;
}

/* ---- the five modes ---- */

static const struct Mode {
    const char *word;
    const char *after_write;    /* what a write adds */
    const char *flush;          /* what a flush is */
} modes[] = {
    { "writethrough", " os disk", "os disk" },
    { "writeback",    "",         "os disk" },
    { "none",         "",         "os disk" },
    { "directsync",   " os disk", "os disk" },
    { "unsafe",       "",         "os" },
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

static int mode_flags(const char *word)
{
    int flags = BDRV_O_RDWR | BDRV_O_UNMAP;

    assert_int_equal(bdrv_parse_cache_mode(word, &flags), 0);
    return flags;
}

static void check_kinds(DebugDisk *d, int flags, const char *fua, const char *flush)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (flags && !kinds[i].takes_flags) {
            continue;
        }
        assert_int_equal(kinds[i].write(d->blk, flags), 0);
        assert_calls(d, expected(kinds[i].calls, fua, flush));
    }
}

static void every_write_in_every_mode(void **state)
{
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < MODES * 2; i++) {
        const struct Mode *mode = &modes[i / 2];

        debug_open_root(&d, roots[i % 2], mode_flags(mode->word), "");
        check_kinds(&d, 0, "", mode->after_write);
        debug_close(&d);
    }
}

static void compressed_writes_and_vmstate_in_every_mode(void **state)
{
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < MODES; i++) {
        debug_open_root(&d, "pack", mode_flags(modes[i].word), "");
        assert_int_equal(blk_write_compressed(d.blk, 2, data, 2), 0);
        assert_calls(&d, expected("write@1024+1024!", "", modes[i].after_write));
        assert_int_equal(blk_save_vmstate(d.blk, data, 512, 1024), 1024);
        assert_calls(&d, expected("write@524800+1024!", "", modes[i].after_write));
        debug_close(&d);
    }
    debug_open_root(&d, "pack", WRITE_THROUGH, RULE("'event':'flush_to_disk','errno':28"));
    assert_int_equal(blk_write_compressed(d.blk, 2, data, 2), -ENOSPC);
    assert_int_equal(blk_save_vmstate(d.blk, data, 512, 1024), -ENOSPC);
    debug_close(&d);
}

/* Not one of the five, but possible: write-through that never forces anything to disk. */
static void write_through_without_flush_still_writes_out(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH | BDRV_O_NO_FLUSH, "");
    check_kinds(&d, 0, "", " os");
    debug_close(&d);
}

/* The default: no flag, no option. */
static void write_through_is_the_default(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, BDRV_O_RDWR, "");
    assert_int_equal(blk_enable_write_cache(d.blk), 0);
    assert_int_equal(sync_write(d.blk, 0), 0);
    assert_calls(&d, "write@1024+1024 os disk");
    debug_close(&d);
}

static void flush_begins_after_the_write_has_ended(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH, "");
    assert_int_equal(sync_write(d.blk, 0), 0);
    assert_trace(&d, ">write@1024+1024 <write@1024+1024 >os <os >disk <disk");
    debug_close(&d);
}

/* ---- flushes asked for ---- */

static int64_t coroutine_fn do_co_flush(void *arg)
{
    return blk_co_flush(arg);
}

static int flush_aio(BlockBackend *blk)
{
    AioResult r = { 0 };

    blk_aio_flush(blk, aio_result_cb, &r);
    return aio_result_wait(&r);
}

static void flush_in_every_mode(void **state)
{
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < MODES * 2; i++) {
        const struct Mode *mode = &modes[i / 2];

        debug_open_root(&d, roots[i % 2], mode_flags(mode->word), "");
        assert_int_equal(blk_flush(d.blk), 0);
        assert_calls(&d, mode->flush);
        assert_int_equal(flush_aio(d.blk), 0);
        assert_calls(&d, mode->flush);
        assert_int_equal(co_call(do_co_flush, d.blk), 0);
        assert_calls(&d, mode->flush);
        assert_int_equal(blk_flush_all(), 0);
        assert_calls(&d, mode->flush);
        debug_close(&d);
    }
}

static void flush_of_read_only_does_nothing(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, 0, "");
    assert_int_equal(blk_flush(d.blk), 0);
    assert_int_equal(flush_aio(d.blk), 0);
    assert_int_equal(co_call(do_co_flush, d.blk), 0);
    assert_int_equal(blk_flush_all(), 0);
    assert_calls(&d, "");
    debug_close(&d);
}

/* NO_FLUSH is a property of each node: the one below decides for itself. */
static void no_flush_does_not_hold_for_the_file(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK | BDRV_O_NO_FLUSH, "'cache.no-flush':false");
    assert_int_equal(blk_flush(d.blk), 0);
    assert_calls(&d, "os disk");
    debug_close(&d);
    debug_open(&d, WRITE_BACK, "'cache.no-flush':true");
    assert_int_equal(blk_flush(d.blk), 0);
    assert_calls(&d, "os");
    debug_close(&d);
}

static void first_failing_step_ends_a_flush(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'event':'flush_to_os','errno':28"));
    assert_int_equal(blk_flush(d.blk), -ENOSPC);
    assert_int_equal(flush_aio(d.blk), -ENOSPC);
    assert_calls(&d, "os os");
    debug_close(&d);
    debug_open(&d, WRITE_BACK, RULE("'event':'flush_to_disk','errno':5"));
    assert_int_equal(co_call(do_co_flush, d.blk), -EIO);
    assert_calls(&d, "os disk");
    debug_close(&d);
    debug_open(&d, WRITE_BACK | BDRV_O_NO_FLUSH, RULE("'event':'flush_to_os'"));
    assert_int_equal(blk_flush(d.blk), -EIO);
    assert_calls(&d, "os");
    debug_close(&d);
}

static bool tray_is_open(void *opaque)
{
    (void)opaque;
    return true;
}

/* The tray is ignored, an error does not end it, and the first one is the result. */
static void flush_all_reaches_every_medium(void **state)
{
    static const BlockDevOps open_tray = { .is_tray_open = tray_is_open };
    BlockBackend *empty = blk_new(NULL), *driverless = blk_new_with_bs(NULL);
    DebugDisk a, b, c;

    (void)state;
    debug_open(&a, WRITE_BACK, RULE("'event':'flush_to_disk','errno':28"));
    debug_open(&b, WRITE_BACK, RULE("'event':'flush_to_disk','errno':5"));
    debug_open(&c, WRITE_BACK, "");
    assert_true(monitor_add_blk(b.blk, "b", NULL));
    blk_set_dev_ops(c.blk, &open_tray, NULL);
    assert_int_equal(blk_flush(c.blk), -ENOMEDIUM);
    assert_int_equal(blk_flush_all(), -ENOSPC);
    assert_calls(&a, "os disk");
    assert_calls(&b, "os disk");
    assert_calls(&c, "os disk");
    blk_hide_on_behalf_of_hmp_drive_del(b.blk);
    assert_int_equal(blk_flush_all(), -ENOSPC);
    assert_calls(&b, "os disk");
    debug_close(&a);
    debug_close(&b);
    debug_close(&c);
    blk_unref(driverless);
    blk_unref(empty);
}

static void last_reference_flushes(void **state)
{
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < MODES; i++) {
        debug_open(&d, mode_flags(modes[i].word), "");
        blk_remove_bs(d.blk);
        /* raw flushes with all below it, and then the filter goes and does so itself */
        assert_string_equal(debug_lines(&d, '>'),
                            strcmp(modes[i].flush, "os") ? "os disk os disk" : "os os");
        debug_close(&d);
    }
}

/* ---- FUA ---- */

static void fua_is_native_or_a_flush(void **state)
{
    static const struct {
        int flags;
        const char *options, *fua, *flush;
    } cases[] = {
        { WRITE_BACK, "'native-fua':true", ":fua", "" },
        { WRITE_BACK, "", "", " os disk" },
        /* cache off: nothing is added to the one flush [D39] */
        { WRITE_THROUGH, "'native-fua':true", "", " os disk" },
        { WRITE_THROUGH, "", "", " os disk" },
        { WRITE_BACK | BDRV_O_NO_FLUSH, "'native-fua':true", "", " os" },
        { WRITE_BACK | BDRV_O_NO_FLUSH, "", "", " os" },
    };
    DebugDisk d;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        debug_open_root(&d, roots[i % 2], cases[i / 2].flags, cases[i / 2].options);
        check_kinds(&d, BDRV_REQ_FUA, cases[i / 2].fua, cases[i / 2].flush);
        debug_close(&d);
    }
}

static void unmapping_fua_keeps_both_flags(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'native-fua':true");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP), 0);
    assert_calls(&d, "zero@0+4096:fua,unmap");
    debug_close(&d);
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP), 0);
    assert_calls(&d, "zero@0+4096:unmap os disk");
    debug_close(&d);
}

/* Each piece of a split write is stable by itself, or one flush makes all of them so. */
static void fua_holds_for_all_pieces(void **state)
{
    uint8_t *buf = calloc(1, 40 * KIB);
    AioResult r = { 0 };
    Linear l;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'max-transfer':16384,'native-fua':true");
    blk_aio_pwritev(d.blk, 0, linear(&l, buf, 40 * KIB), BDRV_REQ_FUA, aio_result_cb, &r);
    assert_int_equal(aio_result_wait(&r), 0);
    assert_calls(&d, "write@0+16384:fua write@16384+16384:fua write@32768+8192:fua");
    debug_close(&d);

    r.calls = 0;
    debug_open(&d, WRITE_BACK, "'max-transfer':16384");
    blk_aio_pwritev(d.blk, 0, linear(&l, buf, 40 * KIB), BDRV_REQ_FUA, aio_result_cb, &r);
    assert_int_equal(aio_result_wait(&r), 0);
    assert_calls(&d, "write@0+16384 write@16384+16384 write@32768+8192 os disk");
    debug_close(&d);
    free(buf);
}

static void fua_holds_when_zeroes_are_written_as_data(void **state)
{
#define NO_ZEROES RULE("'iotype':'write-zeroes','errno':95")
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'native-fua':true," NO_ZEROES);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, BDRV_REQ_FUA), 0);
    assert_calls(&d, "zero@0+4096:fua write@0+4096:fua");
    debug_close(&d);
    debug_open(&d, WRITE_BACK, NO_ZEROES);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, BDRV_REQ_FUA), 0);
    assert_calls(&d, "zero@0+4096 write@0+4096 os disk");
    debug_close(&d);
#undef NO_ZEROES
}

/* ---- what adds no flush ---- */

static void other_requests_add_no_flush(void **state)
{
    uint8_t buf[512];
    AioResult r = { 0 };
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH, "");
    assert_int_equal(blk_discard(d.blk, 0, 8), 0);
    blk_aio_discard(d.blk, 8, 8, aio_result_cb, &r);
    assert_int_equal(aio_result_wait(&r), 0);
    assert_int_equal(blk_read(d.blk, 0, buf, 1), 0);
    assert_int_equal(blk_truncate(d.blk, DISK_SIZE), 0);
    assert_int_equal(blk_ioctl(d.blk, 7, buf), -ENOTSUP);
    assert_calls(&d, "discard@0+4096 discard@4096+4096 read@0+512 truncate@1048576 ioctl@7+0");
    debug_close(&d);
}

static void zero_length_adds_no_flush(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH, "");
    assert_int_equal(blk_write(d.blk, 1, data, 0), 0);
    assert_int_equal(blk_pwrite(d.blk, 100, data, 0), 0);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 100, 0, BDRV_REQ_FUA), 0);
    assert_calls(&d, "");
    debug_close(&d);
}

static void failed_write_adds_no_flush(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_THROUGH, "'inject-error':[{'iotype':'write','errno':28},"
                                  "{'iotype':'write-zeroes','errno':28}]");
    for (size_t i = 0; i < KINDS; i++) {
        assert_int_equal(kinds[i].write(d.blk, 0), -ENOSPC);
        if (kinds[i].takes_flags) {
            assert_int_equal(kinds[i].write(d.blk, BDRV_REQ_FUA), -ENOSPC);
        }
        assert_null(strstr(debug_lines(&d, '>'), "os"));
    }
    debug_close(&d);
}

static void only_the_root_flushes(void **state)
{
    BlockBackend *blk;
    DebugDisk d;

    (void)state;
    debug_log_make(&d);
    /* three nodes above the one that logs: each hands the write on, and one flush comes */
    blk = open_options(WRITE_THROUGH, &error_abort,
                       "'driver':'raw','file':{'driver':'blkdebug','image':{'driver':'blkdebug',"
                       "'image':{'driver':'blkdebug','log':'%s',"
                       "'image':{'driver':'memory','size':1048576}}}}", d.log);
    debug_forget(&d);
    assert_int_equal(sync_write(blk, 0), 0);
    assert_calls(&d, "write@1024+1024 os disk");
    blk_unref(blk);
    unlink(d.log);
}

/* ---- a flush that fails ---- */

static void failing_flush_is_the_result_of_the_write(void **state)
{
    static const char *const steps[] = { "flush_to_os", "flush_to_disk" };
    DebugDisk d;

    (void)state;
    memset(data, 0x5a, sizeof(data));
    for (size_t step = 0; step < 2; step++) {
        char options[100];

        snprintf(options, sizeof(options), RULE("'event':'%s','errno':28"), steps[step]);
        debug_open(&d, WRITE_THROUGH, options);
        for (size_t i = 0; i < KINDS; i++) {
            assert_int_equal(kinds[i].write(d.blk, 0), -ENOSPC);
            assert_calls(&d, expected(kinds[i].calls, "", step ? " os disk" : " os"));
        }
        /* the data are there all the same */
        blk_set_enable_write_cache(d.blk, true);
        assert_int_equal(sync_write(d.blk, 0), 0);
        blk_set_enable_write_cache(d.blk, false);
        assert_int_equal(sync_pwrite_zeroes(d.blk, 0), -ENOSPC);
        assert_bytes(d.blk, 1024, 1024, 0);
        debug_close(&d);
    }
    memset(data, 0, sizeof(data));
}

static void failing_flush_is_the_result_of_a_fua_write(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'event':'flush_to_disk'"));
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].takes_flags) {
            assert_int_equal(kinds[i].write(d.blk, BDRV_REQ_FUA), -EIO);
        }
    }
    debug_close(&d);
    debug_open(&d, WRITE_BACK, "'native-fua':true," RULE("'event':'flush_to_disk'"));
    assert_int_equal(aio_pwritev(d.blk, BDRV_REQ_FUA), 0);
    debug_close(&d);
}

/* ---- the mode is switched ---- */

static void mode_is_switched_live(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    check_kinds(&d, 0, "", "");
    blk_set_enable_write_cache(d.blk, false);
    assert_int_equal(blk_enable_write_cache(d.blk), 0);
    assert_int_equal(blk_get_flags(d.blk) & BDRV_O_CACHE_WB, 0);
    assert_calls(&d, "");       /* what was written before stays volatile */
    check_kinds(&d, 0, "", " os disk");
    blk_set_enable_write_cache(d.blk, true);
    assert_int_equal(blk_enable_write_cache(d.blk), 1);
    assert_int_equal(blk_get_flags(d.blk) & BDRV_O_CACHE_WB, BDRV_O_CACHE_WB);
    check_kinds(&d, 0, "", "");
    debug_close(&d);
}

static void write_in_flight_obeys_the_new_mode(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    for (int off = 1; off >= 0; off--) {
        AioResult r = { 0 };
        Linear l;

        assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
        blk_aio_writev(d.blk, 0, linear(&l, data, 512), 1, aio_result_cb, &r);
        assert_true(blk_debug_is_suspended(d.blk, "A"));
        blk_set_enable_write_cache(d.blk, !off);
        assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
        assert_int_equal(aio_result_wait(&r), 0);
        assert_calls(&d, off ? "write@0+512 os disk" : "write@0+512");
    }
    debug_close(&d);
}

/* An empty drive remembers the mode, and the next medium opened with its flags has it. */
static void mode_outlives_the_medium(void **state)
{
    BlockDriverState *bs = NULL;
    DebugDisk d, next;
    int flags;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    blk_set_enable_write_cache(d.blk, false);
    blk_remove_bs(d.blk);
    assert_int_equal(blk_enable_write_cache(d.blk), 0);
    flags = blk_get_open_flags_from_root_state(d.blk);
    assert_int_equal(flags & BDRV_O_CACHE_WB, 0);

    debug_open_root(&next, "blkdebug", flags & ~BDRV_O_PROTOCOL, "");
    bs = blk_bs(next.blk);
    bdrv_ref(bs);
    blk_remove_bs(next.blk);
    blk_insert_bs(d.blk, bs);
    bdrv_unref(bs);
    debug_forget(&next);
    assert_int_equal(sync_write(d.blk, 0), 0);
    assert_calls(&next, "write@1024+1024 os disk");
    blk_remove_bs(d.blk);
    blk_set_enable_write_cache(d.blk, true);
    assert_int_equal(blk_enable_write_cache(d.blk), 1);
    debug_close(&next);
    debug_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_in_every_mode),
        cmocka_unit_test(compressed_writes_and_vmstate_in_every_mode),
        cmocka_unit_test(write_through_without_flush_still_writes_out),
        cmocka_unit_test(write_through_is_the_default),
        cmocka_unit_test(flush_begins_after_the_write_has_ended),
        cmocka_unit_test(flush_in_every_mode),
        cmocka_unit_test(flush_of_read_only_does_nothing),
        cmocka_unit_test(no_flush_does_not_hold_for_the_file),
        cmocka_unit_test(first_failing_step_ends_a_flush),
        cmocka_unit_test(flush_all_reaches_every_medium),
        cmocka_unit_test(last_reference_flushes),
        cmocka_unit_test(fua_is_native_or_a_flush),
        cmocka_unit_test(unmapping_fua_keeps_both_flags),
        cmocka_unit_test(fua_holds_for_all_pieces),
        cmocka_unit_test(fua_holds_when_zeroes_are_written_as_data),
        cmocka_unit_test(other_requests_add_no_flush),
        cmocka_unit_test(zero_length_adds_no_flush),
        cmocka_unit_test(failed_write_adds_no_flush),
        cmocka_unit_test(only_the_root_flushes),
        cmocka_unit_test(failing_flush_is_the_result_of_the_write),
        cmocka_unit_test(failing_flush_is_the_result_of_a_fua_write),
        cmocka_unit_test(mode_is_switched_live),
        cmocka_unit_test(write_in_flight_obeys_the_new_mode),
        cmocka_unit_test(mode_outlives_the_medium),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
