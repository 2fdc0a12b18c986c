/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd-server's authfile: who may connect, an address or ADDRESS/BITS a line, # begins a comment.
 *
 * Unlike there, everybody may not connect because the file is missing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

#define MAX_LINES 10000

/* NULL: cannot be opened, or might never end. */
static FILE *open_regular(const char *path, Error **errp)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "\"%s\"", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        error_setg(errp, "\"%s\" is not a regular file", path);
        return NULL;
    }
    return xalloc_check(fdopen(take_fd(&fd), "r"));
}

static bool add_network(ExportConfig *export, char *line, Error **errp)
{
    static const char spaces[] = " \t\r\n";
    auto_free char *rule = NULL;
    size_t len;

    line[strcspn(line, "#")] = '\0';
    line += strspn(line, spaces);
    len = strcspn(line, spaces);
    if (line[len + strspn(line + len, spaces)]) {
        error_setg(errp, "\"%.60s\" should be one ADDRESS or ADDRESS/BITS", line);
        return false;
    }
    line[len] = '\0';
    if (len == 0) {
        return true;
    }
    if (asprintf(&rule, "net:%s", line) < 0) {
        rule = xalloc_check(NULL);
    }
    return access_rules_add(&export->access, rule, false, errp);
}

bool config_read_authfile(ExportConfig *export, const char *file, Error **errp)
{
    FILE *in = open_regular(file, errp);
    size_t before = export->access.inherited ? 0 : export->access.n;
    char line[256];
    unsigned n = 0;
    bool ok = in != NULL;

    while (ok && fgets(line, sizeof(line), in)) {
        if (++n > MAX_LINES || (!strchr(line, '\n') && !feof(in))) {
            error_setg(errp, "too many lines, or a line that is too long");
            ok = false;
        } else {
            ok = add_network(export, line, errp);
        }
        if (!ok) {
            error_prepend(errp, "%s:%u: ", file, n);
        }
    }
    if (in) {
        fclose(in);
    }
    if (ok && (export->access.inherited || export->access.n == before)) {
        error_setg(errp, "\"%s\" names no address: nobody could connect", file);
        ok = false;
    }
    return ok;
}
