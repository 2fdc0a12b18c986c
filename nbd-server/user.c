/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --user and --group. */
#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An ID as a number; false: it is a name. */
static bool parse_id(const char *text, unsigned *id)
{
    char *end;
    unsigned long n;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    n = strtoul(text, &end, 10);
    *id = (unsigned)n;
    return !errno && !*end && n < UINT32_MAX;
}

static bool find_user(const char *text, const struct passwd **user, Error **errp)
{
    unsigned id;

    *user = parse_id(text, &id) ? getpwuid(id) : getpwnam(text);
    if (!*user) {
        error_setg(errp, "--user: there is no user \"%s\"", text);
    }
    return *user;
}

static bool find_group(const char *text, gid_t *gid, Error **errp)
{
    const struct group *group;
    unsigned id;

    if (parse_id(text, &id)) {
        *gid = id;
        return true;
    }
    group = getgrnam(text);
    if (!group) {
        error_setg(errp, "--group: there is no group \"%s\"", text);
        return false;
    }
    *gid = group->gr_gid;
    return true;
}

static bool find(const char *user, const char *group, const struct passwd **pw, gid_t *gid,
                 Error **errp)
{
    *pw = NULL;
    *gid = getegid();
    if ((user && !find_user(user, pw, errp)) || (group && !find_group(group, gid, errp))) {
        return false;
    }
    if (*pw && !group) {
        *gid = (*pw)->pw_gid;
    }
    return true;
}

bool user_give(const char *path, const char *user, const char *group, Error **errp)
{
    const struct passwd *pw;
    gid_t gid;

    if (!user && !group) {
        return true;
    }
    if (!find(user, group, &pw, &gid, errp)) {
        return false;
    }
    if (lchown(path, pw ? pw->pw_uid : geteuid(), gid) < 0) {
        error_setg_errno(errp, errno, "cannot give it to %s%s%s", user ? user : "",
                         group ? ":" : "", group ? group : "");
        return false;
    }
    return true;
}

bool user_become(const char *user, const char *group, Error **errp)
{
    const struct passwd *pw;
    gid_t gid;

    if (!find(user, group, &pw, &gid, errp)) {
        return false;
    }
    if (((user || group) &&
         (pw ? initgroups(pw->pw_name, gid) : setgroups(1, &gid)) < 0) ||
        ((user || group) && setresgid(gid, gid, gid) < 0) ||
        (pw && setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)) {
        error_setg_errno(errp, errno, "cannot become %s%s%s", user ? user : "", group ? ":" : "",
                         group ? group : "");
        error_append_hint(errp, "Only root can use --user and --group.\n");
        return false;
    }
    return true;
}
