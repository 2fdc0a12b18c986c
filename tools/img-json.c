/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON as QEMU's tools print it, to the byte: scripts compare it with what they
 * expect.
 */
#include "tools/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* The next character of a string and its length in bytes; U+FFFD for what is no UTF-8. */
static uint32_t next_char(const char *text, size_t *len)
{
    static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)text;
    size_t more = *p < 0x80 ? 0 : *p < 0xc0 ? 4 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf8 ? 3 : 4;
    uint32_t c = *p & (more ? 0x3f >> more : 0x7f);

    *len = 1;
    if (more == 4) {
        return 0xfffd;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        c = c << 6 | (p[i] & 0x3f);
        *len = i + 1;
    }
    return c < smallest[more] || c > 0x10ffff || (c & ~UINT32_C(0x7ff)) == 0xd800 ? 0xfffd : c;
}

static void print_escape(uint32_t c, FILE *out)
{
    static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
    const char *found = c < 0x80 && c ? strchr(plain, (int)c) : NULL;

    if (found) {
        fprintf(out, "\\%c", escaped[found - plain]);
    } else if (c >= 0x10000) {
        c -= 0x10000;
        fprintf(out, "\\u%04X\\u%04X", 0xd800 | c >> 10, 0xdc00 | (c & 0x3ff));
    } else if (c < 0x20 || c >= 0x7f) {
        fprintf(out, "\\u%04X", c);
    } else {
        fputc((int)c, out);
    }
}

static void print_string(const char *text, FILE *out)
{
    size_t len;

    fputc('"', out);
    for (; *text; text += len) {
        print_escape(next_char(text, &len), out);
    }
    fputc('"', out);
}

static void print_value(const json_t *value, int level, FILE *out);

static void print_object(const json_t *object, int level, FILE *out)
{
    auto_free ToolPair *pairs = tool_pairs(object);

    fputc('{', out);
    for (size_t i = 0; i < json_object_size(object); i++) {
        fprintf(out, "%s\n%*s", i ? "," : "", 4 * (level + 1), "");
        print_string(pairs[i].key, out);
        fputs(": ", out);
        print_value(pairs[i].value, level + 1, out);
    }
    fprintf(out, "\n%*s}", 4 * level, "");
}

static void print_array(const json_t *array, int level, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < json_array_size(array); i++) {
        fprintf(out, "%s\n%*s", i ? "," : "", 4 * (level + 1), "");
        print_value(json_array_get(array, i), level + 1, out);
    }
    fprintf(out, "\n%*s]", 4 * level, "");
}

static void print_value(const json_t *value, int level, FILE *out)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        print_object(value, level, out);
        break;
    case JSON_ARRAY:
        print_array(value, level, out);
        break;
    case JSON_STRING:
        print_string(json_string_value(value), out);
        break;
    case JSON_INTEGER:
        fprintf(out, "%" PRId64, (int64_t)json_integer_value(value));
        break;
    case JSON_REAL:
        fprintf(out, "%.17g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        fputs(json_is_true(value) ? "true" : "false", out);
        break;
    case JSON_NULL:
        fputs("null", out);
        break;
    }
}

void img_print_json(const json_t *value, FILE *out)
{
    print_value(value, 0, out);
    fputc('\n', out);
}
