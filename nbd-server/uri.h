/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD URIs, as the protocol's doc/uri.md has them.
 */
#ifndef NBD_EXPORT_URI_H
#define NBD_EXPORT_URI_H

#include <stdbool.h>
#include <sys/socket.h>

/* Where a client of this machine finds the export; the caller frees it.  NULL: no URI can say
 * that address. */
char *uri_make(const struct sockaddr *addr, socklen_t len, bool tls, const char *export);
/* The host in it, for TCP; the caller frees it. */
char *uri_host(const struct sockaddr *addr, socklen_t len);

#endif
