/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The nbd driver's inside: a disk that is an export of an NBD server, reached through libnbd.
 *   nbd-options.c  names and options
 *   nbd-connect.c  a libnbd handle, and what the server says about the export
 *   nbd-link.c     the thread that keeps the connections up
 *   nbd-request.c  one request: sent, and sent again if its connection was lost
 *   nbd.c          the driver's table
 *
 * Requests come from every thread and are sent by the thread that they come from.  What arrives is
 * read by one thread of the node's own, whose loop watches the connections: it runs whoever else
 * runs, so no context of a caller has to be polled for the sake of another's request.
 */
#ifndef BLKBACKEND_DRIVER_NBD_H
#define BLKBACKEND_DRIVER_NBD_H

#include <libnbd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <blkbackend/block-driver.h>

#define FAR_CONNECTIONS_MAX 16
#define FAR_SECTOR 512             /* what lengths are rounded up to above us */

#define NS_PER_SECOND INT64_C(1000000000)

/* What the options say; constant once the node is open. */
typedef struct FarSettings {
    char *host, *port;             /* TCP; or NULL */
    char *path;                    /* a unix socket; or NULL */
    char *export;
    char *tls_certs, *tls_psk, *tls_username;
    bool tls, tls_verify;
    int64_t reconnect_ns;          /* how long requests wait for a lost server; 0: not at all */
    int64_t open_ns;               /* how long the first connection is tried; 0: once */
    int connections;               /* at most */
    char *name;                    /* of the export, for messages */
} FarSettings;

/* What a server says about the export. */
typedef struct FarInfo {
    int64_t size;                  /* bytes, not rounded */
    int64_t min_block, opt_block, max_block;   /* 0: it does not say */
    bool read_only, flush, fua, trim, zero, fast_zero, multi_conn, status;
} FarInfo;

typedef enum {
    FAR_IDLE,                      /* not wanted so far */
    FAR_DOWN,                      /* no handle; its timer starts the next attempt */
    FAR_CONNECTING,                /* handshake; its timer ends it */
    FAR_UP,
    FAR_LOST,                      /* the handle is of no use: the thread closes it */
} FarConnState;

typedef struct BDRVNbdState BDRVNbdState;

typedef struct FarConn {
    BDRVNbdState *s;
    /* Under s->lock; only the thread changes the handle, and only while there are no users. */
    struct nbd_handle *h;
    FarConnState state;
    unsigned generation;           /* of the handle */
    unsigned users;                /* threads that are calling libnbd with it */
    unsigned in_flight;            /* requests */
    FarInfo info;
    /* The thread's own. */
    int fd;                        /* a duplicate: libnbd closes its own when it likes; -1: none */
    unsigned watched;              /* LIBNBD_AIO_DIRECTION_* */
    QEMUTimer *timer;
    int64_t pause_ns;              /* before the next attempt */
} FarConn;

/* A coroutine that waits for a connection, or for an overlapping write to end. */
typedef struct FarWaiter {
    Coroutine *co;
    STAILQ_ENTRY(FarWaiter) link;
} FarWaiter;
typedef STAILQ_HEAD(FarWaiterList, FarWaiter) FarWaiterList;

typedef enum { FAR_READ, FAR_WRITE, FAR_ZERO, FAR_TRIM, FAR_FLUSH, FAR_STATUS } FarCommand;

typedef struct FarRequest {
    FarCommand command;
    int64_t offset, bytes;
    void *buf;
    int flags;                     /* LIBNBD_CMD_FLAG_* */
    /* FAR_STATUS: the first extents that have the same state, as one. */
    uint32_t state;                /* LIBNBD_STATE_* */
    int64_t length;                /* 0: the server said nothing */
    bool ended;
    bool fua_dropped;              /* the server that has done it knows no FUA: flush */
    /* nbd-request.c's own */
    Coroutine *co;
    int error;                     /* positive errno */
    atomic_int arrived;            /* sender and answer: the second of them goes on */
    LIST_ENTRY(FarRequest) link;   /* in s->changes */
} FarRequest;

struct BDRVNbdState {
    FarSettings set;
    FarInfo info;                  /* the first server's; constant */
    _Atomic int64_t size;          /* never less than what we said before */
    pthread_t thread;
    AioContext *ctx;               /* its loop */
    QEMUBH *work;                  /* makes the thread look at all connections */
    QEMUTimer *give_up;            /* the thread's own */
    bool told_lost;                /* likewise: the log knows that no connection is up */
    atomic_bool quit;

    pthread_mutex_t lock;          /* of what follows, and the connections */
    FarConn conns[FAR_CONNECTIONS_MAX];
    int n_wanted, n_up;
    bool failing;                  /* no connection, and requests do not wait for one any more */
    FarWaiterList waiters;
    LIST_HEAD(, FarRequest) changes;  /* writes in flight, if they may be sent again */
};

/* ---- nbd-options.c ---- */

/* A name without "nbd:", or a whole one of another scheme, into options. */
void far_parse_filename(const char *filename, QDict *options, Error **errp);
int far_take_options(FarSettings *set, QDict *options, Error **errp);
void far_settings_destroy(FarSettings *set);

/* ---- nbd-connect.c ---- */

/* A handle that has begun to connect, or NULL with errp set. */
struct nbd_handle *far_connect_start(const FarSettings *set, Error **errp);
/* The same up to the end of the handshake, retried for set->open_ns; blocks. */
struct nbd_handle *far_connect(const FarSettings *set, Error **errp);
FarInfo far_get_info(struct nbd_handle *h);
bool far_is_dead(struct nbd_handle *h);
/* Says good-bye if the server listens, and frees. */
void far_disconnect(struct nbd_handle *h);
/* Of the handshake with a server that answers nothing. */
#define FAR_HANDSHAKE_NS (30 * NS_PER_SECOND)

/* ---- nbd-link.c ---- */

/* Takes over the first connection, also on failure; fills in s->info. */
int far_link_start(BDRVNbdState *s, struct nbd_handle *first, Error **errp);
void far_link_stop(BDRVNbdState *s);
/* Under s->lock: the connection (if it is still that one) gets no more requests. */
void far_lose(FarConn *conn, unsigned generation);
/* Not under s->lock. */
void far_wake_waiters(BDRVNbdState *s);

/* ---- nbd-request.c ---- */

int coroutine_fn far_co_run(BDRVNbdState *s, FarRequest *req);

#endif
