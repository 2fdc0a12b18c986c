/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: which, where, and all that fit in one sendmsg.
 */
#include "bench/load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_IOV 1024            /* what one sendmsg takes */
#define MAX_TRIES 64            /* for a block that no request in flight touches */

static uint64_t next_random(struct conn *c)
{
    c->rng += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(c->rng);
}

/* The next block of the current stage; false when there is none. */
static bool next_block(struct conn *c, uint64_t *block)
{
    if (c->stage == ST_READBACK) {
        while (c->seq < c->nblk && c->state[c->seq] == B_UNKNOWN) {
            c->seq++;
        }
        if (c->seq >= c->nblk) {
            return false;
        }
        *block = c->seq++;
    } else if (c->sequential || c->stage == ST_FILL) {
        if (c->seq >= c->nblk) {
            if (c->one_pass || c->stage == ST_FILL) {
                return false;
            }
            c->seq = 0;
        }
        *block = c->seq++;
    } else {
        *block = (uint64_t)(((unsigned __int128)next_random(c) * c->nblk) >> 64);
    }
    return true;
}

static bool next_free_block(struct conn *c, uint64_t *block)
{
    for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
        if (!next_block(c, block)) {
            return false;
        }
        if (!c->locked || !c->locked[*block]) {
            return true;
        }
    }
    return false;
}

static uint8_t next_command(struct conn *c)
{
    if (c->stage == ST_FILL) {
        return NBD_CMD_WRITE;
    }
    if (c->stage == ST_READBACK) {
        return NBD_CMD_READ;
    }
    switch (o.rw) {
    case RW_READ:
    case RW_RANDREAD:
        return NBD_CMD_READ;
    case RW_WRITE:
    case RW_RANDWRITE:
        return NBD_CMD_WRITE;
    case RW_RANDRW:
        return next_random(c) % 100 < o.rwmix ? NBD_CMD_READ : NBD_CMD_WRITE;
    case RW_TRIM:
        return NBD_CMD_TRIM;
    case RW_ZERO:
        return NBD_CMD_WRITE_ZEROES;
    case RW_FLUSH:
        return NBD_CMD_FLUSH;
    }
    return NBD_CMD_READ;
}

static uint8_t *slot_data(struct conn *c, unsigned index)
{
    return o.verify ? c->wbuf + (size_t)index * o.bs : c->wbuf;
}

static void prepare_verify(struct conn *c, struct slot *s, unsigned index)
{
    uint8_t v = c->state[s->block];

    c->locked[s->block] = 1;
    if (s->cmd == NBD_CMD_WRITE) {
        s->version = v >= 1 && v < B_LAST_VERSION && c->stage != ST_FILL ? (uint8_t)(v + 1) : 1;
        pattern(slot_data(c, index), s->off, o.bs, s->version);
    } else if (s->cmd == NBD_CMD_READ) {
        s->version = v;
        s->check = v != B_UNKNOWN;
    }
}

/* Takes a slot for a request and writes its header to `header`. */
static unsigned take_slot(struct conn *c, uint8_t cmd, uint64_t block, uint64_t now,
                          uint8_t *header)
{
    unsigned index = c->free_slots[--c->nfree];
    struct slot *s = &c->slots[index];
    bool flush = cmd == NBD_CMD_FLUSH;
    bool writes = cmd == NBD_CMD_WRITE || cmd == NBD_CMD_TRIM || cmd == NBD_CMD_WRITE_ZEROES;
    struct nbd_request h = { .magic = htobe32(NBD_REQUEST_MAGIC), .type = htobe16(cmd) };

    *s = (struct slot){ .busy = true, .cmd = cmd, .gen = s->gen + 1, .block = block,
                        .off = flush ? 0 : c->base + block * o.bs, .sent_ns = now };
    if (o.verify && !flush) {
        prepare_verify(c, s, index);
    }
    if (o.fua && c->stage == ST_RUN && writes) {
        h.flags = htobe16(NBD_CMD_FLAG_FUA);
    }
    h.cookie = htobe64((uint64_t)s->gen << 32 | index);
    h.offset = htobe64(s->off);
    h.len = htobe32(flush ? 0 : (uint32_t)o.bs);
    memcpy(header, &h, sizeof(h));
    c->inflight++;
    c->n_req++;
    return index;
}

/* Headers that follow each other in memory share an iovec. */
static void queue_bytes(struct conn *c, uint8_t *p, size_t len)
{
    struct iovec *last = c->iov_n ? &c->iov[c->iov_n - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
        last->iov_len += len;
    } else {
        c->iov[c->iov_n++] = (struct iovec){ p, len };
    }
}

/* Called only with nothing left to send. */
void conn_fill(struct conn *c)
{
    uint8_t *header = c->hdrs;
    uint64_t now = 0;

    c->iov_n = c->iov_at = 0;
    if (c->nfree < o.batch && c->inflight) {
        return;
    }
    while (c->nfree && c->iov_n + 2 <= MAX_IOV) {
        uint64_t block = 0;
        uint8_t cmd;
        unsigned index;

        if (c->stage == ST_RUN &&
            atomic_load_explicit(&phase, memory_order_relaxed) == PHASE_STOP) {
            break;
        }
        cmd = next_command(c);
        if (cmd == NBD_CMD_FLUSH ? c->one_pass : !next_free_block(c, &block)) {
            break;
        }
        now = now ? now : now_ns();
        index = take_slot(c, cmd, block, now, header);
        queue_bytes(c, header, sizeof(struct nbd_request));
        header += sizeof(struct nbd_request);
        if (cmd == NBD_CMD_WRITE) {
            c->iov[c->iov_n++] = (struct iovec){ slot_data(c, index), o.bs };
        }
    }
}

void conn_push(struct conn *c)
{
    while (c->iov_at < c->iov_n) {
        struct msghdr m = { .msg_iov = c->iov + c->iov_at, .msg_iovlen = c->iov_n - c->iov_at };
        ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        size_t left;

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return;
        }
        if (sent < 0) {
            fatal(c, EX_PROTO, "sending with %u requests in flight: %s", c->inflight,
                  strerror(errno));
        }
        c->n_send++;
        left = (size_t)sent;
        while (left) {
            struct iovec *v = &c->iov[c->iov_at];

            if (left < v->iov_len) {
                v->iov_base = (uint8_t *)v->iov_base + left;
                v->iov_len -= left;
                break;
            }
            left -= v->iov_len;
            c->iov_at++;
        }
    }
}
