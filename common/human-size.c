/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write them.
 */
#include "human-size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffixes[] = "bkmgtpe";   /* each is 1024 times the one before */

int human_size_parse(const char *text, int64_t *bytes)
{
    char *end;
    long long number;
    int64_t unit = 1;

    if (!isdigit((unsigned char)text[0])) {
        return -EINVAL;
    }
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno) {
        return -ERANGE;
    }
    if (*end) {
        const char *suffix = strchr(suffixes, tolower((unsigned char)*end));

        if (!suffix || end[1]) {
            return -EINVAL;
        }
        unit <<= 10 * (suffix - suffixes);
    }
    if (number > INT64_MAX / unit) {
        return -ERANGE;
    }
    *bytes = number * unit;
    return 0;
}

const char *human_size_format(int64_t bytes, char buf[HUMAN_SIZE_LEN])
{
    unsigned power = 0;

    while (bytes && bytes % 1024 == 0 && suffixes[power + 1]) {
        bytes /= 1024;
        power++;
    }
    if (power) {
        snprintf(buf, HUMAN_SIZE_LEN, "%" PRId64 "%c", bytes,
                 toupper((unsigned char)suffixes[power]));
    } else {
        snprintf(buf, HUMAN_SIZE_LEN, "%" PRId64, bytes);
    }
    return buf;
}
