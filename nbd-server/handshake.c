/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handshake: greeting, then one option after the other until the client has
 * chosen an export or leaves.  proto.md, "Handshake" and "Fixed newstyle negotiation".
 *
 * Everything here is written for a hostile client: each length is checked before
 * it is used, and time, number and size of what a client may ask are bounded.
 */
#include "handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"
#include "config.h"
#include "export-dir.h"
#include "succession.h"
#include "tls.h"

#define OUT_SEND_SIZE (32u << 10)    /* replies are sent at the latest when there are so many */
#define ERROR_TEXT_MAX 512

static const char *option_name(uint32_t option);

/* ---- sending ---- */

int coroutine_fn handshake_flush(Handshake *hs)
{
    struct iovec iov = { hs->out, hs->out_len };

    hs->out_len = 0;
    return iov.iov_len ? conn_write(hs->conn, &iov, 1) : 0;
}

int coroutine_fn handshake_send(Handshake *hs, const void *data, size_t len)
{
    if (len > hs->out_size - hs->out_len) {
        size_t size = hs->out_len + len < 1024 ? 1024 : (hs->out_len + len) * 2;
        uint8_t *out = realloc(hs->out, size);

        if (!out) {
            return -ENOMEM;
        }
        hs->out = out;
        hs->out_size = size;
    }
    memcpy(hs->out + hs->out_len, data, len);
    hs->out_len += len;
    return hs->out_len >= OUT_SEND_SIZE ? handshake_flush(hs) : 0;
}

int coroutine_fn handshake_reply(Handshake *hs, uint32_t type, const struct iovec *iov, int niov)
{
    struct nbd_option_reply head;
    size_t len = 0;
    int ret;

    for (int i = 0; i < niov; i++) {
        len += iov[i].iov_len;
    }
    store_be64(&head.magic, NBD_REP_MAGIC);
    store_be32(&head.option, hs->option);
    store_be32(&head.type, type);
    store_be32(&head.len, (uint32_t)len);
    ret = handshake_send(hs, &head, sizeof(head));
    for (int i = 0; i < niov && ret == 0; i++) {
        ret = iov[i].iov_len ? handshake_send(hs, iov[i].iov_base, iov[i].iov_len) : 0;
    }
    return ret;
}

int coroutine_fn handshake_ack(Handshake *hs)
{
    return handshake_reply(hs, NBD_REP_ACK, NULL, 0);
}

int coroutine_fn handshake_error(Handshake *hs, uint32_t type, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    struct iovec iov = { .iov_base = text };
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    iov.iov_len = strlen(text);
    /* Clients try what a server may know, and do without; and an export that was not found is in
     * the log already.  Other errors refuse them something. */
    log_msg(type == NBD_REP_ERR_UNSUP || type == NBD_REP_ERR_UNKNOWN ? LOG_LEVEL_INFO
                                                                     : LOG_LEVEL_WARNING,
            NULL, hs->conn, "option %s (%" PRIu32 "): %s", option_name(hs->option), hs->option,
            text);
    return handshake_reply(hs, type, &iov, 1);
}

int handshake_violation(Handshake *hs, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_msg(LOG_LEVEL_WARNING, NULL, hs->conn, "closed in the handshake: %s", text);
    return -EPROTO;
}

/* ---- for the options ---- */

enum access handshake_access(Handshake *hs, Export *export)
{
    ExportConfig *cfg = export_settings(export);
    enum access access = handshake_lacks_tls(hs, cfg) ? ACCESS_NONE
                                                      : access_check(&cfg->access, hs->conn);

    export_config_unref(cfg);
    if (access == ACCESS_FULL && export->read_only) {
        access = ACCESS_READ_ONLY;
    }
    return access;
}

/* The images of --export-dir have the settings of every export. */
bool handshake_may_use_dir(const Handshake *hs)
{
    const Config *config = hs->server->config;

    return config->export_dir &&
           access_check(&config->defaults.access, hs->conn) != ACCESS_NONE;
}

static void refused(Handshake *hs, Export *export)
{
    ExportConfig *cfg = export_settings(export);

    atomic_fetch_add(&export->handshakes.failed, 1);
    log_msg(LOG_LEVEL_WARNING, export, hs->conn, "refused: %s",
            handshake_lacks_tls(hs, cfg) ? "it needs TLS here" : "no rule allows this client");
    export_config_unref(cfg);
}

Export *coroutine_fn handshake_find_export(Handshake *hs, const void *name, size_t len)
{
    Export *export = exports_find(hs->server, name, len);

    if (!export && handshake_may_use_dir(hs)) {
        export = export_dir_find(hs->conn, name, len);
    }
    if (!export) {
        log_msg(LOG_LEVEL_WARNING, NULL, hs->conn, "refused: there is no export \"%.*s\"",
                (int)len, (const char *)name);
    } else if (handshake_access(hs, export) == ACCESS_NONE) {
        refused(hs, export);
        export_unref(export);
        export = NULL;
    }
    return export;
}

uint16_t handshake_flags(Handshake *hs, Export *export)
{
    Conn *conn = hs->conn;
    bool contexts = hs->option == NBD_OPT_INFO || conn->contexts;
    bool entered = conn->export == export;
    bool read_only = entered ? conn->read_only
                             : handshake_access(hs, export) != ACCESS_FULL;
    uint16_t flags = export_flags(export, read_only);

    /* Who cannot flush relies on that for good. */
    conn->stable = entered && !(flags & NBD_FLAG_SEND_FLUSH);
    return flags | (conn->structured ? NBD_FLAG_SEND_DF : 0) |
           (conn->extended && contexts ? NBD_FLAG_BLOCK_STATUS_PAYLOAD : 0);
}

/* A place in the export may be kept by a connection that its client has lost. */
static bool coroutine_fn take_place(Conn *conn, Export *export)
{
    return export_enter(export) ||
           (!export->removed && succession_settle(conn, export, true) && export_enter(export));
}

static bool coroutine_fn enter(Conn *conn, Export *export, const char **reason)
{
    if (!take_place(conn, export)) {
        *reason = "the export has as many clients as it may have";
        return false;
    }
    conn->export = export_ref(export);
    succession_join(conn);
    if (!succession_settle(conn, export, false)) {
        succession_leave(conn);
        export_unref(conn->export);
        conn->export = NULL;
        *reason = "writes of this client's older connections are still under way: try again";
        return false;
    }
    return true;
}

bool coroutine_fn handshake_enter(Handshake *hs, Export *export, const char **reason)
{
    Conn *conn = hs->conn;

    if (!enter(conn, export, reason)) {
        atomic_fetch_add(&export->handshakes.failed, 1);
        return false;
    }
    conn->read_only = handshake_access(hs, export) != ACCESS_FULL;
    /* Contexts selected for another export do not count: "NBD_OPT_SET_META_CONTEXT". */
    conn->contexts = hs->meta_export == export ? hs->meta_contexts : 0;
    return true;
}

static bool take(OptionData *data, size_t len, const uint8_t **bytes)
{
    if (data->left < len) {
        return false;
    }
    *bytes = data->next;
    data->next += len;
    data->left -= len;
    return true;
}

bool option_get_u16(OptionData *data, uint16_t *value)
{
    const uint8_t *bytes;

    if (!take(data, sizeof(*value), &bytes)) {
        return false;
    }
    *value = load_be16(bytes);
    return true;
}

bool option_get_u32(OptionData *data, uint32_t *value)
{
    const uint8_t *bytes;

    if (!take(data, sizeof(*value), &bytes)) {
        return false;
    }
    *value = load_be32(bytes);
    return true;
}

bool option_get_string(OptionData *data, const uint8_t **bytes, uint32_t *len)
{
    return option_get_u32(data, len) && take(data, *len, bytes);
}

/* ---- options that need no file of their own ---- */

static int coroutine_fn handshake_abort(Handshake *hs)
{
    /* The client may leave without waiting for our answer. */
    if (handshake_ack(hs) == 0) {
        handshake_flush(hs);
    }
    return -ESHUTDOWN;
}

static int coroutine_fn handshake_structured_reply(Handshake *hs)
{
    if (hs->conn->extended) {
        return handshake_error(hs, NBD_REP_ERR_EXT_HEADER_REQD,
                               "extended headers are negotiated, which take precedence");
    }
    hs->conn->structured = true;
    return handshake_ack(hs);
}

/* Their replies are chunks as structured ones are, under another header. */
static int coroutine_fn handshake_extended_headers(Handshake *hs)
{
    hs->conn->structured = true;
    hs->conn->extended = true;
    return handshake_ack(hs);
}

/* ---- the table ---- */

enum data_rule {
    DATA_READ,       /* the function looks at it */
    DATA_NONE,       /* there must not be any */
    DATA_IGNORED,    /* it is dropped */
};

typedef struct OptionRow {
    uint32_t option;
    enum data_rule rule;
    const char *name;
    HandshakeFunc *run;
} OptionRow;

static const OptionRow options[] = {
    { NBD_OPT_EXPORT_NAME, DATA_READ, "EXPORT_NAME", handshake_export_name },
    { NBD_OPT_ABORT, DATA_IGNORED, "ABORT", handshake_abort },
    { NBD_OPT_LIST, DATA_NONE, "LIST", handshake_list },
    { NBD_OPT_STARTTLS, DATA_NONE, "STARTTLS", handshake_starttls },
    { NBD_OPT_INFO, DATA_READ, "INFO", handshake_info },
    { NBD_OPT_GO, DATA_READ, "GO", handshake_go },
    { NBD_OPT_STRUCTURED_REPLY, DATA_NONE, "STRUCTURED_REPLY", handshake_structured_reply },
    { NBD_OPT_LIST_META_CONTEXT, DATA_READ, "LIST_META_CONTEXT", handshake_list_meta_context },
    { NBD_OPT_SET_META_CONTEXT, DATA_READ, "SET_META_CONTEXT", handshake_set_meta_context },
    { NBD_OPT_EXTENDED_HEADERS, DATA_NONE, "EXTENDED_HEADERS", handshake_extended_headers },
};

static const OptionRow *find_option(uint32_t option)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].option == option) {
            return &options[i];
        }
    }
    return NULL;
}

static const char *option_name(uint32_t option)
{
    const OptionRow *row = find_option(option);

    return row ? row->name : "unknown";
}

/* ---- the loop ---- */

/* Reads the option's data into hs->data, whose length is known to be within bounds. */
static int coroutine_fn read_data(Handshake *hs)
{
    free(hs->data);
    hs->data = malloc(hs->len ? hs->len : 1);
    if (!hs->data) {
        return -ENOMEM;
    }
    return hs->len ? conn_read(hs->conn, hs->data, hs->len) : 0;
}

/* An option that is not looked at: its data is dropped and an error is the reply. */
static int coroutine_fn refuse(Handshake *hs, uint32_t type, const char *text)
{
    int ret = conn_drop(hs->conn, hs->len);

    return ret < 0 ? ret : handshake_error(hs, type, "%s", text);
}

/* NBD_OPT_EXPORT_NAME has no error replies: what cannot be served ends the connection. */
static int coroutine_fn run_export_name(Handshake *hs)
{
    int ret;

    if (hs->len > NBD_MAX_STRING) {
        return handshake_violation(hs, "an export name of %" PRIu32 " bytes", hs->len);
    }
    if (handshake_needs_tls(hs)) {
        return handshake_violation(hs, "an export is asked for without TLS");
    }
    if (hs->server->stopping) {
        return -ECANCELED;
    }
    ret = read_data(hs);
    return ret < 0 ? ret : handshake_export_name(hs);
}

static int coroutine_fn run_option(Handshake *hs)
{
    const OptionRow *row = find_option(hs->option);
    int ret;

    log_msg(LOG_LEVEL_DEBUG, NULL, hs->conn, "option %s (%" PRIu32 "), %" PRIu32 " bytes",
            option_name(hs->option), hs->option, hs->len);
    if (hs->option == NBD_OPT_EXPORT_NAME) {
        return run_export_name(hs);
    }
    if (!hs->fixed) {
        return handshake_violation(hs, "option %" PRIu32 " without NBD_FLAG_C_FIXED_NEWSTYLE",
                                   hs->option);
    }
    if (handshake_needs_tls(hs) && hs->option != NBD_OPT_STARTTLS &&
        hs->option != NBD_OPT_ABORT) {
        return refuse(hs, NBD_REP_ERR_TLS_REQD, "this server serves nobody without TLS");
    }
    if (hs->server->stopping && hs->option != NBD_OPT_ABORT) {
        return refuse(hs, NBD_REP_ERR_SHUTDOWN, "the server is shutting down");
    }
    if (!row) {
        return refuse(hs, NBD_REP_ERR_UNSUP, "this server does not know that option");
    }
    if (row->rule == DATA_NONE && hs->len) {
        return refuse(hs, NBD_REP_ERR_INVALID, "that option takes no data");
    }
    if (row->rule == DATA_READ && hs->len > HANDSHAKE_MAX_DATA) {
        return refuse(hs, NBD_REP_ERR_TOO_BIG, "more than 64 KiB of data for that option");
    }
    ret = row->rule == DATA_READ ? read_data(hs) : conn_drop(hs->conn, hs->len);
    return ret < 0 ? ret : row->run(hs);
}

/* Ends what is no handshake any more; the client is told where it is still possible. */
static int coroutine_fn check_bounds(Handshake *hs)
{
    hs->n_options++;
    hs->n_bytes += sizeof(struct nbd_option) + hs->len;
    if (hs->n_options <= HANDSHAKE_MAX_OPTIONS && hs->n_bytes <= HANDSHAKE_MAX_BYTES) {
        return 0;
    }
    if (hs->fixed && hs->option != NBD_OPT_EXPORT_NAME && !handshake_needs_tls(hs)) {
        handshake_error(hs, NBD_REP_ERR_TOO_BIG, "too much data or too many options");
        handshake_flush(hs);
    }
    return handshake_violation(hs, "too much: %u options, %" PRIu64 " bytes", hs->n_options,
                               hs->n_bytes);
}

/* HANDSHAKE_NEXT, HANDSHAKE_DONE or -errno. */
static int coroutine_fn next_option(Handshake *hs)
{
    struct nbd_option head;
    int ret = conn_read(hs->conn, &head, sizeof(head));
    int sent;

    if (ret < 0) {
        return ret;
    }
    if (load_be64(&head.magic) != NBD_OPTS_MAGIC) {
        return handshake_violation(hs, "no option's magic number");
    }
    hs->option = load_be32(&head.option);
    hs->len = load_be32(&head.len);
    ret = check_bounds(hs);
    if (ret == 0) {
        ret = run_option(hs);
    }
    if (ret < 0) {
        return ret;
    }
    sent = handshake_flush(hs);
    return sent < 0 ? sent : ret;
}

static int coroutine_fn greet(Handshake *hs)
{
    struct nbd_greeting greeting;
    uint32_t flags;
    int ret;

    store_be64(&greeting.magic, NBD_MAGIC);
    store_be64(&greeting.opts_magic, NBD_OPTS_MAGIC);
    store_be16(&greeting.flags, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    ret = handshake_send(hs, &greeting, sizeof(greeting));
    if (ret == 0) {
        ret = handshake_flush(hs);
    }
    if (ret == 0) {
        ret = conn_read(hs->conn, &flags, sizeof(flags));
    }
    if (ret < 0) {
        return ret;
    }
    flags = load_be32(&flags);
    if (flags & ~(NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES)) {
        return handshake_violation(hs, "unknown client flags 0x%" PRIx32, flags);
    }
    hs->fixed = flags & NBD_FLAG_C_FIXED_NEWSTYLE;
    hs->conn->no_zeroes = flags & NBD_FLAG_C_NO_ZEROES;
    return 0;
}

static void log_end(Handshake *hs, int error)
{
    switch (error) {
    case -EPROTO:
        break;    /* by handshake_violation() */
    case -ESHUTDOWN:
        log_msg(LOG_LEVEL_INFO, NULL, hs->conn, "left without choosing an export");
        break;
    case -ECANCELED:
        log_msg(LOG_LEVEL_DEBUG, NULL, hs->conn, "closed in the handshake: shutting down");
        break;
    case -ETIMEDOUT:
        log_msg(LOG_LEVEL_WARNING, NULL, hs->conn, "closed: no export chosen within the %u "
                "seconds of --handshake-timeout", hs->server->config->handshake_timeout);
        break;
    default:
        log_msg(LOG_LEVEL_INFO, NULL, hs->conn, "lost in the handshake: %s", strerror(-error));
    }
}

static void count_end(HandshakeStats *stats, int ret)
{
    atomic_fetch_add(ret >= 0 ? &stats->ok
                     : ret == -ESHUTDOWN || ret == -ECANCELED ? &stats->left : &stats->failed, 1);
}

int coroutine_fn handshake_run(Conn *conn)
{
    Handshake hs = { .conn = conn, .server = conn->server, .tls = tls_creds_get(conn->server) };
    const int64_t timeout = (int64_t)conn->server->config->handshake_timeout * 1000000000;
    int ret;

    conn_set_deadline(conn, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + timeout);
    ret = greet(&hs);
    while (ret == HANDSHAKE_NEXT) {
        ret = next_option(&hs);
    }
    conn_set_deadline(conn, 0);
    tls_creds_unref(hs.tls);
    free(hs.data);
    free(hs.out);
    export_unref(hs.meta_export);
    count_end(&conn->server->handshakes, ret);
    if (ret < 0) {
        log_end(&hs, ret);
        return ret;
    }
    count_end(&conn->export->handshakes, ret);
    atomic_store(&conn->server->served, true);
    log_msg(LOG_LEVEL_NOTICE, conn->export, conn, "connected%s%s%s%s", conn->tls ? ", TLS" : "",
            conn->tls_name ? " as " : "", conn->tls_name ? conn->tls_name : "",
            conn->read_only && !conn->export->read_only ? ", may only read" : "");
    return 0;
}
