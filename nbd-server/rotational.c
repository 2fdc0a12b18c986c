/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_FLAG_ROTATIONAL: does the image lie on a disk that turns?  The kernel of a client then reads
 * in order rather than side by side.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <blkbackend/block-driver.h>

#include "server.h"

/* What the kernel says of a block device; false: it knows nothing. */
static bool read_queue(dev_t dev, const char *where, bool *rotational)
{
    char path[80], answer;
    FILE *file;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/rotational", major(dev), minor(dev),
             where);
    file = fopen(path, "re");
    if (!file) {
        return false;
    }
    answer = (char)fgetc(file);
    fclose(file);
    *rotational = answer == '1';
    return true;
}

bool export_is_rotational(BlockBackend *blk)
{
    BlockDriverState *bs = blk_bs(blk);
    bool rotational = false;
    struct stat st;

    while (bs && bdrv_file(bs)) {
        bs = bdrv_file(bs);
    }
    if (!bs || (strcmp(bdrv_get_format_name(bs), "file") != 0 &&
                strcmp(bdrv_get_format_name(bs), "host_device") != 0) ||
        stat(bdrv_filename(bs), &st) < 0) {
        return false;
    }
    if (S_ISBLK(st.st_mode)) {
        st.st_dev = st.st_rdev;
    }
    /* The queue of a partition is that of its disk. */
    return (read_queue(st.st_dev, "queue", &rotational) ||
            read_queue(st.st_dev, "../queue", &rotational)) && rotational;
}
