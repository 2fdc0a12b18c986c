/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates for tests: an authority and what it vouches for, a server and a client, in the
 * files that nbd-export, QEMU, libnbd and nbdkit look for.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "tls.h"

#define DAY (24 * 60 * 60)
#define VALID_DAYS 3650

/* Whose certificate it is: the beginning of its files' names. */
typedef struct Role {
    const char *name;
    const char *common_name;
    const char *purpose;      /* NULL: the authority */
} Role;

enum { AUTHORITY, SERVER, CLIENT, N_ROLES };

static const Role roles[N_ROLES] = {
    [AUTHORITY] = { "ca", "nbd-export test authority", NULL },
    [SERVER] = { "server", NULL, GNUTLS_KP_TLS_WWW_SERVER },
    [CLIENT] = { "client", "client", GNUTLS_KP_TLS_WWW_CLIENT },
};

typedef struct Identity {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
} Identity;

/* ---- in memory ---- */

static int set_serial(gnutls_x509_crt_t cert)
{
    unsigned char serial[16];
    int ret = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

    serial[0] = (serial[0] & 0x3f) | 0x40;      /* positive, and of this length */
    return ret < 0 ? ret : gnutls_x509_crt_set_serial(cert, serial, sizeof(serial));
}

static int set_common_name(gnutls_x509_crt_t cert, const char *name)
{
    return gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                         (unsigned)strlen(name));
}

/* The names by which clients may reach the server on this machine. */
static int set_server_names(gnutls_x509_crt_t cert, const char *host)
{
    static const unsigned char v4[] = { 127, 0, 0, 1 };
    static const unsigned char v6[16] = { [15] = 1 };
    int ret = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost",
                                                   strlen("localhost"), GNUTLS_FSAN_SET);

    if (ret >= 0 && strcmp(host, "localhost") != 0) {
        ret = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, host,
                                                   (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
    }
    if (ret >= 0) {
        ret = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, v4, sizeof(v4),
                                                   GNUTLS_FSAN_APPEND);
    }
    if (ret >= 0) {
        ret = gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, v6, sizeof(v6),
                                                   GNUTLS_FSAN_APPEND);
    }
    return ret;
}

static int set_use(gnutls_x509_crt_t cert, const Role *role)
{
    int ret = gnutls_x509_crt_set_basic_constraints(cert, !role->purpose, -1);

    if (ret >= 0 && role->purpose) {
        ret = gnutls_x509_crt_set_key_purpose_oid(cert, role->purpose, 0);
    }
    if (ret >= 0) {
        /* QEMU wants encipherment even of keys that can only sign. */
        ret = gnutls_x509_crt_set_key_usage(cert, role->purpose
                                            ? GNUTLS_KEY_DIGITAL_SIGNATURE |
                                              GNUTLS_KEY_KEY_ENCIPHERMENT
                                            : GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    }
    return ret;
}

static int describe(gnutls_x509_crt_t cert, const Role *role, const char *host)
{
    time_t now = time(NULL);
    int ret = gnutls_x509_crt_set_version(cert, 3);

    ret = ret < 0 ? ret : set_serial(cert);
    /* A client's clock may be a little behind. */
    ret = ret < 0 ? ret : gnutls_x509_crt_set_activation_time(cert, now - DAY);
    ret = ret < 0 ? ret : gnutls_x509_crt_set_expiration_time(cert, now + VALID_DAYS * DAY);
    ret = ret < 0 ? ret : set_common_name(cert, role->common_name ? role->common_name : host);
    ret = ret < 0 ? ret : set_use(cert, role);
    return ret < 0 || role != &roles[SERVER] ? ret : set_server_names(cert, host);
}

static int make_identity(Identity *id, const Role *role, const char *host, const Identity *issuer)
{
    int ret = gnutls_x509_privkey_init(&id->key);

    ret = ret < 0 ? ret : gnutls_x509_crt_init(&id->cert);
    ret = ret < 0 ? ret : gnutls_x509_privkey_generate(id->key, GNUTLS_PK_ECDSA,
                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    ret = ret < 0 ? ret : gnutls_x509_crt_set_key(id->cert, id->key);
    ret = ret < 0 ? ret : describe(id->cert, role, host);
    return ret < 0 ? ret : gnutls_x509_crt_sign2(id->cert, issuer->cert, issuer->key,
                                                 GNUTLS_DIG_SHA256, 0);
}

static void free_identities(Identity *ids)
{
    for (int i = 0; i < N_ROLES; i++) {
        if (ids[i].key) {
            gnutls_x509_privkey_deinit(ids[i].key);
        }
        if (ids[i].cert) {
            gnutls_x509_crt_deinit(ids[i].cert);
        }
    }
}

/* ---- on disk ---- */

static char *pem_path(const char *dir, const Role *role, const char *kind)
{
    char *path;

    return asprintf(&path, "%s/%s-%s.pem", dir, role->name, kind) < 0 ? xalloc_check(NULL) : path;
}

/* All or nothing: looks before anything is written. */
static bool nothing_in_the_way(const char *dir, Error **errp)
{
    static const char *const kinds[] = { "key", "cert" };

    for (int i = 0; i < N_ROLES * 2; i++) {
        auto_free char *path = pem_path(dir, &roles[i / 2], kinds[i % 2]);

        if (access(path, F_OK) == 0) {
            error_setg(errp, "--make-certs: \"%s\" exists and is not overwritten", path);
            error_append_hint(errp, "Choose another folder, or move the old files away.\n");
            return false;
        }
    }
    return true;
}

static bool write_pem(const char *dir, const Role *role, const char *kind, mode_t mode,
                      const gnutls_datum_t *pem, Error **errp)
{
    auto_free char *path = pem_path(dir, role, kind);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    ssize_t n = fd < 0 ? -1 : write(fd, pem->data, pem->size);

    if (n != (ssize_t)pem->size) {
        error_setg_errno(errp, n < 0 ? errno : ENOSPC, "--make-certs: \"%s\"", path);
        return false;
    }
    return true;
}

static bool write_identity(const char *dir, const Role *role, const Identity *id, Error **errp)
{
    gnutls_datum_t key = { NULL, 0 }, cert = { NULL, 0 };
    int ret = gnutls_x509_privkey_export2_pkcs8(id->key, GNUTLS_X509_FMT_PEM, NULL,
                                                GNUTLS_PKCS_PLAIN, &key);
    bool ok = false;

    ret = ret < 0 ? ret : gnutls_x509_crt_export2(id->cert, GNUTLS_X509_FMT_PEM, &cert);
    if (ret < 0) {
        error_setg(errp, "--make-certs: gnutls: %s", gnutls_strerror(ret));
    } else {
        ok = write_pem(dir, role, "key", 0600, &key, errp) &&
             write_pem(dir, role, "cert", 0644, &cert, errp);
    }
    if (key.data) {
        gnutls_memset(key.data, 0, key.size);
    }
    gnutls_free(key.data);
    gnutls_free(cert.data);
    return ok;
}

/* ---- what to do with them ---- */

static void print_use(const char *dir, const char *host)
{
    printf("Made in %s, valid for %u days and good for tests:\n"
           "  ca-cert.pem ca-key.pem           the authority; its key is for nobody else\n"
           "  server-cert.pem server-key.pem   localhost, 127.0.0.1, ::1, %s\n"
           "  client-cert.pem client-key.pem   common name \"%s\"\n"
           "\n"
           "Serve an image with them to clients that have a certificate, too:\n"
           "  nbd-export --tls-certs=%s --tls-verify-peer disk.img\n"
           "\n"
           "A client needs ca-cert.pem, client-cert.pem and client-key.pem:\n"
           "  nbdinfo 'nbds://localhost/?tls-certificates=%s'\n"
           "  nbd-client localhost /dev/nbd0 -cacertfile %s/ca-cert.pem \\\n"
           "      -certfile %s/client-cert.pem -keyfile %s/client-key.pem -tlshostname localhost\n"
           "  qemu-img info --object tls-creds-x509,id=tls,endpoint=client,dir=%s \\\n"
           "      --image-opts driver=nbd,host=localhost,tls-creds=tls\n",
           dir, VALID_DAYS, host, roles[CLIENT].common_name, dir, dir, dir, dir, dir, dir);
}

static void host_name(char *name, size_t size)
{
    if (gethostname(name, size) < 0 || !*name) {
        snprintf(name, size, "localhost");
    }
    name[size - 1] = '\0';
}

bool tls_make_certs(const char *dir, Error **errp)
{
    Identity ids[N_ROLES] = { { NULL, NULL } };
    char host[HOST_NAME_MAX + 1];
    int ret = 0;
    bool ok;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        error_setg_errno(errp, errno, "--make-certs: \"%s\"", dir);
        return false;
    }
    if (!nothing_in_the_way(dir, errp)) {
        return false;
    }
    host_name(host, sizeof(host));
    for (int i = 0; i < N_ROLES && ret >= 0; i++) {
        ret = make_identity(&ids[i], &roles[i], host, &ids[AUTHORITY]);
    }
    ok = ret >= 0;
    if (!ok) {
        error_setg(errp, "--make-certs: gnutls: %s", gnutls_strerror(ret));
    }
    for (int i = 0; i < N_ROLES && ok; i++) {
        ok = write_identity(dir, &roles[i], &ids[i], errp);
    }
    free_identities(ids);
    if (ok) {
        print_use(dir, host);
    }
    return ok;
}
