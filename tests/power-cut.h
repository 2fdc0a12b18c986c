/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scenario of qcow2-survives-power-cuts, for its parts. */
#ifndef TESTS_POWER_CUT_H
#define TESTS_POWER_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blkbackend/block-backend.h>

#include "tests/cut-log.h"
#include "tests/guest-shadow.h"

#define MAX_SECTORS 16384
#define MOST_SNAPSHOTS 6
#define MOST_BITMAPS 4

typedef struct Kind {
    const char *options;
    int64_t sectors, cluster_sectors, base;
    bool v2;
    int64_t filled;                     /* sectors that the guest writes first of all */
} Kind;

/* Moments: of its being there, possibly and certainly, and of its being gone. */
typedef struct CutSnapshot {
    int64_t create_start, create_end, delete_start, delete_end;
    ShadowContent content;
    int vm_state;                       /* bytes, each of the snapshot's number */
} CutSnapshot;

typedef struct Scenario {
    const Kind *kind;
    unsigned seed, rng;
    bool small_caches, unmap, v2;
    bool wrecked;                       /* its counts are wrong */
    int64_t sectors;                    /* of the disk now */
    BlockBackend *blk;
    uint8_t *start;                     /* the image before the guest came */
    size_t start_size;
    Shadow shadow;
    CutSnapshot snapshots[MOST_SNAPSHOTS];
    int snapshot_count;
    int bitmaps[MOST_BITMAPS];          /* first operation that each has seen */
    int bitmap_count;
    char log[64];
    CutLog cut;
    uint8_t *buf;                       /* MAX_SECTORS */
    int64_t moment;                     /* of the state under test */
    const char *what;                   /* kind of state */
    uint8_t *left;                      /* a state that is kept for later; its size and moment */
    size_t left_size;
    int64_t left_moment;
} Scenario;

/* Below n. */
unsigned cut_roll(Scenario *sc, unsigned n);
/* The moment that it is. */
int64_t cut_now(Scenario *sc);
/* Says what went wrong and how to see it again, and keeps the image. */
void __attribute__((format(printf, 2, 3), noreturn)) cut_failed(Scenario *sc, const char *fmt, ...);

/* power-cut-upkeep.c: what else than a guest's requests happens to images; nothing else is going
 * on meanwhile. */
void upkeep(Scenario *sc);
/* How often each was done; false: one never was. */
bool upkeep_report(void);
/* Snapshots and bitmaps in a state; sc->buf is what the disk shows, `size` bytes. */
void upkeep_judge(Scenario *sc, BlockBackend *blk, int64_t size);
/* A snapshot's content; blk is for that alone, and read-only. */
void upkeep_judge_snapshot(Scenario *sc, BlockBackend *blk);
/* A check of a state, and its repair. */
void upkeep_judge_check(Scenario *sc, BlockBackend *blk);
/* All that can be repaired of it, which is all. */
void upkeep_repair(Scenario *sc, BlockBackend *blk);
void upkeep_free(Scenario *sc);

#endif
