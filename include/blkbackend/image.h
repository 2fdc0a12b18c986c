/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Images as a whole: create, measure, describe, check, amend, take snapshots.
 *
 * Main-loop thread only, not in a coroutine, but where it says otherwise.  What
 * changes an open image drains it first.  Errors: negative errno; errp says what
 * was tried and why it failed.  Strings and tables that are handed out as
 * `const` are lent; what else is handed out is the caller's.
 */
#ifndef BLKBACKEND_IMAGE_H
#define BLKBACKEND_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <blkbackend/block-driver.h>
#include <blkbackend/error.h>
#include <blkbackend/qdict.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- creating ---- */

typedef enum {
    BDRV_OPTION_STRING,
    BDRV_OPTION_BOOL,                  /* "on", "off"; in a dictionary: true, false */
    BDRV_OPTION_NUMBER,
    BDRV_OPTION_SIZE,                  /* bytes, suffixes k M G T P E; there: an integer */
} BdrvOptionType;

/* One of the options of create or amend ("-o name=value").  A table ends with name NULL. */
struct BdrvOption {
    const char *name;
    BdrvOptionType type;
    const char *help;
    const char *def;                   /* what it is if not given, as text; NULL: it depends */
};

/* NULL if images of that format (or files of that protocol) cannot be created. */
const BdrvOption *bdrv_create_options(const BlockDriver *drv);
const BdrvOption *bdrv_amend_options(const BlockDriver *drv);
/* The driver of the protocol that filename is of: what creates the file below an image. */
const BlockDriver *bdrv_protocol_of(const char *filename, Error **errp);

/* Brings the values in options (which may all be strings) into the types of the table, in place;
 * -EINVAL: an option that none of the tables has, or a value that does not fit.  more: a second
 * table, or NULL. */
int bdrv_check_options(const BdrvOption *table, const BdrvOption *more, QDict *options,
                       Error **errp);

/* Creates an image: "size" is an option like the others.  An existing file loses its content, once
 * the options were found good; a new one is deleted again if something fails.  options (not
 * consumed) may hold options of the protocol as well. */
int bdrv_create(const BlockDriver *drv, const char *filename, const QDict *options, Error **errp);
/* The same as a user asks for it: base_filename, base_fmt (NULL: as in options) become options; the
 * backing file is opened, with flags, to see that it is there, and gives the size if size is -1 and
 * options have none; BDRV_O_NO_BACKING in flags: it is not.  options: NULL or not consumed.
 * report (or NULL): gets the line "Formatting ..." before anything is written. */
int bdrv_img_create(const char *filename, const char *fmt, const char *base_filename,
                    const char *base_fmt, const QDict *options, int64_t size, int flags,
                    BdrvReportFunc *report, void *opaque, Error **errp);

/* What an image that drv would create with these options takes; with `from`, one that holds a copy
 * of what is in there (its size is that one's). */
struct BlockMeasureInfo {
    int64_t required;                  /* bytes of the new file */
    int64_t fully_allocated;           /* bytes when everything has been written to */
    int64_t bitmaps;                   /* bytes for the bitmaps of `from`; -1: cannot have any */
};
int bdrv_measure(const BlockDriver *drv, const QDict *options, BlockDriverState *from,
                 BlockMeasureInfo *info, Error **errp);

/* ---- describing ---- */

struct BlockDriverInfo {
    int cluster_size;                  /* bytes; 0: it has no clusters */
    int subcluster_size;               /* the unit of allocation */
    int64_t vm_state_offset;           /* where the VM state lies beyond the disk */
    bool is_dirty;                     /* not closed properly */
    bool is_corrupt;
};

/* -ENOTSUP: a format with nothing of the kind. */
int bdrv_get_info(BlockDriverState *bs, BlockDriverInfo *info);
/* What only this format has, {"type": ..., "data": {...}}; NULL: nothing, or an error (errp). */
QDict *bdrv_get_specific_info(BlockDriverState *bs, Error **errp);
/* Bytes that the files of this node take on the host; -ENOTSUP. */
int64_t bdrv_get_allocated_file_size(BlockDriverState *bs);
/* As the header says; NULL: none.  Kept also if it was not opened (BDRV_O_NO_BACKING). */
const char *bdrv_get_backing_filename(BlockDriverState *bs);
const char *bdrv_get_backing_format(BlockDriverState *bs);
/* As it would be opened: a relative name with the image's folder before it.  malloc()ed; NULL. */
char *bdrv_get_full_backing_filename(BlockDriverState *bs);
/* The same for any name that the header of `image` might have. */
char *bdrv_resolve_backing_filename(const char *image, const char *backing);
/* What a header may call the image of bs from anywhere, where that shows what bs shows, though
 * without filters on its file.  malloc()ed; NULL with errp: no name does. */
char *bdrv_name_for_header(BlockDriverState *bs, Error **errp);

/* ---- block status (any thread; outside a coroutine they poll) ---- */

/* BDRV_BLOCK_* of this node alone for [offset, offset + *pnum), or -errno.  map, file: NULL, or
 * where data lie if OFFSET_VALID is set; *file is lent. */
int bdrv_block_status(BlockDriverState *bs, int64_t offset, int64_t bytes, int64_t *pnum,
                      int64_t *map, BlockDriverState **file);
/* The same through the chain from bs down to, but without, base (NULL: all of it).  *depth: how
 * many nodes below bs the one that decides is; without one the range reads as zeroes, or base
 * decides, and the answer has no ALLOCATED. */
int bdrv_block_status_above(BlockDriverState *bs, BlockDriverState *base, int64_t offset,
                            int64_t bytes, int64_t *pnum, int64_t *map, BlockDriverState **file,
                            int *depth);

/* ---- checking ---- */

#define BDRV_FIX_LEAKS  1
#define BDRV_FIX_ERRORS 2

struct BdrvCheckResult {
    int64_t corruptions, leaks, check_errors;
    int64_t corruptions_fixed, leaks_fixed;
    int64_t image_end_offset;          /* bytes; -1: not known */
    int64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
};

/* Looks whether the metadata are consistent, and mends what fix (BDRV_FIX_*) says.  0 if the check
 * could be done, whatever it found; -ENOTSUP: a format that has no such thing.  report (or
 * NULL) gets a line, without its end, for each thing found or mended. */
int bdrv_check(BlockDriverState *bs, BdrvCheckResult *result, int fix, BdrvReportFunc *report,
               void *opaque);

/* ---- changing ---- */

/* Changes options of bdrv_amend_options() in place.  force: also what loses data. */
int bdrv_amend(BlockDriverState *bs, const QDict *options, bool force, BdrvProgressFunc *progress,
               void *opaque, Error **errp);
/* What the header says from now on (NULL: no backing file); no data change. */
int bdrv_change_backing_file(BlockDriverState *bs, const char *filename, const char *format,
                             Error **errp);
/* All content is the backing file's again. */
int bdrv_make_empty(BlockDriverState *bs, Error **errp);

/* ---- committing ---- */

/* The node below bs that has this name: a path, relative to the image that it backs, or the name
 * that it was opened by.  NULL: none has. */
BlockDriverState *bdrv_find_backing_image(BlockDriverState *bs, const char *filename);
/* Writes what the nodes from top down to, but without, base decide into base, which is below top,
 * becomes writable meanwhile, grows to top's length if it is shorter, and is flushed.  The others
 * stay as they are: top still shows the same, those between show what base has become.
 * bytes_per_second: 0: no limit.  progress: NULL, or told how many bytes of top are done. */
int bdrv_commit_to(BlockDriverState *top, BlockDriverState *base, int64_t bytes_per_second,
                   BdrvProgressFunc *progress, void *opaque, Error **errp);

/* ---- internal snapshots ---- */

struct QEMUSnapshotInfo {
    char id_str[128];
    char name[256];
    uint64_t vm_state_size;            /* bytes */
    uint32_t date_sec, date_nsec;      /* UTC */
    uint64_t vm_clock_nsec;            /* since the machine was started */
    uint64_t icount;                   /* UINT64_MAX: not known */
    uint64_t disk_size;                /* bytes of the disk then */
};

bool bdrv_can_snapshot(BlockDriverState *bs);
/* sn: name, date, clock, icount and vm_state_size as given; id_str is chosen if it is empty. */
int bdrv_snapshot_create(BlockDriverState *bs, QEMUSnapshotInfo *sn, Error **errp);
/* Goes back to it: id, else name. */
int bdrv_snapshot_goto(BlockDriverState *bs, const char *id_or_name, Error **errp);
/* id or name may be NULL; both: the one that has both. */
int bdrv_snapshot_delete(BlockDriverState *bs, const char *id, const char *name, Error **errp);
/* Their number; *list is the caller's to free(). */
int bdrv_snapshot_list(BlockDriverState *bs, QEMUSnapshotInfo **list);
/* -ENOENT: there is none of that id, else of that name. */
int bdrv_snapshot_find(BlockDriverState *bs, QEMUSnapshotInfo *sn, const char *id_or_name);
/* A read-only node shows the disk as it was then, until it is closed. */
int bdrv_snapshot_load_tmp(BlockDriverState *bs, const char *id, const char *name, Error **errp);

#ifdef __cplusplus
}
#endif
#endif
