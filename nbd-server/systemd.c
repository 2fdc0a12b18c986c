/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define MAX_FDS 1024

/* A decimal number of the environment; false if there is none. */
static bool get_number(const char *name, long *number)
{
    const char *text = getenv(name);
    char *end;

    if (!text || !*text) {
        return false;
    }
    errno = 0;
    *number = strtol(text, &end, 10);
    return !errno && !*end;
}

int systemd_listen_fds(Error **errp)
{
    long pid, n = 0;
    bool ours = get_number("LISTEN_PID", &pid) && pid == getpid();
    bool ok = !ours || (get_number("LISTEN_FDS", &n) && n > 0 && n <= MAX_FDS);

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (!ok) {
        error_setg(errp, "LISTEN_PID is set, but LISTEN_FDS is no number from 1 to %d", MAX_FDS);
        return -1;
    }
    for (int fd = SYSTEMD_FIRST_FD; fd < SYSTEMD_FIRST_FD + n; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            error_setg_errno(errp, errno, "LISTEN_FDS promises descriptor %d", fd);
            return -1;
        }
    }
    return ours ? (int)n : 0;
}

/* Lines of NAME=VALUE; does nothing where nobody waits for them. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    auto_close int fd = -1;
    size_t len = path ? strlen(path) : 0;

    if (len < 2 || len >= sizeof(addr.sun_path) || (*path != '/' && *path != '@')) {
        return;
    }
    memcpy(addr.sun_path, path, len);
    if (*path == '@') {
        addr.sun_path[0] = '\0';    /* abstract: not in the file system */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    }
}

void systemd_notify_ready(void)
{
    notify("READY=1\nSTATUS=Serving.");
}

void systemd_notify_reloading(void)
{
    char state[96];
    struct timespec now;

    /* The time tells this reload from others that cross it. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading.",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    notify(state);
}

void systemd_notify_stopping(void)
{
    notify("STOPPING=1\nSTATUS=Answering what is in flight.");
}
