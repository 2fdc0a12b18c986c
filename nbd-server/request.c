/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each command of the transmission phase means: one row and one function
 * a command.  proto.md, "Request types"; errors: "Error values".
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "conn-int.h"
#include "data-pool.h"
#include "hold.h"
#include "throttle.h"

/* Zero writes and trims are passed on in pieces that end at multiples of this. */
#define PIECE ((uint64_t)1 << 30)
/* Reads from this size on answer holes as holes; below, looking for them costs more. */
#define SPARSE_READ_MIN (64u << 10)
/* A cache request reads ahead so far; the rest of it is but a hint. */
#define CACHE_MAX NBD_MAX_REQUEST
#define CACHE_PIECE (1u << 20)
/* A medium that has no mapping to lend is not asked again for some reads, at last so many. */
#define MAPPING_PAUSE_MAX 1024

enum { NO_ACCT = -1 };

struct Command {
    const char *name;           /* NULL: no such command */
    uint16_t flags;             /* valid ones; FUA is valid everywhere */
    bool ranged;                /* offset and length name a part of the export */
    bool writes;
    bool payload;               /* length counts bytes on the wire: bounded */
    bool limited;               /* waits because of --throttle */
    uint32_t past_end;          /* error for a range past the end */
    int acct;                   /* enum BlockAcctType or NO_ACCT */
    enum stats_command stat;    /* what it is counted as */
    /* 0 or -errno; fills the reply if there is more to say than "done". */
    int coroutine_fn (*run)(Request *req);
};

static BlockBackend *blk_of(const Request *req)
{
    return req->client->conn.export->blk;
}

/* Of values whose smaller one fits. */
static uint32_t min_u32(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

int coroutine_fn request_give_way(Request *req)
{
    aio_co_schedule(req->client->conn.ctx, qemu_coroutine_self());
    qemu_coroutine_yield();
    return req->client->error ? -ECANCELED : 0;
}

int coroutine_fn request_get_data(Request *req, size_t size)
{
    Budget *budget = &req->client->budget;

    if (!budget_take(budget, size)) {
        return -ESHUTDOWN;
    }
    req->data = data_get(size);
    if (!req->data) {
        budget_give(budget, size);
        return -ENOMEM;
    }
    req->data_size = size;
    return 0;
}

/* ---- READ ---- */

/* 0, or -ENOTSUP, -errno.  Encrypting touches the memory, which unstable one does not bear. */
static int coroutine_fn map_data(Request *req)
{
    int ret;

    req->medium = atomic_load_explicit(&req->client->conn.export->medium, memory_order_relaxed);
    ret = blk_co_map_read(blk_of(req), (int64_t)req->offset, (int64_t)req->len, &req->map);

    if (ret == 0 && req->client->conn.tls && !req->map.stable) {
        blk_unmap(&req->map);
        ret = -ENOTSUP;
    }
    return ret;
}

/* Makes the request's bytes available at *data: lent by the medium, or not read yet. */
static int coroutine_fn open_data(Request *req, const uint8_t **data)
{
    Client *c = req->client;
    int ret;

    if (c->skip_mapping > 0) {
        c->skip_mapping--;
    } else {
        ret = map_data(req);
        if (ret == 0) {
            c->mapping_pause = 0;
            req->mapped = true;
            *data = req->map.data;
            return 0;
        }
        if (ret != -ENOTSUP) {
            return ret;
        }
        c->mapping_pause = min_u32(2 * c->mapping_pause + 1, MAPPING_PAUSE_MAX);
        c->skip_mapping = c->mapping_pause;
    }
    ret = request_get_data(req, req->len);
    *data = req->data;
    return ret;
}

static int coroutine_fn read_part(Request *req, uint64_t offset, uint32_t len)
{
    struct iovec iov;
    QEMUIOVector qiov;

    if (req->mapped) {
        return 0;
    }
    iov = (struct iovec){ (uint8_t *)req->data + (offset - req->offset), len };
    qemu_iovec_init_external(&qiov, &iov, 1);
    return blk_co_preadv(blk_of(req), (int64_t)offset, len, &qiov, 0);
}

/* Remembers a stretch of data: reads inside it need not look for holes. */
static void remember_data(Client *c, uint64_t from, uint64_t to)
{
    bool touches = from <= c->data_to && to >= c->data_from;

    c->data_from = touches && c->data_from < from ? c->data_from : from;
    c->data_to = touches && c->data_to > to ? c->data_to : to;
}

/*
 * Divides the read into data and holes; 0 if it is all data as far as we know.
 * What is asked of the medium goes beyond the read: finding the end of a long
 * stretch of data can be slow, and its answer serves the reads that follow.
 */
static unsigned coroutine_fn find_pieces(Request *req, ReadPiece *pieces)
{
    Client *c = req->client;
    uint64_t offset = req->offset, end = req->offset + req->len;
    bool holes = false;
    unsigned n = 0;

    while (offset < end && n < REPLY_CHUNKS_MAX) {
        int64_t pnum = 0;
        int ret = n == REPLY_CHUNKS_MAX - 1 || (offset >= c->data_from && end <= c->data_to)
                  ? -ENOTSUP
                  : blk_co_block_status(blk_of(req), (int64_t)offset,
                                        min_u32(c->conn.export->size - offset, PIECE), &pnum);
        bool hole = ret >= 0 && (ret & BDRV_BLOCK_ZERO);
        uint32_t len = min_u32(end - offset, ret >= 0 && pnum > 0 ? (uint64_t)pnum : UINT32_MAX);

        if (ret >= 0 && !hole) {
            remember_data(c, offset, offset + (uint64_t)pnum);
        }
        if (n > 0 && pieces[n - 1].hole == hole) {
            pieces[n - 1].len += len;
        } else {
            pieces[n++] = (ReadPiece){ .offset = offset, .len = len, .hole = hole };
        }
        holes |= hole;
        offset += len;
    }
    return holes ? n : 0;
}

static int coroutine_fn read_sparse(Request *req, const ReadPiece *pieces, unsigned n)
{
    const uint8_t *data = NULL;
    int ret = 0;

    if (n > 1) {
        ret = open_data(req, &data);
    }
    for (unsigned i = 0; i < n && ret == 0; i++) {
        if (!pieces[i].hole) {
            ret = read_part(req, pieces[i].offset, pieces[i].len);
        }
    }
    if (ret == 0 && !reply_pieces(req, pieces, n, data)) {
        ret = -ENOMEM;
    }
    return ret;
}

static int coroutine_fn run_read(Request *req)
{
    const uint8_t *data;
    int ret;

    if (req->len == 0) {
        reply_empty_read(req);
        return 0;
    }
    if (req->len >= SPARSE_READ_MIN && req->client->conn.structured &&
        !(req->flags & NBD_CMD_FLAG_DF)) {
        ReadPiece pieces[REPLY_CHUNKS_MAX];
        unsigned n = find_pieces(req, pieces);

        if (n > 0) {
            return read_sparse(req, pieces, n);
        }
    }
    ret = open_data(req, &data);
    if (ret == 0) {
        ret = read_part(req, req->offset, (uint32_t)req->len);
    }
    if (ret == 0) {
        reply_data(req, data);
    }
    return ret;
}

/* ---- WRITE, FLUSH, TRIM, WRITE_ZEROES ---- */

/* It asks for that, or was told that it need not. */
static bool must_be_stable(const Request *req)
{
    return (req->flags & NBD_CMD_FLAG_FUA) || req->client->conn.stable;
}

static int coroutine_fn run_write(Request *req)
{
    int ret = 0;

    if (req->len > 0) {
        ret = blk_co_pwritev(blk_of(req), (int64_t)req->offset, (int64_t)req->len, &req->qiov,
                             must_be_stable(req) ? BDRV_REQ_FUA : 0);
    }
    return ret;
}

static int coroutine_fn run_flush(Request *req)
{
    return blk_co_flush(blk_of(req));
}

/* The part of [offset, end) up to the next multiple of PIECE. */
static uint32_t next_piece(uint64_t offset, uint64_t end)
{
    return min_u32(end - offset, PIECE - offset % PIECE);
}

/* The block layer makes writes stable where there is no write cache, but not trims. */
static bool trim_must_be_stable(const Request *req)
{
    return must_be_stable(req) || req->client->conn.export->write_through;
}

static int coroutine_fn run_trim(Request *req)
{
    uint64_t offset = req->offset, end = req->offset + req->len;
    int ret = 0;

    while (offset < end && ret == 0) {
        uint32_t len = next_piece(offset, end);

        ret = blk_co_pdiscard(blk_of(req), (int64_t)offset, len);
        offset += len;
        if (ret == 0 && offset < end) {
            ret = request_give_way(req);
        }
    }
    if (ret == 0 && req->len > 0 && trim_must_be_stable(req)) {
        ret = blk_co_flush(blk_of(req));
    }
    return ret;
}

static int coroutine_fn run_write_zeroes(Request *req)
{
    uint64_t offset = req->offset, end = req->offset + req->len;
    bool single = next_piece(offset, end) == req->len;
    bool fua = must_be_stable(req);
    int flags = (req->flags & NBD_CMD_FLAG_NO_HOLE ? 0 : BDRV_REQ_MAY_UNMAP) |
                (req->flags & NBD_CMD_FLAG_FAST_ZERO ? BDRV_REQ_NO_FALLBACK : 0) |
                (fua && single ? BDRV_REQ_FUA : 0);
    int ret = 0;

    while (offset < end && ret == 0) {
        uint32_t len = next_piece(offset, end);

        ret = blk_co_pwrite_zeroes(blk_of(req), (int64_t)offset, len, flags);
        offset += len;
        if (ret == 0 && offset < end) {
            ret = request_give_way(req);
        }
    }
    if (ret == 0 && fua && !single) {
        ret = blk_co_flush(blk_of(req));
    }
    return ret;
}

/* ---- CACHE ---- */

static int coroutine_fn run_cache(Request *req)
{
    uint64_t offset = req->offset, end = req->offset + min_u32(req->len, CACHE_MAX);
    int ret = offset < end ? request_get_data(req, min_u32(end - offset, CACHE_PIECE)) : 0;

    while (offset < end && ret == 0) {
        struct iovec iov = { req->data, min_u32(end - offset, CACHE_PIECE) };
        QEMUIOVector qiov;

        qemu_iovec_init_external(&qiov, &iov, 1);
        ret = blk_co_preadv(blk_of(req), (int64_t)offset, (int64_t)iov.iov_len, &qiov, 0);
        offset += iov.iov_len;
    }
    request_release_data(req);
    return ret;
}

/* ---- the table ---- */

static const Command commands[] = {
    [NBD_CMD_READ] = {
        .name = "read", .flags = NBD_CMD_FLAG_DF, .ranged = true, .payload = true,
        .limited = true,
        .past_end = NBD_EINVAL, .acct = BLOCK_ACCT_READ, .stat = STATS_READ, .run = run_read,
    },
    [NBD_CMD_WRITE] = {
        .name = "write", .flags = NBD_CMD_FLAG_PAYLOAD_LEN, .ranged = true, .writes = true,
        .payload = true, .limited = true,
        .past_end = NBD_ENOSPC, .acct = BLOCK_ACCT_WRITE, .stat = STATS_WRITE, .run = run_write,
    },
    [NBD_CMD_FLUSH] = {
        .name = "flush", .acct = BLOCK_ACCT_FLUSH, .stat = STATS_FLUSH, .run = run_flush,
    },
    [NBD_CMD_TRIM] = {
        .name = "trim", .ranged = true, .writes = true,
        .past_end = NBD_EINVAL, .acct = NO_ACCT, .stat = STATS_TRIM, .run = run_trim,
    },
    [NBD_CMD_CACHE] = {
        .name = "cache", .ranged = true, .limited = true,
        .past_end = NBD_EINVAL, .acct = NO_ACCT, .stat = STATS_CACHE, .run = run_cache,
    },
    [NBD_CMD_WRITE_ZEROES] = {
        .name = "write zeroes", .flags = NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
        .ranged = true, .writes = true, .limited = true,
        .past_end = NBD_ENOSPC, .acct = BLOCK_ACCT_WRITE, .stat = STATS_WRITE_ZEROES,
        .run = run_write_zeroes,
    },
    [NBD_CMD_BLOCK_STATUS] = {
        .name = "block status", .flags = NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_PAYLOAD_LEN,
        .ranged = true,
        .past_end = NBD_EINVAL, .acct = NO_ACCT, .stat = STATS_BLOCK_STATUS,
        .run = request_run_block_status,
    },
};

static const Command unknown_command = { .acct = NO_ACCT, .stat = STATS_UNKNOWN };

const Command *command_find(unsigned type)
{
    return type < sizeof(commands) / sizeof(commands[0]) && commands[type].name
           ? &commands[type] : &unknown_command;
}

/* ---- checks: arithmetic only ---- */

#define REFUSE(error, ...) \
    do { \
        snprintf(text, ERROR_TEXT_MAX, __VA_ARGS__); \
        return (error); \
    } while (0)

static bool is_past(uint64_t size, uint64_t offset, uint64_t len)
{
    return offset > size || len > size - offset;
}

bool request_is_past_end(const Request *req)
{
    return req->cmd->ranged && is_past(req->client->conn.export->size, req->offset, req->len);
}

static uint32_t check_range(const Command *cmd, const Export *export, uint64_t offset,
                            uint64_t len, bool structured, char *text)
{
    uint64_t size = export->size;

    if (is_past(size, offset, len)) {
        REFUSE(cmd->past_end, "%s past the end of the export: offset %" PRIu64 " length %" PRIu64
               " size %" PRIu64, cmd->name, offset, len, size);
    }
    if (cmd->payload && len > export->max_block) {
        /* A reader that knows EOVERFLOW tries again with less: "Structured replies". */
        REFUSE(cmd->writes || !structured ? NBD_EINVAL : NBD_EOVERFLOW,
               "%s of %" PRIu64 " bytes: the maximum is %" PRIu32, cmd->name, len,
               export->max_block);
    }
    if ((offset | len) & (export->min_block - 1)) {
        REFUSE(NBD_EINVAL, "%s not aligned to the minimum block size %" PRIu32 ": offset %" PRIu64
               " length %" PRIu64, cmd->name, export->min_block, offset, len);
    }
    return NBD_SUCCESS;
}

uint32_t request_check(const Request *req, char *text)
{
    const Command *cmd = req->cmd;
    const Conn *conn = &req->client->conn;
    unsigned valid = cmd->flags | NBD_CMD_FLAG_FUA;

    if (!cmd->run) {
        REFUSE(NBD_EINVAL, "unknown command");
    }
    if (!conn->structured) {
        valid &= ~NBD_CMD_FLAG_DF;
    }
    if (!conn->extended) {
        valid &= ~NBD_CMD_FLAG_PAYLOAD_LEN;
    }
    if (req->flags & ~valid) {
        REFUSE(NBD_EINVAL, "%s with invalid flags 0x%x", cmd->name, req->flags & ~valid);
    }
    if (conn->extended && cmd->run == run_write && !(req->flags & NBD_CMD_FLAG_PAYLOAD_LEN)) {
        REFUSE(NBD_EINVAL, "%s without NBD_CMD_FLAG_PAYLOAD_LEN: no data came with it", cmd->name);
    }
    if (cmd->writes && conn->read_only) {
        REFUSE(NBD_EPERM, "%s: the export is read-only", cmd->name);
    }
    if (cmd->run == request_run_block_status && !conn->contexts) {
        REFUSE(NBD_EINVAL, "%s: no meta context was negotiated", cmd->name);
    }
    if (cmd->run == request_run_block_status && req->len == 0) {
        REFUSE(NBD_EINVAL, "%s of length 0", cmd->name);
    }
    if (!cmd->ranged) {
        if (req->offset || req->len) {
            REFUSE(NBD_EINVAL, "%s: offset and length must be 0", cmd->name);
        }
        return NBD_SUCCESS;
    }
    return check_range(cmd, conn->export, req->offset, req->len, conn->structured, text);
}

/* ---- from the header to the reply ---- */

/* What the client did wrong is found out before (request_check()): this is the storage's, and of
 * what the protocol has no word for a client need only know that it failed. */
static uint32_t nbd_errno(int ret, const Request *req)
{
    switch (-ret) {
    case EPERM:
    case EACCES:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
    case ENOBUFS:
        return NBD_ENOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
    case ESHUTDOWN:
        return NBD_ESHUTDOWN;
    case ENOTSUP:
        return req->flags & NBD_CMD_FLAG_FAST_ZERO ? NBD_ENOTSUP : NBD_EINVAL;
    case EINVAL:
        return NBD_EINVAL;
    default:
        return NBD_EIO;
    }
}

void request_fill_error(Request *req, int ret)
{
    const Conn *conn = &req->client->conn;
    char text[ERROR_TEXT_MAX], reason[64];

    snprintf(text, sizeof(text), "%s failed: offset %" PRIu64 " length %" PRIu64 ": %s",
             req->cmd->name, req->offset, req->len, strerror_r(-ret, reason, sizeof(reason)));
    log_msg(ret == -ENOTSUP || ret == -ESHUTDOWN ? LOG_LEVEL_DEBUG
            : ret == -ENOMEDIUM ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
            conn->export, conn, "%s", text);
    reply_error(req, nbd_errno(ret, req), text);
}

void request_reject(Request *req, uint32_t nbd_error, const char *text)
{
    const Conn *conn = &req->client->conn;

    request_unlist_write(req);
    stats_refused(&req->client->stats, req->cmd->stat);
    if (req->cmd->acct != NO_ACCT) {
        block_acct_invalid(blk_get_stats(blk_of(req)), (enum BlockAcctType)req->cmd->acct);
    }
    log_msg(LOG_LEVEL_INFO, conn->export, conn, "refused: %s", text);
    reply_error(req, nbd_error, text);
    reply_queue(req);
}

/* ---- the trace: every request as it begins and as it ends ---- */

static void trace_begin(Request *req)
{
    const Conn *conn = &req->client->conn;
    const LogField fields[] = {
        { "cookie", (int64_t)be64toh(req->cookie) },
        { "offset", (int64_t)req->offset },
        { "length", (int64_t)req->len },
        { "flags", req->flags },
    };

    req->traced_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    log_fields(LOG_LEVEL_DEBUG, conn->export, conn, fields, 4,
               "request %" PRIx64 ": %s offset %" PRIu64 " length %" PRIu64 " flags 0x%x",
               be64toh(req->cookie), req->cmd->name, req->offset, (uint64_t)req->len, req->flags);
}

static void trace_end(const Request *req, int ret)
{
    const Conn *conn = &req->client->conn;
    int64_t us = (qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - req->traced_ns) / 1000;
    const LogField fields[] = {
        { "cookie", (int64_t)be64toh(req->cookie) },
        { "error", -ret },
        { "duration_us", us },
    };
    char reason[64];

    log_fields(LOG_LEVEL_DEBUG, conn->export, conn, fields, 3,
               "request %" PRIx64 ": %s after %" PRId64 " us", be64toh(req->cookie),
               ret < 0 ? strerror_r(-ret, reason, sizeof(reason)) : "done", us);
}

bool request_has_policy(const Request *req, bool *is_read)
{
    *is_read = req->cmd->acct == BLOCK_ACCT_READ;
    return req->cmd->acct != NO_ACCT || req->cmd->writes;
}

const char *request_name(const Request *req)
{
    return req->cmd->name;
}

bool request_writes(const Request *req)
{
    return req->cmd->writes;
}

void request_list_write(Request *req)
{
    if (req->cmd->writes && !req->listed) {
        TAILQ_INSERT_TAIL(&req->client->writes, req, writes_link);
        client_add_busy(req->client, 1);
        req->listed = true;
    }
}

void request_unlist_write(Request *req)
{
    if (req->listed) {
        TAILQ_REMOVE(&req->client->writes, req, writes_link);
        client_add_busy(req->client, -1);
        req->listed = false;
    }
}

int coroutine_fn request_take_turn(Request *req)
{
    const Command *cmd = req->cmd;

    if (!atomic_load_explicit(&req->client->conn.export->throttled, memory_order_relaxed) ||
        !cmd->limited || req->len == 0 || req->had_turn) {
        return 0;
    }
    req->had_turn = true;
    return throttle_wait(req, cmd->run == run_cache ? min_u32(req->len, CACHE_MAX) : req->len,
                         cmd->writes);
}

/* 0, or -ESHUTDOWN: nobody waits for it any more. */
static int coroutine_fn take_turn(Request *req)
{
    int ret = request_take_turn(req);

    /* The gate was closed meanwhile. */
    return ret == 0 && export_is_gated(req->client->conn.export) && !hold_pass(req) ? -ESHUTDOWN
                                                                                    : ret;
}

/* It has failed because the medium is another one now, or smaller. */
static bool is_past_new_end(const Request *req, int *ret)
{
    bool past = request_is_past_end(req);

    if (past) {
        *ret = req->cmd->past_end == NBD_ENOSPC ? -ENOSPC : -EINVAL;
    }
    return past;
}

/* Who drains the export waits for what runs. */
static int coroutine_fn run(Request *req)
{
    Client *c = req->client;
    int ret;

    c->running++;
    ret = req->cmd->run(req);
    c->running--;
    if (c->draining && c->running == 0) {
        gate_conn_drained(c);
    }
    return ret;
}

/* Until it is done, or has failed for good. */
static int coroutine_fn run_in_turn(Request *req)
{
    int ret = take_turn(req);

    if (ret == 0) {
        do {
            ret = run(req);
        } while (ret < 0 && !is_past_new_end(req, &ret) && error_policy_retries(req, &ret));
    }
    return ret;
}

/* The one place that counts (rule R13: the library does not), and as the client sees it: with the
 * wait for its turn. */
static int coroutine_fn run_counted(Request *req)
{
    const Command *cmd = req->cmd;
    Stats *stats = &req->client->stats;
    BlockAcctCookie acct = { .bytes = (int64_t)req->len, .type = (enum BlockAcctType)cmd->acct };
    int64_t end_ns;
    int ret;

    stats_begin(stats);
    acct.start_time_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    ret = run_in_turn(req);
    end_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    stats_end(stats, cmd->stat, (uint64_t)(end_ns - acct.start_time_ns), req->len, ret >= 0);
    if (cmd->acct != NO_ACCT) {
        block_acct_end(blk_get_stats(blk_of(req)), &acct, end_ns, ret >= 0);
    }
    return ret;
}

static void coroutine_fn request_co(void *opaque)
{
    Request *req = opaque;
    int ret = run_counted(req);

    request_unlist_write(req);
    if (req->traced_ns) {
        trace_end(req, ret);
    }
    if (ret < 0) {
        request_release_data(req);
        request_fill_error(req, ret);
    } else {
        if (req->cmd->writes) {
            request_release_data(req);
        }
        if (req->n_out == 0) {
            reply_success(req);
        }
    }
    reply_queue(req);
}

void request_start(Request *req)
{
    req->traced_ns = 0;
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        trace_begin(req);
    }
    request_list_write(req);
    req->co = qemu_coroutine_create(request_co);
    qemu_coroutine_enter(req->co, req);
}
