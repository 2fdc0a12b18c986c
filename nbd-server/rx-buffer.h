/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client has sent and nobody has looked at yet.
 *
 *   chunk:  | parsed; payloads in use | unparsed: pos..end | room |
 *
 * Requests point into the chunk and hold references to it, so that payload is
 * written from where the socket put it.  A chunk with references is never
 * rewritten: what comes next goes behind, or into another chunk.
 */
#ifndef NBD_EXPORT_RX_BUFFER_H
#define NBD_EXPORT_RX_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"

#define RX_CHUNK_SIZE (256u << 10)

typedef struct RxChunk {
    unsigned refs;
    Budget *budget;             /* pays RX_CHUNK_SIZE for it */
    struct RxChunk *next_free;
    uint8_t data[];
} RxChunk;

#define RX_CHUNK_ROOM (RX_CHUNK_SIZE - sizeof(RxChunk))

typedef struct RxBuffer {
    RxChunk *chunk;             /* NULL: empty */
    size_t pos, end;
    uint64_t consumed;          /* bytes taken out, ever */
} RxBuffer;

static inline size_t rx_have(const RxBuffer *rx)
{
    return rx->end - rx->pos;
}

static inline uint8_t *rx_data(const RxBuffer *rx)
{
    return rx->chunk->data + rx->pos;
}

static inline void rx_consume(RxBuffer *rx, size_t n)
{
    rx->pos += n;
    rx->consumed += n;
}

/* Bytes that may be received at rx_room_at(). */
static inline size_t rx_room(const RxBuffer *rx)
{
    return RX_CHUNK_ROOM - rx->end;
}

static inline uint8_t *rx_room_at(const RxBuffer *rx)
{
    return rx->chunk->data + rx->end;
}

/* True if the present chunk has room for a message of `need` bytes from pos on, after moving
 * things about; else rx_replace() is called for. */
bool rx_make_room(RxBuffer *rx, size_t need);
/* Goes on in a new chunk, which `budget` has paid for; false for lack of memory. */
bool rx_replace(RxBuffer *rx, Budget *budget);
/* Gives the chunk back if it holds nothing: before a wait. */
void rx_release_if_empty(RxBuffer *rx);
void rx_free(RxBuffer *rx);

RxChunk *rx_chunk_ref(RxChunk *chunk);
void rx_chunk_unref(RxChunk *chunk);   /* NULL is fine */
void rx_pool_release(void);            /* frees this thread's unused chunks */

#endif
