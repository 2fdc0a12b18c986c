/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be told of an image, see image-info.c.  Main-loop thread, not in a coroutine. */
#ifndef IMAGE_INFO_H
#define IMAGE_INFO_H

#include <blkbackend/block-driver.h>
#include <blkbackend/image.h>

/* The name to print: of a file, its path without "file:".  Lent. */
const char *image_filename(BlockDriverState *bs);
/* QEMU's ImageInfo of this node alone; NULL: errp says why not. */
QDict *image_info(BlockDriverState *bs, Error **errp);
/* QEMU's SnapshotInfo. */
QDict *image_snapshot_info(const QEMUSnapshotInfo *sn);

#endif
