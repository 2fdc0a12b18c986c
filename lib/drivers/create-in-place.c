/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New images on what was there before: see the header. */
#include "drivers/create-in-place.h"

#include <blkbackend/block-backend.h>

int64_t create_size_option(const QDict *options)
{
    int64_t size = json_integer_value(json_object_get(options, "size"));

    return size > INT64_MAX - (int64_t)BDRV_SECTOR_SIZE ? INT64_MAX
           : (size + (int64_t)BDRV_SECTOR_SIZE - 1) & BDRV_SECTOR_MASK;
}

/* What is there stays, but for a header that would say what it is. */
static int clear_first_sector(BlockDriverState *bs, const char *filename, Error **errp)
{
    static const uint8_t zeroes[BDRV_SECTOR_SIZE];
    int64_t length = bdrv_getlength(bs);
    int ret = length < 0 ? (int)length : 0;

    if (length > 0) {
        ret = bdrv_pwrite_sync(bs, 0, sizeof(zeroes), zeroes);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not clear the first sector of '%s'", filename);
    }
    return ret;
}

int create_in_place(const char *driver, const char *filename, const QDict *options, Error **errp)
{
    QDict *open_options = qdict_new();
    BlockDriverState *bs = NULL;
    int ret;

    qdict_put(open_options, "driver", qstring_from_str(driver));
    ret = bdrv_open(&bs, filename, NULL, open_options,
                    BDRV_O_RDWR | BDRV_O_CACHE_WB | BDRV_O_PROTOCOL, errp);
    if (ret == 0) {
        ret = bdrv_truncate(bs, create_size_option(options), PREALLOC_MODE_OFF, errp);
    }
    if (ret == 0) {
        ret = clear_first_sector(bs, filename, errp);
    }
    bdrv_unref(bs);
    return ret;
}
