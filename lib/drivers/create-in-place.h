/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "Creating" what has its size and stays where it is: a device, an NBD export.
 */
#ifndef BLKBACKEND_DRIVER_CREATE_IN_PLACE_H
#define BLKBACKEND_DRIVER_CREATE_IN_PLACE_H

#include <blkbackend/block-driver.h>

/* The option "size" in whole sectors, as a disk is. */
int64_t create_size_option(const QDict *options);
/* Looks whether filename is large enough, and clears its first sector. */
int create_in_place(const char *driver, const char *filename, const QDict *options, Error **errp);

#endif
