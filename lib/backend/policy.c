/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What to do about I/O errors: the policy, the status that the first error
 * leaves behind, and the announcement.  Acting on it is the device's part.
 */
#include "backend/backend.h"

#include <errno.h>

/* ---- I/O status ---- */

void blk_iostatus_enable(BlockBackend *blk)
{
    atomic_store(&blk->iostatus_enabled, true);
    atomic_store(&blk->iostatus, BLOCK_DEVICE_IO_STATUS_OK);
}

bool blk_iostatus_is_enabled(const BlockBackend *blk)
{
    int on_write = atomic_load(&blk->on_write_error);

    /* Only a policy that can stop leaves a status worth asking for. */
    return atomic_load(&blk->iostatus_enabled) &&
           (on_write == BLOCKDEV_ON_ERROR_ENOSPC || on_write == BLOCKDEV_ON_ERROR_STOP ||
            atomic_load(&blk->on_read_error) == BLOCKDEV_ON_ERROR_STOP);
}

BlockDeviceIoStatus blk_iostatus(const BlockBackend *blk)
{
    return atomic_load(&blk->iostatus);
}

void blk_iostatus_disable(BlockBackend *blk)
{
    atomic_store(&blk->iostatus_enabled, false);
}

void blk_iostatus_reset(BlockBackend *blk)
{
    if (blk_iostatus_is_enabled(blk)) {
        atomic_store(&blk->iostatus, BLOCK_DEVICE_IO_STATUS_OK);
    }
}

static void iostatus_note_error(BlockBackend *blk, int error)
{
    int ok = BLOCK_DEVICE_IO_STATUS_OK;

    /* The first error sticks, also if two threads meet here. */
    atomic_compare_exchange_strong(&blk->iostatus, &ok,
                                   error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
                                                   : BLOCK_DEVICE_IO_STATUS_FAILED);
}

void blk_iostatus_set_err(BlockBackend *blk, int error)
{
    BLK_PRECONDITION(blk_iostatus_is_enabled(blk), "I/O status is not enabled");
    iostatus_note_error(blk, error);
}

/* ---- policy ---- */

static void set_policy(atomic_int *policy, BlockdevOnError on_error)
{
    if (on_error != BLOCKDEV_ON_ERROR_AUTO) {
        atomic_store(policy, on_error);
    }
}

void blk_set_on_error(BlockBackend *blk, BlockdevOnError on_read_error,
                      BlockdevOnError on_write_error)
{
    BLK_PRECONDITION((unsigned)on_read_error < BLOCKDEV_ON_ERROR__MAX &&
                     (unsigned)on_write_error < BLOCKDEV_ON_ERROR__MAX, "no such policy");
    set_policy(&blk->on_read_error, on_read_error);
    set_policy(&blk->on_write_error, on_write_error);
}

BlockdevOnError blk_get_on_error(BlockBackend *blk, bool is_read)
{
    return atomic_load(is_read ? &blk->on_read_error : &blk->on_write_error);
}

BlockErrorAction blk_get_error_action(BlockBackend *blk, bool is_read, int error)
{
    switch (blk_get_on_error(blk, is_read)) {
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_ENOSPC:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

void blk_error_action(BlockBackend *blk, BlockErrorAction action, bool is_read, int error)
{
    BLK_PRECONDITION(error >= 0, "the error is not a positive errno");
    if (action != BLOCK_ERROR_ACTION_STOP) {
        blk_send_io_error(blk, is_read, action, error);
        return;
    }
    /* Who sees the event finds the status set, and is told before the stop comes. */
    if (blk_iostatus_is_enabled(blk)) {
        iostatus_note_error(blk, error);
    }
    blk_stop(blk, BLK_STOP_PREPARE);
    blk_send_io_error(blk, is_read, action, error);
    blk_stop(blk, BLK_STOP_REQUEST);
}
