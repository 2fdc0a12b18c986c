/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an export's image is made of, and snapshots that change it.  Main thread. */
#ifndef NBD_EXPORT_CHAIN_H
#define NBD_EXPORT_CHAIN_H

#include <blkbackend/image.h>

#include "server.h"

/* Whether the chain of the export's images may be changed at all; errp says why not. */
bool chain_may_change(Export *export, Error **errp);
/* External snapshots: a new overlay, or with `existing` one that is there; or an open node. */
bool chain_snapshot_file(Export *export, const char *filename, const char *format,
                         const char *node_name, bool existing, Error **errp);
bool chain_snapshot_node(Export *export, BlockDriverState *overlay, Error **errp);
/* Another image is at the top, with the same content. */
void chain_top_changed(Export *export);
/* What cfg, settings as they were read, means for an export whose image a snapshot or a commit has
 * changed since: that one.  A reference. */
ExportConfig *chain_follow(const Export *export, ExportConfig *cfg);
/* Whether its own settings open the image that it has. */
bool chain_can_open_anew(const Export *export, Error **errp);

/* Internal ones. */
bool chain_save(Export *export, const char *name, Error **errp);
/* id or name may be NULL; *sn: the one that is gone. */
bool chain_delete(Export *export, const char *id, const char *name, QEMUSnapshotInfo *sn,
                  Error **errp);

#endif
