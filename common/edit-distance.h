/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a name is from the one that was meant. */
#ifndef EDIT_DISTANCE_H
#define EDIT_DISTANCE_H

#include <stddef.h>

/* How many letters to insert, delete or replace to make b of a (Levenshtein); SIZE_MAX: one of them
 * has 64 or more.  What is farther off than half its length would be a wild guess. */
size_t edit_distance(const char *a, const char *b);

#endif
