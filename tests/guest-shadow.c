/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest may find on its disk after a power cut, see guest-shadow.h. */
#include "tests/guest-shadow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (SHADOW_SECTOR / sizeof(uint64_t))
#define MARK UINT64_C(0x5e00000000000000)
#define MOST_SECTORS 16384
#define ALLOW_ZERO (UINT64_C(1) << SHADOW_OPS)
#define ALLOW_BASE (UINT64_C(1) << SHADOW_BASE)

static uint64_t word_of(int op, int64_t sector)
{
    return MARK | (uint64_t)op << 32 | (uint64_t)sector;
}

void shadow_init(Shadow *shadow, int64_t size, int64_t base)
{
    *shadow = (Shadow){ .size = size, .base = base };
    shadow->allowed = calloc(MOST_SECTORS, sizeof(shadow->allowed[0]));
    if (!shadow->allowed) {
        abort();
    }
}

void shadow_free(Shadow *shadow)
{
    free(shadow->allowed);
}

void shadow_fill(int op, int64_t first, int64_t count, uint8_t *buf)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t word = word_of(op, first + i);

        for (size_t k = 0; k < WORDS; k++, buf += sizeof(word)) {
            memcpy(buf, &word, sizeof(word));
        }
    }
}

/* ---- what the guest does ---- */

ShadowOp *shadow_begin(Shadow *shadow, ShadowKind kind, int64_t first, int64_t count,
                       int64_t moment)
{
    ShadowOp *op = &shadow->ops[shadow->count];

    if (shadow->count == SHADOW_OPS) {
        return NULL;
    }
    if (first + count > MOST_SECTORS) {
        abort();
    }
    *op = (ShadowOp){ .kind = kind, .first = first, .count = count, .start = moment,
                      .end = INT64_MAX, .certain = INT64_MAX };
    shadow->count++;
    return op;
}

void shadow_end(ShadowOp *op, int64_t moment, int ret)
{
    if (ret >= 0) {
        op->end = moment;
        op->certain = op->fua ? moment : INT64_MAX;
    }
}

void shadow_flushed(Shadow *shadow, int64_t start, int64_t moment)
{
    for (int i = 0; i < shadow->count; i++) {
        ShadowOp *op = &shadow->ops[i];

        if (op->end <= start && op->certain == INT64_MAX) {
            op->certain = moment;
        }
    }
}

/* ---- what it may find ---- */

static bool shrinks(const ShadowOp *op)
{
    return op->kind == SHADOW_RESIZE && op->size == op->first;
}

/* What a discarded sector holds is anybody's guess, and so with one that was cut off. */
static bool decides(const ShadowOp *op)
{
    return op->kind != SHADOW_DISCARD && !shrinks(op);
}

static uint64_t bits_of(const Shadow *shadow, int i, int64_t sector)
{
    const ShadowOp *op = &shadow->ops[i];

    switch (op->kind) {
    case SHADOW_WRITE:
        return UINT64_C(1) << i;
    case SHADOW_EMPTY:
        return sector < shadow->base ? ALLOW_BASE : ALLOW_ZERO;
    case SHADOW_GOTO:
        return sector < op->content->size ? op->content->values[sector] : ALLOW_ZERO | ALLOW_BASE;
    default:
        return shrinks(op) ? ALLOW_ZERO | ALLOW_BASE : ALLOW_ZERO;
    }
}

static bool sets_size(const ShadowOp *op)
{
    return op->kind == SHADOW_RESIZE || op->kind == SHADOW_GOTO;
}

/* The one operation that can have made the disk as large as it is; NULL: there are several. */
static const ShadowOp *who_resized(const Shadow *shadow, int64_t moment, int64_t size)
{
    const ShadowOp *found = NULL;

    for (int i = 0; i < shadow->count; i++) {
        const ShadowOp *op = &shadow->ops[i];

        if (sets_size(op) && op->start <= moment && op->size == size) {
            if (found) {
                return NULL;
            }
            found = op;
        }
    }
    return size == shadow->size ? NULL : found;
}

static uint64_t allowed_in(const Shadow *shadow, int64_t sector, int64_t moment,
                           const ShadowOp *seen)
{
    uint64_t bits = sector < shadow->base ? ALLOW_BASE : ALLOW_ZERO;
    int64_t since = -1;

    for (int i = 0; i < shadow->count; i++) {
        const ShadowOp *op = &shadow->ops[i];

        if (sector >= op->first && sector < op->first + op->count &&
            (op->certain <= moment || op == seen) && decides(op)) {
            since = op->start;
            bits = bits_of(shadow, i, sector);
        }
    }
    for (int i = 0; i < shadow->count; i++) {
        const ShadowOp *op = &shadow->ops[i];

        if (sector >= op->first && sector < op->first + op->count && op->start <= moment &&
            op->end > since) {
            bits |= bits_of(shadow, i, sector);
        }
    }
    return bits;
}

/* A new size that shows has brought the zeroes with it. */
static void find_allowed(Shadow *shadow, int64_t moment, int64_t size)
{
    const ShadowOp *seen = who_resized(shadow, moment, size);

    if (shadow->allowed_at == moment && shadow->allowed_size == size) {
        return;
    }
    for (int64_t i = 0; i < size; i++) {
        shadow->allowed[i] = allowed_in(shadow, i, moment, seen);
    }
    shadow->allowed_at = moment;
    shadow->allowed_size = size;
}

bool shadow_allows_size(const Shadow *shadow, int64_t sectors, int64_t moment)
{
    bool allowed = sectors == shadow->size;

    for (int i = 0; i < shadow->count; i++) {
        const ShadowOp *op = &shadow->ops[i];

        if (sets_size(op) && op->start <= moment) {
            allowed = (allowed && op->certain > moment) || sectors == op->size;
        }
    }
    return allowed;
}

/* 0: nothing that anybody wrote. */
static uint64_t bit_of_content(const uint8_t *disk, int64_t sector)
{
    uint64_t word;

    memcpy(&word, disk, sizeof(word));
    if (memcmp(disk, disk + sizeof(word), SHADOW_SECTOR - sizeof(word)) != 0) {
        return 0;
    }
    if (word == 0) {
        return ALLOW_ZERO;
    }
    return (word & 0xffffffff) == (uint64_t)sector && word >> 56 == MARK >> 56
           ? UINT64_C(1) << (word >> 32 & 63) : 0;
}

static void describe(const uint8_t *disk, uint64_t allowed, char *why)
{
    uint64_t word, other;

    memcpy(&word, disk, sizeof(word));
    memcpy(&other, disk, sizeof(other));
    for (size_t k = 1; k < WORDS && other == word; k++) {
        memcpy(&other, disk + k * sizeof(word), sizeof(other));
    }
    snprintf(why, 200, "it holds %#" PRIx64 "%s; allowed: %#" PRIx64, word,
             other == word ? "" : " and something else", allowed);
}

ShadowContent shadow_content(const uint8_t *disk, int64_t sectors, int64_t *wrong)
{
    ShadowContent content = { .size = sectors };

    content.values = calloc((size_t)sectors + 1, sizeof(content.values[0]));
    if (!content.values) {
        abort();
    }
    *wrong = -1;
    for (int64_t i = 0; i < sectors; i++) {
        content.values[i] = bit_of_content(disk + i * SHADOW_SECTOR, i);
        *wrong = content.values[i] || *wrong >= 0 ? *wrong : i;
    }
    return content;
}

int shadow_writer(uint64_t value)
{
    return value && value < ALLOW_ZERO ? __builtin_ctzll(value) : -1;
}

int64_t shadow_compare(Shadow *shadow, int64_t moment, const uint8_t *disk, int64_t sectors,
                       char *why)
{
    find_allowed(shadow, moment, sectors);
    for (int64_t i = 0; i < sectors; i++) {
        uint64_t bit = bit_of_content(disk + i * SHADOW_SECTOR, i);

        if (!(bit & shadow->allowed[i])) {
            describe(disk + i * SHADOW_SECTOR, shadow->allowed[i], why);
            return i;
        }
    }
    return -1;
}
