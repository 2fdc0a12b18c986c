/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials: from files to what gnutls works with.
 *
 * They never change once they are loaded: a reload makes new ones, and the old go with the last
 * session that uses them.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "config.h"
#include "tls-int.h"

#define FILE_MAX_BYTES (16 << 20)

/* TLS 1.2 is what Debian's nbd-client speaks.  AES-GCM comes first, in hardware it is the fastest.
 * Pre-shared keys always with a Diffie-Hellman exchange: a key that leaks later tells nothing of
 * what was sent before. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:" \
                 "+AES-256-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"
#define PRIORITY_PSK PRIORITY ":+ECDHE-PSK:+DHE-PSK"

/* ---- files ---- */

void tls_wipe(gnutls_datum_t *data)
{
    if (data->data) {
        gnutls_memset(data->data, 0, data->size);
        gnutls_free(data->data);
    }
    *data = (gnutls_datum_t){ NULL, 0 };
}

static void warn_if_open(const char *path, const char *what, const struct stat *st)
{
    if (st->st_mode & (S_IRWXO | S_IWGRP)) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "%s \"%s\" is open to others (mode %04o): "
                "chmod 600 it, and think of making a new one", what, path,
                (unsigned)st->st_mode & 07777);
    }
}

/* A NUL follows the bytes. */
static int read_all(int fd, size_t size, gnutls_datum_t *data)
{
    unsigned char *bytes = gnutls_malloc(size + 1);
    size_t got = 0;
    ssize_t n = 1;

    if (!bytes) {
        return -ENOMEM;
    }
    while (got < size && n > 0) {
        n = read(fd, bytes + got, size - got);
        got += n > 0 ? (size_t)n : 0;
    }
    bytes[got] = '\0';
    *data = (gnutls_datum_t){ bytes, (unsigned)got };
    if (n < 0) {
        int error = errno;

        tls_wipe(data);
        return -error;
    }
    return 0;
}

bool tls_read_file(const char *path, const char *what, bool secret, gnutls_datum_t *data,
                   Error **errp)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int ret;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s \"%s\"", what, path);
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
        error_setg(errp, "%s \"%s\" is not a file of text", what, path);
        return false;
    }
    ret = read_all(fd, (size_t)st.st_size, data);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s \"%s\"", what, path);
        return false;
    }
    if (secret) {
        warn_if_open(path, what, &st);
    }
    return true;
}

/* The file as such, or the one of that name in --tls-certs; the caller frees it. */
static char *file_path(const Config *config, const char *file, const char *name)
{
    char *path;

    if (file || !config->tls_certs) {
        return xstrdup(file);
    }
    return asprintf(&path, "%s/%s", config->tls_certs, name) < 0 ? xalloc_check(NULL) : path;
}

/* ---- certificates ---- */

static void hint_make_certs(Error **errp)
{
    error_append_hint(errp, "--tls-certs DIR needs server-cert.pem and server-key.pem in DIR, and "
                      "ca-cert.pem for --tls-verify-peer; 'nbd-export --make-certs DIR' makes "
                      "such for a test.\n");
}

static void warn_of_dates(const char *path, gnutls_x509_crt_t cert)
{
    time_t now = time(NULL);

    if (gnutls_x509_crt_get_expiration_time(cert) < now) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "certificate \"%s\" has expired: clients will "
                "refuse it, make a new one", path);
    } else if (gnutls_x509_crt_get_activation_time(cert) > now) {
        log_msg(LOG_LEVEL_WARNING, NULL, NULL, "certificate \"%s\" is not valid yet: clients will "
                "refuse it; is this machine's clock right?", path);
    }
}

static bool check_certificate(const char *path, const gnutls_datum_t *pem, Error **errp)
{
    gnutls_x509_crt_t *certs = NULL;
    unsigned n = 0;
    int ret = gnutls_x509_crt_list_import2(&certs, &n, pem, GNUTLS_X509_FMT_PEM, 0);

    if (ret < 0 || n == 0) {
        error_setg(errp, "certificate \"%s\": %s", path, gnutls_strerror(ret));
        error_append_hint(errp, "It should be in PEM: -----BEGIN CERTIFICATE----- and so on.\n");
        return false;
    }
    warn_of_dates(path, certs[0]);
    for (unsigned i = 0; i < n; i++) {
        gnutls_x509_crt_deinit(certs[i]);
    }
    gnutls_free(certs);
    return true;
}

static bool set_key_pair(TlsCreds *creds, const char *cert_path, const gnutls_datum_t *cert,
                         const char *key_path, const gnutls_datum_t *key, Error **errp)
{
    int ret = gnutls_certificate_set_x509_key_mem2(creds->x509, cert, key, GNUTLS_X509_FMT_PEM,
                                                   NULL, 0);

    if (ret == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        error_setg(errp, "private key \"%s\" does not belong to certificate \"%s\"", key_path,
                   cert_path);
        error_append_hint(errp, "Give the key that the certificate was made with.\n");
        return false;
    }
    if (ret < 0) {
        error_setg(errp, "private key \"%s\": %s", key_path, gnutls_strerror(ret));
        error_append_hint(errp, "It should be in PEM and have no password.\n");
        return false;
    }
    return true;
}

static bool load_key_pair(TlsCreds *creds, const Config *config, Error **errp)
{
    auto_free char *cert_path = file_path(config, config->tls_cert_file, "server-cert.pem");
    auto_free char *key_path = file_path(config, config->tls_key_file, "server-key.pem");
    gnutls_datum_t cert, key;
    bool ok = false;

    if (!cert_path || !key_path) {
        error_setg(errp, "a certificate and its private key belong together");
        error_append_hint(errp, "Give --tls-cert-file and --tls-key-file, or --tls-certs.\n");
        return false;
    }
    if (!tls_read_file(cert_path, "certificate", false, &cert, errp)) {
        hint_make_certs(errp);
        return false;
    }
    if (check_certificate(cert_path, &cert, errp)) {
        if (tls_read_file(key_path, "private key", true, &key, errp)) {
            ok = set_key_pair(creds, cert_path, &cert, key_path, &key, errp);
            tls_wipe(&key);
        } else {
            hint_make_certs(errp);
        }
    }
    tls_wipe(&cert);
    return ok;
}

static bool load_authority(TlsCreds *creds, const Config *config, Error **errp)
{
    auto_free char *path = file_path(config, config->tls_ca_file, "ca-cert.pem");
    gnutls_datum_t pem;
    int ret;

    if (!tls_read_file(path, "certificate of the authority", false, &pem, errp)) {
        hint_make_certs(errp);
        return false;
    }
    ret = gnutls_certificate_set_x509_trust_mem(creds->x509, &pem, GNUTLS_X509_FMT_PEM);
    tls_wipe(&pem);
    if (ret <= 0) {
        error_setg(errp, "certificate of the authority \"%s\": %s", path,
                   ret < 0 ? gnutls_strerror(ret) : "there is no certificate in it");
        error_append_hint(errp, "It should be in PEM: -----BEGIN CERTIFICATE----- and so on.\n");
        return false;
    }
    return true;
}

/* Which certificates the authority has taken back: there need be no such list. */
static bool load_revocations(TlsCreds *creds, const Config *config, Error **errp)
{
    auto_free char *path = file_path(config, NULL, "ca-crl.pem");
    gnutls_datum_t pem;
    int ret;

    if (!path || (access(path, F_OK) < 0 && errno == ENOENT)) {
        return true;
    }
    if (!tls_read_file(path, "revocation list", false, &pem, errp)) {
        return false;
    }
    ret = gnutls_certificate_set_x509_crl_mem(creds->x509, &pem, GNUTLS_X509_FMT_PEM);
    tls_wipe(&pem);
    if (ret <= 0) {
        error_setg(errp, "revocation list \"%s\": %s", path,
                   ret < 0 ? gnutls_strerror(ret) : "it is empty");
        error_append_hint(errp, "It should be in PEM: -----BEGIN X509 CRL----- and so on.\n");
        return false;
    }
    return true;
}

static bool load_x509(TlsCreds *creds, const Config *config, Error **errp)
{
    if (gnutls_certificate_allocate_credentials(&creds->x509) < 0) {
        error_setg(errp, "out of memory");
        return false;
    }
    return load_key_pair(creds, config, errp) &&
           (!creds->verify_peer ||
            (load_authority(creds, config, errp) && load_revocations(creds, config, errp)));
}

static bool load_psk(TlsCreds *creds, const Config *config, Error **errp)
{
    if (gnutls_psk_allocate_server_credentials(&creds->psk) < 0) {
        error_setg(errp, "out of memory");
        return false;
    }
    gnutls_psk_set_server_credentials_function2(creds->psk, tls_session_find_key);
    creds->users = psk_users_load(config->tls_psk, errp);
    return creds->users != NULL;
}

/* ---- life ---- */

static TlsCreds *creds_load(const Config *config, Error **errp)
{
    TlsCreds *creds = xcalloc(1, sizeof(*creds));
    int ret;

    creds->refs = 1;
    creds->required = config->tls == TLS_REQUIRE;
    creds->verify_peer = config->tls_verify_peer;
    ret = gnutls_priority_init(&creds->priority, config->tls_psk ? PRIORITY_PSK : PRIORITY, NULL);
    if (ret < 0) {
        error_setg(errp, "gnutls: %s", gnutls_strerror(ret));
    } else if ((!(config->tls_certs || config->tls_cert_file || config->tls_key_file) ||
                load_x509(creds, config, errp)) &&
               (!config->tls_psk || load_psk(creds, config, errp))) {
        return creds;
    }
    tls_creds_unref(creds);
    return NULL;
}

TlsCreds *tls_creds_ref(TlsCreds *creds)
{
    atomic_fetch_add(&creds->refs, 1);
    return creds;
}

void tls_creds_unref(TlsCreds *creds)
{
    if (!creds || atomic_fetch_sub(&creds->refs, 1) > 1) {
        return;
    }
    if (creds->x509) {
        gnutls_certificate_free_credentials(creds->x509);
    }
    if (creds->psk) {
        gnutls_psk_free_server_credentials(creds->psk);
    }
    psk_users_free(creds->users);
    if (creds->priority) {
        gnutls_priority_deinit(creds->priority);
    }
    free(creds);
}

bool tls_is_required(const TlsCreds *creds)
{
    return creds && creds->required;
}

/* ---- the server's ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* of server->tls */

bool tls_load(const Config *config, TlsCreds **creds, Error **errp)
{
    *creds = config->tls == TLS_OFF ? NULL : creds_load(config, errp);
    return *creds || config->tls == TLS_OFF;
}

void tls_adopt(Server *server, TlsCreds *creds)
{
    TlsCreds *old;

    pthread_mutex_lock(&lock);
    old = server->tls;
    server->tls = creds;
    pthread_mutex_unlock(&lock);
    tls_creds_unref(old);
}

bool tls_reload(Server *server, Error **errp)
{
    TlsCreds *creds;

    if (!tls_load(server->config, &creds, errp)) {
        return false;
    }
    tls_adopt(server, creds);
    return true;
}

TlsCreds *tls_creds_get(Server *server)
{
    TlsCreds *creds;

    pthread_mutex_lock(&lock);
    creds = server->tls ? tls_creds_ref(server->tls) : NULL;
    pthread_mutex_unlock(&lock);
    return creds;
}
