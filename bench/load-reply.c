/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies, parsed as a stream out of a large buffer; every rule of the protocol that a load
 * can meet is held against them.
 */
#include "bench/load.h"

#include <string.h>

#define SIMPLE_LEN sizeof(struct nbd_simple_reply)
#define CHUNK_LEN sizeof(struct nbd_structured_reply)

typedef unsigned long long ull;

static void expect_head(struct conn *c)
{
    c->ps = P_HEAD;
    c->head_n = 0;
    c->head_want = SIMPLE_LEN;
}

static void finish(struct conn *c, struct slot *s, uint64_t now)
{
    if (!s->failed && s->cmd == NBD_CMD_READ && s->covered != o.bs) {
        fatal(c, EX_PROTO, "short data: READ at %llu answered with %llu of %llu bytes",
              (ull)s->off, (ull)s->covered, (ull)o.bs);
    }
    if (o.verify && s->cmd != NBD_CMD_FLUSH) {
        verify_finish(c, s);
    }
    c->errors += s->failed;
    if (c->stage == ST_RUN &&
        atomic_load_explicit(&phase, memory_order_relaxed) == PHASE_MEASURED) {
        c->ops += !s->failed;
        hist_add(&c->hist, now - s->sent_ns);
    }
    c->n_rep++;
    s->busy = false;
    c->free_slots[c->nfree++] = (unsigned)(s - c->slots);
    c->inflight--;
}

static void note_error(struct conn *c, struct slot *s, uint32_t error)
{
    s->failed = true;
    if (!c->first_error) {
        c->first_error = error;
    }
}

static struct slot *lookup(struct conn *c, uint64_t cookie)
{
    uint64_t index = cookie & UINT32_MAX;

    if (index >= o.qd || !c->slots[index].busy || c->slots[index].gen != (uint32_t)(cookie >> 32)) {
        fatal(c, EX_PROTO, "unknown cookie %016llx", (ull)cookie);
    }
    return &c->slots[index];
}

static void on_simple_reply(struct conn *c, uint64_t now)
{
    uint32_t error = load_be32(c->head + 4);
    struct slot *s = lookup(c, load_be64(c->head + 8));

    expect_head(c);
    if (c->structured && s->cmd == NBD_CMD_READ) {
        fatal(c, EX_PROTO, "simple reply to READ although structured replies were negotiated");
    }
    if (s->covered) {
        fatal(c, EX_PROTO, "simple reply after structured chunks");
    }
    if (error) {
        note_error(c, s, error);
    } else if (s->cmd == NBD_CMD_READ) {
        c->cur = s;
        c->cur_done = true;
        c->cur_counted = false;
        c->data_off = s->off;
        c->data_left = o.bs;
        c->ps = P_DATA;
        return;
    }
    finish(c, s, now);
}

/* A data or hole chunk, complete up to its data.  True if data follows. */
static bool on_content(struct conn *c, struct slot *s, uint16_t type, uint32_t len)
{
    uint64_t off = load_be64(c->head + CHUNK_LEN);
    bool hole = type == NBD_REPLY_TYPE_OFFSET_HOLE;
    uint64_t n = hole ? load_be32(c->head + CHUNK_LEN + 8) : len - 8;

    if (hole && len != sizeof(struct nbd_chunk_offset_hole)) {
        fatal(c, EX_PROTO, "HOLE chunk with %u bytes", len);
    }
    if (s->cmd != NBD_CMD_READ || n == 0) {
        fatal(c, EX_PROTO, "content chunk of %llu bytes for command %u", (ull)n, s->cmd);
    }
    if (off < s->off || n > o.bs || off - s->off > o.bs - n) {
        fatal(c, EX_PROTO, "chunk [%llu,+%llu) outside READ [%llu,+%llu)", (ull)off, (ull)n,
              (ull)s->off, (ull)o.bs);
    }
    s->covered += n;
    if (s->covered > o.bs) {
        fatal(c, EX_PROTO, "overlapping content chunks");
    }
    if (hole) {
        if (s->check) {
            verify_data(c, s, off, NULL, n);
        }
        return false;
    }
    c->data_off = off;
    c->data_left = n;
    c->cur_counted = true;
    c->ps = P_DATA;
    return true;
}

/* An error chunk, complete up to its message.  True if more of it follows. */
static bool on_error(struct conn *c, struct slot *s, uint32_t len)
{
    uint32_t error = load_be32(c->head + CHUNK_LEN);

    if (!error) {
        fatal(c, EX_PROTO, "error chunk with error 0");
    }
    if (load_be16(c->head + CHUNK_LEN + 4) + sizeof(struct nbd_chunk_error) > len) {
        fatal(c, EX_PROTO, "the error chunk's message overruns it");
    }
    note_error(c, s, error);
    c->extra_left = len - sizeof(struct nbd_chunk_error);
    if (c->extra_left) {
        c->ps = P_EXTRA;
        return true;
    }
    return false;
}

/* Bytes of a chunk that are needed to know what follows. */
static unsigned fixed_part(uint16_t type)
{
    if (type == NBD_REPLY_TYPE_OFFSET_DATA) {
        return sizeof(struct nbd_chunk_offset_data);
    }
    if (type == NBD_REPLY_TYPE_OFFSET_HOLE) {
        return sizeof(struct nbd_chunk_offset_hole);
    }
    return type & NBD_REPLY_TYPE_ERR(0) ? sizeof(struct nbd_chunk_error) : 0;
}

static void on_chunk(struct conn *c, uint64_t now)
{
    uint16_t flags = load_be16(c->head + 4), type = load_be16(c->head + 6);
    uint32_t len = load_be32(c->head + 16);
    struct slot *s = lookup(c, load_be64(c->head + 8));
    unsigned fixed = fixed_part(type);
    bool more = false;

    if (c->head_want == CHUNK_LEN) {
        bool bad_none = type == NBD_REPLY_TYPE_NONE && (len || !(flags & NBD_REPLY_FLAG_DONE));

        if (len < fixed || bad_none) {
            fatal(c, EX_PROTO, "chunk of type %u with %u bytes, flags %#x", type, len, flags);
        }
        if (fixed) {
            c->head_want += fixed;
            return;
        }
    }
    expect_head(c);
    c->cur = s;
    c->cur_done = flags & NBD_REPLY_FLAG_DONE;
    if (type == NBD_REPLY_TYPE_OFFSET_DATA || type == NBD_REPLY_TYPE_OFFSET_HOLE) {
        more = on_content(c, s, type, len);
    } else if (type & NBD_REPLY_TYPE_ERR(0)) {
        more = on_error(c, s, len);
    } else if (type != NBD_REPLY_TYPE_NONE) {
        fatal(c, EX_PROTO, "unknown chunk type %u", type);
    }
    if (!more && c->cur_done) {
        finish(c, s, now);
    }
}

/* All head_want bytes are there; decides what follows. */
static void on_head(struct conn *c, uint64_t now)
{
    uint32_t magic = load_be32(c->head);

    if (magic == NBD_SIMPLE_REPLY_MAGIC) {
        on_simple_reply(c, now);
        return;
    }
    if (magic != NBD_STRUCTURED_REPLY_MAGIC) {
        fatal(c, EX_PROTO, "bad reply magic %08x", magic);
    }
    if (!c->structured) {
        fatal(c, EX_PROTO, "structured reply that was not negotiated");
    }
    if (c->head_want == SIMPLE_LEN) {
        c->head_want = CHUNK_LEN;
    } else {
        on_chunk(c, now);
    }
}

static void end_of_payload(struct conn *c, uint64_t now)
{
    c->ps = P_HEAD;
    if (c->cur_done) {
        finish(c, c->cur, now);
    }
}

static size_t parse_data(struct conn *c, const uint8_t *p, size_t have, uint64_t now)
{
    size_t n = have < c->data_left ? have : (size_t)c->data_left;

    if (c->cur->check) {
        verify_data(c, c->cur, c->data_off, p, n);
    }
    c->data_off += n;
    c->data_left -= n;
    if (!c->cur_counted) {
        c->cur->covered += n;
    }
    if (!c->data_left) {
        end_of_payload(c, now);
    }
    return n;
}

static size_t parse_extra(struct conn *c, size_t have, uint64_t now)
{
    size_t n = have < c->extra_left ? have : (size_t)c->extra_left;

    c->extra_left -= n;
    if (!c->extra_left) {
        end_of_payload(c, now);
    }
    return n;
}

static size_t parse_head(struct conn *c, const uint8_t *p, size_t have, uint64_t now)
{
    size_t n = c->head_want - c->head_n;

    n = n < have ? n : have;
    memcpy(c->head + c->head_n, p, n);
    c->head_n += (unsigned)n;
    if (c->head_n == c->head_want) {
        on_head(c, now);
    }
    return n;
}

void conn_parse(struct conn *c, uint64_t now)
{
    if (!c->head_want) {
        expect_head(c);
    }
    while (c->r_at < c->r_end) {
        const uint8_t *p = c->rbuf + c->r_at;
        size_t have = c->r_end - c->r_at;

        switch (c->ps) {
        case P_HEAD:
            c->r_at += parse_head(c, p, have, now);
            break;
        case P_DATA:
            c->r_at += parse_data(c, p, have, now);
            break;
        case P_EXTRA:
            c->r_at += parse_extra(c, have, now);
            break;
        }
    }
    c->r_at = c->r_end = 0;
}
