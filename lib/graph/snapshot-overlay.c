/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BDRV_O_SNAPSHOT: the image is only read, and what is written goes to a qcow2
 * overlay in a temporary file, which has no name any more once it is open.
 */
#include "graph/graph-int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <blkbackend/image.h>

#define DEFAULT_FOLDER "/var/tmp"

static int make_file(char **name, Error **errp)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    if (asprintf(name, "%s/blkbackend-XXXXXX", folder && *folder ? folder : DEFAULT_FOLDER) < 0) {
        *name = NULL;
        return -ENOMEM;
    }
    fd = mkstemp(*name);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not create the temporary file '%s'", *name);
        free(*name);
        *name = NULL;
        return -EACCES;
    }
    close(fd);
    return 0;
}

static int create_overlay(const char *name, int64_t size, Error **errp)
{
    QDict *options = qdict_new();
    int ret;

    qdict_put(options, "size", qint_from_int(size));
    ret = bdrv_create(bdrv_find_format("qcow2"), name, options, errp);
    QDECREF(options);
    return ret;
}

/* Nobody needs it after a crash: no flush, no direct I/O. */
static int open_overlay(BlockDriverState **pbs, const char *name, BlockDriverState *image,
                        int flags, Error **errp)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str("qcow2"));
    qdict_put(options, "file.driver", qstring_from_str("file"));
    qdict_put(options, "file.filename", qstring_from_str(name));
    qdict_put(options, "backing", qstring_from_str(bdrv_get_node_name(image)));
    flags &= ~(BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING | BDRV_O_NOCACHE | BDRV_O_NATIVE_AIO);
    return bdrv_open(pbs, NULL, NULL, options, flags | BDRV_O_TEMPORARY | BDRV_O_NO_FLUSH, errp);
}

static int add_overlay(BlockDriverState **pbs, BlockDriverState *image, int flags, Error **errp)
{
    int64_t size = bdrv_getlength(image);
    char *name;
    int ret;

    if (size < 0) {
        error_setg_errno(errp, (int)-size, "Could not get the size of '%s'", bdrv_filename(image));
        return (int)size;
    }
    ret = make_file(&name, errp);
    if (ret < 0) {
        return ret;
    }
    ret = create_overlay(name, size, errp);
    if (ret == 0) {
        ret = open_overlay(pbs, name, image, flags, errp);
    }
    if (ret < 0) {
        unlink(name);
    }
    free(name);
    return ret;
}

int bdrv_open_snapshot(BlockDriverState **pbs, const char *filename, QDict *options, int flags,
                       Error **errp)
{
    BlockDriverState *image = NULL;
    int below = flags & ~(BDRV_O_SNAPSHOT | BDRV_O_RDWR | BDRV_O_COPY_ON_READ), ret;

    if (!(flags & BDRV_O_RDWR)) {
        return bdrv_open(pbs, filename, NULL, options, below, errp);   /* nothing is written */
    }
    ret = bdrv_open(&image, filename, NULL, options, below, errp);
    if (ret == 0) {
        ret = add_overlay(pbs, image, flags, errp);
        bdrv_unref(image);
    }
    return ret;
}
