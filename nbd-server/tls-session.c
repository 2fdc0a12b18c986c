/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client's TLS: handshake, records in both directions, the name it has proven.
 *
 *   socket --recv--> read-ahead --gnutls--> where the caller wants it
 *   caller's pieces --gnutls, a record each 16 KiB--> socket
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "channel.h"
#include "tls-int.h"

/* Read from the socket at a time; gnutls by itself would ask twice for each record. */
#define READ_AHEAD (64u << 10)
/* Decrypted or encrypted in a call: who calls looks after the thread's other clients. */
#define CALL_MAX (256u << 10)
#define RECORD_MAX (16u << 10)
/* Things that are legal and bring nothing forward, in a session: beyond it they are abuse. */
#define ODDITIES_MAX 64

struct TlsSession {
    Conn *conn;
    TlsCreds *creds;
    gnutls_session_t gnutls;
    unsigned oddities;

    uint8_t *in;              /* what the socket gave and gnutls has not taken; or NULL */
    size_t in_pos, in_end;
    bool in_maybe;            /* there was more to receive when the last call ended */
    bool in_over;             /* in_reason is all there is to come */
    int in_reason;            /* 0: the client has closed, or -errno */

    size_t record;            /* bytes of a full record */
    bool held;                /* gnutls has a record for which the socket has had no room */
    bool out_more;            /* another record follows at once */
    int out_error;            /* what the socket said, -errno */

    gnutls_datum_t asked_user;   /* whose key the client wanted to use */
    bool user_known;
    gnutls_x509_crt_t cert;   /* the client's, verified; or NULL */
    char *name;               /* conn->tls_name */
};

/* ---- gnutls and the socket ---- */

static ssize_t push(gnutls_transport_ptr_t opaque, const giovec_t *pieces, int n)
{
    TlsSession *s = opaque;
    struct iovec iov[8];
    unsigned niov = 0;
    ssize_t sent;

    for (int i = 0; i < n && niov < sizeof(iov) / sizeof(iov[0]); i++) {
        iov[niov++] = (struct iovec){ pieces[i].iov_base, pieces[i].iov_len };
    }
    sent = socket_send(s->conn->fd, iov, niov, s->out_more || n > (int)niov);
    if (sent < 0) {
        s->out_error = (int)sent;
        gnutls_transport_set_errno(s->gnutls, (int)-sent);
        return -1;
    }
    return sent;
}

static size_t in_have(const TlsSession *s)
{
    return s->in_end - s->in_pos;
}

/* What does not fit goes into the read-ahead, which is empty. */
static ssize_t pull_from_socket(TlsSession *s, void *data, size_t len)
{
    struct iovec iov[2] = { { data, len } };
    ssize_t n;

    if (!s->in) {
        s->in = malloc(READ_AHEAD);
    }
    iov[1] = (struct iovec){ s->in, READ_AHEAD };
    n = socket_recv(s->conn->fd, iov, s->in ? 2 : 1);
    if (n > (ssize_t)len) {
        s->in_pos = 0;
        s->in_end = (size_t)n - len;
        n = (ssize_t)len;
    }
    return n;
}

static ssize_t pull(gnutls_transport_ptr_t opaque, void *data, size_t len)
{
    TlsSession *s = opaque;
    ssize_t n;

    if (in_have(s) > 0) {
        n = (ssize_t)(len < in_have(s) ? len : in_have(s));
        memcpy(data, s->in + s->in_pos, (size_t)n);
        s->in_pos += (size_t)n;
        return n;
    }
    n = pull_from_socket(s, data, len);
    if (n < 0) {
        s->in_reason = (int)n;
        gnutls_transport_set_errno(s->gnutls, (int)-n);
        return -1;
    }
    return n;
}

/* An idle client needs no buffer. */
static void release_read_ahead(TlsSession *s)
{
    if (in_have(s) == 0) {
        free(s->in);
        s->in = NULL;
        s->in_pos = s->in_end = 0;
    }
}

/* ---- whom TLS has proven ---- */

int tls_session_find_key(gnutls_session_t gnutls, const gnutls_datum_t *name, gnutls_datum_t *key)
{
    TlsSession *s = gnutls_session_get_ptr(gnutls);
    const gnutls_datum_t *known = psk_users_key(s->creds->users, name);
    unsigned size = known ? known->size : 32;

    gnutls_free(s->asked_user.data);
    s->asked_user.data = gnutls_malloc(name->size + 1);
    key->data = gnutls_malloc(size);
    if (!s->asked_user.data || !key->data) {
        return -1;
    }
    memcpy(s->asked_user.data, name->data, name->size);
    s->asked_user.data[name->size] = '\0';
    s->asked_user.size = name->size;
    s->user_known = known != NULL;
    key->size = size;
    if (known) {
        memcpy(key->data, known->data, size);
        return 0;
    }
    /* A key that nobody has: the client does not learn which of the two was wrong. */
    return gnutls_rnd(GNUTLS_RND_KEY, key->data, size) < 0 ? -1 : 0;
}

/* The certificate's common name number `index`, NUL-terminated; the caller frees it, or NULL. */
static char *common_name(gnutls_x509_crt_t cert, unsigned index, size_t *size)
{
    char *name;

    *size = 0;
    if (gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, index, 0, NULL, size) !=
        GNUTLS_E_SHORT_MEMORY_BUFFER) {
        return NULL;
    }
    name = malloc(*size + 1);
    if (name && gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, index, 0, name,
                                              size) < 0) {
        free(name);
        return NULL;
    }
    return name;
}

/* A name with a NUL in it is no one's. */
static char *first_common_name(gnutls_x509_crt_t cert)
{
    size_t size;
    char *name = common_name(cert, 0, &size);

    if (name && strlen(name) != size) {
        free(name);
        return NULL;
    }
    return name;
}

static bool has_common_name(gnutls_x509_crt_t cert, const char *name)
{
    size_t size;
    char *found;

    for (unsigned i = 0; (found = common_name(cert, i, &size)); i++) {
        bool same = size == strlen(name) && memcmp(found, name, size) == 0;

        free(found);
        if (same) {
            return true;
        }
    }
    return false;
}

/* Upper and lower case are the same in the names of hosts, and of hosts in addresses. */
static bool same_alternative_name(int type, const char *found, size_t size, const char *name)
{
    if (size != strlen(name)) {
        return false;
    }
    return type == GNUTLS_SAN_URI ? memcmp(found, name, size) == 0
           : (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME) &&
             strncasecmp(found, name, size) == 0;
}

static bool has_alternative_name(gnutls_x509_crt_t cert, const char *name)
{
    char found[1024];

    for (unsigned i = 0;; i++) {
        size_t size = sizeof(found);
        int type = gnutls_x509_crt_get_subject_alt_name(cert, i, found, &size, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return false;
        }
        if (type >= 0 && same_alternative_name(type, found, size, name)) {
            return true;
        }
    }
}

bool tls_peer_has_name(const Conn *conn, const char *name)
{
    const TlsSession *s = conn->tls_session;

    if (!conn->tls) {
        return false;
    }
    if (s->cert) {
        return has_common_name(s->cert, name) || has_alternative_name(s->cert, name);
    }
    return s->name && strcmp(s->name, name) == 0;
}

bool tls_peer_has_key(const Conn *conn, const char *name)
{
    return conn->tls && !conn->tls_session->cert && tls_peer_has_name(conn, name);
}

/* The certificate that was verified in the handshake; false for lack of memory. */
static bool take_certificate(TlsSession *s)
{
    const gnutls_datum_t *list = gnutls_certificate_get_peers(s->gnutls, NULL);

    if (!list || gnutls_x509_crt_init(&s->cert) < 0) {
        s->cert = NULL;
        return false;
    }
    if (gnutls_x509_crt_import(s->cert, list, GNUTLS_X509_FMT_DER) < 0) {
        return false;
    }
    s->name = first_common_name(s->cert);
    return true;
}

static bool take_identity(TlsSession *s)
{
    if (gnutls_auth_client_get_type(s->gnutls) == GNUTLS_CRD_PSK) {
        s->name = strdup((char *)s->asked_user.data);
        return s->name != NULL;
    }
    return !s->creds->verify_peer || take_certificate(s);
}

/* ---- the handshake ---- */

static void log_start(const TlsSession *s)
{
    char *what = gnutls_session_get_desc(s->gnutls);

    log_msg(LOG_LEVEL_INFO, NULL, s->conn, "encrypted: %s%s%s", what ? what : "TLS",
            !s->name ? "" : s->cert ? ", certificate of " : ", key of user ",
            s->name ? s->name : "");
    gnutls_free(what);
}

/* Why it was refused, or refused us; the caller frees it. */
static char *explain(const TlsSession *s, int ret)
{
    const char *alert;
    gnutls_datum_t text;
    char *why = NULL;
    int n;

    switch (ret) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
        if (gnutls_certificate_verification_status_print(
                gnutls_session_get_verify_cert_status(s->gnutls), GNUTLS_CRT_X509, &text, 0) < 0) {
            return NULL;
        }
        n = asprintf(&why, "its certificate is refused: %s", (char *)text.data);
        gnutls_free(text.data);
        break;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        n = asprintf(&why, "it shows no certificate, and --tls-verify-peer wants one");
        break;
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
        alert = gnutls_alert_get_name(gnutls_alert_get(s->gnutls));
        n = asprintf(&why, "it refused us: %s", alert ? alert : "no reason is given");
        break;
    default:
        if (s->asked_user.data) {
            n = asprintf(&why, "%s \"%s\" (%s)", s->user_known ? "wrong key for user"
                         : "there is no user", (char *)s->asked_user.data, gnutls_strerror(ret));
        } else {
            n = asprintf(&why, "%s", gnutls_strerror(ret));
        }
    }
    return n < 0 ? NULL : why;
}

/* Having seen our certificate it goes no further.  Many clients do not say why, and in TLS 1.3
 * those that do may say it in a way that we cannot decrypt. */
static bool looks_like_distrust(const TlsSession *s, int ret, bool lost)
{
    return (lost || ret == GNUTLS_E_DECRYPTION_FAILED) && !s->asked_user.data &&
           gnutls_handshake_get_last_in(s->gnutls) == GNUTLS_HANDSHAKE_CLIENT_HELLO;
}

static int handshake_failed(TlsSession *s, int ret)
{
    bool lost = ret == GNUTLS_E_PREMATURE_TERMINATION || ret == GNUTLS_E_PULL_ERROR ||
                ret == GNUTLS_E_PUSH_ERROR;
    char *why;

    if (looks_like_distrust(s, ret, lost)) {
        log_msg(LOG_LEVEL_WARNING, NULL, s->conn, "refused us in the TLS handshake: does it know "
                "the authority of our certificate, and our name in it?");
        return -EPROTO;
    }
    if (lost) {
        return -ECONNRESET;
    }
    why = explain(s, ret);
    log_msg(LOG_LEVEL_WARNING, NULL, s->conn, "refused in the TLS handshake: %s",
            why ? why : gnutls_strerror(ret));
    free(why);
    gnutls_alert_send_appropriate(s->gnutls, ret);
    return -EPROTO;
}

static int handshake_done(TlsSession *s)
{
    size_t record = gnutls_record_get_max_size(s->gnutls);

    if (!take_identity(s)) {
        return -ENOMEM;
    }
    s->record = record < RECORD_MAX ? record : RECORD_MAX;
    s->in_maybe = true;
    s->conn->tls = true;
    s->conn->tls_name = s->name;
    log_start(s);
    return 0;
}

int tls_session_handshake(TlsSession *s, bool *output)
{
    for (;;) {
        int ret = gnutls_handshake(s->gnutls);

        if (ret == 0) {
            return handshake_done(s);
        }
        if (ret == GNUTLS_E_AGAIN) {
            *output = gnutls_record_get_direction(s->gnutls) == 1;
            return -EAGAIN;
        }
        if (gnutls_error_is_fatal(ret) || ++s->oddities > ODDITIES_MAX) {
            return handshake_failed(s, ret);
        }
    }
}

/* ---- receiving ---- */

/* Nothing more is to be received; ret: what gnutls said. */
static void end_input(TlsSession *s, ssize_t ret)
{
    s->in_over = true;
    if (ret == 0) {
        s->in_reason = 0;
    } else if (ret == GNUTLS_E_PREMATURE_TERMINATION) {
        s->in_reason = -ECONNRESET;
    } else if (ret != GNUTLS_E_PULL_ERROR) {
        log_msg(LOG_LEVEL_WARNING, s->conn->export, s->conn, "closing the connection: TLS: %s",
                gnutls_strerror((int)ret));
        gnutls_alert_send_appropriate(s->gnutls, (int)ret);
        s->in_reason = -EPROTO;
    }
}

/* Bytes, or 0: no more for now (in_maybe, in_over say why). */
static size_t recv_some(TlsSession *s, void *data, size_t len)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(s->gnutls, data, len);

        if (n > 0) {
            return (size_t)n;
        }
        if (n == GNUTLS_E_AGAIN) {
            s->in_maybe = false;
            return 0;
        }
        if (n == 0 || gnutls_error_is_fatal((int)n) || ++s->oddities > ODDITIES_MAX) {
            end_input(s, n);
            return 0;
        }
    }
}

ssize_t tls_session_recv(TlsSession *s, const struct iovec *iov, unsigned niov)
{
    size_t done = 0, at = 0;

    s->in_maybe = true;
    while (niov > 0 && done < CALL_MAX && !s->in_over) {
        size_t n = recv_some(s, (uint8_t *)iov->iov_base + at, iov->iov_len - at);

        if (n == 0) {
            break;
        }
        done += n;
        at += n;
        if (at == iov->iov_len) {
            iov++;
            niov--;
            at = 0;
        }
    }
    release_read_ahead(s);
    return done > 0 ? (ssize_t)done : s->in_over ? s->in_reason : -EAGAIN;
}

bool tls_session_has_input(const TlsSession *s)
{
    return s->in_maybe;
}

size_t tls_session_unread(const TlsSession *s)
{
    return in_have(s) + gnutls_record_check_pending(s->gnutls);
}

/* ---- sending ---- */

/* Where in the caller's pieces we are. */
typedef struct Cursor {
    const struct iovec *iov;
    unsigned niov;
    size_t at;                /* in *iov */
} Cursor;

/* Pieces of one record that come from several places. */
static _Thread_local uint8_t gathered[RECORD_MAX];

static void skip(Cursor *cursor, size_t n)
{
    cursor->at += n;
    while (cursor->niov > 0 && cursor->at >= cursor->iov->iov_len) {
        cursor->at -= cursor->iov->iov_len;
        cursor->iov++;
        cursor->niov--;
    }
}

/* The next record's bytes, at most `max`: where they lie, or put together. */
static const uint8_t *next_record(Cursor *cursor, size_t max, size_t *len)
{
    const uint8_t *start = (const uint8_t *)cursor->iov->iov_base + cursor->at;
    size_t n = cursor->iov->iov_len - cursor->at;

    if (n >= max || cursor->niov == 1) {
        *len = n < max ? n : max;
        skip(cursor, *len);
        return start;
    }
    *len = 0;
    while (cursor->niov > 0 && *len < max) {
        n = cursor->iov->iov_len - cursor->at;
        n = n < max - *len ? n : max - *len;
        memcpy(gathered + *len, (const uint8_t *)cursor->iov->iov_base + cursor->at, n);
        *len += n;
        skip(cursor, n);
    }
    return gathered;
}

static int send_error(TlsSession *s, ssize_t ret)
{
    if (ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED) {
        return -EAGAIN;
    }
    return ret == GNUTLS_E_PUSH_ERROR ? s->out_error : -EPIPE;
}

ssize_t tls_session_send(TlsSession *s, const struct iovec *iov, unsigned niov, bool more)
{
    Cursor cursor = { iov, niov, 0 };
    size_t done = 0;
    ssize_t ret = 0;

    skip(&cursor, 0);
    /* After -EAGAIN gnutls holds a record, encrypted, of what the pieces begin with. */
    if (s->held) {
        s->out_more = more;
        ret = gnutls_record_send(s->gnutls, NULL, 0);
        if (ret < 0) {
            return send_error(s, ret);
        }
        s->held = false;
        done = (size_t)ret;
        skip(&cursor, done);
    }
    while (cursor.niov > 0 && done < CALL_MAX) {
        size_t len;
        const uint8_t *data = next_record(&cursor, s->record, &len);

        s->out_more = more || (cursor.niov > 0 && done + len < CALL_MAX);
        ret = gnutls_record_send(s->gnutls, data, len);
        if (ret < 0) {
            s->held = send_error(s, ret) == -EAGAIN;
            break;
        }
        done += (size_t)ret;
    }
    return done > 0 ? (ssize_t)done : ret < 0 ? send_error(s, ret) : 0;
}

/* ---- beginning and end ---- */

/* What a certificate must be for; gnutls looks at it in the handshake. */
static gnutls_typed_vdata_st client_purpose = {
    GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0
};

static int set_up(TlsSession *s)
{
    static const unsigned flags = GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                                  GNUTLS_NO_TICKETS;
    const TlsCreds *creds = s->creds;
    int ret = gnutls_init(&s->gnutls, flags);

    if (ret < 0) {
        return ret;
    }
    gnutls_session_set_ptr(s->gnutls, s);
    gnutls_transport_set_ptr(s->gnutls, s);
    gnutls_transport_set_pull_function(s->gnutls, pull);
    gnutls_transport_set_vec_push_function(s->gnutls, push);
    gnutls_certificate_server_set_request(s->gnutls, creds->verify_peer ? GNUTLS_CERT_REQUIRE
                                                                        : GNUTLS_CERT_IGNORE);
    if (creds->verify_peer) {
        gnutls_session_set_verify_cert2(s->gnutls, &client_purpose, 1, 0);
    }
    ret = gnutls_priority_set(s->gnutls, creds->priority);
    if (ret == 0 && creds->x509) {
        ret = gnutls_credentials_set(s->gnutls, GNUTLS_CRD_CERTIFICATE, creds->x509);
    }
    if (ret == 0 && creds->psk) {
        ret = gnutls_credentials_set(s->gnutls, GNUTLS_CRD_PSK, creds->psk);
    }
    return ret;
}

TlsSession *tls_session_new(Conn *conn, TlsCreds *creds)
{
    TlsSession *s = calloc(1, sizeof(*s));

    if (!s) {
        return NULL;
    }
    s->conn = conn;
    s->creds = tls_creds_ref(creds);
    if (set_up(s) < 0) {
        tls_session_free(s);
        return NULL;
    }
    return s;
}

void tls_session_free(TlsSession *s)
{
    if (!s) {
        return;
    }
    if (s->conn->tls && !s->held) {
        s->out_more = false;
        gnutls_bye(s->gnutls, GNUTLS_SHUT_WR);
    }
    if (s->gnutls) {
        gnutls_deinit(s->gnutls);
    }
    if (s->cert) {
        gnutls_x509_crt_deinit(s->cert);
    }
    gnutls_free(s->asked_user.data);
    free(s->name);
    free(s->in);
    tls_creds_unref(s->creds);
    free(s);
}
