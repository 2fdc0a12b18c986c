/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes the character at `text` (NUL-terminated) has; 0: it is none. */
static inline size_t utf8_length(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t c = *p, least;
    size_t more;

    if (c < 0x80) {
        return 1;
    } else if (c >= 0xc2 && c < 0xe0) {
        more = 1, least = 0x80, c &= 0x1f;
    } else if (c >= 0xe0 && c < 0xf0) {
        more = 2, least = 0x800, c &= 0x0f;
    } else if (c >= 0xf0 && c < 0xf5) {
        more = 3, least = 0x10000, c &= 0x07;
    } else {
        return 0;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : more + 1;
}

#endif
