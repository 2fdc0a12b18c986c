/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening unix sockets: what a dead server left is replaced, what a living one uses is not.
 */
#include "unix-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* Two servers that find the same stale socket must not both replace it: the one who holds the
 * lock on the folder looks, removes, binds and listens in peace.  -1 if the folder cannot be
 * locked, which leaves only that race: whoever may read the folder could keep it locked. */
static int lock_folder(const char *path)
{
    static const struct timespec pause = { .tv_nsec = 10000000 };
    auto_free char *copy = xstrdup(path);
    auto_close int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int tries = 0; fd >= 0 && tries < 100; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return take_fd(&fd);
        }
        nanosleep(&pause, NULL);
    }
    return -1;
}

/*
 * Somebody accepted the connection; is it a living process?  The kernel may take
 * a moment to close the socket of a killed one.  Sets errno to 0 if it is dead.
 */
static bool listener_lives(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0 ||
        kill(peer.pid, 0) == 0 || errno != ESRCH) {
        return true;
    }
    errno = 0;
    return false;
}

/* Makes way for a new socket at addr's path, where there may be nothing or what a dead server
 * left. */
static bool remove_stale_socket(const struct sockaddr_un *addr, Error **errp)
{
    const char *path = addr->sun_path;
    auto_close int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0) {
        if (errno == ENOENT) {
            return true;
        }
        error_setg_errno(errp, errno, "unix socket \"%s\"", path);
        return false;
    }
    if (!S_ISSOCK(st.st_mode)) {
        error_setg(errp, "unix socket \"%s\": there is something else of that name", path);
        error_append_hint(errp, "Choose another path, or remove what is there.\n");
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "unix socket \"%s\"", path);
        return false;
    }
    if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ? listener_lives(fd)
                                                                       : errno == EAGAIN) {
        error_setg(errp, "unix socket \"%s\" is in use by a running server", path);
        error_append_hint(errp, "Stop that server, or choose another path.\n");
        return false;
    }
    if (errno != 0 && errno != ECONNREFUSED && errno != ENOENT) {
        error_setg_errno(errp, errno, "unix socket \"%s\": cannot tell whether it is in use", path);
        return false;
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        error_setg_errno(errp, errno, "unix socket \"%s\": cannot replace what a dead server left",
                         path);
        return false;
    }
    return true;
}

/* The mode must be right from the first moment on: bind() takes it over from the descriptor. */
static int bind_socket(const struct sockaddr_un *addr, mode_t mode)
{
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || (mode && fchmod(fd, mode) < 0) ||
        bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        return -1;
    }
    return take_fd(&fd);
}

bool unix_socket_open(UnixSocket *s, const char *path, mode_t mode, Error **errp)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    auto_close int lock = -1;
    struct stat st;

    *s = (UnixSocket){ .fd = -1 };
    if (strlen(path) >= sizeof(addr.sun_path)) {
        error_setg(errp, "unix socket \"%s\": the path is longer than %zu bytes", path,
                   sizeof(addr.sun_path) - 1);
        error_append_hint(errp, "Change into its folder and give a relative path.\n");
        return false;
    }
    strcpy(addr.sun_path, path);

    lock = lock_folder(path);
    if (!remove_stale_socket(&addr, errp)) {
        return false;
    }
    s->fd = bind_socket(&addr, mode);
    if (s->fd < 0) {
        error_setg_errno(errp, errno, "unix socket \"%s\"", path);
        return false;
    }
    s->path = xstrdup(path);
    if (lstat(path, &st) == 0) {
        s->dev = st.st_dev;
        s->ino = st.st_ino;
    }
    if (listen(s->fd, SOMAXCONN) < 0) {
        error_setg_errno(errp, errno, "unix socket \"%s\"", path);
        unix_socket_close(s);
        return false;
    }
    return true;
}

void unix_socket_close(UnixSocket *s)
{
    struct stat st;

    if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino) {
        unlink(s->path);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->path);
    *s = (UnixSocket){ .fd = -1 };
}
