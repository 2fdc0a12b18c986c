/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "peer.h"
#include "server.h"

#define MAPPED_BITS 96     /* ::ffff:0:0/96 has the IPv4 addresses */

/* ---- addresses ---- */

static unsigned set_ipv6(PeerAddress *address, const struct in6_addr *in6)
{
    bool mapped = IN6_IS_ADDR_V4MAPPED(in6);
    unsigned skip = mapped ? MAPPED_BITS / 8 : 0;

    address->len = (unsigned)sizeof(in6->s6_addr) - skip;
    memcpy(address->bytes, in6->s6_addr + skip, address->len);
    return mapped ? MAPPED_BITS : 0;
}

static void set_ipv4(PeerAddress *address, const struct in_addr *in)
{
    address->len = sizeof(in->s_addr);
    memcpy(address->bytes, &in->s_addr, address->len);
}

bool peer_address_parse(PeerAddress *address, const char *text, unsigned *offset)
{
    struct in_addr in;
    struct in6_addr in6;

    *offset = 0;
    if (inet_pton(AF_INET, text, &in) == 1) {
        set_ipv4(address, &in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6) == 1) {
        *offset = set_ipv6(address, &in6);
        return true;
    }
    return false;
}

bool peer_address(const Conn *conn, PeerAddress *address)
{
    if (conn->addr.ss_family == AF_INET) {
        set_ipv4(address, &((const struct sockaddr_in *)&conn->addr)->sin_addr);
        return true;
    }
    if (conn->addr.ss_family == AF_INET6) {
        set_ipv6(address, &((const struct sockaddr_in6 *)&conn->addr)->sin6_addr);
        return true;
    }
    return false;
}

void peer_format_address(const struct sockaddr_storage *addr, socklen_t len, char *buf,
                         size_t size)
{
    char host[64], port[16];

    if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(buf, size, "unknown");
    } else {
        snprintf(buf, size, addr->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    }
}

/* ---- clients ---- */

void peer_identify(Conn *conn)
{
    socklen_t len = sizeof(conn->cred);

    if (conn->addr.ss_family != AF_UNIX) {
        peer_format_address(&conn->addr, conn->addr_len, conn->peer, sizeof(conn->peer));
        return;
    }
    conn->has_cred = getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &conn->cred, &len) == 0;
    if (conn->has_cred) {
        snprintf(conn->peer, sizeof(conn->peer), "unix pid %ld uid %lu", (long)conn->cred.pid,
                 (unsigned long)conn->cred.uid);
    } else {
        snprintf(conn->peer, sizeof(conn->peer), "unix");
    }
}

bool peer_is_in_group(const Conn *conn, gid_t gid)
{
    auto_free gid_t *groups = NULL;
    socklen_t len = 0;

    if (conn->cred.gid == gid) {
        return true;
    }
    /* The process's other groups: the first call tells how much room they take. */
    if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE) {
        return false;
    }
    groups = malloc(len);
    if (!groups || getsockopt(conn->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
        return false;
    }
    for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
        if (groups[i] == gid) {
            return true;
        }
    }
    return false;
}

PeerIdentity peer_identity(const Conn *conn)
{
    PeerIdentity who = {
        .has_cred = conn->has_cred, .cred = conn->cred, .tls_name = conn->tls_name,
    };

    peer_address(conn, &who.address);
    return who;
}

bool peer_same_identity(const PeerIdentity *a, const PeerIdentity *b)
{
    if (a->has_cred && b->has_cred) {
        return a->cred.uid == b->cred.uid;
    }
    if (a->tls_name && b->tls_name) {
        return strcmp(a->tls_name, b->tls_name) == 0;
    }
    return a->address.len > 0 && a->address.len == b->address.len &&
           memcmp(a->address.bytes, b->address.bytes, a->address.len) == 0;
}

bool peer_same(const Conn *a, const Conn *b)
{
    PeerIdentity x = peer_identity(a), y = peer_identity(b);

    return peer_same_identity(&x, &y);
}
