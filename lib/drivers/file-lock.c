/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks against other processes, on the bytes that QEMU uses, so that its
 * programs and ours refuse each other's images.
 *
 * Each permission has two bytes.  Who uses an image holds a shared lock on byte
 * 100 + n for each permission n that he has, and on byte 200 + n for each that
 * he denies others.  Then he looks whether anybody denies what he has or has
 * what he denies.  All locks are shared ones, so placing them never fails; two
 * who come at the same moment may both see the other and both give up.
 *
 * The locks belong to the open file description (F_OFD_SETLK), not to the
 * process: two opens in one process exclude each other too.
 */
#include <errno.h>
#include <fcntl.h>

#include "drivers/file.h"

#define HELD_BASE 100
#define DENIED_BASE 200

enum {
    PERM_CONSISTENT_READ,
    PERM_WRITE,
    PERM_WRITE_UNCHANGED,   /* neither needed nor denied by us */
    PERM_RESIZE,
    PERM_COUNT,
};

static const char *const perm_names[PERM_COUNT] = {
    "consistent read", "write", "write unchanged", "resize"
};

#define PERMS_READER (1u << PERM_CONSISTENT_READ)
#define PERMS_WRITER (PERMS_READER | 1u << PERM_WRITE | 1u << PERM_RESIZE)
/* What changes under a reader is no consistent image either. */
#define PERMS_DENIED (1u << PERM_WRITE | 1u << PERM_RESIZE)

static int lock_byte(int fd, int command, short type, int byte, short *found)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    int ret;

    do {
        ret = fcntl(fd, command, &lock);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        return -errno;
    }
    *found = lock.l_type;
    return 0;
}

static int place_locks(int fd, unsigned held, unsigned denied)
{
    short unused;

    for (int perm = 0; perm < PERM_COUNT; perm++) {
        int ret = held >> perm & 1 ? lock_byte(fd, F_OFD_SETLK, F_RDLCK, HELD_BASE + perm, &unused)
                                   : 0;
        if (ret == 0 && (denied >> perm & 1)) {
            ret = lock_byte(fd, F_OFD_SETLK, F_RDLCK, DENIED_BASE + perm, &unused);
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

void file_unlock(int fd)
{
    short unused;

    for (int perm = 0; perm < PERM_COUNT; perm++) {
        lock_byte(fd, F_OFD_SETLK, F_UNLCK, HELD_BASE + perm, &unused);
        lock_byte(fd, F_OFD_SETLK, F_UNLCK, DENIED_BASE + perm, &unused);
    }
}

/* An exclusive lock, only asked for, meets all the shared ones of others. */
static int check_byte(int fd, int byte, const char *shared, const char *perm_name, Error **errp)
{
    short found;
    int ret = lock_byte(fd, F_OFD_GETLK, F_WRLCK, byte, &found);

    if (ret == 0 && found != F_UNLCK) {
        error_setg(errp, "Failed to get %s\"%s\" lock", shared, perm_name);
        ret = -EAGAIN;
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not look for locks on the image");
    }
    return ret;
}

static int check_others(int fd, unsigned held, unsigned denied, Error **errp)
{
    int ret = 0;

    for (int perm = 0; perm < PERM_COUNT && ret == 0; perm++) {
        if (held >> perm & 1) {
            ret = check_byte(fd, DENIED_BASE + perm, "", perm_names[perm], errp);
        }
    }
    for (int perm = 0; perm < PERM_COUNT && ret == 0; perm++) {
        if (denied >> perm & 1) {
            ret = check_byte(fd, HELD_BASE + perm, "shared ", perm_names[perm], errp);
        }
    }
    return ret;
}

static bool is_unsupported(int ret)
{
    return ret == -EINVAL || ret == -ENOSYS || ret == -EOPNOTSUPP;
}

static unsigned denied_to_others(const BDRVFileState *s)
{
    return s->force_share ? 0 : PERMS_DENIED;
}

int file_lock(BDRVFileState *s, int fd, bool writable, const char *filename, Error **errp)
{
    unsigned held = writable ? PERMS_WRITER : PERMS_READER, denied = denied_to_others(s);
    int ret;

    if (s->locking == FILE_LOCKING_OFF) {
        return 0;
    }
    ret = place_locks(fd, held, denied);
    if (is_unsupported(ret) && s->locking == FILE_LOCKING_AUTO) {
        return 0;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not lock '%s'", filename);
        error_append_hint(errp, "locking=off opens it without a lock.\n");
        return ret;
    }
    ret = check_others(fd, held, denied, errp);
    if (ret < 0) {
        error_append_hint(errp, "Is another process using the image [%s]?\n"
                          "fuser shows it; locking=off opens the image regardless, at the risk "
                          "of its data.\n", filename);
        file_unlock(fd);
        return ret;
    }
    s->locked = true;
    return 0;
}

/* The old descriptor's locks would look like another's, so they go first. */
int file_lock_move(BDRVFileState *s, int fd, bool writable, const char *filename, Error **errp)
{
    int ret;

    file_unlock(s->fd);
    ret = file_lock(s, fd, writable, filename, errp);
    if (ret < 0) {
        place_locks(s->fd, s->writable ? PERMS_WRITER : PERMS_READER, denied_to_others(s));
    }
    return ret;
}
