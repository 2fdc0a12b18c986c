/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the operations of fuzz-qcow2 work on. */
#ifndef FUZZ_QCOW2_TARGET_H
#define FUZZ_QCOW2_TARGET_H

#include <stdint.h>

#include <blkbackend/block-backend.h>

#define OP_BYTES 4
#define MAX_LENGTH (2 << 20)            /* of a read or write */
#define SMALL_DISK (INT64_C(64) << 20)  /* what takes time by the disk's size is for these */
#define IN_FLIGHT 4

typedef struct Target {
    BlockBackend *blk;
    uint8_t flags;
    uint8_t *buf;                       /* MAX_LENGTH bytes, for one at a time */
    struct Write {
        QEMUIOVector qiov;
        struct iovec iov;
        bool pending;
    } writes[IN_FLIGHT];
} Target;

/* The bytes of an operation behind its number. */
typedef struct Args {
    int64_t offset, bytes;
    uint8_t raw[OP_BYTES - 1];
} Args;

typedef void Operation(Target *t, const Args *args);

/* qcow2-upkeep.c: raw[0] chooses what is done, raw[1] a number, raw[2] which of several. */
Operation op_check, op_snapshot_create, op_snapshot_goto, op_snapshot_delete, op_snapshot_load_tmp,
    op_make_empty, op_amend, op_change_backing_file, op_bitmap_add, op_bitmap_remove,
    op_bitmap_change, op_bitmap_merge, op_describe, op_measure, op_truncate_prealloc, op_invalidate;

#endif
