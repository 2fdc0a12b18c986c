/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New files, and devices in the role of one.
 *
 * The name is made first, without a change to a file that is there already; then
 * the file is opened as any other, lock included, and only then resized.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#include "drivers/create-in-place.h"
#include "drivers/file.h"

#define FILE_PREFIX "file:"
#define DEFAULT_EXTENT_HINT (1 << 20)   /* bytes: keeps what grows bit by bit in few pieces */

const BdrvOption file_create_options[] = {
    { "size", BDRV_OPTION_SIZE, "Virtual disk size", NULL },
    { "nocow", BDRV_OPTION_BOOL, "Turn off copy-on-write (valid only on btrfs)", NULL },
    { "preallocation", BDRV_OPTION_STRING,
      "Preallocation mode (allowed values: off, falloc, full)", NULL },
    { "extent_size_hint", BDRV_OPTION_SIZE,
      "Extent size hint for the image file, 0 to disable", NULL },
    { 0 },
};

const BdrvOption host_device_create_options[] = {
    { "size", BDRV_OPTION_SIZE, "Virtual disk size", NULL },
    { "preallocation", BDRV_OPTION_STRING, "Preallocation mode (allowed values: off)", NULL },
    { 0 },
};

static const char *path_of(const char *filename)
{
    size_t len = strlen(FILE_PREFIX);

    return strncmp(filename, FILE_PREFIX, len) == 0 ? filename + len : filename;
}

bool file_exists(const char *filename)
{
    struct stat st;

    return lstat(path_of(filename), &st) == 0 || errno != ENOENT;
}

int file_delete(const char *filename)
{
    return unlink(path_of(filename)) < 0 ? -errno : 0;
}

/* ---- options ---- */

static int prealloc_option(const QDict *options, unsigned allowed, PreallocMode *mode,
                           Error **errp)
{
    const char *word = qdict_get_try_str(options, "preallocation");

    *mode = PREALLOC_MODE_OFF;
    if (!word) {
        return 0;
    }
    if (prealloc_mode_parse(word, mode) < 0) {
        error_setg(errp, "invalid parameter value: %s", word);
        return -EINVAL;
    }
    if (*mode != PREALLOC_MODE_OFF && !(allowed & (1u << *mode))) {
        error_setg(errp, "Unsupported preallocation mode: %s", word);
        return -ENOTSUP;
    }
    return 0;
}

/* ---- files ---- */

/* Both are advice, which a file system may not know. */
static void advise(int fd, const QDict *options)
{
    const QObject *hint = json_object_get(options, "extent_size_hint");
    struct fsxattr extent;
    int flags;

    if (json_is_true(json_object_get(options, "nocow")) &&
        ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extent) == 0) {
        extent.fsx_xflags |= FS_XFLAG_EXTSIZE;
        extent.fsx_extsize = hint ? (uint32_t)json_integer_value(hint) : DEFAULT_EXTENT_HINT;
        if (extent.fsx_extsize > 0) {
            (void)ioctl(fd, FS_IOC_FSSETXATTR, &extent);
        }
    }
}

static int make_name(const char *filename, const QDict *options, Error **errp)
{
    int fd, ret;

    do {
        fd = open(path_of(filename), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        ret = -errno;
        error_setg_errno(errp, -ret, "Could not create '%s'", filename);
        return ret;
    }
    advise(fd, options);
    close(fd);
    return 0;
}

static int open_new(const char *filename, BlockDriverState **bs, Error **errp)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("file"));
    qdict_put(options, "filename", qstring_from_str(path_of(filename)));
    return bdrv_open(bs, NULL, NULL, options, BDRV_O_RDWR | BDRV_O_CACHE_WB, errp);
}

int file_create(const char *filename, const QDict *options, Error **errp)
{
    BlockDriverState *bs = NULL;
    PreallocMode mode;
    int ret = prealloc_option(options, FILE_PREALLOC_MODES, &mode, errp);

    if (ret == 0) {
        ret = make_name(filename, options, errp);
    }
    if (ret == 0) {
        ret = open_new(filename, &bs, errp);
    }
    if (ret == 0) {
        ret = bdrv_truncate(bs, 0, PREALLOC_MODE_OFF, errp);
    }
    if (ret == 0) {
        ret = bdrv_truncate(bs, create_size_option(options), mode, errp);
    }
    bdrv_unref(bs);
    return ret;
}

/* ---- devices ---- */

int host_device_create(const char *filename, const QDict *options, Error **errp)
{
    PreallocMode mode;
    int ret = prealloc_option(options, 0, &mode, errp);

    return ret < 0 ? ret : create_in_place("host_device", filename, options, errp);
}
