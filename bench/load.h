/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load generator from the inside: the options, one connection, and who does what with it.
 *
 * A connection has a thread of its own and is touched by no other while that thread runs.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"

#include "bench/load-hist.h"

/* How nbdload ends. */
enum exit_code {
    EX_FINE = 0,
    EX_CONN = 1,            /* usage, or could not connect or negotiate */
    EX_PROTO = 2,           /* the server violated the protocol */
    EX_UNSUP = 3,           /* the export lacks what was asked for */
    EX_ERRORS = 4,          /* the server answered requests with errors */
    EX_VERIFY = 5,          /* data differs from what was written */
    EX_STALL = 6,           /* no reply for options.stall seconds */
};

enum rw { RW_READ, RW_WRITE, RW_RANDREAD, RW_RANDWRITE, RW_RANDRW, RW_TRIM, RW_ZERO, RW_FLUSH };
extern const char *const rw_names[];

/* Set by main before any thread starts. */
struct options {
    const char *unix_path, *host, *port, *export, *label;
    enum rw rw;
    uint64_t bs, size_limit, seed;
    unsigned qd, conns, batch, rwmix;
    double secs, warmup, stall, idle;
    pid_t pid;
    bool structured, verify, fua, first_reply, allow_errors;
    size_t rbuf;
    int sndbuf, rcvbuf;
};
extern struct options o;

/* What the clock says: requests are sent and counted accordingly. */
enum phase { PHASE_WARMUP, PHASE_MEASURED, PHASE_STOP };
extern _Atomic int phase;

/* What a block of the connection's own region holds, when verifying. */
enum { B_UNKNOWN = 0, B_LAST_VERSION = 254, B_ZERO = 255 };

/* A request in flight. */
struct slot {
    bool busy, failed;
    bool check, bad;        /* verifying: its data has to be compared, and differs */
    uint8_t cmd, version;
    uint32_t gen;
    uint64_t off, block, sent_ns;
    uint64_t covered;       /* bytes of data that have arrived */
};

enum stage { ST_RUN, ST_FILL, ST_READBACK };
enum parse_state { P_HEAD, P_DATA, P_EXTRA };

struct conn {
    unsigned id;
    pthread_t thread;
    int fd;
    bool structured;
    uint16_t tflags;
    uint64_t size;
    uint32_t bmin, bmax;

    /* what to ask for */
    uint64_t base, nblk;    /* the blocks that this connection picks from */
    uint64_t seq;
    bool sequential, one_pass;
    enum stage stage;
    uint64_t rng;

    /* requests */
    struct slot *slots;
    unsigned *free_slots, nfree, inflight;
    uint8_t *hdrs;          /* a request header a slot */
    uint8_t *wbuf;          /* verifying: a block a slot; else one */
    struct iovec *iov;
    unsigned iov_n, iov_at;

    /* replies */
    uint8_t *rbuf;
    size_t r_at, r_end;
    enum parse_state ps;
    uint8_t head[64];
    unsigned head_n, head_want;
    struct slot *cur;
    uint64_t data_off, data_left;   /* payload of the current chunk */
    uint64_t extra_left;            /* error text being skipped */
    bool cur_done, cur_counted;     /* last chunk; its bytes are counted already */

    /* verifying */
    uint8_t *cmp, *state, *locked;

    uint64_t ops, errors, checked, mismatched;
    uint32_t first_error;
    uint64_t n_send, n_recv, n_req, n_rep;
    struct hist hist;
};

static inline uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- nbdload.c ---- */

uint64_t now_ns(void);
void nap(double seconds);
void *xcalloc(size_t n, size_t size);
void json_str(const char *key, const char *value);
/* Prints why and ends the process; `c` may be NULL. */
_Noreturn void fatal(const struct conn *c, enum exit_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- load-connect.c ---- */

int dial(void);                             /* a connected socket, or -1 and errno */
void conn_handshake(struct conn *c);
void conn_read(struct conn *c, void *buf, size_t len, const char *what);
void conn_send(struct conn *c, const void *buf, size_t len);
void conn_leave(struct conn *c);

/* ---- load-request.c ---- */

void conn_fill(struct conn *c);             /* turns free slots into requests */
void conn_push(struct conn *c);             /* sends them as far as the socket takes them */

/* ---- load-reply.c ---- */

void conn_parse(struct conn *c, uint64_t now);      /* all bytes of rbuf */

/* ---- load-verify.c ---- */

/* The data expected at byte `off` where a block was last written as `version`. */
void pattern(uint8_t *buf, uint64_t off, size_t len, unsigned version);
/* Compares data read from `off` of the export; NULL stands for zeroes. */
void verify_data(struct conn *c, struct slot *s, uint64_t off, const uint8_t *data, size_t len);
/* Notes what a block holds once a request on it has ended. */
void verify_finish(struct conn *c, struct slot *s);

/* ---- load-modes.c ---- */

int mode_idle(struct conn *conns);
int mode_first_reply(char **argv);

#endif
