/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is at the other end of a socket: its address, or the process's user.
 */
#ifndef NBD_EXPORT_PEER_H
#define NBD_EXPORT_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct Conn Conn;

/* An address of IPv4 (len 4) or IPv6 (len 16); IPv4 in IPv6's clothes counts as IPv4. */
typedef struct PeerAddress {
    unsigned len;
    uint8_t bytes[16];
} PeerAddress;

/* *offset: the bits of IPv6 in front of an IPv4 address that was written that way, or 0. */
bool peer_address_parse(PeerAddress *address, const char *text, unsigned *offset);
/* False if the client is none of a network. */
bool peer_address(const Conn *conn, PeerAddress *address);

/* Fills conn's peer, and has_cred and cred, by its fd and addr. */
void peer_identify(Conn *conn);
bool peer_is_in_group(const Conn *conn, gid_t gid);
/* What a client can be told by. */
typedef struct PeerIdentity {
    bool has_cred;             /* as in Conn, like the two next ones */
    struct ucred cred;
    const char *tls_name;      /* the Conn's, or NULL */
    PeerAddress address;       /* len 0: none of a network */
} PeerIdentity;

PeerIdentity peer_identity(const Conn *conn);
/* They are one client, as far as one can tell. */
bool peer_same_identity(const PeerIdentity *a, const PeerIdentity *b);
/* The same for connections. */
bool peer_same(const Conn *a, const Conn *b);

/* "127.0.0.1:4711" or "[::1]:4711" */
void peer_format_address(const struct sockaddr_storage *addr, socklen_t len, char *buf,
                         size_t size);

#endif
