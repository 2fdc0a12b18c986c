/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The images that are open.  All clients of an export share one BlockBackend, so
 * that a flush of one covers what the others wrote; the last one to go closes it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main-thread.h"
#include "plugin.h"

#include <blkbackend/image.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

struct Image {
    dev_t dev;                 /* with dir=: the file, whatever its names; else 0 */
    ino_t ino;
    BlockBackend *blk;
    unsigned clients;
    bool throttled;
    TAILQ_ENTRY(Image) link;
};

/* Only the main-loop thread looks at it. */
static TAILQ_HEAD(, Image) images = TAILQ_HEAD_INITIALIZER(images);

BlockBackend *image_blk(Image *image)
{
    return image->blk;
}

/* ---- names ---- */

/*
 * The path of an export, with its links followed; NULL: it is none.  A name is one of the folder's
 * own files, not hidden: nothing above it, and no link that leads out of it.
 */
static char *export_path(const char *name, struct stat *st)
{
    size_t dir = strlen(settings.dir), size = dir + strlen(name) + 2;
    auto_free char *path = xcalloc(1, size);
    char *real;

    if (!*name || *name == '.' || strchr(name, '/')) {
        return NULL;
    }
    snprintf(path, size, "%s/%s", settings.dir, name);
    real = realpath(path, NULL);
    if (real && strncmp(real, settings.dir, dir) == 0 && (dir == 1 || real[dir] == '/') &&
        stat(real, st) == 0 && (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))) {
        return real;
    }
    free(real);
    return NULL;
}

static int is_export(const struct dirent *entry)
{
    struct stat st;
    auto_free char *path = export_path(entry->d_name, &st);

    return path != NULL;
}

int images_list(int (*fn)(void *opaque, const char *name), void *opaque)
{
    struct dirent **entries;
    int n = scandir(settings.dir, &entries, is_export, alphasort), ret = 0;

    if (n < 0) {
        nbdkit_error("%s: %m", settings.dir);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (ret == 0) {
            ret = fn(opaque, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return ret;
}

/* ---- opening and closing, in the main-loop thread ---- */

static int load_snapshot(BlockBackend *blk, Error **errp)
{
    if (!settings.load_snapshot) {
        return 0;
    }
    return bdrv_snapshot_load_tmp(blk_bs(blk), NULL, settings.load_snapshot, errp);
}

static BlockBackend *open_image(const char *filename, bool read_only, Error **errp)
{
    QDict *options = json_copy(settings.image_opts ? settings.image_opts : settings.options);
    int flags = settings.open_flags | (read_only ? 0 : BDRV_O_RDWR);
    BlockBackend *blk;

    if (settings.image_opts) {
        json_object_update_missing(options, settings.options);
    }
    if (settings.load_snapshot) {
        flags &= ~BDRV_O_RDWR;
    } else if (!read_only) {
        flags |= BDRV_O_AUTO_RDONLY;
    }
    blk = blk_new_open(filename, NULL, options, flags, errp);
    if (blk && load_snapshot(blk, errp) < 0) {
        blk_unref(blk);
        blk = NULL;
    }
    return blk;
}

static void throttle(Image *image)
{
    image->throttled = settings.throttle_group || throttle_enabled(&settings.limits);
    if (image->throttled) {
        blk_io_limits_enable(image->blk, settings.throttle_group);
        blk_set_io_limits(image->blk, &settings.limits);
    }
}

typedef struct Call {
    const char *filename;
    struct stat st;
    bool read_only;
    Image *image;
    Error *err;
} Call;

static Image *find(const struct stat *st)
{
    Image *image;

    TAILQ_FOREACH(image, &images, link) {
        if (image->dev == st->st_dev && image->ino == st->st_ino) {
            return image;
        }
    }
    return NULL;
}

/* Somebody reads it already, and now somebody comes who may write. */
static void make_writable(Image *image)
{
    BlockDriverState *bs = blk_bs(image->blk);

    if (bdrv_is_read_only(bs) && !settings.load_snapshot) {
        Error *err = NULL;

        if (bdrv_reopen(bs, bdrv_get_flags(bs) | BDRV_O_RDWR, &err) < 0) {
            nbdkit_debug("stays read-only: %s", error_get_pretty(err));
            error_free(err);
        }
    }
}

static void do_get(void *opaque)
{
    Call *call = opaque;
    Image *image = find(&call->st);

    if (image) {
        image->clients++;
        call->image = image;
        if (!call->read_only) {
            make_writable(image);
        }
        return;
    }
    image = xcalloc(1, sizeof(*image));
    image->blk = open_image(call->filename, call->read_only, &call->err);
    if (!image->blk) {
        free(image);
        return;
    }
    image->dev = call->st.st_dev;
    image->ino = call->st.st_ino;
    image->clients = 1;
    throttle(image);
    TAILQ_INSERT_TAIL(&images, image, link);
    call->image = image;
}

static void do_put(void *opaque)
{
    Image *image = opaque;

    if (--image->clients > 0) {
        return;
    }
    TAILQ_REMOVE(&images, image, link);
    if (image->throttled) {
        blk_io_limits_disable(image->blk);
    }
    blk_unref(image->blk);
    free(image);
}

Image *image_get(const char *export_name, bool read_only)
{
    Call call = { .read_only = read_only };
    auto_free char *path = settings.dir ? export_path(export_name, &call.st) : NULL;

    if (settings.dir && !path) {
        nbdkit_error("there is no export named '%s'", export_name);
        nbdkit_set_error(ENOENT);
        return NULL;
    }
    call.filename = settings.dir ? path : settings.file;
    main_thread_run(do_get, &call);
    if (!call.image) {
        plugin_error(call.err, call.filename);
        nbdkit_set_error(EIO);
    }
    return call.image;
}

void image_put(Image *image)
{
    main_thread_run(do_put, image);
}

/* ---- trying ---- */

/* In the child; the exit status says it all, the words are on stderr. */
static int try_open(bool read_only)
{
    Error *err = NULL;
    BlockBackend *blk = NULL;

    if (qemu_init_main_loop(&err) == 0) {
        blk = open_image(settings.file, read_only, &err);
    }
    if (!blk) {
        return plugin_error(err, settings.file) < 0;
    }
    blk_unref(blk);
    return 0;
}

int images_try(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        _exit(try_open(true));
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        nbdkit_error("cannot try to open the image: %m");
        return -1;
    }
    return status == 0 ? 0 : -1;
}
