/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdload: an efficient NBD load generator that checks what it gets.
 *
 * One thread a connection; free slots are refilled in one sendmsg, replies are
 * parsed out of a large receive buffer, so that the server is the bottleneck.
 * One line of JSON goes to stdout, words to stderr; enum exit_code has the
 * statuses.
 */
#include "bench/load.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load-proc.h"

#define THREAD_STACK (256 * 1024)

typedef unsigned long long ull;

const char *const rw_names[] = { "read", "write", "randread", "randwrite", "randrw", "trim",
                                 "zero", "flush", NULL };

struct options o = {
    .export = "", .label = "", .rw = RW_RANDREAD, .bs = 4096, .qd = 1, .conns = 1, .batch = 1,
    .rwmix = 50, .secs = 3, .warmup = 0.3, .stall = 30, .seed = 1, .rbuf = 256 * 1024,
};

_Atomic int phase;

/* ---- small helpers ---- */

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void nap(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds };

    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {
    }
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    if (!p) {
        fatal(NULL, EX_CONN, "out of memory");
    }
    return p;
}

void json_str(const char *key, const char *value)
{
    printf("\"%s\":\"", key);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') {
            printf("\\%c", *value);
        } else if ((unsigned char)*value < 32) {
            printf("\\u%04x", (unsigned)*value);
        } else {
            putchar(*value);
        }
    }
    printf("\",");
}

void fatal(const struct conn *c, enum exit_code code, const char *fmt, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    va_list ap;

    pthread_mutex_lock(&lock);
    fprintf(stderr, "nbdload: ");
    if (c) {
        fprintf(stderr, "%sconnection %u: ", code == EX_PROTO ? "protocol violation: " : "", c->id);
    }
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(code);
}

static double own_cpu_seconds(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- options ---- */

static void usage(FILE *f)
{
    fputs("usage: nbdload --unix PATH | --tcp HOST:PORT [options]\n"
          "  --export NAME      export name (default: the empty name)\n"
          "  --rw MODE          read write randread randwrite randrw trim zero flush\n"
          "  --bs N             bytes a request (K, M, G suffixes)        [4096]\n"
          "  --qd N             requests in flight a connection           [1]\n"
          "  --conns N          connections, one thread each              [1]\n"
          "  --secs S           measured seconds; with 0, one sequential pass [3]\n"
          "  --warmup S         unmeasured seconds before that            [0.3]\n"
          "  --size-limit BYTES use only this much of the export\n"
          "  --pid PID          server whose processor time to report (with its threads\n"
          "                     and its child processes)\n"
          "  --structured 0|1   negotiate structured replies              [0]\n"
          "  --verify 0|1       write a pattern, read it back, compare    [0]\n"
          "  --fua 0|1          set FUA on write, zero, trim              [0]\n"
          "  --rwmix PCT        share of reads in randrw                  [50]\n"
          "  --batch N          wait for N free slots before sending      [1]\n"
          "  --seed N           pattern and offset seed                   [1]\n"
          "  --rbuf N           receive buffer a connection               [256K]\n"
          "  --sndbuf N --rcvbuf N  SO_SNDBUF, SO_RCVBUF                  [kernel's]\n"
          "  --stall S          give up after S seconds without a reply   [30]\n"
          "  --allow-errors 1   exit 0 although requests were refused\n"
          "  --label TEXT       copied into the JSON\n"
          "  --idle S           open the connections, hold them idle for S seconds, report\n"
          "                     the server's memory before and after\n"
          "  --first-reply 1 -- CMD ARG...\n"
          "                     start CMD, time until the first READ is answered, report its\n"
          "                     memory and end it\n",
          f);
}

static uint64_t parse_size(const char *text)
{
    static const char suffixes[] = "KMG";
    const char *suffix;
    char *end;
    double v = strtod(text, &end);

    if (*end && (suffix = strchr(suffixes, toupper((unsigned char)*end)))) {
        v *= (double)(UINT64_C(1) << 10 * (suffix - suffixes + 1));
        end++;
    }
    if (*end || end == text || v < 0) {
        fatal(NULL, EX_CONN, "bad number '%s'", text);
    }
    return (uint64_t)v;
}

static enum rw parse_rw(const char *text)
{
    for (int i = 0; rw_names[i]; i++) {
        if (strcmp(rw_names[i], text) == 0) {
            return (enum rw)i;
        }
    }
    fatal(NULL, EX_CONN, "bad --rw '%s'", text);
}

static void parse_tcp(char *text)
{
    char *colon = strrchr(text, ':');

    if (!colon) {
        fatal(NULL, EX_CONN, "--tcp wants HOST:PORT");
    }
    *colon = 0;
    o.host = text;
    o.port = colon + 1;
}

enum { O_UNIX = 256, O_TCP, O_EXPORT, O_RW, O_BS, O_QD, O_CONNS, O_SECS, O_LIMIT, O_PID, O_STRUCT,
       O_VERIFY, O_FUA, O_WARM, O_MIX, O_BATCH, O_SEED, O_RBUF, O_SNDBUF, O_RCVBUF, O_STALL,
       O_ALLOW, O_LABEL, O_IDLE, O_FIRST, O_HELP };

static const struct option long_options[] = {
    { "unix", 1, 0, O_UNIX }, { "tcp", 1, 0, O_TCP }, { "export", 1, 0, O_EXPORT },
    { "rw", 1, 0, O_RW }, { "bs", 1, 0, O_BS }, { "qd", 1, 0, O_QD }, { "conns", 1, 0, O_CONNS },
    { "secs", 1, 0, O_SECS }, { "size-limit", 1, 0, O_LIMIT }, { "pid", 1, 0, O_PID },
    { "structured", 1, 0, O_STRUCT }, { "verify", 1, 0, O_VERIFY }, { "fua", 1, 0, O_FUA },
    { "warmup", 1, 0, O_WARM }, { "rwmix", 1, 0, O_MIX }, { "batch", 1, 0, O_BATCH },
    { "seed", 1, 0, O_SEED }, { "rbuf", 1, 0, O_RBUF }, { "sndbuf", 1, 0, O_SNDBUF },
    { "rcvbuf", 1, 0, O_RCVBUF }, { "stall", 1, 0, O_STALL }, { "allow-errors", 1, 0, O_ALLOW },
    { "label", 1, 0, O_LABEL }, { "idle", 1, 0, O_IDLE }, { "first-reply", 1, 0, O_FIRST },
    { "help", 0, 0, O_HELP }, { 0, 0, 0, 0 }
};

static void set_option(int option, char *arg)
{
    switch (option) {
    case O_UNIX: o.unix_path = arg; break;
    case O_TCP: parse_tcp(arg); break;
    case O_EXPORT: o.export = arg; break;
    case O_RW: o.rw = parse_rw(arg); break;
    case O_BS: o.bs = parse_size(arg); break;
    case O_QD: o.qd = (unsigned)parse_size(arg); break;
    case O_CONNS: o.conns = (unsigned)parse_size(arg); break;
    case O_SECS: o.secs = atof(arg); break;
    case O_LIMIT: o.size_limit = parse_size(arg); break;
    case O_PID: o.pid = (pid_t)atoi(arg); break;
    case O_STRUCT: o.structured = atoi(arg); break;
    case O_VERIFY: o.verify = atoi(arg); break;
    case O_FUA: o.fua = atoi(arg); break;
    case O_WARM: o.warmup = atof(arg); break;
    case O_MIX: o.rwmix = (unsigned)atoi(arg); break;
    case O_BATCH: o.batch = (unsigned)atoi(arg); break;
    case O_SEED: o.seed = strtoull(arg, NULL, 0); break;
    case O_RBUF: o.rbuf = parse_size(arg); break;
    case O_SNDBUF: o.sndbuf = (int)parse_size(arg); break;
    case O_RCVBUF: o.rcvbuf = (int)parse_size(arg); break;
    case O_STALL: o.stall = atof(arg); break;
    case O_ALLOW: o.allow_errors = atoi(arg); break;
    case O_LABEL: o.label = arg; break;
    case O_IDLE: o.idle = atof(arg); break;
    case O_FIRST: o.first_reply = atoi(arg); break;
    case O_HELP: usage(stdout); exit(EX_FINE);
    default: usage(stderr); exit(EX_CONN);
    }
}

static void parse_options(int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        set_option(option, optarg);
    }
    if (!o.unix_path == !o.host || !o.qd || !o.conns || !o.bs || o.bs > (1u << 30) ||
        o.qd > 65536 || o.conns > 4096 || o.rbuf < 4096 || o.first_reply != (optind < argc)) {
        usage(stderr);
        exit(EX_CONN);
    }
    o.verify = o.verify && o.rw != RW_FLUSH;
}

/* ---- a connection's thread ---- */

/* Room in the socket, or replies, or both; true if there may be replies. */
static bool wait_for_room(struct conn *c)
{
    struct pollfd f = { .fd = c->fd, .events = POLLIN | POLLOUT };

    if (poll(&f, 1, (int)(o.stall * 1000)) == 0) {
        fatal(c, EX_STALL, "%u requests in flight, socket full, nothing for %g s", c->inflight,
              o.stall);
    }
    return f.revents & (POLLIN | POLLHUP | POLLERR);
}

/* Runs requests until the stage has no more and nothing is in flight. */
static void pump(struct conn *c)
{
    for (;;) {
        int flags = 0;
        ssize_t n;

        if (c->iov_at >= c->iov_n) {
            conn_fill(c);
        }
        conn_push(c);
        if (!c->inflight) {
            return;
        }
        if (c->iov_at < c->iov_n) {
            if (!wait_for_room(c)) {
                continue;
            }
            flags = MSG_DONTWAIT;
        }
        n = recv(c->fd, c->rbuf, o.rbuf, flags);
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && flags))) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            fatal(c, EX_STALL, "%u requests in flight, nothing for %g s", c->inflight, o.stall);
        }
        if (n <= 0) {
            fatal(c, EX_PROTO, "%u requests in flight: %s", c->inflight,
                  n ? strerror(errno) : "end of stream");
        }
        c->n_recv++;
        c->r_end = (size_t)n;
        conn_parse(c, now_ns());
    }
}

static void conn_prepare(struct conn *c)
{
    c->slots = xcalloc(o.qd, sizeof(*c->slots));
    c->free_slots = xcalloc(o.qd, sizeof(*c->free_slots));
    for (unsigned i = 0; i < o.qd; i++) {
        c->free_slots[i] = o.qd - 1 - i;
    }
    c->nfree = o.qd;
    c->hdrs = xcalloc(o.qd, sizeof(struct nbd_request));
    c->iov = xcalloc(1024, sizeof(*c->iov));
    c->wbuf = xcalloc(o.verify ? o.qd : 1, o.bs);
    c->rbuf = xcalloc(1, o.rbuf);
    memset(c->rbuf, 1, o.rbuf);             /* its pages are there before the clock runs */
    if (o.verify) {
        c->cmp = xcalloc(1, 65536);
        c->state = xcalloc(c->nblk, 1);
        c->locked = xcalloc(c->nblk, 1);
    } else {
        pattern(c->wbuf, c->id * o.bs, o.bs, 0);
    }
    c->rng = mix64(o.seed * 1000003u + c->id + 1);
    c->sequential = o.rw == RW_READ || o.rw == RW_WRITE || o.secs == 0;
    c->one_pass = o.secs == 0;
}

static void conn_free(struct conn *c)
{
    free(c->slots);
    free(c->free_slots);
    free(c->hdrs);
    free(c->iov);
    free(c->wbuf);
    free(c->rbuf);
    free(c->cmp);
    free(c->state);
    free(c->locked);
}

static pthread_barrier_t ready, start;

static void *conn_main(void *arg)
{
    struct conn *c = arg;

    conn_prepare(c);
    if (o.verify && o.rw != RW_WRITE && o.rw != RW_RANDWRITE) {
        if (c->tflags & NBD_FLAG_READ_ONLY) {
            memset(c->state, 1, c->nblk);   /* what an earlier run with this seed wrote */
        } else {
            c->stage = ST_FILL;
            pump(c);
            c->seq = 0;
        }
    }
    c->stage = ST_RUN;
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&start);
    pump(c);
    if (o.verify) {
        c->stage = ST_READBACK;
        c->seq = 0;
        pump(c);
    }
    conn_leave(c);
    conn_free(c);
    return NULL;
}

/* ---- a run ---- */

static void open_connections(struct conn *conns)
{
    for (unsigned i = 0; i < o.conns; i++) {
        conns[i].id = i;
        conns[i].fd = dial();
        if (conns[i].fd < 0) {
            fatal(&conns[i], EX_CONN, "connecting: %s", strerror(errno));
        }
        conn_handshake(&conns[i]);
        if (conns[i].size != conns[0].size || conns[i].tflags != conns[0].tflags) {
            fatal(&conns[i], EX_PROTO, "size or flags differ between connections");
        }
    }
    if (o.structured && !conns[0].structured) {
        fprintf(stderr, "nbdload: note: the server refused structured replies\n");
    }
}

/* Ends the process if the export cannot do what the options ask for. */
static void check_export(const struct conn *c)
{
    bool writes = o.rw != RW_READ && o.rw != RW_RANDREAD && o.rw != RW_FLUSH;
    uint16_t flags = c->tflags;

    if (!(flags & NBD_FLAG_HAS_FLAGS)) {
        fatal(c, EX_PROTO, "transmission flags %#x lack HAS_FLAGS", flags);
    }
    if (writes && (flags & NBD_FLAG_READ_ONLY)) {
        fatal(c, EX_UNSUP, "the export is read-only");
    }
    if ((o.rw == RW_TRIM && !(flags & NBD_FLAG_SEND_TRIM)) ||
        (o.rw == RW_ZERO && !(flags & NBD_FLAG_SEND_WRITE_ZEROES)) ||
        (o.rw == RW_FLUSH && !(flags & NBD_FLAG_SEND_FLUSH)) ||
        (o.fua && !(flags & NBD_FLAG_SEND_FUA))) {
        fatal(c, EX_UNSUP, "the export does not announce %s%s", rw_names[o.rw],
              o.fua ? " with FUA" : "");
    }
    if (o.bs % c->bmin || o.bs > c->bmax) {
        fatal(c, EX_UNSUP, "block size %llu against the server's minimum %u, maximum %u",
              (ull)o.bs, c->bmin, c->bmax);
    }
}

/* Each connection gets blocks of its own, or all of them the same ones. */
static void share_out(struct conn *conns)
{
    bool split = o.verify || o.rw == RW_READ || o.rw == RW_WRITE || o.secs == 0;
    uint64_t size = conns[0].size, blocks;

    if (o.size_limit && o.size_limit < size) {
        size = o.size_limit;
    }
    blocks = (split ? size / o.conns : size) / o.bs;
    if (!blocks) {
        fatal(NULL, EX_UNSUP, "%llu bytes are too few for %u connections of %llu-byte blocks",
              (ull)size, o.conns, (ull)o.bs);
    }
    for (unsigned i = 0; i < o.conns; i++) {
        conns[i].nblk = blocks;
        conns[i].base = split ? i * blocks * o.bs : 0;
    }
}

static void start_threads(struct conn *conns)
{
    pthread_attr_t attr;

    pthread_barrier_init(&ready, NULL, o.conns + 1);
    pthread_barrier_init(&start, NULL, o.conns + 1);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    for (unsigned i = 0; i < o.conns; i++) {
        if (pthread_create(&conns[i].thread, &attr, conn_main, &conns[i])) {
            fatal(&conns[i], EX_CONN, "cannot start a thread");
        }
    }
    pthread_attr_destroy(&attr);
    pthread_barrier_wait(&ready);
}

static void join_threads(struct conn *conns)
{
    for (unsigned i = 0; i < o.conns; i++) {
        pthread_join(conns[i].thread, NULL);
    }
}

struct window {
    double seconds, own_cpu;
    struct cpu before, after;
};

static void window_begin(struct window *w)
{
    cpu_read(&w->before, o.pid);
    w->own_cpu = own_cpu_seconds();
    w->seconds = (double)now_ns() / 1e9;
    atomic_store(&phase, PHASE_MEASURED);
}

static void window_end(struct window *w)
{
    w->seconds = (double)now_ns() / 1e9 - w->seconds;
    w->own_cpu = own_cpu_seconds() - w->own_cpu;
    cpu_read(&w->after, o.pid);
}

static void run(struct conn *conns, struct window *w)
{
    start_threads(conns);
    if (o.secs > 0 && o.warmup > 0) {
        pthread_barrier_wait(&start);
        nap(o.warmup);
        window_begin(w);
    } else {
        window_begin(w);       /* before the first request, so that all are counted */
        pthread_barrier_wait(&start);
    }
    if (o.secs > 0) {
        nap(o.secs);
        atomic_store(&phase, PHASE_STOP);
        window_end(w);
        join_threads(conns);
    } else {
        join_threads(conns);
        window_end(w);
    }
}

/* ---- the report ---- */

/* Adds all connections' counters up in `sum`. */
static void add_up(const struct conn *conns, struct conn *sum)
{
    for (unsigned i = 0; i < o.conns; i++) {
        const struct conn *c = &conns[i];

        sum->ops += c->ops;
        sum->errors += c->errors;
        sum->checked += c->checked;
        sum->mismatched += c->mismatched;
        sum->n_send += c->n_send;
        sum->n_recv += c->n_recv;
        sum->n_req += c->n_req;
        sum->n_rep += c->n_rep;
        if (!sum->first_error) {
            sum->first_error = c->first_error;
        }
        hist_merge(&sum->hist, &c->hist);
    }
}

static double per(double a, uint64_t b)
{
    return b ? a / (double)b : 0;
}

static void report(const struct conn *first, const struct conn *sum, const struct window *w)
{
    double server = cpu_seconds(&w->before, &w->after), dt = w->seconds;
    uint64_t bytes = o.rw == RW_FLUSH ? 0 : sum->ops * o.bs;

    putchar('{');
    json_str("label", o.label);
    printf("\"rw\":\"%s\",\"bs\":%llu,\"qd\":%u,\"conns\":%u,\"secs\":%.3f,\"structured\":%d,"
           "\"fua\":%d,\"ops\":%llu,\"iops\":%.1f,\"MBps\":%.1f,",
           rw_names[o.rw], (ull)o.bs, o.qd, o.conns, dt, first->structured, o.fua, (ull)sum->ops,
           (double)sum->ops / dt, (double)bytes / dt / 1e6);
    printf("\"lat_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"p99.9\":%.1f,\"max\":%.1f},",
           hist_mean_us(&sum->hist), hist_percentile_us(&sum->hist, 50),
           hist_percentile_us(&sum->hist, 99), hist_percentile_us(&sum->hist, 99.9),
           (double)sum->hist.max / 1000.0);
    printf("\"client_cpu_s\":%.3f,\"client_us_per_op\":%.3f,", w->own_cpu,
           per(w->own_cpu * 1e6, sum->ops));
    if (o.pid) {
        printf("\"server_cpu_s\":%.2f,\"server_us_per_op\":%.3f,\"server_procs\":%zu,", server,
               per(server * 1e6, sum->ops), w->after.n);
    }
    printf("\"foreign_pct\":%.1f,\"errors\":%llu,\"first_error\":%u,\"verified\":%llu,"
           "\"mismatched\":%llu,\"reqs_per_send\":%.2f,\"replies_per_recv\":%.2f,"
           "\"export_size\":%llu,\"tflags\":%u}\n",
           cpu_foreign_percent(&w->before, &w->after, server + w->own_cpu), (ull)sum->errors,
           sum->first_error, (ull)sum->checked, (ull)sum->mismatched,
           per((double)sum->n_req, sum->n_send), per((double)sum->n_rep, sum->n_recv),
           (ull)first->size, first->tflags);
}

static enum exit_code verdict(const struct conn *sum)
{
    if (sum->mismatched) {
        fprintf(stderr, "nbdload: verify: %llu of %llu blocks differ\n", (ull)sum->mismatched,
                (ull)sum->checked);
        return EX_VERIFY;
    }
    if (sum->errors) {
        fprintf(stderr, "nbdload: %llu requests refused, the first with error %u\n",
                (ull)sum->errors, sum->first_error);
        return o.allow_errors ? EX_FINE : EX_ERRORS;
    }
    return EX_FINE;
}

int main(int argc, char **argv)
{
    static struct window window;
    static struct conn sum;
    struct conn *conns;
    int status;

    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (o.first_reply) {
        return mode_first_reply(argv + optind);
    }
    conns = xcalloc(o.conns, sizeof(*conns));
    if (o.idle > 0) {
        status = mode_idle(conns);
    } else {
        open_connections(conns);
        check_export(&conns[0]);
        share_out(conns);
        run(conns, &window);
        add_up(conns, &sum);
        report(&conns[0], &sum, &window);
        status = verdict(&sum);
    }
    free(conns);
    return status;
}
