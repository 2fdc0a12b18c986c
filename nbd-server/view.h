/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of an image an export shows: all of it, a part, an older state, a copy to scribble on.
 */
#ifndef NBD_EXPORT_VIEW_H
#define NBD_EXPORT_VIEW_H

#include "server.h"

/* Whether the settings that choose the view go together. */
bool view_check(const ExportConfig *cfg, Error **errp);
/* It shows a part of the image. */
bool view_is_window(const ExportConfig *cfg);
/* Opens the image as cfg asks; a reference.  *guessed: the format if it was guessed (the caller
 * frees it), or NULL. */
BlockDriverState *view_open(const ExportConfig *cfg, char **guessed, Error **errp);

/* ---- partition.c ---- */

/* Where a partition of the disk is, in bytes: MBR (logical ones from 5 on), GPT and what else
 * libblkid knows.  False if there is none of that number. */
bool partition_find(BlockDriverState *disk, unsigned number, int64_t *offset, int64_t *size,
                    Error **errp);

#endif
