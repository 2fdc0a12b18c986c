/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log from the inside: what log.c has put together, log-output.c writes.
 */
#ifndef NBD_EXPORT_LOG_INT_H
#define NBD_EXPORT_LOG_INT_H

#include "server.h"

typedef struct LogRecord {
    enum log_level level;
    const char *export, *client;     /* NULL: it is about none */
    const char *command;             /* of the control socket; NULL: it is about none */
    const char *message;             /* any bytes: names come from clients */
    const LogField *fields;
    unsigned n_fields;
} LogRecord;

/* Opens what the target needs. */
bool log_output_open(enum log_target target, Error **errp);
/* As log_leave_terminal(). */
bool log_output_leave_terminal(void);
/* Any thread. */
void log_output(const LogRecord *record);

#endif
