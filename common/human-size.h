/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write them: "4096", "64k", "1G".
 */
#ifndef HUMAN_SIZE_H
#define HUMAN_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes, or a number with one suffix of b k M G T P E (powers of 1024, either case).
 * 0, -EINVAL if it is no such size, -ERANGE if it does not fit. */
int human_size_parse(const char *text, int64_t *bytes);

/* Longest text of human_size_format() with its NUL. */
#define HUMAN_SIZE_LEN 24

/* The shortest exact form with a suffix: 65536 is "64K", 65537 is "65537". */
const char *human_size_format(int64_t bytes, char buf[HUMAN_SIZE_LEN]);

#endif
