/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protocols "file" and "host_device": regular files and block devices (and
 * SCSI-generic devices) of this host.  One implementation; two tables, because
 * users name them apart and a device neither grows nor starts as zeroes.
 *
 * Options: filename, aio (threads, native, io_uring), locking (auto, on, off).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "drivers/file.h"
#include "util/options.h"

#include <blkbackend/block-backend.h>

/* ---- what kind of file it is ---- */

static const char *file_kind(mode_t mode)
{
    return S_ISDIR(mode) ? "a directory"
         : S_ISFIFO(mode) ? "a named pipe"
         : S_ISSOCK(mode) ? "a socket"
         : S_ISCHR(mode) ? "a character device"
         : S_ISBLK(mode) ? "a block device"
         : "a regular file";
}

/* Before open(), which on the wrong kind may wait for ever or have effects of its own. */
static int file_check_kind(const char *filename, bool want_device, Error **errp)
{
    struct stat st;
    int ret;

    if (stat(filename, &st) < 0) {
        ret = -errno;
        error_setg_errno(errp, -ret, "Could not open '%s'", filename);
        return ret;
    }
    if (want_device ? S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) : S_ISREG(st.st_mode)) {
        return 0;
    }
    error_setg(errp, "Could not open '%s': it is %s, but the '%s' driver needs %s", filename,
               file_kind(st.st_mode), want_device ? "host_device" : "file",
               want_device ? "a block device" : "a regular file");
    if (S_ISBLK(st.st_mode) || (want_device && S_ISREG(st.st_mode))) {
        error_append_hint(errp, "Use driver=%s.\n", want_device ? "file" : "host_device");
    }
    return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

/*
 * Memory file systems never wait for a device: a request is a copy, done in a
 * microsecond.  The ring would hand each one to a kernel worker, which costs
 * three times as much as doing it in place; so that is what we do.
 */
static bool file_is_memory(int fd, bool *pages)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0) {
        return false;
    }
    *pages = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    return *pages || fs.f_type == HUGETLBFS_MAGIC;
}

/* mincore() tells the truth only to who owns the file or may write to it. */
static bool file_may_ask_mincore(int fd, const struct stat *st)
{
    return st->st_uid == geteuid() || faccessat(fd, "", W_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
}

static bool file_is_sg(int fd)
{
    struct sg_scsi_id id;
    int version;

    return ioctl(fd, SG_GET_VERSION_NUM, &version) == 0 && ioctl(fd, SG_GET_SCSI_ID, &id) == 0;
}

static int file_examine(BlockDriverState *bs, const char *filename, Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    struct stat st;
    bool pages = false;
    int ret;

    if (fstat(s->fd, &st) < 0) {
        ret = -errno;
        error_setg_errno(errp, -ret, "Could not examine '%s'", filename);
        return ret;
    }
    s->is_device = S_ISBLK(st.st_mode);
    s->is_sg = S_ISCHR(st.st_mode) && file_is_sg(s->fd);
    if (!S_ISREG(st.st_mode) && !s->is_device && !s->is_sg) {
        error_setg(errp, "Could not open '%s': it is %s", filename, file_kind(st.st_mode));
        return -EINVAL;
    }
    s->inline_io = S_ISREG(st.st_mode) && file_is_memory(s->fd, &pages);
    s->mappable = s->inline_io && pages && file_may_ask_mincore(s->fd, &st);
    bdrv_set_sg(bs, s->is_sg);
    return file_probe_alignment(s, filename, errp);
}

int64_t file_length(BDRVFileState *s)
{
    struct stat st;
    uint64_t bytes;

    if (s->is_sg) {
        return 0;
    }
    if (s->is_device) {
        if (ioctl(s->fd, BLKGETSIZE64, &bytes) < 0) {
            return -errno;
        }
        return bytes > INT64_MAX ? -EFBIG : (int64_t)bytes;
    }
    return fstat(s->fd, &st) < 0 ? -errno : st.st_size;
}

/* ---- opening ---- */

static int file_open_fd(const char *filename, int flags, bool writable, Error **errp)
{
    int oflags = O_CLOEXEC | (writable ? O_RDWR : O_RDONLY);
    int fd, ret;

    if (flags & BDRV_O_NOCACHE) {
        oflags |= O_DIRECT;
    }
    do {
        fd = open(filename, oflags);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        return fd;
    }
    ret = -errno;
    error_setg_errno(errp, -ret, "Could not open '%s'", filename);
    if (ret == -EINVAL && (flags & BDRV_O_NOCACHE)) {
        error_append_hint(errp, "The file system does not support O_DIRECT: "
                          "use cache.direct=off.\n");
    }
    return ret;
}

/* With the fallback to read-only where the caller allows it. */
static int file_open_for(BlockDriverState *bs, const char *filename, int flags, Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    Error *local_err = NULL;
    int fd;

    s->writable = flags & BDRV_O_RDWR;
    s->direct = flags & BDRV_O_NOCACHE;
    fd = file_open_fd(filename, flags, s->writable, &local_err);
    if ((fd == -EACCES || fd == -EPERM || fd == -EROFS) &&
        s->writable && (flags & BDRV_O_AUTO_RDONLY)) {
        error_free(local_err);
        local_err = NULL;
        s->writable = false;
        fd = file_open_fd(filename, flags, false, &local_err);
        if (fd >= 0) {
            bdrv_set_read_only(bs);
        }
    }
    error_propagate(errp, local_err);
    return fd;
}

static int file_take_aio(QDict *options, int flags, Error **errp)
{
    static const char *const words[] = {"threads", "native", "io_uring", NULL};
    int aio = flags & BDRV_O_NATIVE_AIO ? 1 : 0;

    if (options_take_word(options, "aio", words, &aio, errp) < 0) {
        return -EINVAL;
    }
    if (aio == 1 && !(flags & BDRV_O_NOCACHE)) {
        error_setg(errp, "aio=native was specified, but it requires cache.direct=on, "
                   "which was not specified.");
        return -EINVAL;
    }
    return 0;
}

static int file_take_options(BDRVFileState *s, QDict *options, int flags, char **filename,
                             Error **errp)
{
    static const char *const words[] = {
        [FILE_LOCKING_AUTO] = "auto", [FILE_LOCKING_ON] = "on", [FILE_LOCKING_OFF] = "off", NULL
    };
    const char *name = qdict_get_try_str(options, "filename");
    int locking = FILE_LOCKING_AUTO;

    if (!name || !*name) {
        error_setg(errp, "Parameter 'filename' is missing");
        return -EINVAL;
    }
    if (file_take_aio(options, flags, errp) < 0 ||
        options_take_word(options, "locking", words, &locking, errp) < 0) {
        return -EINVAL;
    }
    s->locking = (FileLocking)locking;
    s->force_share = flags & BDRV_O_FORCE_SHARE;
    *filename = strdup(name);
    if (!*filename) {
        error_setg_errno(errp, ENOMEM, "Could not open '%s'", name);
        return -ENOMEM;
    }
    qdict_del(options, "filename");
    return 0;
}

static int file_open_at(BlockDriverState *bs, const char *filename, int flags, bool want_device,
                        Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    int ret = file_check_kind(filename, want_device, errp);

    if (ret < 0) {
        return ret;
    }
    s->fd = file_open_for(bs, filename, flags, errp);
    if (s->fd < 0) {
        return s->fd;
    }
    ret = file_examine(bs, filename, errp);
    if (ret == 0 && !(flags & BDRV_O_INACTIVE)) {
        ret = file_lock(s, s->fd, s->writable, filename, errp);
    }
    if (ret == 0 && (flags & BDRV_O_TEMPORARY) && unlink(filename) < 0) {
        ret = -errno;
        error_setg_errno(errp, -ret, "Could not delete the temporary file '%s'", filename);
    }
    if (ret < 0) {
        close(s->fd);
        return ret;
    }
    file_map_init(s);
    qemu_co_mutex_init(&s->flush.lock);
    qemu_co_queue_init(&s->flush.waiters);
    return 0;
}

static int file_open_common(BlockDriverState *bs, QDict *options, int flags, bool want_device,
                            Error **errp)
{
    char *filename = NULL;
    int ret = file_take_options(bdrv_state(bs), options, flags, &filename, errp);

    if (ret == 0) {
        ret = file_open_at(bs, filename, flags, want_device, errp);
    }
    free(filename);
    return ret;
}

static int file_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    return file_open_common(bs, options, flags, false, errp);
}

static int host_device_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    return file_open_common(bs, options, flags, true, errp);
}

static void file_close(BlockDriverState *bs)
{
    BDRVFileState *s = bdrv_state(bs);

    file_map_destroy(s);
    close(s->fd);
}

/* By descriptor, not by name: the same object, whatever has become of its name. */
static int file_reopen(BlockDriverState *bs, int flags, Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);
    BDRVFileState old = { .direct = s->direct, .request_alignment = s->request_alignment,
                          .mem_alignment = s->mem_alignment };
    bool writable = flags & BDRV_O_RDWR;
    char name[40];
    int fd, old_fd = s->fd, ret;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", s->fd);
    fd = file_open_fd(name, flags, writable, errp);
    if (fd < 0) {
        error_prepend(errp, "Could not reopen '%s': ", bdrv_filename(bs));
        return fd;
    }
    s->fd = fd;
    s->direct = flags & BDRV_O_NOCACHE;
    ret = file_probe_alignment(s, bdrv_filename(bs), errp);
    s->fd = old_fd;
    if (ret == 0 && s->locked) {
        ret = file_lock_move(s, fd, writable, bdrv_filename(bs), errp);
    }
    if (ret < 0) {
        s->direct = old.direct;
        s->request_alignment = old.request_alignment;
        s->mem_alignment = old.mem_alignment;
        close(fd);
        return ret;
    }
    s->fd = fd;
    s->writable = writable;
    close(old_fd);
    return 0;
}

/* ---- an image that another process hands over to us, or we to it ---- */

static void coroutine_fn file_co_invalidate_cache(BlockDriverState *bs, Error **errp)
{
    BDRVFileState *s = bdrv_state(bs);

    if (!s->locked) {
        file_lock(s, s->fd, s->writable, bdrv_filename(bs), errp);
    }
}

static int file_inactivate(BlockDriverState *bs)
{
    BDRVFileState *s = bdrv_state(bs);

    file_unlock(s->fd);
    s->locked = false;
    return 0;
}

/* ---- small callbacks ---- */

static int64_t coroutine_fn file_co_getlength(BlockDriverState *bs)
{
    return file_length(bdrv_state(bs));
}

static bool file_has_zero_init(BlockDriverState *bs)
{
    (void)bs;
    return true;
}

static int host_device_probe_device(const char *filename)
{
    struct stat st;

    if (stat(filename, &st) < 0) {
        return 0;
    }
    return S_ISBLK(st.st_mode) ||
           (S_ISCHR(st.st_mode) && strncmp(filename, "/dev/sg", 7) == 0) ? 100 : 0;
}

typedef struct DeviceCommand {
    int fd;
    unsigned long req;
    void *buf;
} DeviceCommand;

static int device_command(void *opaque)
{
    DeviceCommand *command = opaque;

    return ioctl(command->fd, command->req, command->buf) < 0 ? -errno : 0;
}

static int coroutine_fn host_device_co_ioctl(BlockDriverState *bs, unsigned long req, void *buf)
{
    BDRVFileState *s = bdrv_state(bs);
    DeviceCommand command = { .fd = s->fd, .req = req, .buf = buf };

    return aio_co_run_in_thread(device_command, &command);
}

/* Without clusters, and never dirty. */
static int file_get_info(BlockDriverState *bs, BlockDriverInfo *info)
{
    (void)bs;
    (void)info;
    return 0;
}

/* ---- the tables ---- */

#define FILE_DRIVER_COMMON                                       \
    .instance_size = sizeof(BDRVFileState),                      \
    .has_variable_length = true,                                 \
    .native_fua = true,                                          \
    .bdrv_close = file_close,                                    \
    .bdrv_reopen = file_reopen,                                  \
    .bdrv_refresh_limits = file_refresh_limits,                  \
    .bdrv_co_getlength = file_co_getlength,                      \
    .bdrv_get_allocated_file_size = file_get_allocated_file_size, \
    .bdrv_get_info = file_get_info,                              \
    .bdrv_co_preadv = file_co_preadv,                            \
    .bdrv_co_pwritev = file_co_pwritev,                          \
    .bdrv_co_pwrite_zeroes = file_co_pwrite_zeroes,              \
    .bdrv_co_pdiscard = file_co_pdiscard,                        \
    .bdrv_co_flush_to_disk = file_co_flush,                      \
    .bdrv_co_truncate = file_co_truncate,                        \
    .bdrv_co_block_status = file_co_block_status,                \
    .bdrv_co_invalidate_cache = file_co_invalidate_cache,        \
    .bdrv_inactivate = file_inactivate

static BlockDriver file_driver = {
    .format_name = "file",
    .protocol_name = "file",
    FILE_DRIVER_COMMON,
    .bdrv_open = file_open,
    .create_options = file_create_options,
    .bdrv_create = file_create,
    .bdrv_exists = file_exists,
    .bdrv_delete = file_delete,
    .prealloc_modes = FILE_PREALLOC_MODES,
    .bdrv_has_zero_init = file_has_zero_init,
    .bdrv_co_map_read = file_co_map_read,
};

static BlockDriver host_device_driver = {
    .format_name = "host_device",
    .protocol_name = "host_device",
    FILE_DRIVER_COMMON,
    .bdrv_probe_device = host_device_probe_device,
    .bdrv_open = host_device_open,
    .create_options = host_device_create_options,
    .bdrv_create = host_device_create,
    .bdrv_co_ioctl = host_device_co_ioctl,
    .bdrv_probe_blocksizes = file_probe_blocksizes,
};

BLOCK_DRIVER(file_driver)
BLOCK_DRIVER(host_device_driver)
