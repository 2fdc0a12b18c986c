/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img: what its subcommands share.
 *
 * A subcommand is a function of argc and argv, whose result is the exit status,
 * in a file of its own; img-main.c has the table of them.  Messages, sizes and
 * lists of options are in tool.h.
 */
#ifndef IMG_H
#define IMG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#include "tools/tool.h"

/* ---- subcommands ---- */

int img_amend(int argc, char **argv);
int img_bench(int argc, char **argv);
int img_bitmap(int argc, char **argv);
int img_check(int argc, char **argv);
int img_commit(int argc, char **argv);
int img_compare(int argc, char **argv);
int img_convert(int argc, char **argv);
int img_create(int argc, char **argv);
int img_dd(int argc, char **argv);
int img_info(int argc, char **argv);
int img_map(int argc, char **argv);
int img_measure(int argc, char **argv);
int img_rebase(int argc, char **argv);
int img_resize(int argc, char **argv);
int img_snapshot(int argc, char **argv);

/* What --help prints. */
void img_help(void);
/* Reports, points to --help, and exits with status 1. */
void img_error_exit(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- command lines (img-options.c) ---- */

/* An option: exactly one of flag, string and fn is set, and says what becomes of it.  fn returns
 * false after it has reported what is wrong with arg.  A table ends with all zero. */
typedef struct ImgOption {
    char letter;                 /* 0: only the long name */
    const char *name;            /* NULL: only the letter */
    bool *flag;                  /* without an argument: becomes true */
    const char **string;         /* the argument */
    bool (*fn)(void *opaque, const char *arg);
    void *opaque;
    bool bare;                   /* fn's option has no argument: arg is NULL */
} ImgOption;

/* Reads all options, in any order with the other words, and leaves those in argv[*first...];
 * then makes the main loop.
 * --help is answered here; --object belongs to every table that has it by IMG_OPTION_OBJECT.
 * Unknown options end the program with status 1; false: has been reported. */
bool img_parse_options(int argc, char **argv, const ImgOption *options, int *first);

/* "TYPE,id=ID,..." is accepted for type "secret", which nothing uses; others are refused. */
bool img_parse_object(void *opaque, const char *arg);
#define IMG_OPTION_OBJECT { .name = "object", .fn = img_parse_object }

/* A list of -o: opaque is a `char *`, which takes it up (free() it); a second -o goes on. */
bool img_parse_o(void *opaque, const char *arg);
/* Whether "help" or "?" is among such a list. */
bool img_wants_help(const char *list);

/* A size of at least min and at most max; negative: "Invalid NAME specified..." is reported. */
int64_t img_cvtnum_full(const char *name, const char *value, int64_t min, int64_t max);
int64_t img_cvtnum(const char *name, const char *value);

/* "human" (or NULL) or "json"; false: reported. */
bool img_parse_output(const char *word, bool *json);
/* Adds a cache mode to flags; false: "Invalid WHAT option: MODE" is reported. */
bool img_parse_cache(const char *what, const char *mode, int *flags);

/* printf() unless quiet. */
void img_qprintf(bool quiet, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- images (img-open.c) ---- */

/* How an image is named and to be opened. */
typedef struct ImgSource {
    const char *format;          /* NULL: guessed */
    bool image_opts;             /* the name is a list of options */
    bool force_share;
} ImgSource;

#define IMG_OPTION_FORMAT(source) { .letter = 'f', .name = "format", .string = &(source)->format }
#define IMG_OPTION_FMT(source) { .letter = 'f', .string = &(source)->format }
#define IMG_OPTION_IMAGE_OPTS(source) { .name = "image-opts", .flag = &(source)->image_opts }
#define IMG_OPTION_FORCE_SHARE(source) \
    { .letter = 'U', .name = "force-share", .flag = &(source)->force_share }

/* NULL: reported.  flags: BDRV_O_*; without BDRV_O_CACHE_WB it is write-through. */
BlockBackend *img_open(const ImgSource *source, const char *filename, int flags);
/* The same for a file with options of its own (NULL: none; taken over). */
BlockBackend *img_open_file(const char *filename, QDict *options, const char *format, int flags,
                            bool force_share);
/* "[file=]NAME,KEY=VALUE..." as options; NULL: reported. */
QDict *img_parse_image_opts(const char *text);

/* Prints the options of `-o help`: of creating with format, and of filename's protocol (NULL:
 * without them); exit status. */
int img_print_create_help(const char *filename, const char *format);
/* A table of options, sorted, and a second one or NULL. */
void img_print_option_table(const BdrvOption *table, const BdrvOption *more, unsigned indent);

/* The options of creating a file of filename's protocol; NULL: reported. */
const BdrvOption *img_protocol_options(const char *filename);

/* ---- images to be made (img-new.c) ---- */

/* The options of a new image, in their types: those of a list of -o (NULL: none), and its size in
 * bytes.  The caller's; NULL: reported. */
QDict *img_new_options(const char *format, const char *filename, const char *list, int64_t size);
/* Adds -B and -F (NULL: not given); false: reported. */
bool img_new_backing(QDict *options, const char *format, const char *backing,
                     const char *backing_format);

/* ---- snapshots instead of the disk (img-show-snapshot.c) ---- */

/* -l: "snapshot.id=ID,snapshot.name=NAME", or a word that is either; opaque is a `const char *`. */
bool img_parse_snapshot(void *opaque, const char *arg);
/* False: reported. */
bool img_load_snapshot(BlockDriverState *bs, const char *param);

/* ---- output (img-json.c, img-progress.c, img-table.c) ---- */

/* A line of the table of snapshots; NULL: its head. */
void img_print_snapshot(const QEMUSnapshotInfo *sn);


/* One JSON value in QEMU's form: pairs of an object in the order of QEMU's hash table, four
 * spaces a level, ASCII only, and a newline. */
void img_print_json(const json_t *value, FILE *out);

/* "    (42.00/100%)\r" on stdout each `step` percent; not enabled: a line on stderr at SIGUSR1. */
void img_progress_init(bool enabled, double step);
/* percent of all work is done */
void img_progress_set(double percent);
/* The line's end. */
void img_progress_end(void);
/* done of total, for the library's functions that report their progress. */
void img_progress_report(void *opaque, int64_t done, int64_t total);

#endif
