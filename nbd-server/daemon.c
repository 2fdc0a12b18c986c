/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process around the server: going to the background, and telling others
 * that clients can connect (the waiting parent, --pid-file, --ready-fd).
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "systemd.h"

/* Where the parent waits for a byte; -1: it does not. */
static int parent_fd = -1;
static bool wrote_pid_file;

void daemon_fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- going to the background ---- */

/* Exits as soon as the child is ready, or as it does; its messages went to our stderr. */
static void wait_for_child(pid_t pid, int fd)
{
    char ready;
    ssize_t n;
    int status;

    do {
        n = read(fd, &ready, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) {
        _exit(EXIT_SUCCESS);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

bool daemon_fork(Error **errp)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot make a pipe");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_setg_errno(errp, errno, "cannot go to the background");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_child(pid, fds[0]);
    }
    close(fds[0]);
    parent_fd = fds[1];
    setsid();
    return true;
}

/* Lets go of the terminal: whoever reads our output must see it end. */
static void leave_terminal(void)
{
    auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0) {
        return;
    }
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (log_leave_terminal()) {
        dup2(null, STDERR_FILENO);
    }
}

/* ---- readiness ---- */

/* what: the words after "cannot write", for errp. */
static bool write_all(int fd, const char *text, const char *what, Error **errp)
{
    size_t len = strlen(text);

    while (len) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR) {
            error_setg_errno(errp, errno, "cannot write %s", what);
            return false;
        }
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static bool write_pid_file(const char *path, Error **errp)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char text[32];

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot write the pid file \"%s\"", path);
        return false;
    }
    wrote_pid_file = true;
    snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    return write_all(fd, text, "the pid file", errp);
}

bool daemon_ready(const Config *config, Error **errp)
{
    if (config->pid_file && !write_pid_file(config->pid_file, errp)) {
        return false;
    }
    if (!user_become(config->user, config->group, errp)) {
        return false;
    }
    if (config->ready_fd >= 0) {
        if (!write_all(config->ready_fd, "READY\n", "to the descriptor of --ready-fd", errp)) {
            return false;
        }
        close(config->ready_fd);
    }
    systemd_notify_ready();
    if (parent_fd >= 0) {
        leave_terminal();
        write_all(parent_fd, "r", "to the parent", NULL);
        close(parent_fd);
        parent_fd = -1;
    }
    return true;
}

void daemon_remove_pid_file(const Config *config)
{
    struct stat st;

    /* Not /dev/stdout and the like. */
    if (wrote_pid_file && lstat(config->pid_file, &st) == 0 && S_ISREG(st.st_mode)) {
        unlink(config->pid_file);
    }
}
