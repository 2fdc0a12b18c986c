/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Eight threads make all kinds of requests to one backend while the main thread changes under
 * them whatever can be changed: limits, medium, tray, event loop, write cache.
 *
 * Each thread has a region of the disk to itself and knows what is in it: a request must succeed
 * and show that, or fail with -ENOMEDIUM and have changed nothing.  Regions do not start at
 * sectors, so neighbours meet in read-modify-write cycles.  Both media are the same file.
 *
 * STORM_SECONDS is how long (2), STORM_SEED what order of changes (1).
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>

#define THREADS 8
#define REGION 99991
#define SIZE (THREADS * REGION / 512 * 512 + 512)
#define PIECES 4
#define LOOPS 2
#define SECOND INT64_C(1000000000)

#define CHECK(cond)                                                                      \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);           \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

/* ---- event loops beside the main one ---- */

typedef struct Loop {
    pthread_t thread;
    AioContext *ctx;
    atomic_bool stop;
} Loop;

static void *loop_run(void *opaque)
{
    Loop *loop = opaque;

    while (!atomic_load(&loop->stop)) {
        aio_poll(loop->ctx, true);
    }
    return NULL;
}

static void loop_start(Loop *loop)
{
    loop->ctx = aio_context_new(&error_abort);
    CHECK(pthread_create(&loop->thread, NULL, loop_run, loop) == 0);
}

static void loop_stop(Loop *loop)
{
    atomic_store(&loop->stop, true);
    aio_notify(loop->ctx);
    CHECK(pthread_join(loop->thread, NULL) == 0);
    aio_context_unref(loop->ctx);
}

/* A timer that goes off ends main_loop_wait(). */
static void time_is_up(void *opaque)
{
    (void)opaque;
}

static void run_main_loop_until(int64_t end)
{
    QEMUTimer *timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME, SCALE_NS,
                                     time_is_up, NULL);

    timer_mod_ns(timer, end);
    while (now_ns() < end) {
        main_loop_wait(false);
    }
    timer_free(timer);
}

/* ---- requests ---- */

typedef enum Op { READ, WRITE, ZERO, DISCARD, FLUSH, STATUS, OPS } Op;

static const enum BlockAcctType acct_type[OPS] = {
    [READ] = BLOCK_ACCT_READ, [WRITE] = BLOCK_ACCT_WRITE, [ZERO] = BLOCK_ACCT_WRITE,
    [DISCARD] = BLOCK_ACCT_WRITE, [FLUSH] = BLOCK_ACCT_FLUSH, [STATUS] = BLOCK_ACCT_READ,
};

typedef struct Worker Worker;

typedef struct Piece {
    Worker *worker;
    Op op;
    int64_t offset;             /* on the disk */
    int bytes;
    bool sectors;               /* the range is made of whole ones */
    BdrvRequestFlags flags;
    uint8_t *buf;
    struct iovec iov;
    QEMUIOVector qiov;
    int64_t pnum;
    BlockAcctCookie cookie;
    int ret;
} Piece;

struct Worker {
    pthread_t thread;
    BlockBackend *blk;
    int64_t start;              /* of its region */
    unsigned seed;
    uint8_t *model, *buf;
    Piece pieces[PIECES];
    int pending;                /* coroutines */
    sem_t done;                 /* callbacks */
    uint64_t nr_ops[BLOCK_MAX_IOTYPE], nr_failed;
};

static unsigned roll(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) % n;
}

static uint8_t *model_of(Piece *p)
{
    return p->worker->model + (p->offset - p->worker->start);
}

/* Somewhere in the i-th part of the region. */
static void choose_range(Piece *p, int i)
{
    unsigned *seed = &p->worker->seed;
    int part = REGION / PIECES;
    int from = (int)roll(seed, (unsigned)part), to = (int)roll(seed, (unsigned)part);

    p->offset = p->worker->start + i * part + (from < to ? from : to);
    p->bytes = from < to ? to - from : from - to;
    if (roll(seed, 2)) {
        int64_t end = (p->offset + p->bytes) / 512 * 512;

        p->offset = (p->offset + 511) / 512 * 512;
        p->bytes = end > p->offset ? (int)(end - p->offset) : 0;
        p->offset = p->bytes ? p->offset : p->worker->start + i * part;
    }
    p->sectors = p->offset % 512 == 0 && p->bytes % 512 == 0;
}

static void choose(Worker *w, int i, Op op)
{
    Piece *p = &w->pieces[i];

    p->worker = w;
    p->op = op;
    choose_range(p, i);
    p->flags = (op == WRITE || op == ZERO) && roll(&w->seed, 8) == 0 ? BDRV_REQ_FUA : 0;
    p->flags |= op == ZERO && roll(&w->seed, 2) ? BDRV_REQ_MAY_UNMAP : 0;
    p->buf = w->buf + i * (REGION / PIECES);
    memset(p->buf, (int)roll(&w->seed, 255) + 1, (size_t)p->bytes);
    p->iov = (struct iovec){ p->buf, (size_t)p->bytes };
    qemu_iovec_init_external(&p->qiov, &p->iov, 1);
    block_acct_start(blk_get_stats(w->blk), &p->cookie, p->bytes, acct_type[op]);
}

/* ---- the doors ---- */

static int whole(const Piece *p, int ret)
{
    return ret == p->bytes ? 0 : ret;
}

static int by_bytes(BlockBackend *blk, Piece *p)
{
    switch (p->op) {
    case READ:    return whole(p, blk_pread(blk, p->offset, p->buf, p->bytes));
    case WRITE:   return whole(p, blk_pwrite(blk, p->offset, p->buf, p->bytes));
    case ZERO:    return blk_pwrite_zeroes(blk, p->offset, p->bytes, p->flags);
    case DISCARD: return blk_pdiscard(blk, p->offset, p->bytes);
    case FLUSH:   return blk_flush(blk);
    default:      return blk_block_status(blk, p->offset, p->bytes, &p->pnum);
    }
}

static int by_sectors(BlockBackend *blk, Piece *p)
{
    int64_t sector = p->offset / 512;
    int n = p->bytes / 512;

    switch (p->op) {
    case READ:    return roll(&p->worker->seed, 4) ? blk_read(blk, sector, p->buf, n)
                                                   : blk_read_unthrottled(blk, sector, p->buf, n);
    case WRITE:   return blk_write(blk, sector, p->buf, n);
    case ZERO:    return blk_write_zeroes(blk, sector, n, p->flags);
    case DISCARD: return blk_discard(blk, sector, n);
    default:      return by_bytes(blk, p);
    }
}

static void wait_for_each(Worker *w)
{
    for (int i = 0; i < PIECES; i++) {
        Piece *p = &w->pieces[i];

        p->ret = p->sectors ? by_sectors(w->blk, p) : by_bytes(w->blk, p);
    }
}

static void piece_done(void *opaque, int ret)
{
    Piece *p = opaque;

    p->ret = ret;
    sem_post(&p->worker->done);
}

static void submit_bytes(BlockBackend *blk, Piece *p)
{
    switch (p->op) {
    case READ:    blk_aio_preadv(blk, p->offset, &p->qiov, 0, piece_done, p); break;
    case WRITE:   blk_aio_pwritev(blk, p->offset, &p->qiov, p->flags, piece_done, p); break;
    case ZERO:    blk_aio_pwrite_zeroes(blk, p->offset, p->bytes, p->flags, piece_done, p); break;
    case DISCARD: blk_aio_pdiscard(blk, p->offset, p->bytes, piece_done, p); break;
    case FLUSH:   blk_aio_flush(blk, piece_done, p); break;
    default:
        blk_aio_block_status(blk, p->offset, p->bytes, &p->pnum, piece_done, p);
        break;
    }
}

static void submit_sectors(BlockBackend *blk, Piece *p)
{
    int64_t sector = p->offset / 512;
    int n = p->bytes / 512;

    switch (p->op) {
    case READ:    blk_aio_readv(blk, sector, &p->qiov, n, piece_done, p); break;
    case WRITE:   blk_aio_writev(blk, sector, &p->qiov, n, piece_done, p); break;
    case ZERO:    blk_aio_write_zeroes(blk, sector, n, p->flags, piece_done, p); break;
    case DISCARD: blk_aio_discard(blk, sector, n, piece_done, p); break;
    default:      submit_bytes(blk, p); break;
    }
}

static void wait_for_callbacks(Worker *w)
{
    for (int i = 0; i < PIECES; i++) {
        while (sem_wait(&w->done) < 0) {
            CHECK(errno == EINTR);
        }
    }
}

static void submit_all(Worker *w)
{
    bool plug = roll(&w->seed, 2);

    if (plug) {
        blk_io_plug(w->blk);
    }
    for (int i = 0; i < PIECES; i++) {
        Piece *p = &w->pieces[i];

        (p->sectors ? submit_sectors : submit_bytes)(w->blk, p);
    }
    if (plug) {
        blk_io_unplug(w->blk);
    }
    wait_for_callbacks(w);
}

static void coroutine_fn piece_run(void *opaque)
{
    Piece *p = opaque;
    BlockBackend *blk = p->worker->blk;

    switch (p->op) {
    case READ:    p->ret = blk_co_preadv(blk, p->offset, p->bytes, &p->qiov, 0); break;
    case WRITE:   p->ret = blk_co_pwritev(blk, p->offset, p->bytes, &p->qiov, p->flags); break;
    case ZERO:    p->ret = blk_co_pwrite_zeroes(blk, p->offset, p->bytes, p->flags); break;
    case DISCARD: p->ret = blk_co_pdiscard(blk, p->offset, p->bytes); break;
    case FLUSH:   p->ret = blk_co_flush(blk); break;
    default:      p->ret = blk_co_block_status(blk, p->offset, p->bytes, &p->pnum); break;
    }
    p->worker->pending--;
}

static void run_coroutines(Worker *w)
{
    w->pending = PIECES;
    for (int i = 0; i < PIECES; i++) {
        qemu_coroutine_enter(qemu_coroutine_create(piece_run), &w->pieces[i]);
    }
    while (w->pending > 0) {
        aio_poll(qemu_get_current_aio_context(), true);
    }
}

/* ---- what must be there afterwards ---- */

static void read_back(Piece *p)
{
    int ret;

    do {
        ret = blk_pread(p->worker->blk, p->offset, p->buf, p->bytes);
        CHECK(ret == p->bytes || ret == -ENOMEDIUM);
    } while (ret != p->bytes);
}

static void account(Piece *p)
{
    BlockAcctStats *stats = blk_get_stats(p->worker->blk);

    if (p->ret < 0) {
        p->worker->nr_failed++;
        block_acct_failed(stats, &p->cookie);
    } else {
        p->worker->nr_ops[p->cookie.type]++;
        block_acct_done(stats, &p->cookie);
    }
}

static void check_piece(Piece *p)
{
    uint8_t *model = model_of(p);
    size_t bytes = (size_t)p->bytes;

    account(p);
    if (p->ret < 0) {
        CHECK(p->ret == -ENOMEDIUM);
        return;
    }
    switch (p->op) {
    case READ:
        CHECK(memcmp(p->buf, model, bytes) == 0);
        break;
    case WRITE:
        memcpy(model, p->buf, bytes);
        break;
    case ZERO:
        memset(model, 0, bytes);
        break;
    case DISCARD:               /* anything may be there now, but nowhere else */
        read_back(p);
        memcpy(model, p->buf, bytes);
        break;
    case STATUS:
        CHECK(p->pnum <= p->bytes && (p->pnum > 0 || p->bytes == 0));
        CHECK(!(p->ret & BDRV_BLOCK_ZERO) || buffer_is_zero(model, (size_t)p->pnum));
        break;
    default:
        break;
    }
}

/* All of them have one result: after an error a write may have been done, but not by half. */
static void write_many(Worker *w)
{
    BlockRequest reqs[PIECES];

    for (int i = 0; i < PIECES; i++) {
        Piece *p = &w->pieces[i];

        p->offset = p->sectors ? p->offset : (p->offset + 511) / 512 * 512;
        p->bytes = p->bytes / 512 * 512 - (p->sectors ? 0 : 512);
        p->bytes = p->bytes < 0 ? 0 : p->bytes;
        p->iov.iov_len = (size_t)p->bytes;
        qemu_iovec_init_external(&p->qiov, &p->iov, 1);
        reqs[i] = (BlockRequest){ .sector = p->offset / 512, .nb_sectors = p->bytes / 512,
                                  .qiov = &p->qiov, .cb = piece_done, .opaque = p };
    }
    if (blk_aio_multiwrite(w->blk, reqs, PIECES) < 0) {
        for (int i = 0; i < PIECES; i++) {
            CHECK(reqs[i].error == -ENOMEDIUM);
            w->pieces[i].ret = -ENOMEDIUM;
        }
        return;
    }
    wait_for_callbacks(w);
    for (int i = 0; w->pieces[0].ret < 0 && i < PIECES; i++) {
        Piece *p = &w->pieces[i];
        int written = p->bytes ? p->buf[0] : 0;

        read_back(p);
        if (memcmp(p->buf, model_of(p), (size_t)p->bytes) != 0) {
            for (int j = 0; j < p->bytes; j++) {
                CHECK(p->buf[j] == written);
            }
            memcpy(model_of(p), p->buf, (size_t)p->bytes);
        }
    }
}

/* Answers that are right at any time. */
static void ask(BlockBackend *blk)
{
    int64_t length = blk_getlength(blk);
    uint64_t sectors;

    CHECK(length == SIZE || length == -ENOMEDIUM);
    blk_get_geometry(blk, &sectors);
    CHECK(sectors == SIZE / 512 || sectors == 0);
    CHECK(blk_is_read_only(blk) == 0);
    CHECK(blk_get_max_iov(blk) > 0);
    (void)blk_is_available(blk);
    (void)blk_get_flags(blk);
    (void)blk_enable_write_cache(blk);
    (void)blk_get_aio_context(blk);
}

/* ---- the eight ---- */

static atomic_bool stop;
static atomic_int running;
static pthread_mutex_t calm_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t calm_over = PTHREAD_COND_INITIALIZER;
static bool calm;               /* nobody submits anything new */

static void wait_while_calm(void)
{
    pthread_mutex_lock(&calm_lock);
    while (calm) {
        pthread_cond_wait(&calm_over, &calm_lock);
    }
    pthread_mutex_unlock(&calm_lock);
}

static void set_calm(bool value)
{
    pthread_mutex_lock(&calm_lock);
    calm = value;
    pthread_cond_broadcast(&calm_over);
    pthread_mutex_unlock(&calm_lock);
}

static void one_round(Worker *w)
{
    unsigned door = roll(&w->seed, 4);

    for (int i = 0; i < PIECES; i++) {
        choose(w, i, door == 3 ? WRITE : roll(&w->seed, OPS));
    }
    switch (door) {
    case 0: wait_for_each(w); break;
    case 1: submit_all(w); break;
    case 2: run_coroutines(w); break;
    case 3: write_many(w); break;
    }
    for (int i = 0; i < PIECES; i++) {
        check_piece(&w->pieces[i]);
    }
    ask(w->blk);
}

static void *work(void *opaque)
{
    Worker *w = opaque;

    while (!atomic_load(&stop)) {
        one_round(w);
        wait_while_calm();
    }
    atomic_fetch_sub(&running, 1);
    aio_notify(qemu_get_aio_context());
    return NULL;
}

static void workers_start(Worker *workers, BlockBackend *blk)
{
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++) {
        Worker *w = &workers[i];

        w->blk = blk;
        w->start = (int64_t)i * REGION;
        w->seed = (unsigned)i + 1;
        w->model = calloc(1, REGION);
        w->buf = blk_blockalign(blk, REGION);
        CHECK(w->model && sem_init(&w->done, 0, 0) == 0);
        CHECK(pthread_create(&w->thread, NULL, work, w) == 0);
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

/* ---- the ninth ---- */

typedef struct Storm {
    BlockBackend *blk, *other;      /* the other shares a group with it, now and then */
    BlockDriverState *media[2];
    AioContext *media_ctx[2];
    int medium;                     /* the one that is in, or went last */
    Loop loops[LOOPS];
    unsigned seed;
    bool limited;
    atomic_bool tray_open;
    int other_busy;
} Storm;

static void set_limits(Storm *s)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    switch (roll(&s->seed, 4)) {
    case 0: cfg.buckets[THROTTLE_OPS_TOTAL].avg = 500; break;
    case 1: cfg.buckets[THROTTLE_BPS_WRITE].avg = 8 << 20; break;
    case 2:
        cfg.buckets[THROTTLE_OPS_READ].avg = 2000;
        cfg.buckets[THROTTLE_OPS_READ].max = 20000;
        cfg.buckets[THROTTLE_OPS_WRITE].avg = 300;
        cfg.op_size = 4096;
        break;
    }
    blk_set_io_limits(s->blk, &cfg);
}

static void other_done(void *opaque, int ret)
{
    Storm *s = opaque;

    CHECK(ret == 0);
    s->other_busy--;
}

static void burden_the_group(Storm *s)
{
    static uint8_t buf[4096];
    static struct iovec iov = { buf, sizeof(buf) };
    static QEMUIOVector qiov;

    if (s->other_busy == 0) {
        qemu_iovec_init_external(&qiov, &iov, 1);
        for (s->other_busy = 0; s->other_busy < 4; s->other_busy++) {
            blk_aio_pwritev(s->other, 0, &qiov, 0, other_done, s);
        }
    }
}

static void change_limits(Storm *s)
{
    if (!s->limited) {
        blk_io_limits_enable(s->blk, roll(&s->seed, 2) ? "shared" : "own");
        s->limited = true;
    }
    switch (roll(&s->seed, 6)) {
    case 0: blk_io_limits_disable(s->blk); s->limited = false; break;
    case 1: blk_io_limits_update_group(s->blk, "shared"); break;
    case 2: blk_io_limits_update_group(s->blk, "own"); break;
    case 3: burden_the_group(s); break;
    default: set_limits(s); break;
    }
}

static void drain(Storm *s)
{
    set_calm(true);             /* who keeps submitting keeps a drain busy for ever */
    if (roll(&s->seed, 2)) {
        blk_drain(s->blk);
    } else {
        blk_drain_all();
    }
    set_calm(false);
}

static void drained_section(Storm *s)
{
    blk_drained_begin(s->blk);
    run_main_loop_until(now_ns() + roll(&s->seed, 1000000));
    blk_drained_end(s->blk);
}

static void take_medium_out(Storm *s)
{
    AioContext *ctx = blk_get_aio_context(s->blk);

    aio_context_acquire(ctx);
    blk_remove_bs(s->blk);
    aio_context_release(ctx);
    CHECK(!blk_is_inserted(s->blk));
}

static void put_medium_in(Storm *s, int medium)
{
    AioContext *ctx = s->media_ctx[medium];

    s->medium = medium;
    aio_context_acquire(ctx);
    blk_apply_root_state(s->blk, s->media[medium]);
    blk_insert_bs(s->blk, s->media[medium]);
    aio_context_release(ctx);
    CHECK(blk_is_inserted(s->blk) && blk_get_aio_context(s->blk) == ctx);
}

static void swap_medium(Storm *s)
{
    take_medium_out(s);
    run_main_loop_until(now_ns() + roll(&s->seed, 2000000));
    put_medium_in(s, !s->medium);
}

static void move_to(Storm *s, AioContext *ctx)
{
    AioContext *old = blk_get_aio_context(s->blk);

    aio_context_acquire(old);
    blk_set_aio_context(s->blk, ctx);
    aio_context_release(old);
    s->media_ctx[s->medium] = ctx;
    CHECK(blk_get_aio_context(s->blk) == ctx);
}

static void move_context(Storm *s)
{
    unsigned i = roll(&s->seed, LOOPS + 1);

    move_to(s, i < LOOPS ? s->loops[i].ctx : qemu_get_aio_context());
}

static void switch_cache(Storm *s)
{
    blk_set_enable_write_cache(s->blk, !blk_enable_write_cache(s->blk));
}

static void move_tray(Storm *s)
{
    atomic_store(&s->tray_open, true);
    run_main_loop_until(now_ns() + roll(&s->seed, 1000000));
    atomic_store(&s->tray_open, false);
}

static void ask_and_flush(Storm *s)
{
    ask(s->blk);
    CHECK(blk_flush_all() == 0);
}

static void (*const changes[])(Storm *s) = {
    change_limits, change_limits, drain, drained_section, swap_medium, move_context, switch_cache,
    move_tray, ask_and_flush,
};
#define CHANGES (sizeof(changes) / sizeof(changes[0]))

/* ---- the disk ---- */

static bool tray_is_open(void *opaque)
{
    return atomic_load(&((Storm *)opaque)->tray_open);
}

static const BlockDevOps dev_ops = { .is_tray_open = tray_is_open };

static BlockDriverState *open_medium(const char *path)
{
    BlockDriverState *bs = NULL;
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("file"));
    qdict_put(options, "filename", qstring_from_str(path));
    qdict_put(options, "locking", qstring_from_str("off"));
    CHECK(bdrv_open(&bs, NULL, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_UNMAP,
                    &error_abort) == 0);
    return bs;
}

static BlockBackend *open_null(void)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("null-co"));
    return blk_new_open(NULL, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB, &error_abort);
}

static void storm_begin(Storm *s)
{
    const char *seed = getenv("STORM_SEED");
    char path[] = "./blk-storm-XXXXXX";
    int fd = mkstemp(path);

    s->seed = seed ? (unsigned)atoi(seed) : 1;
    CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0);
    s->blk = blk_new(&error_abort);
    for (int i = 0; i < 2; i++) {
        s->media[i] = open_medium(path);
        s->media_ctx[i] = qemu_get_aio_context();
    }
    unlink(path);
    close(fd);
    for (int i = 0; i < LOOPS; i++) {
        loop_start(&s->loops[i]);
    }
    blk_set_dev_ops(s->blk, &dev_ops, s);
    block_acct_init(blk_get_stats(s->blk), true, true);
    blk_insert_bs(s->blk, s->media[0]);
    s->other = open_null();
    blk_io_limits_enable(s->other, "shared");
}

static void storm_end(Storm *s)
{
    blk_drain(s->other);
    CHECK(s->other_busy == 0);
    for (int i = 0; i < 2; i++) {
        move_to(s, qemu_get_aio_context());
        swap_medium(s);
    }
    blk_unref(s->blk);
    blk_unref(s->other);
    for (int i = 0; i < 2; i++) {
        bdrv_unref(s->media[i]);
    }
    for (int i = 0; i < LOOPS; i++) {
        loop_stop(&s->loops[i]);
    }
}

/* ---- the end ---- */

static void check_disk(Storm *s, Worker *workers)
{
    for (int i = 0; i < THREADS; i++) {
        Worker *w = &workers[i];

        CHECK(blk_pread(s->blk, w->start, w->buf, REGION) == REGION);
        CHECK(memcmp(w->buf, w->model, REGION) == 0);
    }
}

static void check_stats(Storm *s, Worker *workers)
{
    BlockAcctStats *stats = blk_get_stats(s->blk);
    uint64_t nr_failed = 0, nr_all = 0;

    for (int type = 0; type < BLOCK_MAX_IOTYPE; type++) {
        uint64_t nr_ops = 0;

        for (int i = 0; i < THREADS; i++) {
            nr_ops += workers[i].nr_ops[type];
        }
        CHECK(stats->nr_ops[type] == nr_ops);
        CHECK(nr_ops > 0);
        nr_all += nr_ops;
        nr_failed += stats->failed_ops[type];
    }
    for (int i = 0; i < THREADS; i++) {
        nr_failed -= workers[i].nr_failed;
    }
    CHECK(nr_failed == 0);
    printf("%llu requests\n", (unsigned long long)nr_all);
}

int main(void)
{
    static Storm s;
    static Worker workers[THREADS];
    const char *engine = getenv("ENGINE"), *seconds = getenv("STORM_SECONDS");
    int64_t end = now_ns() + (seconds ? atoi(seconds) : 2) * SECOND;
    int n = 0;

    aio_set_engine(engine ? engine : "auto", &error_abort);
    qemu_init_main_loop(&error_abort);
    storm_begin(&s);
    workers_start(workers, s.blk);
    for (; now_ns() < end; n++) {
        changes[roll(&s.seed, CHANGES)](&s);
        run_main_loop_until(now_ns() + roll(&s.seed, 3000000));
    }
    if (s.limited) {
        blk_io_limits_disable(s.blk);
    }
    workers_join(workers);
    check_stats(&s, workers);
    for (int i = 0; i < 2; i++) {
        check_disk(&s, workers);
        swap_medium(&s);
    }
    storm_end(&s);
    for (int i = 0; i < THREADS; i++) {
        free(workers[i].model);
        qemu_vfree(workers[i].buf);
        sem_destroy(&workers[i].done);
    }
    printf("%d changes\n", n);
    return 0;
}
