/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit-distance.h"

#include <stdint.h>
#include <string.h>

#define MAX_LEN 64

size_t edit_distance(const char *a, const char *b)
{
    size_t row[MAX_LEN];
    size_t len = strlen(b);

    if (len >= MAX_LEN || strnlen(a, MAX_LEN) == MAX_LEN) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; *a; a++, i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t best = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            row[j] = best;
        }
    }
    return row[len];
}
