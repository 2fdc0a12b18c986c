/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data that can be recognised: every 8 bytes tell where they belong and which write they are from.
 */
#include "bench/load.h"

#include <stdio.h>
#include <string.h>

#define CMP_SIZE 65536
#define MAX_SHOWN 5

void pattern(uint8_t *buf, uint64_t off, size_t len, unsigned version)
{
    uint64_t key = mix64(o.seed * UINT64_C(0x9e3779b97f4a7c15) + version);
    size_t i = 0;

    while (i < len) {
        uint64_t word = (off + i) >> 3;
        uint64_t v = mix64(key ^ (word * UINT64_C(0xd1342543de82ef95)));
        unsigned skip = (unsigned)((off + i) & 7);
        size_t n = 8 - skip;

        if (n > len - i) {
            n = len - i;
        }
        memcpy(buf + i, (uint8_t *)&v + skip, n);
        i += n;
    }
}

static void show_difference(const struct conn *c, const struct slot *s, uint64_t off,
                            unsigned got, unsigned want)
{
    static atomic_int shown;

    if (atomic_fetch_add(&shown, 1) < MAX_SHOWN) {
        fprintf(stderr, "nbdload: verify: connection %u: byte %llu of the export is %02x, not %02x "
                "(block at %llu, version %u)\n", c->id, (unsigned long long)off, got, want,
                (unsigned long long)s->off, s->version);
    }
}

void verify_data(struct conn *c, struct slot *s, uint64_t off, const uint8_t *data, size_t len)
{
    while (len && !s->bad) {
        size_t n = len < CMP_SIZE ? len : CMP_SIZE, i = 0;

        if (s->version == B_ZERO) {
            memset(c->cmp, 0, n);
        } else {
            pattern(c->cmp, off, n, s->version);
        }
        while (i < n && (data ? data[i] : 0) == c->cmp[i]) {
            i++;
        }
        if (i < n) {
            s->bad = true;
            show_difference(c, s, off + i, data ? data[i] : 0, c->cmp[i]);
        }
        off += n;
        len -= n;
        if (data) {
            data += n;
        }
    }
}

void verify_finish(struct conn *c, struct slot *s)
{
    c->locked[s->block] = 0;
    if (s->failed) {
        if (s->cmd != NBD_CMD_READ) {
            c->state[s->block] = B_UNKNOWN;
        }
    } else if (s->cmd == NBD_CMD_WRITE) {
        c->state[s->block] = s->version;
    } else if (s->cmd == NBD_CMD_WRITE_ZEROES) {
        c->state[s->block] = B_ZERO;
    } else if (s->cmd == NBD_CMD_TRIM) {
        c->state[s->block] = B_UNKNOWN;
    } else if (s->check) {
        c->checked++;
        c->mismatched += s->bad;
    }
}
