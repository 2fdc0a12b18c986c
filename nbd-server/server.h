/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd-export from the inside: who owns what.
 *
 *   main thread        listens, accepts, signals, configuration; opens and closes images
 *   I/O threads (N)    each runs one AioContext; a Conn lives in one of them from its
 *                      first byte to its last
 *
 * Each field names its owner: [main] main thread only, [conn] the connection's
 * thread only, [const] never changes after set-up, [atomic] anyone.
 */
#ifndef NBD_EXPORT_SERVER_H
#define NBD_EXPORT_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <blkbackend/block-backend.h>

#include "access.h"
#include "jobs.h"
#include "stats.h"

typedef struct Server Server;
typedef struct Export Export;
typedef struct Conn Conn;
typedef struct IoThread IoThread;
typedef struct Listener Listener;
typedef struct Request Request;
typedef struct MetaContext MetaContext;
typedef struct ThrottleClient ThrottleClient;
typedef struct Config Config;
typedef struct ExportConfig ExportConfig;
typedef struct TlsCreds TlsCreds;
typedef struct TlsSession TlsSession;
typedef struct QmpServer QmpServer;

/* ---- log.c: the only place that prints ---- */

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,    /* shown without --verbose: clients that come, go, are refused */
    LOG_LEVEL_INFO,      /* --verbose */
    LOG_LEVEL_DEBUG,     /* twice: every option and request */
};

/* Where to (--log). */
enum log_target {
    LOG_TO_AUTO,         /* stderr, or the journal if it ends there; syslog in the background */
    LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL,
    LOG_TO_JSON,         /* on stderr, an object a line */
};

/* A number that goes with a message, for machines. */
typedef struct LogField {
    const char *name;    /* [a-z_]; ends in the unit */
    int64_t value;
} LogField;

bool log_open(enum log_target target, enum log_level level, Error **errp);
/* In the background from now on: says whether stderr is of use no more. */
bool log_leave_terminal(void);
/* Tells what is still to be told. */
void log_close(void);

extern _Atomic enum log_level log_threshold;
static inline bool log_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/*
 * One line: [export "NAME":] [client ADDR:] message.  Both may be NULL.  Any thread.
 *
 * What is said about clients (conn, or peer, is not NULL) is limited to a number of lines a
 * second and level, and the rest is counted: strangers must not fill the disk.
 */
void log_msg(enum log_level level, const Export *export, const Conn *conn, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_fields(enum log_level level, const Export *export, const Conn *conn,
                const LogField *fields, unsigned n_fields, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* About a command of the control socket; never limited. */
void log_command(enum log_level level, const char *command, const LogField *fields,
                 unsigned n_fields, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* About a client that is no Conn yet. */
void log_peer(enum log_level level, const char *peer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The error's message and its hint as lines of level ERROR; frees err. */
void log_error_free(Error *err);
/* For blkbackend_set_log_fn(). */
void log_library_message(void *opaque, const char *message);

/* ---- config.c, config-keys.c: command line to Config (config.h), by one table ---- */

/* What a key that may be repeated was given. */
typedef struct NameList {
    char **names;
    unsigned n;
} NameList;

/* Never changes once config_parse() has returned: other settings are another ExportConfig. */
struct ExportConfig {
    atomic_uint refs;         /* [atomic] */
    char *name;               /* "" is the default export */
    char *id;                 /* for the control socket; NULL: the name */
    char *description;        /* NULL: none */
    char *image;              /* file name, or option string with image_opts */
    char *node_name;          /* a node that is there already, instead; or NULL */
    bool dynamic;             /* added while the server runs: in no file */
    char *format;             /* NULL: probe */
    bool image_opts;
    bool read_only;
    bool hidden;              /* not in the list of exports */
    unsigned tls;             /* enum tls_choice: TLS_REQUIRE: served under TLS only */
    unsigned max_clients;     /* --shared: 0 = no limit */
    bool fua, trim;           /* offered to clients */
    bool flush, sync;         /* nbd-server's: off, or on, writes are stable when answered */
    unsigned cache, discard;  /* as given; open_flags says what they mean */
    unsigned on_read_error, on_write_error;     /* BlockdevOnError */
    int open_flags;           /* BDRV_O_* from cache, aio, discard, read-only */
    ThrottleConfig limits;    /* --throttle */
    char *throttle_group;     /* NULL: shares its limits with none */
    ThrottleConfig client_limits;   /* --throttle-client */
    bool snapshot;            /* what is written goes to a temporary overlay */
    char *load_snapshot;      /* as given; NULL: the image as it is now */
    int64_t offset, size;     /* bytes: the part of the image to show; size -1: to its end */
    unsigned partition;       /* or this partition; 0: none */
    AccessRules access;
    bool allocation_depth;    /* clients may ask for the meta context */
    NameList bitmaps;         /* that clients may ask for */
    unsigned rotational;      /* enum rotational_choice */
    unsigned on_eject;        /* enum eject_choice */
    STAILQ_ENTRY(ExportConfig) link;   /* [main] its Config's list */
};

ExportConfig *export_config_ref(ExportConfig *cfg);      /* any thread */
void export_config_unref(ExportConfig *cfg);
/* Another one, with one reference, which is its maker's to change before others see it. */
ExportConfig *export_config_copy(const ExportConfig *cfg);

/* ---- export.c: one export ---- */

struct Export {
    Server *server;                 /* [const] */
    atomic_uint refs;               /* [atomic] the server's list until it is removed; each user */
    atomic_bool removed;            /* [atomic] nobody enters it any more */
    bool superseded;                /* [exports_lock] another one has come, or come back, by its
                                     * name since: metrics mean that one */
    char *name;                     /* [const] */
    char *id;                       /* [const] what the control socket calls it: mostly the name */
    pthread_mutex_t lock;
    ExportConfig *cfg;              /* [lock] its settings: export_settings() */
    ExportConfig *configured;       /* [main] before a snapshot or commit; chain.c; NULL: none */
    ExportConfig *opened;           /* [const] its image was opened by these ... */
    char *opened_node;              /* [const] ... as the node of this name */
    char *unnamed;                  /* [main] why no settings open its image now; NULL: they do */
    BlockBackend *blk;              /* [const] one reference */
    _Atomic uint64_t size;          /* [atomic] bytes, when it was last looked at */
    uint32_t min_block, max_block;  /* [const] bytes: INFO_BLOCK_SIZE, as the next one */
    _Atomic uint32_t pref_block;    /* [atomic] */
    atomic_bool read_only;          /* [atomic] */
    atomic_uint gate;               /* [atomic] GATE_*: why its requests wait; gate.c */
    atomic_int stop_error;          /* [atomic] errno of what has stopped it last: GATE_IO_ERROR */
    atomic_uint draining;           /* [atomic] connections whose requests a drain waits for */
    _Atomic int64_t io_error_ns[2]; /* [atomic] when one of a write, a read was told last */
    atomic_bool tray_open;          /* [atomic] the medium is out of reach, or was taken out */
    atomic_uint medium;             /* [atomic] counts the media: another one is in if it differs */
    atomic_bool write_through;      /* [atomic] what is answered is stable */
    bool transient;                 /* [const] of --export-dir: closed with its last user */
    int file;                       /* [main] the image is opened through it; or -1 */
    atomic_bool rotational;         /* [atomic] on disks that turn */
    atomic_bool throttled;          /* [atomic] it, its group or its clients may have limits */
    ThrottleState *limits;          /* [lock] those that its clients share */
    LIST_HEAD(, ThrottleClient) throttle_clients;   /* [lock] */
    _Atomic uint64_t throttle_waits, throttle_wait_ns;   /* [atomic] who waited, how long */
    MetaContext *contexts;          /* [const] what it can tell about its parts */
    unsigned n_contexts;            /* [const] */
    QEMUTimer *deadline;            /* [main] cuts off who stays after a hard removal; or NULL */
    atomic_uint clients;            /* [atomic] */
    TAILQ_HEAD(, Conn) conns;       /* [lock] in the order they came */
    Stats gone;                     /* [lock] of connections that are no longer in `conns` */
    HandshakeStats handshakes;      /* [atomic] of clients that asked for this export */
    TAILQ_ENTRY(Export) link;       /* [exports_lock] until it is closed */
};

/* One reference, in no list yet, without its limits; keeps one to cfg.  [main] */
Export *export_new(ExportConfig *cfg, Error **errp);
/* rotational.c: by what the host knows of the file or device below. */
bool export_is_rotational(BlockBackend *blk);
/* Closes the image.  Only for one that is in no list.  [main] */
void export_free(Export *export);
/* Other settings for those who enter from now on; limits hold for all.  False: they are in force,
 * but switching the write cache off failed as export_set_write_cache() says.  [main] */
bool export_apply(Export *export, ExportConfig *cfg, Error **errp);
/* The settings alone; keeps a reference.  [main] */
void export_set_config(Export *export, ExportConfig *cfg);
/* Whether that is all it takes, or the image must be opened anew.  [main] */
bool export_can_take(const Export *export, const ExportConfig *cfg);
/* A reference to what is set now.  [any thread] */
ExportConfig *export_settings(Export *export);
/*
 * Switches the write cache: off means that each write is stable before it is answered, and what was
 * answered before is flushed once.  False: it has no such switch, or that flush failed; then it is
 * off all the same, and what was written before may not be stable.  [main]
 */
bool export_set_write_cache(Export *export, bool on, Error **errp);
/* 0 or -errno: what clients wrote is stable; a medium that is out was flushed when it went.
 * [main] */
int export_flush_medium(Export *export);
/* False, and logged, if data that clients wrote may not have reached the disk.  [main] */
bool export_flush(Export *export);
/* The format of an image was guessed (not NULL): says that this is not safe. */
void export_warn_if_guessed(const Export *export, const char *guessed);
/* Transmission flags, without those that a connection negotiates. */
uint16_t export_flags(Export *export, bool read_only);
/* Takes a client's place in the export; false if it is full, or removed.  [any thread] */
bool export_enter(Export *export);
void export_leave(Export *export);

/* ---- throttle.c: limits of an export and of its clients ---- */

/* What holds for all its clients together.  *group: whose limits those are, by name, for as long as
 * they do not change; NULL: nobody's, there are none.  [main] */
void export_throttle_config(Export *export, ThrottleConfig *limits, const char **group);
/*
 * Sets that.  group: those of all exports that are in it, and the export belongs to it from now on;
 * NULL: it shares its limits with none.  False: the limits contradict each other, or it cannot be a
 * name, and nothing is changed.  [main]
 */
bool export_set_limits(Export *export, const ThrottleConfig *limits, const char *group,
                       Error **errp);
/* export_apply(), where the other exports of its group take over its limits.  [main] */
bool export_apply_to_group(Export *export, ExportConfig *cfg, Error **errp);
/* Sets those of each of its clients.  [main] */
bool export_set_client_limits(Export *export, const ThrottleConfig *limits, Error **errp);
/* Lets the requests go that wait because of limits, and those to come.  [main] */
void export_unthrottle(Export *export);

/* ---- gate.c: an export whose requests wait ---- */

/* Why they wait: any of these. */
#define GATE_PAUSED    1u   /* x-export-pause */
#define GATE_NO_MEDIUM 2u   /* the medium is out, and they are to wait for the next one */
#define GATE_IO_ERROR  4u   /* a request failed, and the error policy is to stop */
#define GATE_DRAIN     8u   /* export_drain() is at work */
#define GATE_MEDIUM   16u   /* the main thread is about to open or close the tray, ... */
#define GATE_MOMENTS (GATE_DRAIN | GATE_MEDIUM)    /* nobody is told of those */

/* Requests that come are not started: they wait in their connection.  For the hot path.  [any] */
static inline bool export_is_gated(const Export *export)
{
    return atomic_load_explicit(&export->gate, memory_order_relaxed) != 0;
}

/* Those that run go on.  False: it was closed for that before, or the server stops.  [any] */
bool export_gate(Export *export, unsigned reason);
/* "running", "paused", "no-medium", "io-error", "removed".  [any thread] */
const char *export_state(const Export *export);
/* Takes reasons back: without one they start, in the order they came.  [main] */
void export_ungate(Export *export, unsigned reasons);
void exports_ungate(Server *server);                     /* [main] for ever: the server stops */
/*
 * Waits until what runs is done; others wait meanwhile.  What waits for the gate or for its turn by
 * --throttle does not run.  False: the server stops, --drain-timeout is over, or the gate is not
 * closed any more for these reasons.  [main]
 */
bool export_drain(Export *export, unsigned reasons);

/* ---- medium.c: the image of an export, and its exchange ---- */

/* Looks at the image's size anew: others may have changed it.  [any thread] */
void coroutine_fn export_refresh_size(Export *export);
/* Takes over what the medium that is in now is like: its size and all that new clients are told.
 * [main] */
void export_medium_changed(Export *export);
/* Clients can read and write: there is a medium, and the tray is closed.  [any thread] */
bool export_has_medium(Export *export);
/* Requests wait or not, as --on-eject says now.  [main] */
void export_follow_tray(Export *export);

/*
 * All of these, [main], let the requests in flight end first; those that come meanwhile wait.
 * While the tray is open or empty, requests fail or wait (--on-eject), and who knocks is refused.
 *
 * What was written is flushed before the tray opens; if that fails it stays closed, unless `force`.
 * Nothing happens where it is open already.
 */
bool export_open_tray(Export *export, bool force, Error **errp);
bool export_close_tray(Export *export, Error **errp);
/* Takes the image out, through the open tray. */
bool export_remove_medium(Export *export, Error **errp);
/* Opens the tray and takes the image out. */
bool export_eject(Export *export, bool force, Error **errp);
/* Puts a node in, which is nobody else's, through the open tray; a reference of its own. */
bool export_insert_medium(Export *export, BlockDriverState *bs, Error **errp);
/* Exchanges the image for this one, seen and opened by the settings of the export; format NULL:
 * guessed.  If it cannot be opened the old one stays. */
bool export_change_medium(Export *export, const char *filename, const char *format,
                          BlockdevChangeReadOnlyMode mode, bool force, Error **errp);
/* Resizes the image; to make it smaller while clients are connected takes force. */
bool export_resize(Export *export, int64_t size, bool force, Error **errp);

/* ---- exports.c: all exports of a server ---- */

void exports_init(Server *server);                       /* [main] */
/* Takes over the reference; limits begin to hold.  It is paused if one is whose id it takes, and
 * which was removed with clients that are still there.  [main] */
void exports_add(Server *server, Export *export);
enum remove_mode {
    REMOVE_HIDE,       /* its connections stay */
    REMOVE_SOFT,       /* they are ended, as by conn_shutdown(), and cut off at --drain-timeout */
    REMOVE_HARD,       /* they are cut off */
};
/* Nobody finds it any more, and it is closed once its last user leaves.  For one that is removed
 * already: the same to its connections.  [main] */
void exports_remove(Export *export, enum remove_mode mode);
/* False: it has clients, or is removed.  [main] */
bool exports_remove_unused(Export *export);
/* A reference, by name; one that is removed too if it is still in use.  [main] */
Export *exports_find_any(Server *server, const char *name);
/* The same by its id, or else its name.  [main] */
Export *exports_find_id(Server *server, const char *id);
/* References to the export and to those removed ones that had its id before, and have clients
 * still.  Ends with NULL; exports_snapshot_free().  [main] */
Export **exports_namesakes(Export *export);
/* Closes now what nobody refers to any more, and would be closed soon.  [main] */
void exports_close_unused(Server *server);
/* Takes back a removal.  [main] */
void exports_revive(Export *export);
/* What the empty name means; NULL: the export of that name, or the only one.  [main] */
void exports_set_default(Server *server, const char *name);
/* Removes all and waits for the last to be closed; false if data may be lost, now or when one was
 * removed before.  [main] */
bool exports_close(Server *server);
void exports_unthrottle(Server *server);                 /* [main] export_unthrottle() for each */

/* A reference; NULL: there is no such export.  The empty name means the default export. */
Export *exports_find(Server *server, const void *name, size_t len);
/* References to all but those of --export-dir, NULL at the end; NULL instead of all: no memory. */
Export **exports_snapshot(Server *server);
void exports_snapshot_free(Export **all);
/* Any thread; the last reference has the main thread close the image.  NULL is let pass. */
Export *export_ref(Export *export);
void export_unref(Export *export);

/* ---- conn.c: one client, its socket, its buffers ---- */

/* Bounds.  Past them the socket is not read until replies have gone out. */
#define CONN_MAX_IN_FLIGHT 256            /* requests a connection */
#define CONN_MAX_MEMORY (64u << 20)       /* bytes a connection: data of requests, unsent replies */
#define NBD_MAX_REQUEST (32u << 20)       /* bytes a request: announced as the maximum block size */
/* All together, or the kernel has no more mappings for the coroutines' stacks.  A client may have
 * one request in flight whatever the others have. */
#define SERVER_MAX_IN_FLIGHT 8192
#define SERVER_MAX_CLIENTS 10000          /* what --max-clients may ask for */

struct Conn {
    Server *server;                 /* [const] */
    IoThread *thread;               /* [const] */
    AioContext *ctx;                /* [const] */
    uint64_t id;                    /* [const] no other connection of the server has it, ever */
    int fd;                         /* [conn] */
    struct sockaddr_storage addr;   /* [const] of the client */
    socklen_t addr_len;             /* [const] */
    bool has_cred;                  /* [const] of a unix socket; then ... */
    struct ucred cred;              /* [const] ... the process that connected */
    char peer[96];                  /* [const] printable: "127.0.0.1:4711", "unix pid 12 uid 0" */
    Export *export;                 /* [conn] set by the handshake: a reference and a place */
    TlsSession *tls_session;        /* [conn] channel.c's; NULL: plain */
    bool tls;                       /* [conn] what goes over the socket is encrypted */
    const char *tls_name;           /* [conn] whom TLS has authenticated: the certificate's common
                                     * name or the user of a pre-shared key; or NULL */
    bool structured;                /* [conn] structured replies negotiated, or extended headers */
    bool extended;                  /* [conn] extended headers negotiated */
    bool no_zeroes;                 /* [conn] */
    bool read_only;                 /* [conn] this client may only read `export` */
    bool stable;                    /* [conn] was told to flush nothing: each write is stable */
    uint32_t contexts;              /* [conn] meta contexts selected for `export`: a set */
    ThrottleClient *throttle;       /* [export's lock] its client's limits; [conn] reads it */
    TAILQ_ENTRY(Conn) link;         /* [conn's thread's list] */
    TAILQ_ENTRY(Conn) export_link;  /* [export's lock] */
    /* the rest (receive buffer, reply queue, counters) is conn.c's: conn-int.h */
};

/*
 * Reads and writes for the handshake, in the connection's coroutine; they yield
 * as needed.  0, or -errno: -ESHUTDOWN the peer closed between messages,
 * -ECONNRESET it closed inside one, -ETIMEDOUT, -ECANCELED the server stops.
 */
int coroutine_fn conn_read(Conn *conn, void *buf, size_t len);
int coroutine_fn conn_drop(Conn *conn, size_t len);           /* read and forget */
int coroutine_fn conn_write(Conn *conn, const struct iovec *iov, int niov);

/* Has the main thread call func(opaque), which may open images, and waits for that. */
void coroutine_fn conn_call_main(Conn *conn, void (*func)(void *opaque), void *opaque);
/* The TLS handshake, after which all goes through TLS.  0, -EPROTO: why it failed is logged, or as
 * conn_read(). */
int coroutine_fn conn_start_tls(Conn *conn, TlsCreds *creds);

/*
 * Reads and writes fail with -ETIMEDOUT once qemu_clock_get_ns(QEMU_CLOCK_REALTIME)
 * is past deadline_ns; 0: no deadline.  The handshake sets it and takes it away again.
 */
void conn_set_deadline(Conn *conn, int64_t deadline_ns);

/*
 * The rest of a connection's life, for iothread.c; all in the connection's thread.
 * conn_new() takes over fd; NULL: no memory, and fd is closed.  conn_start() runs the
 * connection's coroutine: handshake, transmission, then iothread_conn_gone() as its last use
 * of conn, which conn.c frees right after: conn may be dead when conn_start() returns.
 */
Conn *conn_new(Server *server, IoThread *thread, AioContext *ctx, int fd,
               const struct sockaddr_storage *addr, socklen_t addr_len);
void conn_start(Conn *conn);
/* New requests get ESHUTDOWN, requests in flight are answered, then the connection ends;
 * a handshake that waits for its client ends at once. */
void conn_shutdown(Conn *conn);
/* Ends the connection without waiting for anything but its own requests to the images. */
void conn_abort(Conn *conn);
/* One of the two, because somebody wants this client to go. */
void conn_dismiss(Conn *conn, bool force);
/* The export's gate is open: looks at what waits. */
void conn_release(Conn *conn);
/* For as long as others wait for memory: conn_watch() once, then conn_press() again and again,
 * which ends the connection if its client keeps memory and does not move. */
void conn_watch(Conn *conn);
void conn_press(Conn *conn);

/* ---- handshake.c ---- */

/* Runs the handshake.  0: conn->export and the negotiated fields are set, transmission begins.
 * Negative: close the connection (the reason is logged already). */
int coroutine_fn handshake_run(Conn *conn);

/* ---- receive.c: transmission ---- */

/* Serves requests until the client leaves, misbehaves or the server stops.  0: its stream has
 * ended; -ESHUTDOWN: it takes its leave; or -errno. */
int coroutine_fn transmission_run(Conn *conn);

/* ---- iothread.c ---- */

/* Hands an accepted socket, and its client's address, to the thread with the fewest
 * connections.  [main] */
void server_add_client(Server *server, int fd, const struct sockaddr_storage *addr,
                       socklen_t addr_len);
/* A connection is over: takes it off its thread's list.  [conn's thread] */
void iothread_conn_gone(Conn *conn);

bool iothreads_start(Server *server, Error **errp);     /* [main] config->threads of them */
unsigned iothreads_connections(Server *server);         /* [any] clients of all threads */
void iothreads_shutdown_conns(Server *server);          /* [main] conn_shutdown() for each */
bool iothreads_winding_down(Server *server);         /* it has reached every thread */
void iothreads_abort_conns(Server *server);             /* [main] conn_abort() for each */
void iothreads_watch_conns(Server *server);             /* [main] conn_watch() for each */
void iothreads_press_conns(Server *server);             /* [main] conn_press() for each */
/* conn_shutdown(), conn_abort() for each connection of that export.  [main] */
void iothreads_shutdown_export(Server *server, Export *export);
void iothreads_abort_export(Server *server, Export *export);
/* The gate of an export is open.  [main] */
void iothreads_release_export(Server *server, Export *export);
/* Calls func for each connection, in its thread, and waits for that.  [main] */
void iothreads_visit(Server *server, void (*func)(Conn *conn, void *opaque), void *opaque);
/* Waits until each thread is through with what it was doing: nothing of a request runs on that has
 * seen what was true before.  Those that yielded go on later.  [main] */
void iothreads_synchronize(Server *server);
void iothreads_stop(Server *server);                    /* [main] once no connection is left */

/* ---- listen.c: addresses, accept ---- */

bool listen_start(Server *server, Error **errp);        /* [main] all of config's addresses */
/* Serves a client that is connected already; takes over fd, which does not block.  [main] */
void listen_adopt(Server *server, int fd);
/* The address of the next listener; *l is NULL for the first.  False: there are no more.  [main] */
bool listen_next(Server *server, Listener **l, struct sockaddr_storage *addr, socklen_t *len);
void listen_client_left(Server *server);                /* [main] there may be room again */
void listen_stop(Server *server);                       /* [main] closes, removes unix sockets */

/* ---- main.c ---- */

struct Server {
    const Config *config;                 /* [const] */
    int argc;                             /* [const] the command line, to read it again */
    char **argv;
    int64_t since_ns;                     /* [const] QEMU_CLOCK_REALTIME at the start */
    pthread_mutex_t exports_lock;
    TAILQ_HEAD(, Export) exports;         /* [exports_lock] changed by [main] only */
    char *default_export;                 /* [exports_lock] what "" means; NULL: the only one */
    TAILQ_HEAD(OwnNodeList, OwnNode) nodes; /* [main] that the control socket has added: nodes.c */
    Jobs jobs;                            /* [main] work on images */
    Job close_job;                        /* [main] closes those that nobody uses */
    int export_dir;                       /* [main] its descriptor; -1: none */
    bool data_lost;                       /* [main] an export could not be flushed when it went */
    IoThread **threads;                   /* [const] */
    unsigned n_threads;                   /* [const] */
    STAILQ_HEAD(, Listener) listeners;    /* [main] */
    int passed_fds;                       /* [const] sockets that systemd listens on for us */
    char *private_socket;                 /* [const] path, for --run; or NULL */
    QEMUTimer *accept_timer;              /* [main] pending: out of descriptors, not accepting */
    _Atomic uint64_t n_conns;             /* [atomic] that there have been: their ids */
    atomic_bool served;                   /* [atomic] somebody has entered an export */
    atomic_bool stopping;                 /* [atomic] SIGTERM was seen: requests get ESHUTDOWN */
    int64_t started_ns;                   /* [const] QEMU_CLOCK_HOST */
    HandshakeStats handshakes;            /* [atomic] */
    HandshakeStats tls_handshakes;        /* [atomic] */
    _Atomic int64_t memory;               /* [atomic] bytes held for all clients */
    int64_t max_memory;                   /* [const] */
    TlsCreds *tls;                        /* [any] by tls_creds_get(); NULL: no TLS */
    QmpServer *qmp;                       /* [const] the control socket; NULL: none */
    atomic_uint qmp_listeners;            /* [atomic] its clients that take events */
    QEMUTimer *press_timer;               /* [main] pending: clients wait for memory; or NULL */
};

/* Ends the server in good order, as a signal does.  [main] */
void server_end(Server *server, const char *why);
/* A client is gone.  [main] */
void server_client_left(Server *server);
/* A client must wait for memory that others hold.  [main] */
void server_memory_short(void *server);

#endif
