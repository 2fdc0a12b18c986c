/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bits that many threads set at once: words in chunks, changed by atomic operations alone. */
#include "graph/dirty-bits.h"

#include <stdlib.h>

#define WORD_BITS 64u
#define CHUNK_WORDS 32768u
#define CHUNK_BITS ((uint64_t)CHUNK_WORDS * WORD_BITS)
#define CHUNKS (DIRTY_BITS_MAX / CHUNK_BITS)

struct DirtyChunk {
    _Atomic uint64_t words[CHUNK_WORDS];
};

/* ---- chunks ---- */

static DirtyChunk *find_chunk(const DirtyBits *bits, uint64_t index)
{
    _Atomic(DirtyChunk *) *chunks = atomic_load_explicit(&bits->chunks, memory_order_acquire);

    return chunks ? atomic_load_explicit(&chunks[index], memory_order_acquire) : NULL;
}

static _Atomic(DirtyChunk *) *get_chunks(DirtyBits *bits)
{
    _Atomic(DirtyChunk *) *chunks = atomic_load_explicit(&bits->chunks, memory_order_acquire);
    _Atomic(DirtyChunk *) *fresh;

    if (chunks) {
        return chunks;
    }
    fresh = calloc(CHUNKS, sizeof(fresh[0]));
    if (fresh && !atomic_compare_exchange_strong(&bits->chunks, &chunks, fresh)) {
        free(fresh);   /* another thread was faster */
        fresh = chunks;
    }
    return fresh;
}

/* NULL: no memory. */
static DirtyChunk *get_chunk(DirtyBits *bits, uint64_t index)
{
    DirtyChunk *chunk = find_chunk(bits, index), *fresh;
    _Atomic(DirtyChunk *) *chunks;

    if (chunk) {
        return chunk;
    }
    chunks = get_chunks(bits);
    fresh = chunks ? calloc(1, sizeof(*fresh)) : NULL;
    if (fresh && !atomic_compare_exchange_strong(&chunks[index], &chunk, fresh)) {
        free(fresh);
        fresh = chunk;
    }
    return fresh;
}

void dirty_bits_destroy(DirtyBits *bits)
{
    _Atomic(DirtyChunk *) *chunks = atomic_load(&bits->chunks);

    for (uint64_t i = 0; chunks && i < CHUNKS; i++) {
        free(atomic_load(&chunks[i]));
    }
    free(chunks);
    atomic_store(&bits->chunks, NULL);
}

/* ---- ranges ---- */

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The bits of word `index` that are in [from, to). */
static uint64_t mask_of(uint64_t index, uint64_t from, uint64_t to)
{
    uint64_t start = index * WORD_BITS, mask = UINT64_MAX;

    if (from > start) {
        mask <<= from - start;
    }
    if (to < start + WORD_BITS) {
        mask &= (UINT64_C(1) << (to - start)) - 1;
    }
    return mask;
}

/* What is set already need not be written: its cache line stays with all who look at it. */
static void set_in_word(_Atomic uint64_t *word, uint64_t mask)
{
    if ((atomic_load_explicit(word, memory_order_relaxed) & mask) != mask) {
        atomic_fetch_or(word, mask);
    }
}

bool dirty_bits_set(DirtyBits *bits, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t index = from / CHUNK_BITS, first = from / WORD_BITS;
        uint64_t end = min_of(to, (index + 1) * CHUNK_BITS);
        DirtyChunk *chunk = get_chunk(bits, index);

        if (!chunk) {
            return false;
        }
        for (uint64_t i = first; i * WORD_BITS < end; i++) {
            set_in_word(&chunk->words[i % CHUNK_WORDS], mask_of(i, from, end));
        }
        from = end;
    }
    return true;
}

void dirty_bits_reset(DirtyBits *bits, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t index = from / CHUNK_BITS, first = from / WORD_BITS;
        uint64_t end = min_of(to, (index + 1) * CHUNK_BITS);
        DirtyChunk *chunk = find_chunk(bits, index);

        for (uint64_t i = first; chunk && i * WORD_BITS < end; i++) {
            atomic_fetch_and(&chunk->words[i % CHUNK_WORDS], ~mask_of(i, from, end));
        }
        from = end;
    }
}

/* ---- reading ---- */

uint64_t dirty_bits_word(const DirtyBits *bits, uint64_t index)
{
    DirtyChunk *chunk = find_chunk(bits, index / CHUNK_WORDS);

    return chunk ? atomic_load(&chunk->words[index % CHUNK_WORDS]) : 0;
}

bool dirty_bits_set_word(DirtyBits *bits, uint64_t index, uint64_t word)
{
    DirtyChunk *chunk = word ? get_chunk(bits, index / CHUNK_WORDS) : NULL;

    if (chunk) {
        set_in_word(&chunk->words[index % CHUNK_WORDS], word);
    }
    return chunk || word == 0;
}

static uint64_t next_in_chunk(const DirtyChunk *chunk, uint64_t from, uint64_t end, bool set)
{
    for (uint64_t i = from / WORD_BITS; i * WORD_BITS < end; i++) {
        uint64_t word = atomic_load(&chunk->words[i % CHUNK_WORDS]);

        word = (set ? word : ~word) & mask_of(i, from, end);
        if (word) {
            return i * WORD_BITS + (uint64_t)__builtin_ctzll(word);
        }
    }
    return end;
}

uint64_t dirty_bits_next(const DirtyBits *bits, uint64_t from, uint64_t to, bool set)
{
    while (from < to) {
        uint64_t index = from / CHUNK_BITS, end = min_of(to, (index + 1) * CHUNK_BITS), found;
        DirtyChunk *chunk = find_chunk(bits, index);

        if (!chunk && !set) {
            return from;
        }
        found = chunk ? next_in_chunk(chunk, from, end, set) : end;
        if (found < end) {
            return found;
        }
        from = end;
    }
    return to;
}

uint64_t dirty_bits_count(const DirtyBits *bits)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < CHUNKS; i++) {
        DirtyChunk *chunk = find_chunk(bits, i);

        for (uint32_t w = 0; chunk && w < CHUNK_WORDS; w++) {
            count += (uint64_t)__builtin_popcountll(
                atomic_load_explicit(&chunk->words[w], memory_order_relaxed));
        }
    }
    return count;
}
