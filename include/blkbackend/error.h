/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Error objects: what a setup path reports when it fails.
 *
 * A function that can fail in a way worth explaining takes `Error **errp` as
 * its last parameter.  NULL means "not interested".  Otherwise *errp must be
 * NULL on entry; on failure it receives an object that the CALLER frees with
 * error_free() or hands on with error_propagate().  &error_abort prints the
 * message and aborts; &error_fatal prints it and exits with status 1.
 *
 * Threads: an Error belongs to one thread at a time; nothing here is shared.
 */
#ifndef BLKBACKEND_ERROR_H
#define BLKBACKEND_ERROR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Error Error;

extern Error *error_abort;
extern Error *error_fatal;

#define error_setg(errp, ...) \
    error_setg_internal((errp), __FILE__, __LINE__, __func__, 0, __VA_ARGS__)

/* Appends ": " and strerror(os_errno); os_errno is positive. */
#define error_setg_errno(errp, os_errno, ...) \
    error_setg_internal((errp), __FILE__, __LINE__, __func__, (os_errno), __VA_ARGS__)

void error_setg_internal(Error **errp, const char *file, int line, const char *func,
                         int os_errno, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Moves local_err (may be NULL) into *dst_errp; frees it if dst_errp is NULL. */
void error_propagate(Error **dst_errp, Error *local_err);

/* Puts text before the message of *errp (no-op if errp or *errp is NULL). */
void error_prepend(Error **errp, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a hint ("how to mend it"), printed after the message. */
void error_append_hint(Error **errp, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

Error *error_copy(const Error *err);             /* caller frees */
const char *error_get_pretty(const Error *err);  /* valid as long as err */
const char *error_get_hint(const Error *err);    /* "" if there is none */
void error_free(Error *err);                     /* NULL is fine */
void error_report_err(Error *err);               /* message and hint to the log hook, then frees */

/*
 * Log hook: where the library's few warnings go.  Default: one line to
 * stderr.  `fn` may run in any thread; it must not call back into the library.
 */
typedef void BlkLogFunc(void *opaque, const char *message);
void blkbackend_set_log_fn(BlkLogFunc *fn, void *opaque);
void blkbackend_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
