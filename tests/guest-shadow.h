/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest may find on its disk after a power cut: of each sector what was on stable storage,
 * or anything that it wrote there since.
 *
 * A sector that the guest writes names itself and the operation that wrote it.  Moments are those
 * of cut-log.h.
 */
#ifndef TESTS_GUEST_SHADOW_H
#define TESTS_GUEST_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_SECTOR 512
#define SHADOW_OPS 62
#define SHADOW_BASE 63                  /* the operation that wrote the backing file */

typedef enum {
    SHADOW_WRITE, SHADOW_ZERO, SHADOW_DISCARD, SHADOW_RESIZE,
    SHADOW_EMPTY,                       /* all of the disk shows the backing file */
    SHADOW_GOTO,                        /* all of the disk is as it was */
} ShadowKind;

/* A whole disk at one time. */
typedef struct ShadowContent {
    int64_t size;                       /* sectors */
    uint64_t *values;                   /* of each, one bit */
} ShadowContent;

typedef struct ShadowOp {
    ShadowKind kind;
    int64_t first, count;               /* sectors; of a resize those that come or go */
    int64_t size;                       /* of a resize or goto: sectors of the disk afterwards */
    const ShadowContent *content;       /* of a goto */
    bool fua;
    int64_t start, end, certain;        /* moments */
} ShadowOp;

typedef struct Shadow {
    ShadowOp ops[SHADOW_OPS];
    int count;
    int64_t size;                       /* sectors at the start */
    int64_t base;                       /* sectors of the backing file */
    uint64_t *allowed;                  /* a sector: whose values it may have, as bits; */
    int64_t allowed_at, allowed_size;   /* at this moment, if the disk has so many sectors */
} Shadow;

void shadow_init(Shadow *shadow, int64_t size, int64_t base);
void shadow_free(Shadow *shadow);
/* Writes the sectors' content as of operation `op`. */
void shadow_fill(int op, int64_t first, int64_t count, uint8_t *buf);
/* NULL: there have been too many. */
ShadowOp *shadow_begin(Shadow *shadow, ShadowKind kind, int64_t first, int64_t count,
                       int64_t moment);
void shadow_end(ShadowOp *op, int64_t moment, int ret);
/* A flush that began at `start` has ended with success. */
void shadow_flushed(Shadow *shadow, int64_t start, int64_t moment);
bool shadow_allows_size(const Shadow *shadow, int64_t sectors, int64_t moment);
/* What a disk of so many sectors holds; *wrong: the first sector that holds nothing of ours, -1 if
 * there is none. */
ShadowContent shadow_content(const uint8_t *disk, int64_t sectors, int64_t *wrong);
/* Of a bit in there: the operation that wrote it; -1: none did. */
int shadow_writer(uint64_t value);
/* The first sector of the disk that holds what it may not; -1: none.  why: 200 bytes. */
int64_t shadow_compare(Shadow *shadow, int64_t moment, const uint8_t *disk, int64_t sectors,
                       char *why);

#endif
