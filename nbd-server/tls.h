/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS: who may speak it (credentials), and a client that does (session).
 *
 *   tls-creds.c     files -> TlsCreds, shared by sessions, replaced at a reload
 *   tls-session.c   one client's: handshake, records, the name it has proven
 *   tls-none.c      stands for both in a build without gnutls
 */
#ifndef NBD_EXPORT_TLS_H
#define NBD_EXPORT_TLS_H

#include "server.h"

/* Reads the credentials that server->config names.  Connections to come use them, the others keep
 * what they have; false changes nothing.  [main] */
bool tls_reload(Server *server, Error **errp);

/* Has TLS proven that the client is `name`: the common name or a DNS, URI or e-mail name of its
 * certificate, or the user of its pre-shared key?  [conn] */
bool tls_peer_has_name(const Conn *conn, const char *name);

#endif
