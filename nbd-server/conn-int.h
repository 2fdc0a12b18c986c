/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection from the inside: what conn.c, receive.c, request.c and reply.c share.
 *
 * A client is served by one coroutine (conn_run) that reads its socket, and by
 * one more for each request.  All run in the connection's thread, so nothing
 * here has a lock.
 *
 *   socket --recv--> RxBuffer --parse--> Request, its coroutine --> reply queue --sendmsg--> socket
 */
#ifndef NBD_EXPORT_CONN_INT_H
#define NBD_EXPORT_CONN_INT_H

#include <blkbackend/accounting.h>

#include "budget.h"
#include "rx-buffer.h"
#include "server.h"
#include "stats.h"

typedef struct Client Client;
typedef struct Heir Heir;
typedef struct Elder Elder;
typedef struct Command Command;

/* What the connection's coroutine waits for. */
enum client_wait {
    WAIT_NONE,        /* it runs */
    WAIT_INPUT,       /* bytes from the client */
    WAIT_OUTPUT,      /* room in the socket, for the handshake's writes */
    WAIT_ROOM,        /* fewer requests in flight */
    WAIT_MAIN,        /* the main thread, which alone ends this wait */
    WAIT_MEMORY,      /* the budget; the only wait that budget_grant() ends */
    WAIT_TURN,        /* its turn among those that --throttle limits */
    WAIT_QUIET,       /* no request in flight, no reply unsent */
    WAIT_ELDERS,      /* older connections of its client: succession.c */
};

/* Longest text of an error reply, with its NUL. */
#define ERROR_TEXT_MAX 160
/* Longest header of a reply with the fixed part of its payload. */
#define REPLY_HEAD_MAX 48

/* A request from its header's arrival until the last byte of its reply has gone. */
struct Request {
    Client *client;
    const Command *cmd;
    Coroutine *co;                  /* once it was started */
    uint64_t position;              /* of its header in the client's stream */
    uint64_t cookie;                /* as it came: opaque */
    uint64_t offset;
    uint64_t len;                   /* of the part of the export that it is about */
    uint32_t contexts;              /* that a block status is to tell about: a set */
    uint16_t flags;                 /* NBD_CMD_FLAG_* */

    bool had_turn;                  /* among those that --throttle limits */
    bool listed;                    /* in the client's list of writes */
    bool mapped;                    /* `map` is lent to us */
    bool reply_begun;               /* some of the reply has been sent */
    RxChunk *chunk;                 /* holds payload of a write */
    void *data;                     /* payload of a write, data of a read, extents */
    size_t data_size;               /* bytes, counted in the client's budget */
    void *pieces;                   /* headers and vector of a reply in many chunks */
    BlockMapping map;
    unsigned medium;                /* that `map` is of: the export's count */
    struct iovec in[2];             /* payload of a write, ... */
    QEMUIOVector qiov;              /* ... and its vector, if it has any */
    int64_t traced_ns;              /* when it began, if requests are traced; or 0 */

    STAILQ_ENTRY(Request) link;     /* reply queue; held */
    TAILQ_ENTRY(Request) writes_link;
    TAILQ_ENTRY(Request) throttled_link;
    Request *next_free;
    struct iovec *out;              /* what is left to send of the reply */
    unsigned n_out;
    struct iovec out_inline[2];
    uint8_t head[REPLY_HEAD_MAX + ERROR_TEXT_MAX];
};

typedef STAILQ_HEAD(RequestQueue, Request) RequestQueue;

struct Client {
    Conn conn;                      /* first: a Conn * is a Client * */
    Coroutine *co;                  /* conn_run() */
    enum client_wait wait;
    QEMUBH *bh;                     /* sends, grants memory, wakes co */
    QEMUTimer *timer;               /* the handshake's deadline, then the linger at a stop */
    QEMUTimer *stall_timer;         /* pending: it was stalled not long ago */
    int error;                      /* nonzero: the end has come, -errno */
    bool kicked;                    /* bh is scheduled */
    bool timed_out;                 /* timer has fired */
    bool transmitting;              /* the handshake is over */
    bool between_requests;          /* nothing of a request has come yet */
    bool reads_on, writes_on;       /* watching the socket for input, for room */
    bool drained;                   /* the last recv left the socket empty */
    unsigned greedy;                /* recvs in a row without giving way to the loop */
    uint64_t turn_work;             /* weight of the requests started since it gave way */

    RxBuffer rx;
    Budget budget;
    unsigned in_flight;             /* requests that are not freed yet */
    unsigned running;               /* of them, those that the image is asked for */
    bool draining;                  /* counted in the export's `draining` */
    TAILQ_HEAD(, Request) writes;   /* that run now or are held, in the order they came */
    atomic_uint busy;               /* [atomic] such writes; and it takes requests out of rx */
    atomic_uint visitors;           /* [atomic] heirs that are about to look at it */
    LIST_HEAD(, Elder) elders;      /* heirs that look at it */
    _Atomic int64_t newer_ns;       /* [atomic] when its client made a newer connection; or 0 */
    bool doubted;                   /* it had been silent then: writes are held */
    QEMUTimer *probation_timer;     /* or NULL */
    RequestQueue held;              /* hold.c: in the order they came */
    unsigned n_held;
    bool gated;                     /* some of them wait for more than proof */
    bool ended;                     /* nothing is held any more: nobody waits for it */
    uint64_t admitting;             /* bytes of payload of the request that waits for room */
    Heir *heir;                     /* itself, while it waits for elders; or NULL */

    TAILQ_HEAD(, Request) throttled;    /* that wait because of limits */
    atomic_uint n_throttled;        /* [atomic] those */
    _Atomic uint64_t throttle_waits, throttle_wait_ns;   /* [atomic] how many did, how long */
    bool unwanted[2];               /* [is_write] such requests do not wait any more: they fail */
    bool goodbye;                   /* NBD_CMD_DISC has come, and nothing will come any more */

    RequestQueue replies;           /* in order of completion */
    bool tx_blocked;                /* the socket is full */
    bool tx_busy;                   /* reply_flush() is at work */
    Request *repairing;             /* reads again what its mapping has lost */
    uint64_t sent;                  /* bytes of replies, ever */

    int64_t since_ns;               /* when it came */
    uint64_t n_requests;            /* that it has sent */
    Stats stats;                    /* [atomic] counted in its own thread, read by all */

    int64_t stalled_ns;             /* since when we wait for it to go on; 0: we don't */
    uint64_t stalled_moved;         /* the bytes it had moved by then */

    int64_t pace_ns;                /* since when others wait for what it holds ... */
    uint64_t pace_moved;            /* ... and the bytes it had moved by then */

    bool stopping;                  /* conn_shutdown() was called */
    bool dismissed;                 /* conn_dismiss() was */
    bool linger;                    /* the client was busy when the stop came */
    int64_t heard_ns;               /* when something was received last */
    uint64_t serve_until;           /* position in the stream that had reached us at the stop */
    int64_t told_ns;                /* when it was first told of the stop; 0: not yet */

    unsigned skip_mapping;          /* reads to go before the next try to map */
    unsigned mapping_pause;         /* the last such pause: it doubles */
    uint64_t data_from, data_to;    /* known to hold data: no need to look for holes */
};

static inline Client *client_of(Conn *conn)
{
    return (Client *)conn;
}

/* For other threads: nothing of it is under way, but for what waits in its socket. */
static inline bool client_is_idle(const Client *c)
{
    return atomic_load_explicit(&c->busy, memory_order_acquire) == 0;
}

/* Only its own thread changes that, so it takes no locked instruction. */
static inline void client_add_busy(Client *c, int n)
{
    unsigned busy = atomic_load_explicit(&c->busy, memory_order_relaxed);

    atomic_store_explicit(&c->busy, busy + (unsigned)n, memory_order_release);
}

/* ---- conn.c ---- */

/* Yields; whoever waits looks again at why it waited. */
void coroutine_fn client_wait(Client *c, enum client_wait wait);
/* One turn of the loop for the thread's other clients. */
void coroutine_fn client_give_way(Client *c);

/*
 * Receives at least one byte, first into `first` (may be NULL), what is more into the buffer,
 * which has room for a message of `need` bytes from its position on.  Sends what is queued
 * before it waits.  Bytes put into `first` (without `first`: received), 0 at the end of the
 * stream, -errno.
 */
ssize_t coroutine_fn client_recv(Client *c, void *first, size_t first_len, size_t need);
/* False: the connection ends.  Sends what is queued before it waits. */
bool coroutine_fn client_take_memory(Client *c, size_t bytes);
/* As request_take_turn(), while nothing more is received; false: the connection ends. */
bool coroutine_fn client_take_turn(Client *c, Request *req);
/* Waits until one more request, of `len` bytes, may start; false: the connection ends.  payload:
 * bytes of it that have to be received. */
bool coroutine_fn client_admit(Client *c, uint64_t len, uint64_t payload);
/* Ends the connection: no reply is sent any more, the coroutine stops at its next wait. */
void client_fail(Client *c, int error);
/* Has the bottom half look what may go on. */
void client_kick(Client *c);
/* We wait for it to go on with a request, or to take replies: not for ever. */
void client_stalls(Client *c);

/* ---- receive.c ---- */

void receive_pool_release(void);   /* frees this thread's unused Requests */
unsigned requests_in_thread(void); /* in flight, of all its clients, without those held */
/* More of them, or fewer. */
void requests_in_thread_add(int n);
void request_free(Request *req);
/* A payload that lies in the receive buffer gets memory of its own: the whole buffer stays as long
 * as any of it is in use. */
void request_detach_payload(Request *req);
/* The request holds its own data no longer (a write that is done needs no payload). */
void request_release_data(Request *req);

/* ---- request.c ---- */

const Command *command_find(unsigned type);
/* NBD_SUCCESS, or the error to answer with `text` (ERROR_TEXT_MAX bytes) for a human. */
uint32_t request_check(const Request *req, char *text);
/* It names a range that does not end within the export as we know it. */
bool request_is_past_end(const Request *req);
bool request_writes(const Request *req);
/* What it does is the export's error policy's business, of reads or of writes. */
bool request_has_policy(const Request *req, bool *is_read);
const char *request_name(const Request *req);
/* A write is in its client's list from the moment it could run until it is done; hold.c lists what
 * it holds, otherwise request_start() does. */
void request_list_write(Request *req);
void request_unlist_write(Request *req);
/* Waits as --throttle wants it, once; 0, or -ESHUTDOWN: nobody waits for the request any more. */
int coroutine_fn request_take_turn(Request *req);
/* Runs the request in a coroutine of its own, which queues the reply. */
void request_start(Request *req);
/* Answers without running it. */
void request_reject(Request *req, uint32_t nbd_error, const char *text);
/* Fills the reply of a request that failed with ret (-errno). */
void request_fill_error(Request *req, int ret);
/* Memory for the request's data, paid for; 0 or -errno. */
int coroutine_fn request_get_data(Request *req, size_t size);
/* Lets the other coroutines and connections of this thread have a turn: in long requests, which
 * end with an error if there is nobody left to answer. */
int coroutine_fn request_give_way(Request *req);

/* ---- error-policy.c ---- */

/* The request has failed with *ret: does what the policy says.  True: it is to run again; false: it
 * ends with *ret, and what has succeeded by decree has a reply. */
bool coroutine_fn error_policy_retries(Request *req, int *ret);

/* ---- gate.c ---- */

/* It was waited for, and nothing of it runs any more. */
void gate_conn_drained(Client *c);

/* ---- block-status.c ---- */

int coroutine_fn request_run_block_status(Request *req);

/* ---- reply.c ---- */

/* Each fills the request's reply. */
void reply_success(Request *req);
void reply_error(Request *req, uint32_t nbd_error, const char *text);
void reply_data(Request *req, const void *data);              /* req->len bytes, not 0 */
void reply_empty_read(Request *req);                          /* of a read of 0 bytes */

/* What one meta context has to tell; the extents, as they go on the wire, stay in place until the
 * reply has gone. */
typedef struct StatusChunk {
    uint32_t context_id;
    uint32_t n_extents;
    const void *extents;
    size_t bytes;
} StatusChunk;
/* At least one chunk, at most REPLY_CHUNKS_MAX; false for lack of memory. */
bool reply_status(Request *req, const StatusChunk *chunks, unsigned n);

/* A read in pieces: data or holes, in order. */
typedef struct ReadPiece {
    uint64_t offset;
    uint32_t len;
    bool hole;
} ReadPiece;
#define REPLY_CHUNKS_MAX 32
/* The request's bytes lie at `data`, those of holes may be anything; false for lack of memory. */
bool reply_pieces(Request *req, const ReadPiece *pieces, unsigned n, const uint8_t *data);

/* Queues the filled reply; the request is out of the caller's hands. */
void reply_queue(Request *req);
/* Sends what is queued as far as the socket takes it. */
void reply_flush(Client *c);
/* Drops what is queued. */
void reply_discard(Client *c);

#endif
