/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Four threads write to a disk and read it back while the main thread takes snapshots and commits,
 * at random: the whole chain or some of it, with a limit of speed or without, paused, cancelled, to
 * the end.  No request may fail or show anything but what was written; at the end the image by the
 * root's name, opened anew, shows it too, and no image of the chain has lost its counts.
 *
 * CHAIN_SECONDS is how long (1), CHAIN_SEED what order of changes (1).
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>
#include <blkbackend/job.h>

#define THREADS 4
#define REGION (2 * 1024 * 1024 - 3333)
#define SIZE (8 * 1024 * 1024)
#define DEPTH_MAX 5

#define CHECK(cond)                                                                      \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);           \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static unsigned roll(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) % n;
}

/* ---- the four ---- */

typedef struct Worker {
    pthread_t thread;
    BlockBackend *blk;
    int64_t start;
    unsigned seed;
    uint8_t *model, *buf;
} Worker;

static atomic_bool stop;
static atomic_int running;
static atomic_uint requests;

static void one_request(Worker *w)
{
    int offset = (int)roll(&w->seed, REGION), bytes = 1 + (int)roll(&w->seed, 100000);
    int64_t pos = w->start + offset;

    bytes = bytes < REGION - offset ? bytes : REGION - offset;
    switch (roll(&w->seed, 8)) {
    case 0:
        CHECK(blk_pwrite_zeroes(w->blk, pos, bytes, BDRV_REQ_MAY_UNMAP) == 0);
        memset(w->model + offset, 0, (size_t)bytes);
        break;
    case 1:
        CHECK(blk_flush(w->blk) == 0);
        break;
    case 2: case 3: case 4:
        CHECK(blk_pread(w->blk, pos, w->buf, bytes) == bytes);
        CHECK(memcmp(w->buf, w->model + offset, (size_t)bytes) == 0);
        break;
    default:
        memset(w->model + offset, (int)roll(&w->seed, 256), (size_t)bytes);
        CHECK(blk_pwrite(w->blk, pos, w->model + offset, bytes) == bytes);
        break;
    }
    CHECK(blk_is_inserted(w->blk));
    atomic_fetch_add(&requests, 1);
}

static void *work(void *opaque)
{
    while (!atomic_load(&stop)) {
        one_request(opaque);
    }
    atomic_fetch_sub(&running, 1);
    aio_notify(qemu_get_aio_context());
    return NULL;
}

static void workers_start(Worker *workers, BlockBackend *blk)
{
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (Worker){ .blk = blk, .start = (int64_t)i * REGION, .seed = (unsigned)i,
                               .model = calloc(1, REGION), .buf = malloc(REGION) };
        CHECK(workers[i].model && workers[i].buf);
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
}

static void workers_join(Worker *workers)
{
    atomic_store(&stop, true);
    while (atomic_load(&running) > 0) {
        main_loop_wait(false);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
}

static void compare(Worker *workers, BlockBackend *blk)
{
    for (int i = 0; i < THREADS; i++) {
        Worker *w = &workers[i];

        CHECK(blk_pread(blk, w->start, w->buf, REGION) == REGION);
        CHECK(memcmp(w->buf, w->model, REGION) == 0);
    }
}

/* ---- the main thread ---- */

static unsigned seed = 1, snapshots, pivots, drops, cancels;

static void turn_the_loop(unsigned max_ms)
{
    int64_t end = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + roll(&seed, max_ms * SCALE_MS);

    do {
        main_loop_wait(true);
    } while (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) < end);
}

static unsigned depth_of(BlockBackend *blk)
{
    unsigned depth = 0;

    for (BlockDriverState *bs = blk_bs(blk); bs; bs = bdrv_backing(bs)) {
        depth++;
    }
    return depth;
}

static BlockDriverState *node_at(BlockBackend *blk, unsigned depth)
{
    BlockDriverState *bs = blk_bs(blk);

    while (depth-- > 0) {
        bs = bdrv_backing(bs);
    }
    return bs;
}

static void snapshot(BlockBackend *blk)
{
    BlockDriverState *old = blk_bs(blk);
    char name[32];

    snprintf(name, sizeof(name), "overlay%u.qcow2", snapshots++);
    CHECK(blk_snapshot_file(blk, name, "qcow2", NULL, false, &error_abort) == 0);
    CHECK(bdrv_backing(blk_bs(blk)) == old && bdrv_is_read_only(old));
    CHECK(strcmp(bdrv_filename(blk_bs(blk)), name) == 0);
}

static void status_changed(BlockJob *job, JobStatus status, void *opaque)
{
    (void)job;
    (void)status;
    (void)opaque;
}

static void io_error(BlockJob *job, bool is_read, BlockErrorAction action, int error, void *opaque)
{
    (void)job;
    (void)is_read;
    (void)action;
    (void)opaque;
    fprintf(stderr, "I/O error of a job: %s\n", strerror(error));
    abort();
}

static JobStatus status_of(BlockJob *job)
{
    BlockJobInfo info;

    block_job_get_info(job, &info);
    CHECK(info.done >= 0 && info.total >= info.done);
    return info.status;
}

static void tease(BlockJob *job)
{
    while (roll(&seed, 3)) {
        switch (roll(&seed, 3)) {
        case 0: block_job_pause(job, NULL); break;
        case 1: block_job_resume(job, NULL); break;
        case 2: block_job_set_speed(job, roll(&seed, 2) ? 50 << 20 : 0, NULL); break;
        }
        turn_the_loop(5);
    }
    block_job_set_speed(job, 0, NULL);
    block_job_resume(job, NULL);
}

static void commit(BlockBackend *blk)
{
    static const BlockJobOps ops = { .status_changed = status_changed, .io_error = io_error };
    unsigned depth = depth_of(blk), top = roll(&seed, depth - 1);
    unsigned base = top + 1 + roll(&seed, depth - top - 1);
    BlockCommitOptions options = {
        .job_id = "job", .top = node_at(blk, top), .base = node_at(blk, base), .ops = &ops,
        .on_error = BLOCKDEV_ON_ERROR_REPORT,
    };
    BlockJob *job = blk_commit_start(blk, &options, &error_abort);
    bool cancel = roll(&seed, 4) == 0;
    JobStatus status;
    BlockJobInfo info;

    CHECK(!blk_commit_start(blk, &options, NULL) && !block_job_next(job));
    tease(job);
    while (!cancel && (status = status_of(job)) < JOB_STATUS_PENDING) {
        if (status == JOB_STATUS_READY) {
            block_job_complete(job, &error_abort);
        }
        main_loop_wait(false);
    }
    if (cancel) {
        block_job_cancel_sync(job);
    } else {
        block_job_settle(job);
    }
    block_job_get_info(job, &info);
    CHECK(info.status == JOB_STATUS_CONCLUDED && info.cancelled == cancel && !info.error);
    block_job_dismiss(job, &error_abort);
    CHECK(depth_of(blk) == depth - (cancel ? 0 : base - top));
    drops += !cancel && top > 0;
    pivots += !cancel && top == 0;
    cancels += cancel;
}

static void check_chain(BlockBackend *blk)
{
    for (BlockDriverState *bs = blk_bs(blk); bs; bs = bdrv_backing(bs)) {
        BdrvCheckResult result;

        CHECK(bdrv_check(bs, &result, 0, NULL, NULL) == 0);
        CHECK(result.corruptions == 0 && result.check_errors == 0 && result.leaks == 0);
    }
}

static BlockBackend *open_disk(const char *name)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("qcow2"));
    return blk_new_open(name, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP,
                        &error_abort);
}

static void run(double seconds)
{
    int64_t end = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + (int64_t)(seconds * 1e9);
    BlockBackend *blk;
    Worker workers[THREADS];
    char *name;

    CHECK(bdrv_img_create("disk.qcow2", "qcow2", NULL, NULL, NULL, SIZE, 0, NULL, NULL,
                          &error_abort) == 0);
    blk = open_disk("disk.qcow2");
    workers_start(workers, blk);
    while (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) < end || pivots == 0 || drops == 0) {
        unsigned depth = depth_of(blk);

        if (depth == 1 || (depth < DEPTH_MAX && roll(&seed, 2))) {
            snapshot(blk);
        } else {
            commit(blk);
        }
        turn_the_loop(10);
    }
    workers_join(workers);
    compare(workers, blk);
    check_chain(blk);
    name = strdup(bdrv_filename(blk_bs(blk)));
    blk_unref(blk);
    CHECK(!bdrv_next_node(NULL));

    blk = open_disk(name);
    compare(workers, blk);
    blk_unref(blk);
    free(name);
    for (int i = 0; i < THREADS; i++) {
        free(workers[i].model);
        free(workers[i].buf);
    }
}

int main(void)
{
    const char *engine = getenv("ENGINE"), *seconds = getenv("CHAIN_SECONDS");
    const char *folder = getenv("TMPDIR");
    char path[512], command[600];

    if (getenv("CHAIN_SEED")) {
        seed = (unsigned)atoi(getenv("CHAIN_SEED"));
    }
    if (engine && aio_set_engine(engine, NULL) < 0) {
        printf("no %s here\n", engine);
        return 77;
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    alarm(280);
    CHECK(qemu_init_main_loop(NULL) == 0);
    snprintf(path, sizeof(path), "%s/chain-XXXXXX", folder ? folder : "/tmp");
    CHECK(mkdtemp(path) && chdir(path) == 0);
    run(seconds ? atof(seconds) : 1);
    printf("%u requests, %u snapshots, %u pivots, %u drops, %u cancelled\n",
           atomic_load(&requests), snapshots, pivots, drops, cancels);
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    return system(command) == 0 ? 0 : 1;
}
