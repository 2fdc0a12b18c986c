/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a socket to the transmission phase, and out of it.
 */
#include "bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define OLDSTYLE_MAGIC UINT64_C(0x00420281861253)
#define MAX_REPLY 8192

/* ---- the socket ---- */

static int connect_or_close(int fd, const struct sockaddr *addr, socklen_t len)
{
    int error;

    if (fd < 0 || connect(fd, addr, len) == 0) {
        return fd;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int dial_unix(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    if (strlen(o.unix_path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(addr.sun_path, o.unix_path);
    return connect_or_close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                            (struct sockaddr *)&addr, sizeof(addr));
}

static int dial_tcp(void)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    int fd = -1, error = getaddrinfo(o.host, o.port, &hints, &list);

    if (error) {
        fatal(NULL, EX_CONN, "%s: %s", o.host, gai_strerror(error));
    }
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = connect_or_close(socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), ai->ai_addr,
                              ai->ai_addrlen);
    }
    freeaddrinfo(list);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    }
    return fd;
}

int dial(void)
{
    struct timeval stall = { .tv_sec = (time_t)o.stall };
    int fd = o.unix_path ? dial_unix() : dial_tcp();

    if (fd < 0) {
        return fd;
    }
    stall.tv_usec = (suseconds_t)((o.stall - (double)stall.tv_sec) * 1e6);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
    if (o.sndbuf) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &o.sndbuf, sizeof(int));
    }
    if (o.rcvbuf) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o.rcvbuf, sizeof(int));
    }
    return fd;
}

void conn_read(struct conn *c, void *buf, size_t len, const char *what)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = recv(c->fd, p, len, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            fatal(c, EX_STALL, "no bytes while reading %s", what);
        }
        if (n < 0) {
            fatal(c, EX_CONN, "reading %s: %s", what, strerror(errno));
        }
        if (n == 0) {
            fatal(c, EX_PROTO, "end of stream while reading %s", what);
        }
        p += n;
        len -= (size_t)n;
    }
}

void conn_send(struct conn *c, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            fatal(c, EX_CONN, "sending: %s", strerror(errno));
        }
        p += n;
        len -= (size_t)n;
    }
}

/* ---- the handshake ---- */

static void send_option(struct conn *c, uint32_t option, const void *data, uint32_t len)
{
    struct nbd_option h = { htobe64(NBD_OPTS_MAGIC), htobe32(option), htobe32(len) };

    conn_send(c, &h, sizeof(h));
    conn_send(c, data, len);
}

/* Reads one reply to an option into `buf` of MAX_REPLY bytes; returns its type. */
static uint32_t read_reply(struct conn *c, uint32_t option, uint8_t *buf, uint32_t *len)
{
    struct nbd_option_reply h;

    conn_read(c, &h, sizeof(h), "an option reply");
    if (be64toh(h.magic) != NBD_REP_MAGIC) {
        fatal(c, EX_PROTO, "bad option reply magic %016llx", (unsigned long long)be64toh(h.magic));
    }
    if (be32toh(h.option) != option) {
        fatal(c, EX_PROTO, "reply to option %u, not %u", be32toh(h.option), option);
    }
    *len = be32toh(h.len);
    if (*len > MAX_REPLY) {
        fatal(c, EX_PROTO, "option reply of %u bytes", *len);
    }
    conn_read(c, buf, *len, "an option reply's data");
    return be32toh(h.type);
}

static uint16_t exchange_flags(struct conn *c)
{
    struct nbd_greeting g;
    uint32_t flags;

    conn_read(c, &g, sizeof(g), "the greeting");
    if (be64toh(g.magic) == NBD_MAGIC && be64toh(g.opts_magic) == OLDSTYLE_MAGIC) {
        fatal(c, EX_UNSUP, "the server speaks the oldstyle handshake");
    }
    if (be64toh(g.magic) != NBD_MAGIC || be64toh(g.opts_magic) != NBD_OPTS_MAGIC) {
        fatal(c, EX_PROTO, "bad magic in the greeting");
    }
    flags = be16toh(g.flags) & (NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES);
    conn_send(c, &(uint32_t){ htobe32(flags) }, sizeof(uint32_t));
    return (uint16_t)flags;
}

static void negotiate_structured(struct conn *c)
{
    uint8_t buf[MAX_REPLY];
    uint32_t len, type;

    send_option(c, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
    type = read_reply(c, NBD_OPT_STRUCTURED_REPLY, buf, &len);
    if (type == NBD_REP_ACK && len) {
        fatal(c, EX_PROTO, "the ACK of STRUCTURED_REPLY carries %u bytes", len);
    }
    if (type != NBD_REP_ACK && !NBD_REP_IS_ERROR(type)) {
        fatal(c, EX_PROTO, "reply %u to STRUCTURED_REPLY", type);
    }
    c->structured = type == NBD_REP_ACK;
}

/* One NBD_REP_INFO; true if it is NBD_INFO_EXPORT. */
static bool take_info(struct conn *c, const uint8_t *buf, uint32_t len)
{
    uint16_t type = len < 2 ? 0xffff : load_be16(buf);

    if (type == NBD_INFO_EXPORT) {
        if (len != sizeof(struct nbd_info_export)) {
            fatal(c, EX_PROTO, "NBD_INFO_EXPORT of %u bytes", len);
        }
        c->size = load_be64(buf + 2);
        c->tflags = load_be16(buf + 10);
        return true;
    }
    if (type == NBD_INFO_BLOCK_SIZE) {
        if (len != sizeof(struct nbd_info_block_size)) {
            fatal(c, EX_PROTO, "NBD_INFO_BLOCK_SIZE of %u bytes", len);
        }
        c->bmin = load_be32(buf + 2);
        c->bmax = load_be32(buf + 10);
        if (!c->bmin || (c->bmin & (c->bmin - 1))) {
            fatal(c, EX_PROTO, "minimum block size %u", c->bmin);
        }
    }
    return false;
}

/* False if the server does not know NBD_OPT_GO. */
static bool go(struct conn *c)
{
    uint32_t name_len = (uint32_t)strlen(o.export), len, type;
    bool have_export = false;
    uint8_t buf[MAX_REPLY];

    store_be32(buf, name_len);
    memcpy(buf + 4, o.export, name_len);
    store_be16(buf + 4 + name_len, 1);
    store_be16(buf + 6 + name_len, NBD_INFO_BLOCK_SIZE);
    send_option(c, NBD_OPT_GO, buf, 8 + name_len);
    while ((type = read_reply(c, NBD_OPT_GO, buf, &len)) == NBD_REP_INFO) {
        have_export |= take_info(c, buf, len);
    }
    if (type == NBD_REP_ERR_UNSUP) {
        return false;
    }
    if (NBD_REP_IS_ERROR(type)) {
        fatal(c, EX_CONN, "GO refused with %#x: %.*s", type, (int)len, (char *)buf);
    }
    if (type != NBD_REP_ACK || !have_export) {
        fatal(c, EX_PROTO, "reply %u to GO, %s NBD_INFO_EXPORT", type,
              have_export ? "after" : "without");
    }
    return true;
}

static void export_name(struct conn *c, bool zeroes)
{
    struct nbd_export_name_reply r;

    send_option(c, NBD_OPT_EXPORT_NAME, o.export, (uint32_t)strlen(o.export));
    conn_read(c, &r, sizeof(r) - (zeroes ? 0 : sizeof(r.zeroes)), "the export's size and flags");
    c->size = be64toh(r.size);
    c->tflags = be16toh(r.flags);
}

void conn_handshake(struct conn *c)
{
    uint16_t flags;

    c->bmin = 1;
    c->bmax = NBD_DEFAULT_MAX_PAYLOAD;
    if (strlen(o.export) > NBD_MAX_STRING) {
        fatal(c, EX_CONN, "the export's name is too long");
    }
    flags = exchange_flags(c);
    if (flags & NBD_FLAG_C_FIXED_NEWSTYLE) {
        if (o.structured) {
            negotiate_structured(c);
        }
        if (go(c)) {
            return;
        }
    }
    export_name(c, !(flags & NBD_FLAG_C_NO_ZEROES));
}

void conn_leave(struct conn *c)
{
    struct nbd_request h = { .magic = htobe32(NBD_REQUEST_MAGIC), .type = htobe16(NBD_CMD_DISC) };

    /* Whether it arrives makes no difference to the figures. */
    (void)!send(c->fd, &h, sizeof(h), MSG_NOSIGNAL);
    close(c->fd);
}
