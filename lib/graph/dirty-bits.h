/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of up to 2^32 numbers, kept as bits in chunks that appear when the
 * first of their bits is set.  Many threads may change and read it at once,
 * without a lock: nothing ever moves.
 */
#ifndef BLKBACKEND_DIRTY_BITS_H
#define BLKBACKEND_DIRTY_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DIRTY_BITS_MAX (UINT64_C(1) << 32)

typedef struct DirtyChunk DirtyChunk;
typedef struct DirtyBits {
    _Atomic(_Atomic(DirtyChunk *) *) chunks;
} DirtyBits;

/* All zeroes is a set that is empty. */
void dirty_bits_destroy(DirtyBits *bits);
/* Of [from, to): sets them (false: no memory, some may be set), or resets them. */
bool dirty_bits_set(DirtyBits *bits, uint64_t from, uint64_t to);
void dirty_bits_reset(DirtyBits *bits, uint64_t from, uint64_t to);
/* The first in [from, to) that is set, or is not; `to` if there is none. */
uint64_t dirty_bits_next(const DirtyBits *bits, uint64_t from, uint64_t to, bool set);
uint64_t dirty_bits_count(const DirtyBits *bits);
/* 64 of them, from 64 * index on; set_word adds to what is set; false: no memory. */
uint64_t dirty_bits_word(const DirtyBits *bits, uint64_t index);
bool dirty_bits_set_word(DirtyBits *bits, uint64_t index, uint64_t word);

#endif
