/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Receive buffers and the per-thread stock of chunks that they are made of. */
#include <string.h>

#include "data-pool.h"
#include "rx-buffer.h"

#define FREE_MAX 8               /* chunks that a thread keeps */
#define ROOM_MIN (16u << 10)     /* less is not worth a recv */

static _Thread_local RxChunk *free_chunks;   /* last in, first out: the hottest comes first */
static _Thread_local unsigned n_free;

static RxChunk *chunk_new(Budget *budget)
{
    RxChunk *chunk = free_chunks;

    if (chunk) {
        free_chunks = chunk->next_free;
        n_free--;
    } else {
        chunk = pages_get(RX_CHUNK_SIZE);
        if (!chunk) {
            return NULL;
        }
    }
    chunk->refs = 1;
    chunk->budget = budget;
    return chunk;
}

RxChunk *rx_chunk_ref(RxChunk *chunk)
{
    chunk->refs++;
    return chunk;
}

void rx_chunk_unref(RxChunk *chunk)
{
    if (!chunk || --chunk->refs > 0) {
        return;
    }
    budget_give(chunk->budget, RX_CHUNK_SIZE);
    if (n_free < FREE_MAX) {
        chunk->next_free = free_chunks;
        free_chunks = chunk;
        n_free++;
    } else {
        pages_put(chunk, RX_CHUNK_SIZE);
    }
}

void rx_pool_release(void)
{
    while (free_chunks) {
        RxChunk *chunk = free_chunks;

        free_chunks = chunk->next_free;
        pages_put(chunk, RX_CHUNK_SIZE);
    }
    n_free = 0;
}

bool rx_make_room(RxBuffer *rx, size_t need)
{
    if (!rx->chunk) {
        return false;
    }
    if (rx->chunk->refs == 1 && rx->pos == rx->end) {
        rx->pos = rx->end = 0;
        return true;
    }
    if (RX_CHUNK_ROOM - rx->pos >= need && rx_room(rx) >= ROOM_MIN) {
        return true;
    }
    if (rx->chunk->refs == 1 && rx->pos > 0) {
        memmove(rx->chunk->data, rx_data(rx), rx_have(rx));
        rx->end -= rx->pos;
        rx->pos = 0;
        return true;
    }
    return false;
}

bool rx_replace(RxBuffer *rx, Budget *budget)
{
    RxChunk *chunk = chunk_new(budget);
    size_t have = rx_have(rx);

    if (!chunk) {
        return false;
    }
    if (have > 0) {
        memcpy(chunk->data, rx_data(rx), have);
    }
    rx_chunk_unref(rx->chunk);
    rx->chunk = chunk;
    rx->pos = 0;
    rx->end = have;
    return true;
}

void rx_release_if_empty(RxBuffer *rx)
{
    if (rx->pos == rx->end) {
        rx_free(rx);
    }
}

void rx_free(RxBuffer *rx)
{
    rx_chunk_unref(rx->chunk);
    rx->chunk = NULL;
    rx->pos = rx->end = 0;
}
