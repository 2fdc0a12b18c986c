/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter blkdebug: its rules, its log, its breakpoints, its limits. */
#include "blkdebug-test.h"

#define RULE(text) "'inject-error':[{" text "}]"

static char *read_file(const char *path, const char *suffix, size_t *size)
{
    char name[320];
    char *text = calloc(1, 1 << 16);
    FILE *file;

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    file = fopen(name, "r");
    assert_non_null(file);
    *size = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    return text;
}

static int write_at(DebugDisk *d, int64_t offset, int bytes, int value)
{
    uint8_t *buf = malloc((size_t)bytes);
    int ret;

    memset(buf, value, (size_t)bytes);
    ret = blk_pwrite(d->blk, offset, buf, bytes);
    free(buf);
    return ret;
}

static int read_at(DebugDisk *d, int64_t offset, int bytes)
{
    uint8_t *buf = malloc((size_t)bytes);
    int ret = blk_pread(d->blk, offset, buf, bytes);

    free(buf);
    return ret;
}

/* ---- it passes everything ---- */

static void requests_reach_the_image(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_getlength(d.blk), DISK_SIZE);
    write_byte(d.blk, 4096, 8192, 0x11);
    assert_bytes(d.blk, 4096, 8192, 0x11);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 4096, 4096, 0), 0);
    assert_bytes(d.blk, 4096, 4096, 0);
    assert_int_equal(blk_pdiscard(d.blk, 8192, 4096), 0);
    assert_int_equal(blk_flush(d.blk), 0);
    assert_int_equal(blk_truncate(d.blk, 2 * DISK_SIZE), 0);
    assert_int_equal(blk_getlength(d.blk), 2 * DISK_SIZE);
    assert_calls(&d, "write@4096+8192 read@4096+8192 zero@4096+4096 read@4096+4096 "
                     "discard@8192+4096 os disk truncate@2097152");
    assert_int_equal(blk_ioctl(d.blk, 1, NULL), -ENOTSUP);
    debug_close(&d);
}

static void status_is_that_of_the_image(void **state)
{
    BlockMapping map;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    write_byte(d.blk, 0, 64 * KIB, 1);
    assert_status(d.blk, 0, 64 * KIB, BDRV_BLOCK_DATA);
    assert_status(d.blk, 64 * KIB, DISK_SIZE - 64 * KIB, BDRV_BLOCK_ZERO);
    /* reads without a copy would pass it by */
    assert_int_equal(map_read(d.blk, 0, 4096, &map), -ENOTSUP);
    debug_close(&d);
}

static void image_may_be_called_file(void **state)
{
    BlockBackend *blk;

    (void)state;
    blk = open_options(RDWR, &error_abort,
                       "'driver':'blkdebug','file':{'driver':'memory','size':4096}");
    assert_int_equal(blk_getlength(blk), 4096);
    blk_unref(blk);
    blk = open_options(RDWR, &error_abort, "'driver':'blkdebug','image.driver':'memory',"
                       "'image.size':'8k','align':'4k'");
    assert_int_equal(blk_getlength(blk), 8192);
    assert_int_equal(blk_get_request_alignment(blk), 4096);
    blk_unref(blk);
}

static void image_may_be_a_node(void **state)
{
    BlockBackend *below, *blk;

    (void)state;
    below = open_options(RDWR, &error_abort,
                         "'driver':'memory','size':4096,'node-name':'below'");
    blk = open_options(RDWR, &error_abort, "'driver':'blkdebug','image':'below'");
    assert_int_equal(blk_getlength(blk), 4096);
    blk_unref(blk);
    blk_unref(below);
}

/* ---- the log ---- */

static void log_tells_arrivals_and_ends(void **state)
{
    uint8_t buf[512] = { 0 };
    DebugDisk d;
    size_t size;
    char *text;

    (void)state;
    debug_open_root(&d, "blkdebug", WRITE_BACK, "'native-fua':true,"
                    RULE("'iotype':'write','sector':8,'short':512,'errno':28"));
    assert_int_equal(blk_pread(d.blk, 512, buf, 512), 512);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 512, BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP), 0);
    assert_int_equal(write_at(&d, 3584, 1024, 1), -ENOSPC);
    assert_int_equal(blk_flush(d.blk), 0);
    text = read_file(d.log, "", &size);
    assert_string_equal(text,
                        "# blkdebug 1 1048576\n"
                        "> 1 getlength 0 0 - -\n"
                        "< 1 getlength 0 0 - 1048576 0\n"
                        "> 2 read 512 512 - -\n"
                        "< 2 read 512 512 - 0 512\n"
                        "> 3 write-zeroes 0 512 fua,unmap -\n"
                        "< 3 write-zeroes 0 512 fua,unmap 0 512\n"
                        "> 4 write 3584 1024 - -\n"
                        "< 4 write 3584 1024 - -28 512\n"
                        "> 5 flush-to-os 0 0 - -\n"
                        "< 5 flush-to-os 0 0 - 0 0\n"
                        "> 6 flush-to-disk 0 0 - -\n"
                        "< 6 flush-to-disk 0 0 - 0 0\n");
    free(text);
    debug_close(&d);
}

static void log_keeps_the_data_of_writes(void **state)
{
    DebugDisk d;
    size_t size;
    char *text, *data;

    (void)state;
    debug_open(&d, WRITE_BACK, "'log-data':true");
    assert_int_equal(write_at(&d, 0, 512, 'a'), 512);
    assert_int_equal(read_at(&d, 0, 512), 512);
    assert_int_equal(write_at(&d, 8192, 1024, 'b'), 1024);
    text = read_file(d.log, "", &size);
    assert_non_null(strstr(text, " write 0 512 - 0\n"));
    assert_non_null(strstr(text, " write 8192 1024 - 512\n"));
    data = read_file(d.log, ".data", &size);
    assert_int_equal(size, 1536);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(data[i], i < 512 ? 'a' : 'b');
    }
    free(data);
    free(text);
    debug_close(&d);
}

/* Two requests in flight: their ends are in the order in which they ended. */
static void log_has_the_order_of_ends(void **state)
{
    uint8_t buf[512] = { 0 };
    AioResult first = { 0 }, second = { 0 };
    Linear a, b;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "first"), 0);
    blk_aio_pwritev(d.blk, 0, linear(&a, buf, 512), 0, aio_result_cb, &first);
    blk_aio_pwritev(d.blk, 512, linear(&b, buf, 512), 0, aio_result_cb, &second);
    assert_int_equal(aio_result_wait(&second), 0);
    assert_int_equal(first.calls, 0);
    assert_int_equal(blk_debug_resume(d.blk, "first"), 0);
    assert_int_equal(aio_result_wait(&first), 0);
    assert_ends(&d, "write@512+512 write@0+512");
    debug_close(&d);
}

/* Nothing may happen that the log does not tell. */
static void request_fails_that_cannot_be_logged(void **state)
{
    BlockBackend *blk;
    int fds[2];

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    blk = open_options(RDWR, &error_abort, "'driver':'blkdebug','log':'/proc/self/fd/%d',"
                       "'image':{'driver':'memory','size':4096}", fds[1]);
    write_byte(blk, 0, 512, 1);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(blk_pwrite(blk, 0, "x", 1), -EPIPE);
    assert_int_equal(blk_flush(blk), -EPIPE);
    blk_unref(blk);
}

/* ---- rules: which request ---- */

static void rule_chooses_by_operation(void **state)
{
    static const struct {
        const char *rule;
        int read, write, zeroes, discard, flush, truncate, status;
    } cases[] = {
        { "'errno':5", -EIO, -EIO, -EIO, -EIO, -EIO, 0, 1 },
        { "'iotype':'read'", -EIO, 512, 0, 0, 0, 0, 1 },
        { "'iotype':'write'", 512, -EIO, 0, 0, 0, 0, 1 },
        { "'iotype':'write-zeroes'", 512, 512, -EIO, 0, 0, 0, 1 },
        { "'iotype':'discard'", 512, 512, 0, -EIO, 0, 0, 1 },
        { "'iotype':'flush'", 512, 512, 0, 0, -EIO, 0, 1 },
        { "'iotype':'flush-to-os'", 512, 512, 0, 0, -EIO, 0, 1 },
        { "'iotype':'truncate'", 512, 512, 0, 0, 0, -EIO, 1 },
        { "'iotype':'block-status'", 512, 512, 0, 0, 0, 0, -EIO },
        { "'event':'none'", -EIO, -EIO, -EIO, -EIO, -EIO, 0, 1 },
        { "'event':'read_aio'", -EIO, 512, 0, 0, 0, 0, 1 },
        { "'event':'write_aio'", 512, -EIO, 0, 0, 0, 0, 1 },
        { "'event':'pwritev'", 512, -EIO, 0, 0, 0, 0, 1 },
        { "'event':'pwritev_zero'", 512, 512, -EIO, 0, 0, 0, 1 },
        { "'event':'flush_to_os'", 512, 512, 0, 0, -EIO, 0, 1 },
        { "'event':'flush_to_disk'", 512, 512, 0, 0, -EIO, 0, 1 },
        { "'event':'none','iotype':'truncate'", 512, 512, 0, 0, 0, -EIO, 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char options[200];
        DebugDisk d;
        int64_t n;
        int status;

        snprintf(options, sizeof(options), RULE("%s"), cases[i].rule);
        debug_open(&d, WRITE_BACK, options);
        assert_int_equal(read_at(&d, 0, 512), cases[i].read);
        assert_int_equal(write_at(&d, 0, 512, 1), cases[i].write);
        assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 512, 0), cases[i].zeroes);
        assert_int_equal(blk_pdiscard(d.blk, 0, 512), cases[i].discard);
        assert_int_equal(blk_flush(d.blk), cases[i].flush);
        assert_int_equal(blk_truncate(d.blk, DISK_SIZE), cases[i].truncate);
        status = blk_block_status(d.blk, 0, 512, &n);
        assert_int_equal(status < 0 ? status : 1, cases[i].status);
        debug_close(&d);
    }
}

static void rule_chooses_by_place(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write','sector':8"));
    assert_int_equal(write_at(&d, 0, 4096, 1), 4096);
    assert_int_equal(write_at(&d, 4096 + 512, 512, 1), 512);
    assert_int_equal(write_at(&d, 4096, 512, 1), -EIO);
    assert_int_equal(write_at(&d, 0, 8192, 1), -EIO);
    assert_int_equal(blk_flush(d.blk), 0);
    debug_close(&d);

    debug_open(&d, WRITE_BACK, RULE("'iotype':'read','offset':1000,'length':'1k'"));
    assert_int_equal(read_at(&d, 0, 512), 512);
    assert_int_equal(read_at(&d, 512, 512), -EIO);
    assert_int_equal(read_at(&d, 1536, 512), -EIO);
    assert_int_equal(read_at(&d, 2048, 512), 512);
    debug_close(&d);
}

static void rule_chooses_by_count(void **state)
{
    static const int want[] = { 512, 512, -EIO, -EIO, -EIO, 512, 512 };
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write','after':2,'count':3"));
    for (int i = 0; i < 7; i++) {
        assert_int_equal(write_at(&d, 0, 512, 1), want[i]);
        assert_int_equal(read_at(&d, 0, 512), 512);
    }
    debug_close(&d);
    debug_open(&d, WRITE_BACK, RULE("'once':true"));
    assert_int_equal(write_at(&d, 0, 512, 1), -EIO);
    assert_int_equal(write_at(&d, 0, 512, 1), 512);
    debug_close(&d);
}

/* A disk that fails from the first flush until it is read. */
static void rule_chooses_by_state(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK,
               "'inject-error':[{'iotype':'write','state':2,'errno':28}],"
               "'set-state':[{'event':'flush_to_disk','state':1,'new_state':2},"
               "{'event':'read_aio','state':2,'new_state':3},"
               "{'event':'read_aio','state':1,'new_state':7}]");
    assert_int_equal(write_at(&d, 0, 512, 1), 512);
    assert_int_equal(blk_flush(d.blk), 0);
    assert_int_equal(write_at(&d, 0, 512, 1), -ENOSPC);
    assert_int_equal(write_at(&d, 0, 512, 1), -ENOSPC);
    assert_int_equal(read_at(&d, 0, 512), 512);
    assert_int_equal(write_at(&d, 0, 512, 1), 512);
    debug_close(&d);
}

static void first_rule_decides(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK,
               "'inject-error.0.iotype':'write','inject-error.0.errno':'28',"
               "'inject-error.0.once':'on','inject-error.1.iotype':'write',"
               "'inject-error.1.errno':'122'");
    assert_int_equal(write_at(&d, 0, 512, 1), -ENOSPC);
    assert_int_equal(write_at(&d, 0, 512, 1), -EDQUOT);
    debug_close(&d);
}

/* ---- rules: what happens to it ---- */

static void failed_request_does_not_reach_the_image(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write','after':1,'count':1"));
    write_byte(d.blk, 0, 4096, 0x11);
    assert_int_equal(write_at(&d, 0, 4096, 0x22), -EIO);
    assert_bytes(d.blk, 0, 4096, 0x11);
    debug_close(&d);
}

static void short_transfer_does_its_first_bytes(void **state)
{
    uint8_t buf[4096];
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'inject-error':["
               "{'iotype':'write','offset':65536,'short':1000},"
               "{'iotype':'write-zeroes','short':512},"
               "{'iotype':'discard','short':65536,'errno':28},"
               "{'iotype':'read','sector':1024,'short':512,'errno':0}]");
    assert_int_equal(write_at(&d, 65536, 4096, 0x33), -EIO);
    assert_bytes(d.blk, 65536, 1000, 0x33);
    assert_bytes(d.blk, 65536 + 1000, 3096, 0);

    write_byte(d.blk, 0, 4096, 0x44);
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 4096, 0), -EIO);
    assert_bytes(d.blk, 0, 512, 0);
    assert_bytes(d.blk, 512, 3584, 0x44);

    write_byte(d.blk, 128 * KIB, 128 * KIB, 0x55);
    assert_int_equal(blk_pdiscard(d.blk, 128 * KIB, 128 * KIB), -ENOSPC);
    assert_bytes(d.blk, 128 * KIB, 64 * KIB, 0);
    assert_bytes(d.blk, 192 * KIB, 64 * KIB, 0x55);

    write_byte(d.blk, 512 * KIB, 4096, 0x66);
    memset(buf, 0x77, sizeof(buf));
    assert_int_equal(blk_pread(d.blk, 512 * KIB, buf, 4096), 4096);
    assert_int_equal(buf[511], 0x66);
    assert_true(buffer_is_zero(buf + 512, 3584));
    debug_close(&d);
}

static void lost_write_claims_success(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, RULE("'iotype':'write','errno':0,'once':true"));
    assert_int_equal(write_at(&d, 0, 4096, 0x22), 4096);
    assert_bytes(d.blk, 0, 4096, 0);
    assert_int_equal(write_at(&d, 0, 4096, 0x22), 4096);
    assert_bytes(d.blk, 0, 4096, 0x22);
    debug_close(&d);
}

static void delays_add_up_and_do_not_fail(void **state)
{
    int64_t start;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'inject-error':[{'iotype':'write','delay-ns':2000000},"
               "{'iotype':'write','delay-ns':3000000,'count':1}]");
    start = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    assert_int_equal(write_at(&d, 0, 512, 1), 512);
    assert_true(qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - start >= 5000000);
    assert_bytes(d.blk, 0, 512, 1);
    debug_close(&d);
}

static int64_t coroutine_fn co_read_block(void *arg)
{
    uint8_t buf[512];
    Linear l;

    return blk_co_preadv(arg, 0, 512, linear(&l, buf, 512), 0);
}

/* The end of a coroutine tells whether it had to wait for the loop. */
static void immediate_error_waits_for_nothing(void **state)
{
    CoCall call = { .fn = co_read_block };
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'inject-error':[{'immediately':true,'once':true},{'once':true}]");
    call.arg = d.blk;
    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    assert_true(call.done);
    assert_int_equal(call.ret, -EIO);
    call.done = false;
    /* the second rule chose that request too: its count is used up */
    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    assert_true(call.done);
    assert_int_equal(call.ret, 0);
    debug_close(&d);

    debug_open(&d, WRITE_BACK, RULE("'once':true"));
    call = (CoCall){ .fn = co_read_block, .arg = d.blk };
    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    assert_false(call.done);
    while (!call.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(call.ret, -EIO);
    debug_close(&d);
}

/* ---- limits ---- */

static void limits_are_those_of_another_disk(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'align':4096,'max-transfer':'16k','opt-write-zero':'64k',"
               "'max-write-zero':'128k','opt-discard':'32k','max-discard':'64k'");
    assert_int_equal(blk_get_request_alignment(d.blk), 4096);
    assert_int_equal(blk_get_max_transfer(d.blk), 16 * KIB);
    write_byte(d.blk, 512, 512, 1);
    assert_calls(&d, "read@0+4096 write@0+4096");
    write_byte(d.blk, 0, 40 * KIB, 1);
    assert_calls(&d, "write@0+16384 write@16384+16384 write@32768+8192");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 60 * KIB, 200 * KIB, 0), 0);
    assert_calls(&d, "zero@61440+4096 zero@65536+131072 zero@196608+65536 zero@262144+4096");
    assert_int_equal(blk_pdiscard(d.blk, 28 * KIB, 100 * KIB), 0);
    assert_calls(&d, "discard@28672+4096 discard@32768+65536 discard@98304+32768");
    debug_close(&d);
}

static void wrong_options_are_refused(void **state)
{
#define DEBUG "'driver':'blkdebug','image':{'driver':'memory','size':4096},"
    (void)state;
    assert_open_fails("needs a file", RDWR, "'driver':'blkdebug'");
    assert_open_fails("'file.size'", RDWR, DEBUG "'file.size':1");
    assert_open_fails("power of two", RDWR, DEBUG "'align':1000");
    assert_open_fails("power of two", RDWR, DEBUG "'align':'2G'");
    assert_open_fails("multiple of 'align'", RDWR, DEBUG "'align':4096,'max-transfer':512");
    assert_open_fails("names no operation", RDWR, DEBUG RULE("'event':'l3_update'"));
    assert_open_fails("names no operation", RDWR, DEBUG RULE("'iotype':'sing'"));
    assert_open_fails("is no operation of that event", RDWR,
                      DEBUG RULE("'event':'read_aio','iotype':'write'"));
    assert_open_fails("does not go with 'offset'", RDWR, DEBUG RULE("'sector':1,'offset':1"));
    assert_open_fails("needs an 'offset'", RDWR, DEBUG RULE("'length':1"));
    assert_open_fails("does not go with 'count'", RDWR, DEBUG RULE("'once':true,'count':2"));
    assert_open_fails("is no error number", RDWR, DEBUG RULE("'errno':5000"));
    assert_open_fails("is too large", RDWR, DEBUG RULE("'sector':1152921504606846976"));
    assert_open_fails("'inject-error.0.bogus'", RDWR, DEBUG RULE("'bogus':1"));
    assert_open_fails("'inject-error.1.errno'", RDWR, DEBUG "'inject-error.1.errno':1");
    assert_open_fails("'set-state.0.new_state' is missing", RDWR,
                      DEBUG "'set-state':[{'event':'read_aio'}]");
    assert_open_fails("needs a 'log'", RDWR, DEBUG "'log-data':true");
    assert_open_fails("Could not create the log", RDWR, DEBUG "'log':'/nonexistent/x'");
    assert_open_fails("No space left", RDWR, DEBUG "'log':'/dev/full'");
#undef DEBUG
}

static void native_fua_is_an_option(void **state)
{
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "'native-fua':false");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 512, BDRV_REQ_FUA), 0);
    assert_calls(&d, "zero@0+512 os disk");
    debug_close(&d);
    debug_open(&d, WRITE_BACK, "'native-fua':'on'");
    assert_int_equal(blk_pwrite_zeroes(d.blk, 0, 512, BDRV_REQ_FUA), 0);
    assert_calls(&d, "zero@0+512:fua");
    debug_close(&d);
}

/* ---- breakpoints ---- */

static void breakpoint_stops_one_request(void **state)
{
    uint8_t buf[512] = { 0 };
    AioResult stopped = { 0 }, other = { 0 };
    Linear a, b;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    assert_false(blk_debug_is_suspended(d.blk, "A"));
    assert_int_equal(blk_debug_resume(d.blk, "A"), -ENOENT);
    assert_int_equal(read_at(&d, 0, 512), 512);

    memset(buf, 9, sizeof(buf));
    blk_aio_pwritev(d.blk, 0, linear(&a, buf, 512), 0, aio_result_cb, &stopped);
    assert_true(blk_debug_is_suspended(d.blk, "A"));
    assert_false(blk_debug_is_suspended(d.blk, "B"));
    blk_aio_pwritev(d.blk, 512, linear(&b, buf, 512), 0, aio_result_cb, &other);
    assert_int_equal(aio_result_wait(&other), 0);
    poll_what_is_due();
    assert_int_equal(stopped.calls, 0);
    assert_bytes(d.blk, 0, 512, 0);

    assert_int_equal(blk_debug_resume(d.blk, "A"), 0);
    assert_false(blk_debug_is_suspended(d.blk, "A"));
    assert_int_equal(aio_result_wait(&stopped), 0);
    assert_bytes(d.blk, 0, 512, 9);
    assert_int_equal(blk_debug_resume(d.blk, "A"), -ENOENT);
    debug_close(&d);
}

static void breakpoints_are_taken_back(void **state)
{
    uint8_t buf[512] = { 0 };
    AioResult stopped = { 0 };
    Linear vec;
    DebugDisk d;

    (void)state;
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_remove_breakpoint(d.blk, "A"), -ENOENT);
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    assert_int_equal(blk_debug_breakpoint(d.blk, "write", "A"), 0);
    blk_aio_pwritev(d.blk, 0, linear(&vec, buf, 512), 0, aio_result_cb, &stopped);
    assert_true(blk_debug_is_suspended(d.blk, "A"));
    assert_int_equal(blk_debug_remove_breakpoint(d.blk, "B"), -ENOENT);
    assert_int_equal(blk_debug_remove_breakpoint(d.blk, "A"), 0);
    assert_int_equal(aio_result_wait(&stopped), 0);
    assert_int_equal(blk_pwrite(d.blk, 0, buf, 512), 512);
    assert_int_equal(blk_debug_remove_breakpoint(d.blk, "A"), -ENOENT);
    debug_close(&d);
}

static void breakpoints_need_the_filter(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    DebugDisk d;

    (void)state;
    assert_int_equal(blk_debug_breakpoint(blk, "write", "A"), -ENOMEDIUM);
    assert_int_equal(blk_debug_resume(blk, "A"), -ENOMEDIUM);
    assert_false(blk_debug_is_suspended(blk, "A"));
    blk_unref(blk);
    blk = blk_new_with_bs(NULL);
    assert_int_equal(blk_debug_breakpoint(blk, "write", "A"), -ENOTSUP);
    blk_unref(blk);
    blk = open_options(RDWR, &error_abort, "'driver':'memory','size':4096");
    assert_int_equal(blk_debug_breakpoint(blk, "write", "A"), -ENOTSUP);
    assert_int_equal(blk_debug_resume(blk, "A"), -ENOTSUP);
    assert_int_equal(blk_debug_remove_breakpoint(blk, "A"), -ENOTSUP);
    blk_unref(blk);
    debug_open(&d, WRITE_BACK, "");
    assert_int_equal(blk_debug_breakpoint(d.blk, "sing", "A"), -EINVAL);
    debug_close(&d);
}

/* ---- many threads ---- */

#define THREADS 8
#define WRITES 200
#define FAILURES 100

/* Each its own part of the disk: overlapping writes at once are the user's mistake. */
typedef struct Writer {
    pthread_t thread;
    BlockBackend *blk;
    int number;
    int failed;
} Writer;

static void *write_much(void *opaque)
{
    Writer *w = opaque;
    uint8_t buf[512] = { 0 };

    for (int i = 0; i < WRITES; i++) {
        w->failed += blk_pwrite(w->blk, (w->number * WRITES + i) * 512, buf, sizeof(buf)) < 0;
    }
    return NULL;
}

static void assert_log_is_whole(DebugDisk *d)
{
    static char came[THREADS * WRITES + 2], ended[THREADS * WRITES + 2];
    unsigned long long last = 0;
    FILE *file = fopen(d->log, "r");
    char buf[256];
    LogLine line;

    assert_non_null(file);
    while (fgets(buf, sizeof(buf), file)) {
        if (buf[0] == '#') {
            continue;
        }
        assert_true(debug_parse(buf, &line));
        assert_in_range(line.seq, 1, sizeof(came) - 1);
        if (line.mark == '>') {
            assert_int_equal(line.seq, ++last);
            came[line.seq]++;
        } else {
            assert_int_equal(came[line.seq], 1);
            ended[line.seq]++;
        }
    }
    fclose(file);
    assert_int_equal(last, sizeof(came) - 1);
    for (size_t i = 1; i < sizeof(came); i++) {
        assert_int_equal(ended[i], 1);
    }
}

static void threads_are_counted_exactly(void **state)
{
    Writer writers[THREADS];
    int failed = 0;
    DebugDisk d;

    (void)state;
    debug_open_root(&d, "blkdebug", WRITE_BACK, RULE("'iotype':'write','after':50,'count':100"));
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (Writer){ .blk = d.blk, .number = i };
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_much, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        failed += writers[i].failed;
    }
    assert_int_equal(failed, FAILURES);
    assert_log_is_whole(&d);
    debug_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_reach_the_image),
        cmocka_unit_test(status_is_that_of_the_image),
        cmocka_unit_test(image_may_be_called_file),
        cmocka_unit_test(image_may_be_a_node),
        cmocka_unit_test(log_tells_arrivals_and_ends),
        cmocka_unit_test(log_keeps_the_data_of_writes),
        cmocka_unit_test(log_has_the_order_of_ends),
        cmocka_unit_test(request_fails_that_cannot_be_logged),
        cmocka_unit_test(rule_chooses_by_operation),
        cmocka_unit_test(rule_chooses_by_place),
        cmocka_unit_test(rule_chooses_by_count),
        cmocka_unit_test(rule_chooses_by_state),
        cmocka_unit_test(first_rule_decides),
        cmocka_unit_test(failed_request_does_not_reach_the_image),
        cmocka_unit_test(short_transfer_does_its_first_bytes),
        cmocka_unit_test(lost_write_claims_success),
        cmocka_unit_test(delays_add_up_and_do_not_fail),
        cmocka_unit_test(immediate_error_waits_for_nothing),
        cmocka_unit_test(limits_are_those_of_another_disk),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(native_fua_is_an_option),
        cmocka_unit_test(breakpoint_stops_one_request),
        cmocka_unit_test(breakpoints_are_taken_back),
        cmocka_unit_test(breakpoints_need_the_filter),
        cmocka_unit_test(threads_are_counted_exactly),
    };

    return cmocka_run_group_tests(tests, debug_setup, NULL);
}
