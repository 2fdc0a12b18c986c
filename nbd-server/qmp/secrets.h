/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nobody should read in a log, see secrets.c. */
#ifndef NBD_EXPORT_QMP_SECRETS_H
#define NBD_EXPORT_QMP_SECRETS_H

#include <jansson.h>

/* A new reference to value with "***" for what is secret in it; that is added to `found`, an array
 * of strings. */
json_t *secrets_hide(const json_t *value, json_t *found);
/* The same for a text that may repeat what was found: the first bytes of it, malloc()ed. */
char *secrets_hide_found(const char *text, const json_t *found);

#endif
