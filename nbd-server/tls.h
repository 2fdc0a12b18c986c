/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS: with what the server speaks it (credentials), and a client that does (session).
 *
 *   tls-creds.c     files -> TlsCreds, shared by sessions, replaced at a reload
 *   tls-psk.c       users and their keys, part of the credentials
 *   tls-session.c   one client's: handshake, records, the name it has proven
 *   tls-certs.c     certificates for tests
 *   tls-none.c      stands for all of them in a build without gnutls
 */
#ifndef NBD_EXPORT_TLS_H
#define NBD_EXPORT_TLS_H

#include "server.h"

/* ---- credentials ---- */

/* Reads the credentials that config names; *creds is a reference, or NULL: no TLS. */
bool tls_load(const Config *config, TlsCreds **creds, Error **errp);
/* Takes over creds: connections to come use them, the others keep what they have.  [main] */
void tls_adopt(Server *server, TlsCreds *creds);
/* Both, with server->config; false changes nothing.  [main] */
bool tls_reload(Server *server, Error **errp);

/* What a new connection is to use, as a reference; NULL: no TLS.  [any] */
TlsCreds *tls_creds_get(Server *server);
TlsCreds *tls_creds_ref(TlsCreds *creds);
void tls_creds_unref(TlsCreds *creds);  /* NULL is fine */
/* Nobody is served without TLS; false for NULL. */
bool tls_is_required(const TlsCreds *creds);

/* ---- a session, in the thread of its connection ---- */

/* Takes a reference to creds; NULL: no memory. */
TlsSession *tls_session_new(Conn *conn, TlsCreds *creds);
/* One step of the handshake.  0: done, conn->tls and tls_name are set; -EAGAIN: again when there is
 * input, or, with *output, room; -EPROTO: failed, and why is logged; -errno: the connection is
 * lost. */
int tls_session_handshake(TlsSession *s, bool *output);
/* As channel_recv() and channel_send(). */
ssize_t tls_session_recv(TlsSession *s, const struct iovec *iov, unsigned niov);
ssize_t tls_session_send(TlsSession *s, const struct iovec *iov, unsigned niov, bool more);
/* There may be more to receive than what the socket has. */
bool tls_session_has_input(const TlsSession *s);
/* At least as many bytes as would come out of what is in it. */
size_t tls_session_unread(const TlsSession *s);
/* Tells the client that this was all, if there is room for it; NULL is fine. */
void tls_session_free(TlsSession *s);

/* Has TLS proven that the client is `name`: the common name or a DNS, URI or e-mail name of its
 * certificate, or the user of its pre-shared key?  [conn] */
bool tls_peer_has_name(const Conn *conn, const char *name);
/* The same of users of pre-shared keys alone.  [conn] */
bool tls_peer_has_key(const Conn *conn, const char *name);

/* ---- certificates for tests ---- */

/* An authority, a server and a client, in `dir`; prints how to use them. */
bool tls_make_certs(const char *dir, Error **errp);

#endif
