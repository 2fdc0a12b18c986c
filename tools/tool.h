/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the image tools share: messages under the name that the tool was called
 * by, sizes, and lists of options, all as QEMU's tools have them.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

/* ---- messages ---- */

/* First of all: keeps the name (the last part of argv[0]), and sends the library's warnings to
 * error_report(). */
void tool_init(const char *argv0);
const char *tool_name(void);

/* "NAME: message" and a newline to stderr. */
void error_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "NAME: warning: message" */
void warn_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Text that goes on after a report: no name, no newline. */
void error_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Reports the error, with text before its message and its hint in lines of its own; frees it. */
void error_reportf_err(Error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- sizes ---- */

/* Bytes: decimal with an optional fraction (which needs a suffix), or 0x and hexadecimal; then
 * one of b k M G T P E (powers of 1024, either case).  -EINVAL, or -ERANGE above INT64_MAX. */
int64_t cvtnum(const char *text);

#define CVTSTR_LEN 64
/* The size as people read it, in its largest unit: "512 bytes", "1.500 KiB", "3 GiB". */
const char *cvtstr(double value, char buf[CVTSTR_LEN]);

#define SIZE_STR_LEN 32
/* Three digits and a unit: "1.5 MiB". */
const char *size_str(uint64_t bytes, char buf[SIZE_STR_LEN]);

/* ---- what a format says ---- */

/* The pairs of an object in the order of QEMU's output; as many as it has.  free() them. */
typedef struct ToolPair {
    const char *key;
    const json_t *value;
    unsigned bucket;
    size_t index;
} ToolPair;
ToolPair *tool_pairs(const json_t *object);

/* A value with all that is in it, a line each, `level` times four blanks from the margin. */
void tool_print_nested(const QObject *value, int level);

/* ---- images ---- */

/* Adds "KEY=VALUE,KEY=VALUE..." (a comma in a value is written twice) as strings; what is there
 * is replaced.  KEY alone means KEY=on, noKEY KEY=off, with a warning.  False: reported. */
bool tool_parse_options(QDict *options, const char *text);
/* The same for options of images to be made or amended: KEY alone is no reason to warn. */
bool tool_parse_image_options(QDict *options, const char *text);

/* An AIO mode into *flags, and, before the main loop is made, into the choice of the event
 * engine: "threads", "native" or "io_uring"; 0, or -EINVAL for another word.  -ENOTSUP where the
 * kernel refuses io_uring. */
int tool_parse_aio(const char *mode, int *flags);

/* After an image was opened, by name (or NULL: by options), without a word about its format: warns
 * if it is open for writing, as raw. */
void tool_warn_of_guess(BlockBackend *blk, const char *filename);

/* Asks for an image that others use (-U).  False if the options say the opposite. */
bool tool_force_share(QDict *options);

#endif
