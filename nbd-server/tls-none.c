/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build without gnutls: there is no TLS, and who asks for it is told so. */
#include <errno.h>

#include "config.h"
#include "tls.h"

static bool is_missing(Error **errp)
{
    error_setg(errp, "this nbd-export was built without TLS");
    error_append_hint(errp, "Build it with gnutls (on Debian: apt-get install libgnutls28-dev), "
                      "without --without-gnutls.\n");
    return false;
}

bool tls_load(const Config *config, TlsCreds **creds, Error **errp)
{
    *creds = NULL;
    return config->tls == TLS_OFF || is_missing(errp);
}

void tls_adopt(Server *server, TlsCreds *creds)
{
    (void)server;
    (void)creds;
}

bool tls_reload(Server *server, Error **errp)
{
    TlsCreds *creds;

    return tls_load(server->config, &creds, errp);
}

TlsCreds *tls_creds_get(Server *server)
{
    (void)server;
    return NULL;
}

TlsCreds *tls_creds_ref(TlsCreds *creds)
{
    return creds;
}

void tls_creds_unref(TlsCreds *creds)
{
    (void)creds;
}

bool tls_is_required(const TlsCreds *creds)
{
    (void)creds;
    return false;
}

TlsSession *tls_session_new(Conn *conn, TlsCreds *creds)
{
    (void)conn;
    (void)creds;
    return NULL;
}

int tls_session_handshake(TlsSession *s, bool *output)
{
    (void)s;
    (void)output;
    return -EPROTO;
}

ssize_t tls_session_recv(TlsSession *s, const struct iovec *iov, unsigned niov)
{
    (void)s;
    (void)iov;
    (void)niov;
    return -EPROTO;
}

ssize_t tls_session_send(TlsSession *s, const struct iovec *iov, unsigned niov, bool more)
{
    (void)s;
    (void)iov;
    (void)niov;
    (void)more;
    return -EPROTO;
}

bool tls_session_has_input(const TlsSession *s)
{
    (void)s;
    return false;
}

size_t tls_session_unread(const TlsSession *s)
{
    (void)s;
    return 0;
}

void tls_session_free(TlsSession *s)
{
    (void)s;
}

bool tls_peer_has_name(const Conn *conn, const char *name)
{
    (void)conn;
    (void)name;
    return false;
}

bool tls_peer_has_key(const Conn *conn, const char *name)
{
    (void)conn;
    (void)name;
    return false;
}

bool tls_make_certs(const char *dir, Error **errp)
{
    (void)dir;
    return is_missing(errp);
}
