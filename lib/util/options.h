/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a driver's own options.  Each function takes `key` out of `options`;
 * an absent key leaves *value as it was.  0, or -EINVAL with errp set.
 */
#ifndef BLKBACKEND_UTIL_OPTIONS_H
#define BLKBACKEND_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/error.h>
#include <blkbackend/qdict.h>

/* Bytes, with an optional suffix b, k, M, G, T, P or E (powers of 1024) and then an optional
 * fraction; -EINVAL: no such thing; -ERANGE: more than there can be. */
int options_parse_size(const char *text, int64_t *value);
/* Bytes: an integer, or a string as above. */
int options_take_size(QDict *options, const char *key, int64_t *value, Error **errp);
/* true, false, "on", "off", "true", "false", "yes" or "no". */
int options_take_bool(QDict *options, const char *key, bool *value, Error **errp);
/* One of the NULL-terminated words (a boolean stands for "on" or "off"); *value is its index. */
int options_take_word(QDict *options, const char *key, const char *const words[], int *value,
                     Error **errp);

#endif
