/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS from the inside: what its files share beyond tls.h.
 */
#ifndef NBD_EXPORT_TLS_INT_H
#define NBD_EXPORT_TLS_INT_H

#include <gnutls/gnutls.h>

#include "tls.h"

typedef struct PskUsers PskUsers;

/* ---- tls-creds.c ---- */

struct TlsCreds {
    atomic_uint refs;
    bool required;                              /* [const], as all that follows */
    bool verify_peer;
    gnutls_priority_t priority;
    gnutls_certificate_credentials_t x509;      /* NULL: no certificates */
    gnutls_psk_server_credentials_t psk;        /* NULL: no pre-shared keys */
    PskUsers *users;
};

/* The whole file, which the caller wipes and frees; secret: warns if others can read it.
 * what: in words, for messages. */
bool tls_read_file(const char *path, const char *what, bool secret, gnutls_datum_t *data,
                   Error **errp);
void tls_wipe(gnutls_datum_t *data);

/* ---- tls-psk.c ---- */

PskUsers *psk_users_load(const char *path, Error **errp);
void psk_users_free(PskUsers *users);           /* NULL is fine */
/* NULL: there is no such user. */
const gnutls_datum_t *psk_users_key(const PskUsers *users, const gnutls_datum_t *name);

/* ---- tls-session.c ---- */

/* For gnutls_psk_set_server_credentials_function2(). */
int tls_session_find_key(gnutls_session_t session, const gnutls_datum_t *name,
                         gnutls_datum_t *key);

#endif
