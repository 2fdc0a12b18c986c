/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The nbdkit plugin: what its files know of each other.
 *
 *     settings.c    the keys of nbdkit's command line
 *     images.c      the images that are open, each shared by all its clients
 *     main-thread.c the library's main-loop thread
 *     blkbackend.c  nbdkit's callbacks, each a call of the library
 */
#ifndef BLKBACKEND_PLUGIN_H
#define BLKBACKEND_PLUGIN_H

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <blkbackend/block-backend.h>

typedef struct Settings {
    char *file;                /* an image by name; NULL: see the next two */
    char *dir;                 /* absolute: each image in it is an export */
    QDict *image_opts;         /* the image by its options alone */
    QDict *options;            /* of every image: format, detect-zeroes ... */
    int open_flags;            /* BDRV_O_*, but for BDRV_O_RDWR */
    char *engine;              /* "auto", "io_uring" or "threads" */
    char *load_snapshot;       /* an internal snapshot, shown read-only */
    ThrottleConfig limits;
    QDict *limit_options;      /* as given, until all are */
    char *throttle_group;
} Settings;

extern Settings settings;

/* ---- settings.c; 0, or -1 after nbdkit_error() ---- */

int settings_set(const char *key, const char *value);
int settings_complete(void);
void settings_free(void);

/* Reports err, with text before it and its hint behind it, to nbdkit, and frees it; -1. */
int plugin_error(Error *err, const char *what);

/* ---- images.c ---- */

typedef struct Image Image;

/* The image of the export of that name, opened if nobody has it open.  NULL after nbdkit_error() */
Image *image_get(const char *export_name, bool read_only);
void image_put(Image *image);
BlockBackend *image_blk(Image *image);
/* 0 if the image of file= or image-opts= can be opened: found out in a process of its own, before
 * nbdkit goes to the background, where nobody would see the error.  -1 after nbdkit_error() */
int images_try(void);
/* Calls fn with the name of each export of settings.dir, in order of their names; ends with the
 * first result that is not 0, and returns it.  -1 after nbdkit_error() */
int images_list(int (*fn)(void *opaque, const char *name), void *opaque);

#endif
