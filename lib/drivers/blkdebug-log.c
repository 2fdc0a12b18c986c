/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blkdebug: the log of all requests, in the order in which they came and ended.
 *
 *     # blkdebug 1 SIZE                                  size of the image at the start
 *     > SEQ OP OFFSET BYTES FLAGS DATA                   a request has come
 *     < SEQ OP OFFSET BYTES FLAGS RESULT PASSED          it has ended
 *
 * FLAGS is "-", or words joined by commas: fua, unmap.  DATA is "-", or where
 * in the file LOG.data the written bytes begin.  RESULT is 0 or more, or a
 * negative errno; PASSED is how many of the bytes were handed on to the image.
 *
 * A line stands in the file before what it tells of goes on: the arrival before
 * anything happens to the image, the end before the caller knows of it.  So
 * whatever a caller could rely on is in the log, whenever the process dies.
 * docs/blkdebug.md says how to find from it what a power cut can leave behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/blkdebug.h"
#include "util/options.h"

#define LINE_MAX_LENGTH 200

const char *const debug_op_words[DEBUG_OPS] = {
    [DEBUG_READ] = "read",
    [DEBUG_WRITE] = "write",
    [DEBUG_WRITE_ZEROES] = "write-zeroes",
    [DEBUG_DISCARD] = "discard",
    [DEBUG_FLUSH_TO_OS] = "flush-to-os",
    [DEBUG_FLUSH_TO_DISK] = "flush-to-disk",
    [DEBUG_TRUNCATE] = "truncate",
    [DEBUG_BLOCK_STATUS] = "block-status",
    [DEBUG_COMPRESSED] = "compressed",
    [DEBUG_IOCTL] = "ioctl",
    [DEBUG_GETLENGTH] = "getlength",
};

/* ---- the files ---- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int create(const char *path, Error **errp)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not create the log '%s'", path);
    }
    return fd;
}

static int begin(DebugLog *log, const char *path, bool with_data, int64_t size, Error **errp)
{
    char line[LINE_MAX_LENGTH], data_path[PATH_MAX];
    int ret;

    log->fd = create(path, errp);
    if (log->fd < 0) {
        return -EINVAL;
    }
    if (with_data) {
        snprintf(data_path, sizeof(data_path), "%s.data", path);
        log->data_fd = create(data_path, errp);
        if (log->data_fd < 0) {
            return -EINVAL;
        }
    }
    snprintf(line, sizeof(line), "# blkdebug 1 %" PRId64 "\n", size);
    ret = write_all(log->fd, line, strlen(line));
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write the log '%s'", path);
    }
    return ret;
}

int debug_log_open(DebugLog *log, QDict *options, int64_t size, Error **errp)
{
    const char *path = qdict_get_try_str(options, "log");
    bool with_data = false;
    int ret = options_take_bool(options, "log-data", &with_data, errp);

    *log = (DebugLog){ .fd = -1, .data_fd = -1 };
    if (ret < 0) {
        return ret;
    }
    if (!path) {
        if (with_data) {
            error_setg(errp, "Parameter 'log-data' needs a 'log'");
            return -EINVAL;
        }
        return 0;
    }
    ret = begin(log, path, with_data, size, errp);
    qdict_del(options, "log");
    return ret;
}

void debug_log_close(DebugLog *log)
{
    if (log->fd >= 0) {
        close(log->fd);
    }
    if (log->data_fd >= 0) {
        close(log->data_fd);
    }
}

/* ---- requests ---- */

static const char *flag_words(int flags)
{
    static const char *const words[] = { "-", "fua", "unmap", "fua,unmap" };

    return words[!!(flags & BDRV_REQ_FUA) + 2 * !!(flags & BDRV_REQ_MAY_UNMAP)];
}

static int __attribute__((format(printf, 4, 5)))
log_line(DebugLog *log, char mark, const DebugRequest *req, const char *rest, ...)
{
    char line[LINE_MAX_LENGTH];
    int len = snprintf(line, sizeof(line), "%c %" PRIu64 " %s %" PRId64 " %" PRId64 " %s ", mark,
                       req->seq, debug_op_words[req->op], req->offset, req->bytes,
                       flag_words(req->flags));
    va_list ap;

    va_start(ap, rest);
    len += vsnprintf(line + len, sizeof(line) - (size_t)len, rest, ap);
    va_end(ap);
    line[len++] = '\n';
    return write_all(log->fd, line, (size_t)len);
}

/* The data go first: a line in the log has them all. */
static int log_data(DebugLog *log, const DebugRequest *req)
{
    int ret = 0;

    for (int i = 0; i < req->qiov->niov && ret == 0; i++) {
        ret = write_all(log->data_fd, req->qiov->iov[i].iov_base, req->qiov->iov[i].iov_len);
    }
    return ret;
}

static bool writes_data(const DebugRequest *req)
{
    return req->op == DEBUG_WRITE || req->op == DEBUG_COMPRESSED;
}

int debug_log_arrival(DebugLog *log, const DebugRequest *req)
{
    int64_t at = log->data_end;
    int ret;

    if (log->fd < 0) {
        return 0;
    }
    if (log->data_fd < 0 || !writes_data(req)) {
        return log_line(log, '>', req, "-");
    }
    ret = log_data(log, req);
    if (ret < 0) {
        return ret;
    }
    log->data_end += (int64_t)req->qiov->size;
    return log_line(log, '>', req, "%" PRId64, at);
}

int debug_log_end(DebugLog *log, const DebugRequest *req, int64_t passed, int64_t result)
{
    return log->fd < 0 ? 0 : log_line(log, '<', req, "%" PRId64 " %" PRId64, result, passed);
}
