/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the library tells the application: events, wishes to stop, and the last
 * words when a caller broke a precondition.
 */
#include "backend/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    BlkEventFunc *event_fn;
    void *event_opaque;
    BlkStopFunc *stop_fn;
    void *stop_opaque;
} hooks = { .lock = PTHREAD_MUTEX_INITIALIZER };

void blk_programming_error(const char *func, const char *what)
{
    fprintf(stderr, "blkbackend: %s: %s\n", func, what);
    abort();
}

void blkbackend_set_event_fn(BlkEventFunc *fn, void *opaque)
{
    pthread_mutex_lock(&hooks.lock);
    hooks.event_fn = fn;
    hooks.event_opaque = opaque;
    pthread_mutex_unlock(&hooks.lock);
}

void blkbackend_set_stop_fn(BlkStopFunc *fn, void *opaque)
{
    pthread_mutex_lock(&hooks.lock);
    hooks.stop_fn = fn;
    hooks.stop_opaque = opaque;
    pthread_mutex_unlock(&hooks.lock);
}

/* Outside the lock: the hook may set hooks itself. */
static void send_event(BlockBackend *blk, BlkEvent *event)
{
    BlkEventFunc *fn;
    void *opaque;
    char *device;

    pthread_mutex_lock(&hooks.lock);
    fn = hooks.event_fn;
    opaque = hooks.event_opaque;
    pthread_mutex_unlock(&hooks.lock);
    if (!fn) {
        return;
    }
    device = blk_name_copy(blk);
    event->device = device;
    fn(opaque, event);
    free(device);
}

void blk_send_io_error(BlockBackend *blk, bool is_read, BlockErrorAction action, int error)
{
    char text[128];
    BlkEvent event = {
        .type = BLK_EVENT_BLOCK_IO_ERROR,
        .u.io_error = {
            .is_read = is_read,
            .action = action,
            .has_nospace = blk_iostatus_is_enabled(blk),
            .nospace = error == ENOSPC,
            .reason = strerror_r(error, text, sizeof(text)),
        },
    };

    send_event(blk, &event);
}

void blk_send_tray_moved(BlockBackend *blk, bool tray_open)
{
    BlkEvent event = {
        .type = BLK_EVENT_DEVICE_TRAY_MOVED,
        .u.tray_moved.tray_open = tray_open,
    };

    send_event(blk, &event);
}

void blk_stop(BlockBackend *blk, BlkStopPhase phase)
{
    BlkStopFunc *fn;
    void *opaque;

    pthread_mutex_lock(&hooks.lock);
    fn = hooks.stop_fn;
    opaque = hooks.stop_opaque;
    pthread_mutex_unlock(&hooks.lock);
    if (fn) {
        fn(opaque, blk, phase);
    }
}
