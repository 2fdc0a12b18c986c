/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of options as people write them: "KEY=VALUE,KEY=VALUE". */
#ifndef OPTION_LIST_H
#define OPTION_LIST_H

#include <stdbool.h>

#include <blkbackend/error.h>
#include <blkbackend/qdict.h>

/* Cuts the next "key=value" (value NULL if there is no "=") off a list with commas, where ",,"
 * stands for a comma.  Both strings are the caller's to free.  False at the end of the list. */
bool option_list_next(const char **cursor, char **key, char **value);
/* All of a list, each value a string; NULL with errp set if it is no such list. */
QDict *option_list_parse(const char *text, Error **errp);

#endif
