/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests of what needs a format's storage: the format "testfmt", whose
 * images are arrays of this process, known by name and outliving their nodes,
 * on the protocol "testfile", which stores nothing.
 *
 * An image has clusters of 4 KiB that are absent, data, zeroes or compressed,
 * an area for VM state, and perhaps the name of a backing file.  All that is
 * done to images is written into one log, a line each: "top write 0 512".
 */
#ifndef TESTS_TESTFMT_H
#define TESTS_TESTFMT_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

#define CLUSTER 4096
#define IMAGE_CLUSTERS 64
#define IMAGE_MAX (CLUSTER * IMAGE_CLUSTERS)
#define VMSTATE_MAX 8192
#define RW (BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP)

typedef enum { ABSENT, DATA, ZERO, COMPRESSED } ClusterKind;

typedef struct TestImage {
    char name[16];
    int64_t length;
    uint8_t data[IMAGE_MAX];
    ClusterKind map[IMAGE_CLUSTERS];
    char backing[64];           /* "testfile:NAME", or "" */
    uint8_t vmstate[VMSTATE_MAX];
    CoRwlock lock;              /* data and map */

    /* What goes wrong, -errno. */
    int read_error, write_error, flush_error, empty_error, reopen_error, status_error;
    int truncate_error, invalidate_error, compress_error;
    int fail_write_at;          /* cluster whose write fails with -EIO; -1: none */
    bool no_zeroes;             /* zero writes are not supported */
    Coroutine *held;            /* the write that waits */
    bool hold;                  /* the next write of data waits */
} TestImage;

static TestImage images[6];

/* ---- the log ---- */

static struct {
    pthread_mutex_t lock;
    char text[32768];
    size_t len;
} events = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void __attribute__((format(printf, 1, 2))) event(const char *format, ...)
{
    va_list ap;

    pthread_mutex_lock(&events.lock);
    if (events.len < sizeof(events.text) - 128) {
        va_start(ap, format);
        events.len += (size_t)vsnprintf(events.text + events.len, 120, format, ap);
        va_end(ap);
        events.text[events.len++] = '\n';
        events.text[events.len] = '\0';
    }
    pthread_mutex_unlock(&events.lock);
}

static inline void events_clear(void)
{
    events.len = 0;
    events.text[0] = '\0';
}

/* How many lines begin with this. */
static inline int events_of(const char *start)
{
    int n = 0;

    for (const char *line = events.text; *line; line = strchr(line, '\n') + 1) {
        n += strncmp(line, start, strlen(start)) == 0;
    }
    return n;
}

#define assert_events(expected) assert_string_equal(events.text, expected)

/* ---- images ---- */

static inline TestImage *image_find(const char *name)
{
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (strcmp(images[i].name, name) == 0) {
            return &images[i];
        }
    }
    return NULL;
}

/* All empty; backing NULL: none. */
static inline TestImage *image_make(const char *name, int64_t length, const char *backing)
{
    TestImage *image = image_find("");

    assert_non_null(image);
    memset(image, 0, sizeof(*image));
    qemu_co_rwlock_init(&image->lock);
    strcpy(image->name, name);
    image->length = length;
    image->fail_write_at = -1;
    if (backing) {
        sprintf(image->backing, "testfile:%s", backing);
    }
    return image;
}

/* Clusters [first, first + count) hold this byte. */
static inline void image_fill(TestImage *image, int first, int count, int byte)
{
    memset(image->data + first * CLUSTER, byte, (size_t)count * CLUSTER);
    for (int i = first; i < first + count; i++) {
        image->map[i] = DATA;
    }
}

/* "-" absent, "D" data, "0" zeroes, "C" compressed; the first clusters. */
static inline void assert_map(const TestImage *image, const char *kinds)
{
    char map[IMAGE_CLUSTERS + 1] = "";

    for (size_t i = 0; kinds[i]; i++) {
        map[i] = "-D0C"[image->map[i]];
        map[i + 1] = '\0';
    }
    assert_string_equal(map, kinds);
}

static inline int images_reset(void **state)
{
    (void)state;
    memset(images, 0, sizeof(images));
    events_clear();
    return 0;
}

/* ---- the protocol ---- */

typedef struct TestFileState {
    TestImage *image;
} TestFileState;

static inline TestImage *file_image(BlockDriverState *bs)
{
    return ((TestFileState *)bdrv_state(bs))->image;
}

static inline int testfile_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    TestFileState *s = bdrv_state(bs);
    const char *name = qdict_get_try_str(options, "filename");

    (void)flags;
    s->image = name && *name ? image_find(name) : NULL;
    if (!s->image) {
        error_setg(errp, "There is no image '%s'", name ? name : "");
        return -ENOENT;
    }
    qdict_del(options, "filename");
    return 0;
}

static inline int64_t coroutine_fn testfile_getlength(BlockDriverState *bs)
{
    (void)bs;
    return IMAGE_MAX;
}

static inline int coroutine_fn testfile_flush(BlockDriverState *bs)
{
    event("%s flush", file_image(bs)->name);
    return file_image(bs)->flush_error;
}

static inline int testfile_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    TestImage *image = file_image(bs);

    if (image->reopen_error) {
        error_setg(errp, "cannot reopen");
        return image->reopen_error;
    }
    event("%s file %s", image->name, flags & BDRV_O_RDWR ? "rw" : "ro");
    return 0;
}

static inline int vmstate_copy(TestImage *image, QEMUIOVector *qiov, int64_t pos, bool save)
{
    if (pos + (int64_t)qiov->size > VMSTATE_MAX) {
        return -ENOSPC;
    }
    event("%s %s %d %d", image->name, save ? "save" : "load", (int)pos, (int)qiov->size);
    if (save) {
        qemu_iovec_to_buf(qiov, 0, image->vmstate + pos, qiov->size);
        return image->write_error;
    }
    qemu_iovec_from_buf(qiov, 0, image->vmstate + pos, qiov->size);
    return image->read_error;
}

static inline int coroutine_fn testfile_save(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    return vmstate_copy(file_image(bs), qiov, pos, true);
}

static inline int coroutine_fn testfile_load(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    return vmstate_copy(file_image(bs), qiov, pos, false);
}

static inline void testfile_detach(BlockDriverState *bs)
{
    event("detach file of %s", file_image(bs)->name);
}

static inline void testfile_attach(BlockDriverState *bs, AioContext *ctx)
{
    assert_ptr_equal(bdrv_get_aio_context(bs), ctx);
    event("attach file of %s", file_image(bs)->name);
}

#define TESTFILE_DRIVER                                     \
    .instance_size = sizeof(TestFileState),                 \
    .bdrv_open = testfile_open,                             \
    .bdrv_reopen = testfile_reopen,                         \
    .bdrv_co_getlength = testfile_getlength,                \
    .bdrv_co_flush_to_disk = testfile_flush,                \
    .bdrv_detach_aio_context = testfile_detach,             \
    .bdrv_attach_aio_context = testfile_attach

static BlockDriver testfile_driver = {
    .format_name = "testfile",
    .protocol_name = "testfile",
    TESTFILE_DRIVER,
};
BLOCK_DRIVER(testfile_driver)

/* The same image with an area for VM state. */
static BlockDriver testvmfile_driver = {
    .format_name = "testvmfile",
    .protocol_name = "testvmfile",
    TESTFILE_DRIVER,
    .bdrv_co_save_vmstate = testfile_save,
    .bdrv_co_load_vmstate = testfile_load,
};
BLOCK_DRIVER(testvmfile_driver)

/* ---- the format ---- */

static inline TestImage *fmt_image(BlockDriverState *bs)
{
    return file_image(bdrv_file(bs));
}

static inline int testfmt_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    TestImage *image = fmt_image(bs);

    (void)options;
    (void)flags;
    (void)errp;
    bdrv_set_backing_file(bs, image->backing, "testfmt");
    return 0;
}

static inline int64_t coroutine_fn testfmt_getlength(BlockDriverState *bs)
{
    return fmt_image(bs)->length;
}

static inline int64_t testfmt_cluster_size(BlockDriverState *bs)
{
    (void)bs;
    return CLUSTER;
}

/* What the backing file has, zeroes past its end. */
static inline int coroutine_fn read_backing(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                            void *buf)
{
    struct iovec iov = { .iov_base = buf, .iov_len = (size_t)bytes };
    QEMUIOVector qiov;

    memset(buf, 0, (size_t)bytes);
    qemu_iovec_init_external(&qiov, &iov, 1);
    return bdrv_backing(bs) ? bdrv_co_preadv(bdrv_backing(bs), offset, bytes, &qiov, 0) : 0;
}

/* A part of one cluster. */
static inline int coroutine_fn read_in_cluster(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                               void *buf)
{
    TestImage *image = fmt_image(bs);
    ClusterKind kind = image->map[offset / CLUSTER];

    if (kind == ABSENT) {
        return read_backing(bs, offset, bytes, buf);
    }
    if (kind == ZERO) {
        memset(buf, 0, (size_t)bytes);
    } else {
        memcpy(buf, image->data + offset, (size_t)bytes);
    }
    return 0;
}

static inline int64_t part_of_cluster(int64_t offset, int64_t bytes)
{
    int64_t left = CLUSTER - offset % CLUSTER;

    return bytes < left ? bytes : left;
}

static inline int coroutine_fn testfmt_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                              QEMUIOVector *qiov, int flags)
{
    TestImage *image = fmt_image(bs);
    uint8_t buf[CLUSTER];
    int64_t done = 0;
    int ret = image->read_error;

    (void)flags;
    event("%s read %d %d", image->name, (int)offset, (int)bytes);
    qemu_co_rwlock_rdlock(&image->lock);
    while (done < bytes && ret == 0) {
        int64_t n = part_of_cluster(offset + done, bytes - done);

        ret = read_in_cluster(bs, offset + done, n, buf);
        qemu_iovec_from_buf(qiov, (size_t)done, buf, (size_t)n);
        done += n;
    }
    qemu_co_rwlock_unlock(&image->lock);
    return ret;
}

/* What is not written with it comes from below. */
static inline int coroutine_fn allocate(BlockDriverState *bs, int cluster, bool whole)
{
    TestImage *image = fmt_image(bs);
    int ret = 0;

    if (whole) {
        image->map[cluster] = DATA;
    } else if (image->map[cluster] != DATA) {
        ret = read_in_cluster(bs, (int64_t)cluster * CLUSTER, CLUSTER,
                              image->data + cluster * CLUSTER);
        image->map[cluster] = ret == 0 ? DATA : image->map[cluster];
    }
    return ret;
}

static inline int coroutine_fn write_clusters(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                              QEMUIOVector *qiov)
{
    TestImage *image = fmt_image(bs);
    int64_t done = 0;
    int ret = image->write_error;

    while (done < bytes && ret == 0) {
        int64_t n = part_of_cluster(offset + done, bytes - done);
        int cluster = (int)((offset + done) / CLUSTER);

        ret = cluster == image->fail_write_at ? -EIO : allocate(bs, cluster, n == CLUSTER);
        if (ret == 0) {
            qemu_iovec_to_buf(qiov, (size_t)done, image->data + offset + done, (size_t)n);
        }
        done += n;
    }
    return ret;
}

static inline int coroutine_fn testfmt_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                                               QEMUIOVector *qiov, int flags)
{
    TestImage *image = fmt_image(bs);
    int ret;

    (void)flags;
    event("%s write %d %d", image->name, (int)offset, (int)bytes);
    assert_false(bdrv_is_read_only(bdrv_file(bs)));
    if (offset + bytes > IMAGE_MAX) {
        return -ENOSPC;
    }
    if (image->hold) {
        image->hold = false;
        image->held = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
    qemu_co_rwlock_wrlock(&image->lock);
    ret = write_clusters(bs, offset, bytes, qiov);
    if (ret == 0 && offset + bytes > image->length) {
        image->length = offset + bytes;
    }
    qemu_co_rwlock_unlock(&image->lock);
    return ret;
}

static inline int coroutine_fn testfmt_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                                                     int64_t bytes, int flags)
{
    TestImage *image = fmt_image(bs);

    (void)flags;
    if (image->no_zeroes || offset % CLUSTER ||
        (bytes % CLUSTER && offset + bytes < image->length)) {
        return -ENOTSUP;
    }
    event("%s zero %d %d", image->name, (int)offset, (int)bytes);
    qemu_co_rwlock_wrlock(&image->lock);
    for (int64_t pos = offset; pos < offset + bytes; pos += CLUSTER) {
        image->map[pos / CLUSTER] = ZERO;
    }
    qemu_co_rwlock_unlock(&image->lock);
    return image->write_error;
}

/* "Compressed" data is bytes that are all alike; other data does not shrink. */
static inline int coroutine_fn testfmt_pwritev_compressed(BlockDriverState *bs, int64_t offset,
                                                          int64_t bytes, QEMUIOVector *qiov)
{
    TestImage *image = fmt_image(bs);
    bool last = offset + bytes == image->length;
    uint8_t *data = image->data + offset;

    event("%s compressed %d %d", image->name, (int)offset, (int)bytes);
    if (bytes == 0 || image->compress_error) {
        return image->compress_error;
    }
    if (offset % CLUSTER || bytes > CLUSTER || (bytes < CLUSTER && !last)) {
        return -EINVAL;
    }
    if (image->map[offset / CLUSTER] != ABSENT) {
        return -EIO;
    }
    memset(data, 0, CLUSTER);
    qemu_iovec_to_buf(qiov, 0, data, (size_t)bytes);
    image->map[offset / CLUSTER] = memcmp(data, data + 1, (size_t)bytes - 1) ? DATA : COMPRESSED;
    return 0;
}

static inline int coroutine_fn testfmt_block_status(BlockDriverState *bs, int64_t offset,
                                                    int64_t bytes, int64_t *pnum, int64_t *map,
                                                    BlockDriverState **file)
{
    TestImage *image = fmt_image(bs);
    ClusterKind kind;
    int64_t n;

    (void)map;
    (void)file;
    if (image->status_error) {
        return image->status_error;
    }
    qemu_co_rwlock_rdlock(&image->lock);
    kind = image->map[offset / CLUSTER];
    n = part_of_cluster(offset, bytes);
    while (n < bytes && image->map[(offset + n) / CLUSTER] == kind) {
        n += part_of_cluster(offset + n, bytes - n);
    }
    qemu_co_rwlock_unlock(&image->lock);
    *pnum = n;
    return kind == ABSENT ? 0 : kind == ZERO ? BDRV_BLOCK_ZERO : BDRV_BLOCK_DATA;
}

static inline int coroutine_fn testfmt_truncate(BlockDriverState *bs, int64_t offset,
                                                PreallocMode prealloc, Error **errp)
{
    TestImage *image = fmt_image(bs);

    (void)prealloc;
    (void)errp;
    event("%s truncate %d", image->name, (int)offset);
    if (image->truncate_error == 0) {
        image->length = offset;
    }
    return image->truncate_error;
}

static inline int coroutine_fn testfmt_make_empty(BlockDriverState *bs, Error **errp)
{
    TestImage *image = fmt_image(bs);

    (void)errp;
    event("%s empty", image->name);
    if (image->empty_error == 0) {
        memset(image->map, 0, sizeof(image->map));
    }
    return image->empty_error;
}

static inline int testfmt_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    (void)errp;
    event("%s %s", fmt_image(bs)->name, flags & BDRV_O_RDWR ? "rw" : "ro");
    return 0;
}

static inline void coroutine_fn testfmt_invalidate(BlockDriverState *bs, Error **errp)
{
    event("%s invalidate", fmt_image(bs)->name);
    if (fmt_image(bs)->invalidate_error) {
        error_setg(errp, "metadata are gone");
    }
}

static inline void testfmt_detach(BlockDriverState *bs)
{
    event("detach %s", fmt_image(bs)->name);
}

static inline void testfmt_attach(BlockDriverState *bs, AioContext *ctx)
{
    assert_ptr_equal(bdrv_get_aio_context(bs), ctx);
    event("attach %s", fmt_image(bs)->name);
}

/* A format's VM state lies beside its own disk. */
static inline int coroutine_fn testfmt_save(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    return vmstate_copy(fmt_image(bs), qiov, pos, true);
}

static inline int coroutine_fn testfmt_load(BlockDriverState *bs, QEMUIOVector *qiov, int64_t pos)
{
    return vmstate_copy(fmt_image(bs), qiov, pos, false);
}

#define TESTFMT_DRIVER                                      \
    .has_file_child = true,                                 \
    .supports_backing = true,                               \
    .bdrv_open = testfmt_open,                              \
    .bdrv_reopen = testfmt_reopen,                          \
    .bdrv_get_cluster_size = testfmt_cluster_size,          \
    .bdrv_co_getlength = testfmt_getlength,                 \
    .bdrv_co_preadv = testfmt_preadv,                       \
    .bdrv_co_pwritev = testfmt_pwritev,                     \
    .bdrv_co_pwrite_zeroes = testfmt_pwrite_zeroes,         \
    .bdrv_co_block_status = testfmt_block_status,           \
    .bdrv_co_truncate = testfmt_truncate,                   \
    .bdrv_co_make_empty = testfmt_make_empty,               \
    .bdrv_co_invalidate_cache = testfmt_invalidate,         \
    .bdrv_detach_aio_context = testfmt_detach,              \
    .bdrv_attach_aio_context = testfmt_attach

static BlockDriver testfmt_driver = {
    .format_name = "testfmt",
    TESTFMT_DRIVER,
    .bdrv_co_pwritev_compressed = testfmt_pwritev_compressed,
    .bdrv_co_save_vmstate = testfmt_save,
    .bdrv_co_load_vmstate = testfmt_load,
};
BLOCK_DRIVER(testfmt_driver)

/* The same format with nothing but reads and writes. */
static BlockDriver testplain_driver = {
    .format_name = "testplain",
    .has_file_child = true,
    .bdrv_co_getlength = testfmt_getlength,
    .bdrv_co_preadv = testfmt_preadv,
    .bdrv_co_pwritev = testfmt_pwritev,
};
BLOCK_DRIVER(testplain_driver)

/* ---- opening ---- */

static inline int testfmt_setup(void **state)
{
    const char *engine = getenv("ENGINE");

    (void)state;
    alarm(280);     /* a lost wake-up fails the test instead of hanging it */
    if (engine && aio_set_engine(engine, NULL) < 0) {
        printf("no %s here\n", engine);
        exit(77);
    }
    return qemu_init_main_loop(NULL);
}

/* format gives options as JSON, without the outer braces, with ' in place of ". */
static inline QDict * __attribute__((format(printf, 1, 2))) options_of(const char *format, ...)
{
    char text[1024] = "{";
    QDict *options;
    va_list ap;

    va_start(ap, format);
    vsnprintf(text + 1, sizeof(text) - 3, format, ap);
    va_end(ap);
    strcat(text, "}");
    for (char *c = text; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    options = json_loads(text, 0, NULL);
    assert_non_null(options);
    return options;
}

/* The image as `driver` sees it. */
static inline BlockBackend *open_as(const char *driver, const char *name, int flags)
{
    return blk_new_open(NULL, NULL, options_of("'driver':'%s','file.driver':'testfile',"
                                               "'file.filename':'%s'", driver, name),
                        flags, &error_abort);
}

static inline BlockBackend *open_image(const char *name, int flags)
{
    return open_as("testfmt", name, flags);
}

/* ---- content ---- */

static inline void assert_read(BlockBackend *blk, int64_t offset, int bytes, int byte)
{
    uint8_t *buf = malloc((size_t)bytes);

    memset(buf, ~byte, (size_t)bytes);
    assert_int_equal(blk_pread(blk, offset, buf, bytes), bytes);
    for (int i = 0; i < bytes; i++) {
        if (buf[i] != (uint8_t)byte) {
            fail_msg("byte %lld is 0x%02x, not 0x%02x", (long long)offset + i, buf[i], byte);
        }
    }
    free(buf);
}

static inline int write_fill(BlockBackend *blk, int64_t offset, int bytes, int byte)
{
    uint8_t *buf = malloc((size_t)bytes);
    int ret;

    memset(buf, byte, (size_t)bytes);
    ret = blk_pwrite(blk, offset, buf, bytes);
    free(buf);
    return ret;
}

/* ---- AIO ---- */

typedef struct AioResult {
    atomic_int calls;
    int ret;
} AioResult;

static inline void aio_result_cb(void *opaque, int ret)
{
    AioResult *result = opaque;

    result->ret = ret;
    atomic_fetch_add(&result->calls, 1);
}

static inline int aio_result_wait(AioResult *result)
{
    while (!atomic_load(&result->calls)) {
        aio_poll(qemu_get_aio_context(), true);
    }
    return result->ret;
}

/* ---- a function in a coroutine of the main context ---- */

typedef struct CoCall {
    void coroutine_fn (*fn)(void *opaque);
    void *opaque;
    bool done;
} CoCall;

static inline void coroutine_fn co_call_entry(void *opaque)
{
    CoCall *call = opaque;

    call->fn(call->opaque);
    call->done = true;
}

static inline void in_coroutine(void coroutine_fn (*fn)(void *opaque), void *opaque)
{
    CoCall call = { .fn = fn, .opaque = opaque };

    qemu_coroutine_enter(qemu_coroutine_create(co_call_entry), &call);
    while (!call.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

#define assert_error(err, said)                                                  \
    do {                                                                         \
        assert_non_null(err);                                                    \
        if (!strstr(error_get_pretty(err), (said))) {                            \
            fail_msg("'%s' does not say '%s'", error_get_pretty(err), (said));   \
        }                                                                        \
        error_free(err);                                                         \
        (err) = NULL;                                                            \
    } while (0)

#define IMAGE_TEST(fn) cmocka_unit_test_setup(fn, images_reset)

#endif
