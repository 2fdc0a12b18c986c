/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dictionaries of options.  A QDict IS a jansson object and a QObject is any
 * jansson value, so everything in <jansson.h> works on them too.
 *
 * Ownership: qdict_new() and the makers return a new reference.  qdict_put()
 * takes over the reference to the value.  Reference counts are atomic;
 * the contents are not locked.
 */
#ifndef BLKBACKEND_QDICT_H
#define BLKBACKEND_QDICT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef json_t QDict;
typedef json_t QObject;

#define QINCREF(obj) ((void)json_incref(obj))
#define QDECREF(obj) json_decref(obj)          /* NULL is fine */

QDict *qdict_new(void);
/* Replaces what is under key. */
void qdict_put(QDict *qdict, const char *key, QObject *value);
bool qdict_haskey(const QDict *qdict, const char *key);
void qdict_del(QDict *qdict, const char *key);   /* absent key: no-op */
size_t qdict_size(const QDict *qdict);
/* The string stored under key, NULL if absent or not a string. Lives as long as the entry. */
const char *qdict_get_try_str(const QDict *qdict, const char *key);

QObject *qstring_from_str(const char *str);      /* copies str */
QObject *qint_from_int(int64_t value);
QObject *qbool_from_bool(bool value);

#ifdef __cplusplus
}
#endif
#endif
