/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests that watch, through the log of blkdebug, what reaches the lowest
 * driver, or make it fail: a disk in memory below blkdebug, and raw above.
 *
 * assert_calls(&d, "write@0+512 os disk") checks what has come since the last
 * time, in order; questions about size and status are left out.
 */
#ifndef BLKDEBUG_TEST_H
#define BLKDEBUG_TEST_H

#include "unit.h"

#include <limits.h>
#include <signal.h>

#include "driver-test.h"

#define DISK_SIZE MIB
#define WRITE_BACK (BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP)
#define WRITE_THROUGH (BDRV_O_RDWR | BDRV_O_UNMAP)

typedef struct DebugDisk {
    BlockBackend *blk;
    char log[300];
    long seen;              /* bytes of the log */
} DebugDisk;

/* A medium that fails also fails to be flushed when it is closed, which is no news here. */
static inline void debug_be_quiet(void *opaque, const char *message)
{
    (void)opaque;
    (void)message;
}

static inline int debug_setup(void **state)
{
    blkbackend_set_log_fn(debug_be_quiet, NULL);
    return driver_test_setup(state);
}

static inline void debug_log_make(DebugDisk *d)
{
    char name[] = "./blkdebug-log-XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    close(fd);
    assert_non_null(realpath(name, d->log));
    d->seen = 0;
}

static inline void debug_forget(DebugDisk *d)
{
    struct stat st;

    assert_int_equal(stat(d->log, &st), 0);
    d->seen = (long)st.st_size;
}

/* root: "blkdebug", or a format above it; options: more of blkdebug's, JSON with ' for ". */
static inline void debug_open_root(DebugDisk *d, const char *root, int flags, const char *options)
{
    const char *comma = options[0] ? "," : "";
    const char *image = "'image':{'driver':'memory','size':1048576}";

    debug_log_make(d);
    if (strcmp(root, "blkdebug") == 0) {
        d->blk = open_options(flags, &error_abort, "'driver':'blkdebug',%s,'log':'%s'%s%s",
                              image, d->log, comma, options);
    } else {
        d->blk = open_options(flags, &error_abort,
                              "'driver':'%s','file':{'driver':'blkdebug',%s,'log':'%s'%s%s}",
                              root, image, d->log, comma, options);
    }
    debug_forget(d);
}

static inline void debug_open(DebugDisk *d, int flags, const char *options)
{
    debug_open_root(d, "raw", flags, options);
}

static inline void debug_close(DebugDisk *d)
{
    char data[310];

    blk_unref(d->blk);
    snprintf(data, sizeof(data), "%s.data", d->log);
    unlink(data);
    unlink(d->log);
}

/* ---- the log ---- */

typedef struct LogLine {
    char mark;
    unsigned long long seq;
    char op[32];
    long long offset, bytes;
    char flags[32];
    char rest[64];
} LogLine;

/* One call in short: "write@0+512:fua", "os", "disk", "truncate@1024". */
static inline void debug_append(char *text, size_t size, const LogLine *line, bool with_mark)
{
    size_t len = strlen(text);
    char space[3] = { len ? ' ' : line->mark, len && with_mark ? line->mark : '\0', '\0' };
    bool plain = strcmp(line->flags, "-") == 0;

    if (len == 0 && !with_mark) {
        space[0] = '\0';
    }

    if (strncmp(line->op, "flush-to-", 9) == 0) {
        snprintf(text + len, size - len, "%s%s", space, line->op + 9);
    } else if (strcmp(line->op, "truncate") == 0) {
        snprintf(text + len, size - len, "%struncate@%lld", space, line->offset);
    } else if (strcmp(line->op, "getlength") && strcmp(line->op, "block-status")) {
        snprintf(text + len, size - len, "%s%s@%lld+%lld%s%s", space,
                 strncmp(line->op, "write-", 6) ? line->op : "zero", line->offset, line->bytes,
                 plain ? "" : ":", plain ? "" : line->flags);
    }
}

static inline bool debug_parse(const char *text, LogLine *line)
{
    return sscanf(text, "%c %llu %31s %lld %lld %31s %63[^\n]", &line->mark, &line->seq, line->op,
                  &line->offset, &line->bytes, line->flags, line->rest) == 7;
}

/* What has come ('>') or ended ('<') since the last time, oldest first; 0: both, with the marks. */
static inline const char *debug_lines(DebugDisk *d, char mark)
{
    static char text[1 << 16];
    FILE *file = fopen(d->log, "r");
    char buf[256];
    LogLine line;

    assert_non_null(file);
    assert_int_equal(fseek(file, d->seen, SEEK_SET), 0);
    text[0] = '\0';
    while (fgets(buf, sizeof(buf), file)) {
        assert_true(debug_parse(buf, &line));
        if (!mark || line.mark == mark) {
            debug_append(text, sizeof(text), &line, !mark);
        }
    }
    d->seen = ftell(file);
    fclose(file);
    return text;
}

#define assert_calls(d, calls) assert_string_equal(debug_lines((d), '>'), (calls))
#define assert_ends(d, calls) assert_string_equal(debug_lines((d), '<'), (calls))
#define assert_trace(d, marked) assert_string_equal(debug_lines((d), 0), (marked))

/* ---- requests ---- */

typedef struct AioResult {
    int calls;
    int ret;
    AioContext *ctx;        /* where the callback ran */
} AioResult;

static inline void aio_result_cb(void *opaque, int ret)
{
    AioResult *result = opaque;

    assert_false(qemu_in_coroutine());
    result->calls++;
    result->ret = ret;
    result->ctx = qemu_get_current_aio_context();
}

/* The first callback must not have come yet. */
static inline int aio_result_wait(AioResult *result)
{
    assert_int_equal(result->calls, 0);
    while (!result->calls) {
        aio_poll(qemu_get_aio_context(), true);
    }
    assert_int_equal(result->calls, 1);
    return result->ret;
}

/* A vector of one element. */
typedef struct Linear {
    QEMUIOVector qiov;
    struct iovec iov;
} Linear;

static inline QEMUIOVector *linear(Linear *l, void *buf, size_t bytes)
{
    l->iov = (struct iovec){ buf, bytes };
    qemu_iovec_init_external(&l->qiov, &l->iov, 1);
    return &l->qiov;
}

/* Calls fn(arg) in a coroutine and polls until it has ended; its result. */
typedef int64_t coroutine_fn CoFunc(void *arg);

typedef struct CoCall {
    CoFunc *fn;
    void *arg;
    int64_t ret;
    bool done;
} CoCall;

static inline void coroutine_fn co_call_entry(void *opaque)
{
    CoCall *call = opaque;

    call->ret = call->fn(call->arg);
    call->done = true;
}

static inline int64_t co_call(CoFunc *fn, void *arg)
{
    CoCall call = { .fn = fn, .arg = arg };

    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    while (!call.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
    return call.ret;
}

/* Runs what is due now, without waiting for anything. */
static inline void poll_what_is_due(void)
{
    while (aio_poll(qemu_get_aio_context(), false)) {
        continue;
    }
}

#endif
