/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens to exports and clients, told to those who listen on the control socket.
 */
#ifndef NBD_EXPORT_EVENTS_H
#define NBD_EXPORT_EVENTS_H

#include "server.h"

/* X_EXPORT_STATE: it is another one now, because of that, an XExportStateReason; error: errno of
 * the request that has stopped it, or 0.  [any thread] */
void event_export_state(Export *export, const char *reason, int error);
/* BLOCK_EXPORT_DELETED: it is closed.  [main] */
void event_export_deleted(Export *export);
/* BLOCK_IO_ERROR: a request has failed, and this is what is done about it.  [any thread] */
void event_io_error(Export *export, BlockErrorAction action, bool is_read, int error);
/* X_CLIENT_CONNECTED: it has entered its export; X_CLIENT_DISCONNECTED.  [conn's thread] */
void event_client_connected(const Conn *conn);
void event_client_disconnected(const Conn *conn, const char *reason);

#endif
