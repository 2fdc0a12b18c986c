/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * --run: a command that the server lives for.
 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

static char *folder;          /* of the private socket; NULL: none was made */
static pid_t pid;             /* of the command; 0: there is none, or no more */
static bool ended;
static int status;            /* as from waitpid() */

bool run_prepare(Server *server, Error **errp)
{
    const char *tmp = getenv("TMPDIR");

    if (server->passed_fds || !STAILQ_EMPTY(&server->config->addresses)) {
        return true;
    }
    if (asprintf(&folder, "%s/nbd-export-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0 ||
        !mkdtemp(folder)) {
        error_setg_errno(errp, errno, "--run: cannot make the folder \"%s\" for a socket", folder);
        free(folder);
        folder = NULL;
        return false;
    }
    if (asprintf(&server->private_socket, "%s/socket", folder) < 0) {
        server->private_socket = NULL;
    }
    xalloc_check(server->private_socket);
    return true;
}

/* The names that nbdkit gives to its command, too. */
static void set_variables(Server *server)
{
    Export **exports = xalloc_check(exports_snapshot(server));
    const char *export = *exports ? (*exports)->name : "";
    auto_free char *uri = *exports ? announce_uri(server, *exports) : NULL, *nbd = NULL;
    struct sockaddr_storage addr;
    const char *path = ((struct sockaddr_un *)&addr)->sun_path;
    Listener *l = NULL;
    socklen_t len;

    setenv("uri", uri ? uri : "", 1);
    setenv("exportname", export, 1);
    if (listen_next(server, &l, &addr, &len) && addr.ss_family == AF_UNIX &&
        asprintf(&nbd, *export ? "nbd:unix:%s:exportname=%s" : "nbd:unix:%s", path, export) > 0) {
        setenv("unixsocket", path, 1);
        setenv("nbd", nbd, 1);
    } else {
        setenv("nbd", uri ? uri : "", 1);
    }
    exports_snapshot_free(exports);
}

bool run_start(Server *server, Error **errp)
{
    char *argv[] = { "sh", "-c", server->config->run, NULL };
    posix_spawnattr_t attr;
    sigset_t mask, defaults;
    int ret;

    set_variables(server);
    sigemptyset(&mask);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGHUP);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &mask);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ret = posix_spawn(&pid, "/bin/sh", NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    if (ret != 0) {
        error_setg_errno(errp, ret, "--run: cannot start a shell");
        pid = 0;
    }
    return ret == 0;
}

bool run_has_ended(void)
{
    if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
        pid = 0;
        ended = true;
    }
    return ended;
}

void run_kill(int signum)
{
    if (pid > 0) {
        kill(pid, signum);
    }
}

int run_status(void)
{
    if (!run_has_ended()) {
        return EXIT_FAILURE;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void run_remove_folder(Server *server)
{
    if (folder) {
        rmdir(folder);     /* the socket is gone already */
        free(folder);
        folder = NULL;
    }
    free(server->private_socket);
    server->private_socket = NULL;
}
