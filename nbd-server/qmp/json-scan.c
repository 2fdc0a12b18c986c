/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cuts a stream of bytes into JSON values, without understanding them: whether brackets of a kind
 * match and words are words is left to the parser, which gets one value.
 *
 * A control character, or a byte that UTF-8 never has, begins anew wherever it stands: so a client
 * that has lost its place sends 0xff, and so an end of line ends a string that was left open.
 */
#include "json-scan.h"

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_stray(const JsonScan *scan, unsigned char c)
{
    return c >= 0xf8 || (c < 0x20 && (scan->in_string || !is_space(c)));
}

static enum json_scan scan_string(JsonScan *scan, unsigned char c)
{
    if (scan->escaped) {
        scan->escaped = false;
    } else if (c == '\\') {
        scan->escaped = true;
    } else if (c == '"') {
        scan->in_string = false;
        return scan->depth ? JSON_SCAN_MORE : JSON_SCAN_END;
    }
    return JSON_SCAN_MORE;
}

/* A word or a number outside of all brackets: what follows tells that it has ended. */
static bool ends_word(const JsonScan *scan, unsigned char c)
{
    return scan->inside && !scan->depth && !scan->in_string &&
           (is_space(c) || c == '{' || c == '[' || c == '}' || c == ']' || c == '"');
}

static enum json_scan scan_byte(JsonScan *scan, unsigned char c)
{
    if (is_stray(scan, c)) {
        return JSON_SCAN_STRAY;
    }
    if (scan->in_string) {
        return scan_string(scan, c);
    }
    if (is_space(c)) {
        return JSON_SCAN_MORE;
    }
    scan->inside = true;
    scan->in_string = c == '"';
    if (c == '{' || c == '[') {
        return ++scan->depth == JSON_SCAN_MAX_DEPTH + 1 ? JSON_SCAN_DEEP : JSON_SCAN_MORE;
    }
    if (c == '}' || c == ']') {
        scan->depth -= scan->depth > 0;
        return scan->depth ? JSON_SCAN_MORE : JSON_SCAN_END;
    }
    return JSON_SCAN_MORE;
}

enum json_scan json_scan(JsonScan *scan, const char *bytes, size_t len, size_t *used)
{
    enum json_scan found = JSON_SCAN_MORE;
    size_t i = 0;

    while (i < len && found == JSON_SCAN_MORE) {
        unsigned char c = (unsigned char)bytes[i];

        if (ends_word(scan, c)) {
            found = JSON_SCAN_END;
        } else {
            found = scan_byte(scan, c);
            i++;
        }
    }
    if (found == JSON_SCAN_END || found == JSON_SCAN_STRAY) {
        *scan = (JsonScan){ .depth = 0 };
    }
    *used = i;
    return found;
}
