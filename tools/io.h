/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-io: one command at a time on one open image.
 *
 * What it prints, to the letter, is what qemu-io prints: scripts compare it.
 */
#ifndef IO_H
#define IO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blkbackend/block-backend.h>

/* The program's state; commands get it. */
typedef struct Io {
    BlockBackend *blk;     /* the open image, or NULL */
    bool misalign;         /* -m: buffers that O_DIRECT does not like */
    bool image_opts;       /* --image-opts: names of images are lists of options */
    bool quit;
} Io;

/* ---- commands ---- */

typedef struct IoCommand IoCommand;

/* argv[0] is the command's name as it was typed.  0 or -errno; has reported. */
typedef int IoFunc(Io *io, const IoCommand *command, int argc, char **argv);

enum {
    IO_NO_IMAGE = 1,       /* works without an open image */
    IO_WRITES = 2,         /* not on a read-only image */
    IO_VERIFIES = 4,       /* its -s and -l are a part of the data */
};

struct IoCommand {
    const char *name;
    const char *alias;     /* or NULL */
    IoFunc *run;
    int min_args;
    int max_args;          /* -1: any number */
    int flags;             /* IO_* */
    const char *letters;   /* getopt()'s, of commands that use io_take_options() */
    const char *args;      /* in the usage line; or NULL */
    const char *summary;
    const char *help;      /* or NULL */
};

/* Runs one line.  0 or -errno: has been reported. */
int io_run_line(Io *io, const char *line);
void io_print_usage(const IoCommand *command);

IoFunc io_help, io_quit;
IoFunc io_open, io_close, io_reopen;
IoFunc io_read, io_readv, io_write, io_writev;
IoFunc io_aio_read, io_aio_write, io_aio_flush;
IoFunc io_flush, io_length, io_info, io_truncate, io_discard, io_alloc, io_map;
IoFunc io_break, io_remove_break, io_resume, io_wait_break, io_sleep, io_sigraise, io_abort;

/* Opens the image (name may be NULL; options are taken over).  0 or -EINVAL. */
int io_open_image(Io *io, const char *name, QDict *options, int flags, bool force_share);

/* Commands from stdin, up to its end or "quit".  0 or the last error of a command. */
int io_prompt(Io *io);

/* ---- options of commands ---- */

typedef struct IoOptions {
    bool given[UCHAR_MAX + 1];  /* by letter */
    int pattern;                /* -P */
    const char *file;           /* -s of writes */
    int64_t skip, length;       /* -s and -l of reads */
    int next;                   /* index of the first argument that is no option */
} IoOptions;

/* By the command's letters.  0 or -EINVAL; at -i it looks no further. */
int io_take_options(const IoCommand *command, int argc, char **argv, IoOptions *o);
/* 0 or -errno; has reported. */
int io_take_size(const char *arg, int64_t *value);
/* An offset and a length of at most BDRV_REQUEST_MAX_BYTES, unless -n says that no data is sent. */
int io_take_range(const IoCommand *command, const IoOptions *o, char **argv, int64_t *offset,
                  int64_t *bytes);
/* -errno printed as "what failed: ..." */
void io_print_failure(const char *what, int error);

/* ---- data ---- */

typedef struct IoBuffer {
    uint8_t *data;
    QEMUIOVector qiov;          /* all of it, in one piece or several */
    void *memory;
} IoBuffer;

#define IO_READ_FILL 0xab       /* what a buffer holds before data is read into it */
#define IO_WRITE_FILL 0xcd      /* what is written if nothing else is asked for */

/* False: has reported. */
bool io_buffer_init(Io *io, IoBuffer *buffer, int64_t bytes, int fill);
/* Filled with the content of the file, again and again. */
bool io_buffer_from_file(Io *io, IoBuffer *buffer, int64_t bytes, const char *file);
/* From "OFFSET LENGTH [LENGTH...]" after the options: a buffer in as many pieces.  0 or -errno. */
int io_take_pieces(Io *io, const IoCommand *command, const IoOptions *o, int argc, char **argv,
                   int fill, int64_t *offset, IoBuffer *buffer);
void io_buffer_free(IoBuffer *buffer);

/* Prints where, if something in it is not the pattern.  0 or -EINVAL. */
int io_verify(const uint8_t *data, int64_t bytes, int pattern, int64_t offset);
void io_dump(const uint8_t *data, int64_t offset, int64_t bytes);

/* ---- reports ---- */

int64_t io_now(void);           /* ns */
/* How one request went: as two lines, or with -C as one that programs read; nothing with -q. */
void io_print_report(const IoOptions *o, const char *verb, int64_t ns, int64_t offset,
                     int64_t bytes);

#endif
