/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdkit-blkbackend-plugin: images that libblkbackend opens, served by nbdkit.
 * Each callback is a call of the library, made in nbdkit's thread.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main-thread.h"
#include "plugin.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define PREFERRED_BLOCK 4096u
#define MAX_BLOCK 0xffffffffu
#define CACHE_PIECE (1u << 20)

typedef struct Client {
    Image *image;
    BlockBackend *blk;
    bool read_only;
} Client;

/* An error of the library's, with its number for the client. */
static int refuse(int ret, const char *what)
{
    nbdkit_error("%s: %s", what, strerror(-ret));
    nbdkit_set_error(-ret);
    return -1;
}

/* ---- the server's life ---- */

static int plugin_get_ready(void)
{
    if (main_thread_prepare() < 0) {
        nbdkit_error("cannot keep the current folder: %m");
        return -1;
    }
    return settings.dir ? 0 : images_try();
}

static int plugin_after_fork(void)
{
    Error *err = NULL;

    return main_thread_start(&err) < 0 ? plugin_error(err, NULL) : 0;
}

static void plugin_unload(void)
{
    settings_free();
}

static void plugin_dump(void)
{
    const BlockDriver *drv = NULL;
    const char *space = "";

    printf("blkbackend_drivers=");
    while ((drv = bdrv_next_driver(drv)) != NULL) {
        if (drv->bdrv_co_preadv) {       /* others are only recognised, to be refused */
            printf("%s%s", space, drv->format_name);
            space = " ";
        }
    }
    printf("\nblkbackend_engines=%sthreads\n",
           aio_set_engine("io_uring", NULL) == 0 ? "io_uring " : "");
}

/* ---- exports ---- */

static int add_export(void *exports, const char *name)
{
    return nbdkit_add_export(exports, name, NULL);
}

static int plugin_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    (void)readonly;
    (void)is_tls;
    return settings.dir ? images_list(add_export, exports) : nbdkit_add_export(exports, "", NULL);
}

/* The image that is alone in its folder: the second one ends the search. */
static int keep_the_only_one(void *only, const char *name)
{
    const char **found = only;

    if (*found) {
        *found = "";
        return 1;
    }
    *found = nbdkit_strdup_intern(name);
    return *found ? 0 : -1;
}

static const char *plugin_default_export(int readonly, int is_tls)
{
    const char *only = NULL;

    (void)readonly;
    (void)is_tls;
    if (settings.dir && images_list(keep_the_only_one, &only) < 0) {
        return NULL;
    }
    return only ? only : "";
}

static const char *plugin_export_description(void *handle)
{
    const char *format = bdrv_get_format_name(blk_bs(((Client *)handle)->blk));

    return nbdkit_printf_intern("image of format %s", format ? format : "unknown");
}

static void *plugin_open(int readonly)
{
    Client *client = calloc(1, sizeof(*client));

    if (!client) {
        nbdkit_error("out of memory");
        return NULL;
    }
    client->image = image_get(nbdkit_export_name(), readonly);
    if (!client->image) {
        free(client);
        return NULL;
    }
    client->blk = image_blk(client->image);
    client->read_only = readonly || blk_is_read_only(client->blk);
    return client;
}

static void plugin_close(void *handle)
{
    Client *client = handle;

    image_put(client->image);
    free(client);
}

/* ---- what it can do ---- */

static int64_t plugin_get_size(void *handle)
{
    int64_t size = blk_getlength(((Client *)handle)->blk);

    return size < 0 ? refuse((int)size, "size of the image") : size;
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
                             uint32_t *maximum)
{
    int64_t opt = blk_get_opt_transfer(((Client *)handle)->blk);

    *minimum = 1;      /* the block layer serves any alignment */
    *preferred = opt > PREFERRED_BLOCK && opt <= (32 << 20) && (opt & (opt - 1)) == 0
                 ? (uint32_t)opt : PREFERRED_BLOCK;
    *maximum = MAX_BLOCK;
    return 0;
}

static int plugin_can_write(void *handle)
{
    return !((Client *)handle)->read_only;
}

/* Writing through, there is nothing to flush, and that is how a client learns it. */
static int plugin_can_flush(void *handle)
{
    return blk_enable_write_cache(((Client *)handle)->blk);
}

static int plugin_can_trim(void *handle)
{
    return !((Client *)handle)->read_only && (settings.open_flags & BDRV_O_UNMAP);
}

static int plugin_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int plugin_yes(void *handle)
{
    (void)handle;
    return 1;
}

/* Past the host's cache there is none to bring it into. */
static int plugin_can_cache(void *handle)
{
    (void)handle;
    return settings.open_flags & BDRV_O_NOCACHE ? NBDKIT_CACHE_NONE : NBDKIT_CACHE_NATIVE;
}

/* ---- requests ---- */

static int failed(int ret, const char *what, uint64_t offset, uint32_t count)
{
    char text[100];

    snprintf(text, sizeof(text), "%s of %u bytes at %llu", what, count,
             (unsigned long long)offset);
    return refuse(ret, text);
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct iovec iov = { .iov_base = buf, .iov_len = count };
    QEMUIOVector qiov;
    int ret;

    (void)flags;
    qemu_iovec_init_external(&qiov, &iov, 1);
    ret = blk_preadv(((Client *)handle)->blk, (int64_t)offset, count, &qiov, 0);
    return ret < 0 ? failed(ret, "read", offset, count) : 0;
}

static BdrvRequestFlags request_flags(uint32_t flags)
{
    int bits = flags & NBDKIT_FLAG_FUA ? BDRV_REQ_FUA : 0;

    bits |= flags & NBDKIT_FLAG_MAY_TRIM ? BDRV_REQ_MAY_UNMAP : 0;
    bits |= flags & NBDKIT_FLAG_FAST_ZERO ? BDRV_REQ_NO_FALLBACK : 0;
    return (BdrvRequestFlags)bits;
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
                         uint32_t flags)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = count };
    QEMUIOVector qiov;
    int ret;

    qemu_iovec_init_external(&qiov, &iov, 1);
    ret = blk_pwritev(((Client *)handle)->blk, (int64_t)offset, count, &qiov,
                      request_flags(flags & NBDKIT_FLAG_FUA));
    return ret < 0 ? failed(ret, "write", offset, count) : 0;
}

static int plugin_flush(void *handle, uint32_t flags)
{
    int ret = blk_flush(((Client *)handle)->blk);

    (void)flags;
    return ret < 0 ? refuse(ret, "flush") : 0;
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    BlockBackend *blk = ((Client *)handle)->blk;
    int ret = blk_pdiscard(blk, (int64_t)offset, count);

    if (ret == 0 && ((flags & NBDKIT_FLAG_FUA) || !blk_enable_write_cache(blk))) {
        ret = blk_flush(blk);
    }
    return ret < 0 ? failed(ret, "trim", offset, count) : 0;
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    int ret = blk_pwrite_zeroes(((Client *)handle)->blk, (int64_t)offset, count,
                                request_flags(flags));

    if (ret == -ENOTSUP && (flags & NBDKIT_FLAG_FAST_ZERO)) {
        nbdkit_set_error(EOPNOTSUPP);    /* the answer that was asked for, nothing to log */
        return -1;
    }
    return ret < 0 ? failed(ret, "writing zeroes", offset, count) : 0;
}

/* Reading is what brings data into the host's cache. */
static int plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    uint32_t piece = count < CACHE_PIECE ? count : CACHE_PIECE;
    void *buf = malloc(piece);
    int ret = buf ? 0 : refuse(-ENOMEM, "cache");

    while (count > 0 && ret == 0) {
        piece = count < piece ? count : piece;
        ret = plugin_pread(handle, buf, piece, offset, flags);
        offset += piece;
        count -= piece;
    }
    free(buf);
    return ret;
}

static uint32_t extent_type(int status)
{
    return (status & BDRV_BLOCK_DATA ? 0 : NBDKIT_EXTENT_HOLE) |
           (status & BDRV_BLOCK_ZERO ? NBDKIT_EXTENT_ZERO : 0);
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                          struct nbdkit_extents *extents)
{
    uint64_t start = offset, end = offset + count;
    int64_t n;

    do {
        int ret = blk_block_status(((Client *)handle)->blk, (int64_t)offset,
                                   (int64_t)(end - offset), &n);

        if (ret < 0 || n == 0) {         /* none: the image has become smaller */
            return offset > start ? 0 : failed(ret < 0 ? ret : -EIO, "block status", offset, count);
        }
        if (nbdkit_add_extent(extents, offset, (uint64_t)n, extent_type(ret)) < 0) {
            return -1;
        }
        offset += (uint64_t)n;
    } while (offset < end && !(flags & NBDKIT_FLAG_REQ_ONE));
    return 0;
}

/* ---- the table ---- */

static struct nbdkit_plugin plugin = {
    .name = "blkbackend",
    .longname = "blkbackend block layer",
    .version = PACKAGE_VERSION,
    .description = "Serves disk images through libblkbackend: formats, limits, write cache",
    .magic_config_key = "file",
    .config = settings_set,
    .config_complete = settings_complete,
    .config_help =
        "[file=]IMAGE           the image, by a name that the library understands\n"
        "image-opts=LIST        the image, by options: driver=qcow2,file.filename=PATH,...\n"
        "dir=FOLDER             each image in FOLDER, under its name\n"
        "format=FORMAT          raw, qcow2 ...; without it the format is guessed\n"
        "cache=MODE             writeback, writethrough, none, directsync or unsafe\n"
        "aio=ENGINE             auto, io_uring, threads or native\n"
        "discard=MODE           unmap (default) or ignore\n"
        "detect-zeroes=MODE     off, on or unmap\n"
        "snapshot=BOOL          writes go to a temporary overlay, and are lost at the end\n"
        "load-snapshot=NAME     show that internal snapshot, read-only\n"
        "throttle.LIMIT=N       bps-total, bps-read, bps-write, iops-total, iops-read,\n"
        "                       iops-write, each also with -max and -max-length; iops-size\n"
        "throttle.group=NAME    exports of one group share the limits",
    .get_ready = plugin_get_ready,
    .after_fork = plugin_after_fork,
    .cleanup = main_thread_stop,
    .unload = plugin_unload,
    .dump_plugin = plugin_dump,

    .list_exports = plugin_list_exports,
    .default_export = plugin_default_export,
    .export_description = plugin_export_description,
    .open = plugin_open,
    .close = plugin_close,

    .get_size = plugin_get_size,
    .block_size = plugin_block_size,
    .can_write = plugin_can_write,
    .can_flush = plugin_can_flush,
    .can_trim = plugin_can_trim,
    .can_zero = plugin_can_write,
    .can_fast_zero = plugin_can_write,
    .can_fua = plugin_can_fua,
    .can_multi_conn = plugin_yes,      /* one BlockBackend for all: a flush covers them all */
    .can_extents = plugin_yes,
    .can_cache = plugin_can_cache,

    .pread = plugin_pread,
    .pwrite = plugin_pwrite,
    .flush = plugin_flush,
    .trim = plugin_trim,
    .zero = plugin_zero,
    .extents = plugin_extents,
    .cache = plugin_cache,
};

NBDKIT_REGISTER_PLUGIN(plugin)
