/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uri.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"

/* RFC 3986: unreserved characters and `extra` stay as they are. */
static void put_escaped(FILE *out, const char *text, const char *extra)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";

    for (; *text; text++) {
        if (strchr(unreserved, *text) || strchr(extra, *text)) {
            fputc(*text, out);
        } else {
            fprintf(out, "%%%02X", (unsigned char)*text);
        }
    }
}

static bool put_unix(FILE *out, const struct sockaddr_un *addr, socklen_t len, bool tls,
                     const char *export)
{
    auto_free char *path = NULL;

    if (len <= offsetof(struct sockaddr_un, sun_path) || !addr->sun_path[0]) {
        return false;    /* it has no name in the file system */
    }
    path = realpath(addr->sun_path, NULL);
    fprintf(out, "nbd%s+unix:///", tls ? "s" : "");
    put_escaped(out, export, "/");
    fprintf(out, "?socket=");
    put_escaped(out, path ? path : addr->sun_path, "/");
    return true;
}

/* All addresses, or this machine's own. */
static bool is_local(const struct sockaddr *addr)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

    if (addr->sa_family == AF_INET6) {
        return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) || IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return in->sin_addr.s_addr == htonl(INADDR_ANY) ||
           in->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
}

char *uri_host(const struct sockaddr *addr, socklen_t len)
{
    char host[NI_MAXHOST] = "localhost";

    if (!is_local(addr)) {
        getnameinfo(addr, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
    }
    return xstrdup(host);
}

static void put_tcp(FILE *out, const struct sockaddr *addr, socklen_t len, bool tls,
                    const char *export)
{
    auto_free char *host = uri_host(addr, len);
    unsigned port = ntohs(addr->sa_family == AF_INET6 ? ((struct sockaddr_in6 *)addr)->sin6_port
                                                      : ((struct sockaddr_in *)addr)->sin_port);

    fprintf(out, strchr(host, ':') ? "nbd%s://[%s]" : "nbd%s://%s", tls ? "s" : "", host);
    if (port != NBD_DEFAULT_PORT) {
        fprintf(out, ":%u", port);
    }
    fputc('/', out);
    put_escaped(out, export, "/");
}

char *uri_make(const struct sockaddr *addr, socklen_t len, bool tls, const char *export)
{
    char *uri = NULL;
    size_t size;
    FILE *out = xalloc_check(open_memstream(&uri, &size));
    bool ok = true;

    if (addr->sa_family == AF_UNIX) {
        ok = put_unix(out, (const struct sockaddr_un *)addr, len, tls, export);
    } else {
        put_tcp(out, addr, len, tls, export);
    }
    fclose(out);
    if (!ok) {
        free(uri);
        return NULL;
    }
    return uri;
}
