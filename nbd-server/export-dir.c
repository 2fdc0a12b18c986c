/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images of a folder, opened when a client asks for one.
 *
 * A client's name is the name of a file in the folder or it is nothing: the file is looked up
 * beneath the folder, wherever links lead, and opened by the descriptor that was found.  All of it
 * happens in the main thread, while the client's coroutine waits.
 */
#include "export-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/xalloc.h"

bool export_dir_open(Server *server, Error **errp)
{
    const char *path = server->config->export_dir;

    server->export_dir = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (path && server->export_dir < 0) {
        error_setg_errno(errp, errno, "--export-dir \"%s\"", path);
        return false;
    }
    return true;
}

void export_dir_close(Server *server)
{
    if (server->export_dir >= 0) {
        close(server->export_dir);
        server->export_dir = -1;
    }
}

/* ---- files ---- */

static bool is_utf8(const char *text)
{
    size_t len;

    for (; *text; text += len) {
        len = utf8_length(text);
        if (len == 0) {
            return false;
        }
    }
    return true;
}

/* Hidden files are none, and nothing that is not in the folder itself. */
static bool is_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && is_utf8(name);
}

/* Beneath dir, whatever its links say; -1 with errno set. */
static int open_beneath(int dir, const char *name)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

    /* Old kernels, and filters that do not know the call: then without links. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    return (int)fd;
}

/* The descriptor of a regular file in the folder; -1: there is none of that name. */
static int open_file(Server *server, const char *name)
{
    auto_close int fd = is_name(name) ? open_beneath(server->export_dir, name) : -1;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return -1;
    }
    return take_fd(&fd);
}

/* ---- one image ---- */

/* What a client's coroutine wants of the main thread. */
typedef struct Ask {
    Server *server;
    char *name;
    Export *found;
    char **names;
} Ask;

static Export *open_export(Server *server, const char *name, int fd, Error **errp)
{
    ExportConfig *cfg = config_new_export(server->config);
    Export *export = NULL;

    cfg->name = xstrdup(name);
    if (asprintf(&cfg->image, "/proc/self/fd/%d", fd) < 0) {
        cfg->image = xalloc_check(NULL);
    }
    if (config_complete_export(server->config, cfg, errp)) {
        export = export_new(cfg, errp);
    }
    export_config_unref(cfg);
    return export;
}

static void find_in_main(void *opaque)
{
    Ask *ask = opaque;
    Server *server = ask->server;
    const char *name = *ask->name || !server->default_export ? ask->name : server->default_export;
    auto_close int fd = open_file(server, name);
    Error *err = NULL;

    exports_close_unused(server);
    ask->found = exports_find(server, name, strlen(name));     /* somebody else asked before */
    if (ask->found || fd < 0) {
        return;
    }
    ask->found = open_export(server, name, fd, &err);
    if (!ask->found) {
        log_error_free(err);
        return;
    }
    ask->found->transient = true;
    ask->found->file = take_fd(&fd);
    exports_add(server, ask->found);
}

Export *coroutine_fn export_dir_find(Conn *conn, const void *name, size_t len)
{
    Ask ask = { .server = conn->server, .name = strndup(name, len) };

    if (ask.name && strlen(ask.name) == len) {
        conn_call_main(conn, find_in_main, &ask);
    }
    free(ask.name);
    return ask.found;
}

/* ---- all names ---- */

static DIR *open_list(Server *server)
{
    int fd = openat(server->export_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? NULL : fdopendir(fd);
}

static bool is_image(Server *server, const char *name)
{
    auto_close int fd = open_file(server, name);

    return fd >= 0;
}

static void list_in_main(void *opaque)
{
    Ask *ask = opaque;
    DIR *dir = open_list(ask->server);
    struct dirent *entry;
    size_t n = 0;

    ask->names = calloc(EXPORT_DIR_MAX + 1, sizeof(ask->names[0]));
    while (ask->names && dir && n < EXPORT_DIR_MAX && (entry = readdir(dir))) {
        if (is_image(ask->server, entry->d_name)) {
            ask->names[n] = strdup(entry->d_name);
            n += ask->names[n] != NULL;
        }
    }
    if (dir) {
        closedir(dir);
    }
}

char **coroutine_fn export_dir_names(Conn *conn)
{
    Ask ask = { .server = conn->server };

    conn_call_main(conn, list_in_main, &ask);
    return ask.names;
}
