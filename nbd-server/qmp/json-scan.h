/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a stream of bytes a JSON value ends, see json-scan.c. */
#ifndef NBD_EXPORT_JSON_SCAN_H
#define NBD_EXPORT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_MAX_DEPTH 64

/* All zero at the beginning. */
typedef struct JsonScan {
    size_t depth;            /* brackets that are open */
    bool inside;             /* a value has begun */
    bool in_string, escaped;
} JsonScan;

enum json_scan {
    JSON_SCAN_MORE,          /* the value goes on behind these bytes, or none has begun */
    JSON_SCAN_END,           /* it ends with them */
    JSON_SCAN_DEEP,          /* they open more brackets than JSON_SCAN_MAX_DEPTH; it goes on */
    JSON_SCAN_STRAY,         /* the last of them can be in no JSON: after it all begins anew */
};

/* Looks at bytes up to the end of a value; *used is how many they were. */
enum json_scan json_scan(JsonScan *scan, const char *bytes, size_t len, size_t *used);

#endif
