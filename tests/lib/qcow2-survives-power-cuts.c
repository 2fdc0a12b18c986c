/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A qcow2 image whatever moment the power fails at.
 *
 * A guest at random works on an image below which blkdebug keeps a log.  From that each state is
 * made that a power cut could leave: at every moment nothing and all of what was not yet on stable
 * storage; here and there each subset of it, sectors on their own if they are few; and some at
 * random, reordered and torn.  Each must open, have no worse faults than leaked clusters, show
 * the guest what it may expect (guest-shadow.h), and be fit for more writes.
 *
 * POWER_CUT_STATES: how many states at least (3000).  POWER_CUT_SEED: of the first scenario (1).
 * The image of a state that fails is left in power-cut-failed-SEED.qcow2.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/block-driver.h>

#include "byte-order.h"
#include "tests/cut-log.h"
#include "tests/guest-shadow.h"
#include "tests/power-cut.h"
#include "tests/qcow2-walk.h"
#include "tests/ram-file.h"

#define IMAGE_ROOM (16 << 20)
#define STEPS 18                        /* of a scenario */
#define BATCH 4                         /* requests at once */
#define EXHAUSTIVE_BITS 6               /* so many sectors or requests: all subsets */
#define EXHAUSTIVE_EVERY 8              /* moments */
#define RANDOM_STATES 2                 /* at a moment */
#define LONG_RUN 50000                  /* states: everything must have happened */
#define KEEP_EVERY 300                  /* states, for a power cut while it is repaired */

enum { IMAGE, BACKING };                /* of ram_files */

/* ---- kinds of images ---- */

static const Kind kinds[] = {
    { "compat=1.1,cluster_size=512", 512, 1, 0, false, 0 },
    { "compat=0.10,cluster_size=512", 512, 1, 300, true, 0 },
    { "compat=1.1,cluster_size=512,refcount_bits=1", 512, 1, 300, false, 0 },
    { "compat=1.1,cluster_size=512,refcount_bits=64", 1024, 1, 0, false, 0 },
    { "compat=1.1,cluster_size=1k,refcount_bits=2", 1024, 2, 700, false, 0 },
    { "compat=0.10,cluster_size=4k", 1024, 8, 0, true, 0 },
    { "compat=1.1,cluster_size=4k,compression_type=zstd", 1024, 8, 1000, false, 0 },
    { "compat=1.1,cluster_size=2k,lazy_refcounts=on", 1024, 4, 500, false, 0 },
    { "compat=1.1,cluster_size=16k,extended_l2=on", 1024, 32, 1000, false, 0 },
    { "compat=1.1,cluster_size=64k,extended_l2=on", 2048, 128, 0, false, 0 },
    { "compat=1.1,cluster_size=64k", 2048, 128, 2048, false, 0 },
    { "compat=1.1,cluster_size=1k,preallocation=metadata", 512, 2, 0, false, 0 },
    /* Soon too large for its refcount table. */
    { "compat=1.1,cluster_size=512,refcount_bits=64", 5000, 1, 0, false, 3600 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static char folder[] = "/tmp/blk-cut-XXXXXX";
static uint64_t states;
static char logged[300];                /* by the library */

unsigned cut_roll(Scenario *sc, unsigned n)
{
    return (unsigned)rand_r(&sc->rng) % n;
}

static void remove_folder(void)
{
    static const char *const names[] = { "image", "log", "log.data" };
    char path[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void keep_image(const Scenario *sc)
{
    char name[64];
    FILE *file;

    snprintf(name, sizeof(name), "power-cut-failed-%u.qcow2", sc->seed);
    file = fopen(name, "wb");
    if (file) {
        fwrite(ram_files[IMAGE].data, 1, (size_t)ram_files[IMAGE].size, file);
        fclose(file);
    }
}

void cut_failed(Scenario *sc, const char *fmt, ...)
{
    va_list ap;

    if (ram_files[IMAGE].data) {
        keep_image(sc);
    }
    printf("seed %u (%s), moment %" PRId64 ", state '%s': ", sc->seed, sc->kind->options,
           sc->moment, sc->what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n%s\nagain: POWER_CUT_SEED=%u tests/lib/qcow2-survives-power-cuts\n", logged,
           sc->seed);
    exit(1);
}

/* ---- the image ---- */

static void read_image(Scenario *sc, const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        cut_failed(sc, "cannot open %s", path);
    }
    sc->start_size = fread(sc->start, 1, IMAGE_ROOM, file);
    fclose(file);
}

static void make_image(Scenario *sc)
{
    char path[64], command[300];

    snprintf(path, sizeof(path), "%s/image", folder);
    snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 -o %s%s %s %" PRId64,
             sc->kind->options, sc->kind->base ? " -u -b base.raw -F raw" : "", path,
             sc->kind->sectors * 512);
    if (system(command) != 0) {
        cut_failed(sc, "%s", command);
    }
    read_image(sc, path);
    shadow_fill(SHADOW_BASE, 0, sc->kind->base, sc->buf);
    ram_file_set(&ram_files[BACKING], sc->buf, (size_t)sc->kind->base * 512);
    ram_file_set(&ram_files[IMAGE], sc->start, sc->start_size);
}

static json_t *ram_file(int number)
{
    return json_pack("{s:s, s:i}", "driver", "ram-file", "number", number);
}

static BlockBackend *open_image(Scenario *sc, json_t *file, int flags)
{
    QDict *options = json_pack("{s:s, s:o}", "driver", "qcow2", "file", file);
    Error *err = NULL;
    BlockBackend *blk;

    if (sc->kind->base) {
        qdict_put(options, "backing", json_pack("{s:s, s:o}", "driver", "raw", "file",
                                                ram_file(BACKING)));
    }
    if (sc->small_caches) {
        qdict_put(options, "l2-cache-size", qint_from_int(1024));
        qdict_put(options, "l2-cache-entry-size", qint_from_int(512));
        qdict_put(options, "refcount-cache-size", qint_from_int(0));
    }
    blk = blk_new_open(NULL, NULL, options, flags | BDRV_O_CACHE_WB, &err);
    if (!blk) {
        cut_failed(sc, "cannot open it: %s", error_get_pretty(err));
    }
    return blk;
}

static json_t *logged_file(Scenario *sc)
{
    return json_pack("{s:s, s:o, s:s, s:b, s:b}", "driver", "blkdebug", "image", ram_file(IMAGE),
                     "log", sc->log, "log-data", 1, "native-fua", (int)(sc->seed >> 1 & 1));
}

/* ---- the guest ---- */

int64_t cut_now(Scenario *sc)
{
    struct stat st;

    if (stat(sc->log, &st) < 0) {
        cut_failed(sc, "there is no log");
    }
    return st.st_size;
}

typedef struct Request {
    Scenario *sc;
    ShadowOp *op;                       /* NULL: a flush */
    int64_t start;
    uint8_t *buf;
    struct iovec iov;
    QEMUIOVector qiov;
    bool pending;
} Request;

static void ended(void *opaque, int ret)
{
    Request *req = opaque;

    if (ret < 0 && (!req->op || req->op->kind != SHADOW_DISCARD)) {
        cut_failed(req->sc, "a request failed: %s", strerror(-ret));
    }
    if (req->op) {
        shadow_end(req->op, cut_now(req->sc), ret);
    } else {
        shadow_flushed(&req->sc->shadow, req->start, cut_now(req->sc));
    }
    free(req->buf);
    req->pending = false;
}

static void start_write(Request *req)
{
    Scenario *sc = req->sc;
    size_t bytes = (size_t)req->op->count * 512;

    req->buf = malloc(bytes);
    shadow_fill((int)(req->op - sc->shadow.ops), req->op->first, req->op->count, req->buf);
    req->iov = (struct iovec){ .iov_base = req->buf, .iov_len = bytes };
    qemu_iovec_init_external(&req->qiov, &req->iov, 1);
    blk_aio_pwritev(sc->blk, req->op->first * 512, &req->qiov, req->op->fua ? BDRV_REQ_FUA : 0,
                    ended, req);
}

static void start_request(Request *req)
{
    BlockBackend *blk = req->sc->blk;
    int64_t offset, bytes;
    int flags;

    req->pending = true;
    if (!req->op) {
        blk_aio_flush(blk, ended, req);
        return;
    }
    offset = req->op->first * 512;
    bytes = req->op->count * 512;
    flags = (req->op->fua ? BDRV_REQ_FUA : 0) | (cut_roll(req->sc, 2) ? BDRV_REQ_MAY_UNMAP : 0);
    switch (req->op->kind) {
    case SHADOW_WRITE:
        start_write(req);
        break;
    case SHADOW_ZERO:
        blk_aio_pwrite_zeroes(blk, offset, bytes, flags, ended, req);
        break;
    default:
        blk_aio_pdiscard(blk, offset, bytes, ended, req);
        break;
    }
}

/* A range that none of the batch touches; half of them are whole clusters, some are large. */
static bool choose_range(Scenario *sc, const Request *batch, int n, int64_t *first, int64_t *count)
{
    unsigned cluster = (unsigned)sc->kind->cluster_sectors, unit = cut_roll(sc, 2) ? cluster : 1;

    *count = unit * (1 + cut_roll(sc, unit == 1 ? 3 * cluster : 4));
    if (cut_roll(sc, 4) == 0) {
        *count += unit * cut_roll(sc, (unsigned)sc->sectors / unit / 3 + 1);
    }
    *first = unit * cut_roll(sc, (unsigned)((sc->sectors + unit - 1) / unit));
    *count = *count < sc->sectors - *first ? *count : sc->sectors - *first;
    for (int i = 0; i < n; i++) {
        const ShadowOp *op = batch[i].op;

        if (op && *first < op->first + op->count && op->first < *first + *count) {
            return false;
        }
    }
    return true;
}

static bool choose_request(Scenario *sc, Request *batch, int n)
{
    static const ShadowKind choice[] = { SHADOW_WRITE, SHADOW_WRITE, SHADOW_WRITE, SHADOW_ZERO,
                                         SHADOW_DISCARD };
    Request *req = &batch[n];
    int64_t first, count;

    *req = (Request){ .sc = sc, .start = cut_now(sc) };
    if (cut_roll(sc, 4) == 0) {
        return true;
    }
    if (!choose_range(sc, batch, n, &first, &count)) {
        return false;
    }
    req->op = shadow_begin(&sc->shadow, choice[cut_roll(sc, 5)], first, count, req->start);
    if (req->op && req->op->kind != SHADOW_DISCARD) {
        req->op->fua = cut_roll(sc, 6) == 0;
    }
    return req->op;
}

static void run_batch(Scenario *sc)
{
    Request batch[BATCH];
    int n = 0, want = 1 + (int)cut_roll(sc, BATCH);

    while (n < want && choose_request(sc, batch, n)) {
        start_request(&batch[n++]);
    }
    for (int i = 0; i < n; i++) {
        while (batch[i].pending) {
            aio_poll(qemu_get_aio_context(), true);
        }
    }
}

static void fill(Scenario *sc)
{
    Request req = { .sc = sc };

    req.op = shadow_begin(&sc->shadow, SHADOW_WRITE, 0, sc->kind->filled, cut_now(sc));
    req.op->fua = true;
    start_request(&req);
    while (req.pending) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void write_compressed(Scenario *sc)
{
    int64_t cluster = sc->kind->cluster_sectors;
    int64_t first = cut_roll(sc, (unsigned)((sc->sectors + cluster - 1) / cluster)) * cluster;
    int64_t count = cluster < sc->sectors - first ? cluster : sc->sectors - first;
    ShadowOp *op = shadow_begin(&sc->shadow, SHADOW_WRITE, first, count, cut_now(sc));
    int ret;

    if (op) {
        shadow_fill((int)(op - sc->shadow.ops), first, count, sc->buf);
        ret = blk_write_compressed(sc->blk, first, sc->buf, (int)count);
        if (ret < 0) {
            cut_failed(sc, "compressed write: %s", strerror(-ret));
        }
        shadow_end(op, cut_now(sc), ret);
    }
}

/* A bitmap forgets what is behind the disk's end, and version 2 does not know how large the disk of
 * a snapshot was. */
static void resize(Scenario *sc)
{
    int64_t old = sc->sectors, new = 1 + cut_roll(sc, (unsigned)sc->kind->sectors * 2);
    int64_t low = old < new ? old : new, high = old < new ? new : old;
    ShadowOp *op;
    int ret;

    if ((new < old && sc->bitmap_count > 0) || (sc->v2 && sc->snapshot_count > 0)) {
        return;
    }
    op = shadow_begin(&sc->shadow, SHADOW_RESIZE, low, high - low, cut_now(sc));
    if (op) {
        op->size = new;
        ret = blk_truncate(sc->blk, new * 512);
        if (ret < 0) {
            cut_failed(sc, "resizing: %s", strerror(-ret));
        }
        shadow_end(op, cut_now(sc), ret);
        sc->sectors = new;
    }
}

/* What else happens now and then; nothing else is going on meanwhile. */
typedef void Action(Scenario *sc);

static Action *const actions[] = {
    run_batch, run_batch, run_batch, run_batch, run_batch, run_batch, run_batch,
    write_compressed, write_compressed, resize, upkeep, upkeep, upkeep, upkeep, upkeep,
    upkeep,
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void run_guest(Scenario *sc)
{
    sc->what = "the guest";
    ram_files[IMAGE].delays = sc->seed & 1 ? sc->seed : 0;
    sc->blk = open_image(sc, logged_file(sc), BDRV_O_RDWR | (sc->unmap ? BDRV_O_UNMAP : 0));
    if (sc->kind->filled) {
        fill(sc);
    }
    for (int i = 0; i < STEPS; i++) {
        actions[cut_roll(sc, ACTIONS)](sc);
    }
    blk_unref(sc->blk);
    ram_files[IMAGE].delays = 0;
}

/* ---- judgement ---- */

static void judge_structure(Scenario *sc, const char *when)
{
    Qcow2Walk walk;

    qcow2_walk(ram_files[IMAGE].data, (size_t)ram_files[IMAGE].size, &walk);
    if (walk.errors > 0 && !walk.dirty) {
        cut_failed(sc, "%s: %u errors, %u leaks: %s", when, walk.errors, walk.leaks, walk.first);
    }
}

static void judge_content(Scenario *sc, BlockBackend *blk)
{
    int64_t length = blk_getlength(blk), wrong;
    char why[200];

    if (!shadow_allows_size(&sc->shadow, length / 512, sc->moment)) {
        cut_failed(sc, "the disk has %" PRId64 " sectors", length / 512);
    }
    if (blk_pread(blk, 0, sc->buf, (int)length) != length) {
        cut_failed(sc, "cannot read it");
    }
    upkeep_judge(sc, blk, length);
    wrong = shadow_compare(&sc->shadow, sc->moment, sc->buf, length / 512, why);
    if (wrong >= 0) {
        cut_failed(sc, "sector %" PRId64 ": %s", wrong, why);
    }
}

/* Life goes on: what is written now finds its place without hurting anything. */
static void write_more(Scenario *sc, BlockBackend *blk)
{
    int64_t length = blk_getlength(blk);
    int64_t offset = cut_roll(sc, (unsigned)(length / 512)) * INT64_C(512);
    int bytes = (int)(length - offset < 4096 ? length - offset : 4096);

    memset(sc->buf, 0x77, (size_t)bytes);
    if (blk_pwrite(blk, offset, sc->buf, bytes) != bytes ||
        blk_pwrite_zeroes(blk, offset / 2, bytes, BDRV_REQ_MAY_UNMAP) < 0 || blk_flush(blk) < 0) {
        cut_failed(sc, "cannot write to it");
    }
}

/* The last of those that it is asked to keep. */
static void keep_state(Scenario *sc)
{
    sc->left_size = (size_t)ram_files[IMAGE].size;
    sc->left_moment = sc->moment;
    memcpy(sc->left, ram_files[IMAGE].data, sc->left_size);
}

/* An image with wrong counts, and perhaps a repair half done: nothing is lost, and it can be
 * repaired. */
static void judge_wrecked(Scenario *sc)
{
    BlockBackend *blk = open_image(sc, ram_file(IMAGE), BDRV_O_CHECK);

    judge_content(sc, blk);
    blk_unref(blk);
    blk = open_image(sc, ram_file(IMAGE), BDRV_O_RDWR | BDRV_O_CHECK);
    upkeep_repair(sc, blk);
    upkeep_judge_check(sc, blk);
    judge_content(sc, blk);
    blk_unref(blk);
    judge_structure(sc, "after the repair");
}

/* Judges what is in ram_files[IMAGE]. */
static void judge(Scenario *sc, const char *what)
{
    bool further = states % 4 == 0, checked = states++ % 4 == 2;
    BlockBackend *blk;

    sc->what = what;
    if (sc->wrecked) {
        judge_wrecked(sc);
        return;
    }
    if (cut_roll(sc, KEEP_EVERY) == 0) {
        keep_state(sc);
    }
    judge_structure(sc, "at first");
    if (further) {
        blk = open_image(sc, ram_file(IMAGE), 0);
        upkeep_judge_snapshot(sc, blk);
        blk_unref(blk);
    }
    blk = open_image(sc, ram_file(IMAGE), BDRV_O_RDWR);
    judge_content(sc, blk);
    if (checked) {
        upkeep_judge_check(sc, blk);
    }
    if (further) {
        write_more(sc, blk);
    }
    blk_unref(blk);
    judge_structure(sc, further ? "after more writes" : "after it was open");
    if (logged[0]) {
        cut_failed(sc, "something was logged");
    }
}

/* ---- states ---- */

static int64_t *begin_state(Scenario *sc)
{
    ram_file_set(&ram_files[IMAGE], sc->cut.disk, (size_t)sc->cut.size);
    return &ram_files[IMAGE].size;
}

static void apply_whole(Scenario *sc, size_t i, int64_t *size)
{
    const CutRequest *req = sc->cut.uncertain[i];

    for (int64_t k = 0; k < cut_sectors(req); k++) {
        cut_log_apply(&sc->cut, req, k, ram_files[IMAGE].data, size);
    }
}

static void try_requests(Scenario *sc, uint64_t subset, const char *what)
{
    int64_t *size = begin_state(sc);

    for (size_t i = 0; i < sc->cut.uncertain_count; i++) {
        if (subset >> i & 1) {
            apply_whole(sc, i, size);
        }
    }
    judge(sc, what);
}

static void try_sectors(Scenario *sc, uint64_t subset)
{
    int64_t *size = begin_state(sc);
    unsigned bit = 0;

    for (size_t i = 0; i < sc->cut.uncertain_count; i++) {
        for (int64_t k = 0; k < cut_sectors(sc->cut.uncertain[i]); k++) {
            if (subset >> bit++ & 1) {
                cut_log_apply(&sc->cut, sc->cut.uncertain[i], k, ram_files[IMAGE].data, size);
            }
        }
    }
    judge(sc, "some sectors");
}

/* Some requests, in any order, one of them torn. */
static void try_random(Scenario *sc)
{
    int64_t *size = begin_state(sc);
    size_t order[CUT_MAX_UNCERTAIN], n = sc->cut.uncertain_count;
    bool keeps_order = cut_roll(sc, 2);

    for (size_t i = 0; i < n; i++) {
        size_t j = keeps_order ? i : cut_roll(sc, (unsigned)i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < n; i++) {
        const CutRequest *req = sc->cut.uncertain[order[i]];
        unsigned kind = cut_roll(sc, 4);

        for (int64_t k = 0; kind > 0 && k < cut_sectors(req); k++) {
            if (kind > 1 || cut_roll(sc, 2)) {
                cut_log_apply(&sc->cut, req, k, ram_files[IMAGE].data, size);
            }
        }
    }
    judge(sc, "reordered and torn");
}

static void try_all_subsets(Scenario *sc)
{
    uint64_t n = sc->cut.uncertain_count;
    int64_t sectors = 0;

    for (size_t i = 0; i < n; i++) {
        sectors += cut_sectors(sc->cut.uncertain[i]);
    }
    if (sectors <= EXHAUSTIVE_BITS) {
        for (uint64_t subset = 0; subset < UINT64_C(1) << sectors; subset++) {
            try_sectors(sc, subset);
        }
    } else if (n <= EXHAUSTIVE_BITS) {
        for (uint64_t subset = 0; subset < UINT64_C(1) << n; subset++) {
            try_requests(sc, subset, "some requests");
        }
    }
}

/* Of this moment of the log. */
static void try_states(Scenario *sc, int64_t moment)
{
    cut_log_advance(&sc->cut, moment);
    try_requests(sc, 0, "all lost");
    if (sc->cut.uncertain_count == 0) {
        return;
    }
    try_requests(sc, UINT64_MAX, "nothing lost");
    for (int i = 0; i < RANDOM_STATES; i++) {
        try_random(sc);
    }
    if (cut_roll(sc, EXHAUSTIVE_EVERY) == 0) {
        try_all_subsets(sc);
    }
}

/* ---- scenarios ---- */

static void try_guest(Scenario *sc)
{
    run_guest(sc);
    cut_log_open(&sc->cut, sc->log, sc->start, sc->start_size, IMAGE_ROOM);
    for (size_t i = 0; i < sc->cut.moment_count; i++) {
        sc->moment = sc->cut.moments[i];
        try_states(sc, sc->moment);
    }
    cut_log_close(&sc->cut);
}

/* No cluster is counted, or all those of one refcount block are counted wrongly. */
static void wreck_counts(Scenario *sc)
{
    uint64_t table = load_be64(sc->left + 48), block = load_be64(sc->left + table);

    if (cut_roll(sc, 2)) {
        memset(sc->left + table, 0, 8);
    } else {
        memset(sc->left + block, (int)cut_roll(sc, 2), (size_t)sc->kind->cluster_sectors * 512);
    }
    sc->wrecked = true;
}

/* The power fails again while a state that it left is opened, repaired and closed. */
static void try_repair(Scenario *sc)
{
    sc->what = "the repair";
    sc->moment = sc->left_moment;
    if (sc->seed % 2) {
        wreck_counts(sc);
    }
    ram_file_set(&ram_files[IMAGE], sc->left, sc->left_size);
    memcpy(sc->start, sc->left, sc->left_size);
    sc->start_size = sc->left_size;
    sc->blk = open_image(sc, logged_file(sc), BDRV_O_RDWR | BDRV_O_CHECK);
    upkeep_repair(sc, sc->blk);
    blk_unref(sc->blk);
    cut_log_open(&sc->cut, sc->log, sc->start, sc->start_size, IMAGE_ROOM);
    for (size_t i = 0; i < sc->cut.moment_count; i++) {
        try_states(sc, sc->cut.moments[i]);
    }
    cut_log_close(&sc->cut);
}

static void run_scenario(unsigned seed)
{
    Scenario sc = { .seed = seed, .rng = seed * 2654435761u, .what = "preparation" };

    sc.kind = &kinds[seed % KINDS];
    sc.small_caches = cut_roll(&sc, 2);
    sc.unmap = cut_roll(&sc, 2);
    sc.sectors = sc.kind->sectors;
    sc.v2 = sc.kind->v2;
    sc.start = malloc(IMAGE_ROOM);
    sc.left = malloc(IMAGE_ROOM);
    sc.buf = malloc(MAX_SECTORS * 512);
    snprintf(sc.log, sizeof(sc.log), "%s/log", folder);
    shadow_init(&sc.shadow, sc.sectors, sc.kind->base);
    make_image(&sc);
    try_guest(&sc);
    if (sc.left_size > 0) {
        try_repair(&sc);
    }
    shadow_free(&sc.shadow);
    upkeep_free(&sc);
    free(sc.start);
    free(sc.left);
    free(sc.buf);
}

static void note(void *opaque, const char *message)
{
    (void)opaque;
    snprintf(logged, sizeof(logged), "%s", message);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    unsigned first = (unsigned)number_from("POWER_CUT_SEED", 1), seed = first;
    uint64_t want = number_from("POWER_CUT_STATES", 3000);

    if (system("qemu-img --version >/dev/null 2>&1") != 0) {
        printf("there is no qemu-img\n");
        return 77;
    }
    if (!mkdtemp(folder)) {
        perror(folder);
        return 1;
    }
    atexit(remove_folder);
    blkbackend_set_log_fn(note, NULL);
    qemu_init_main_loop(&error_fatal);
    while (states < want || seed < first + KINDS) {
        run_scenario(seed++);
    }
    printf("%" PRIu64 " states of %u scenarios\n", states, seed - first);
    return want >= LONG_RUN && !upkeep_report();
}
