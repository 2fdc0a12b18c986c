/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hot-swap IMAGE OTHER-IMAGE
 *
 * A drive with a tray, into which first the one and then the other image is put.
 * The device is this program's: the library asks it about its tray and lock, and
 * tells it when a medium comes or goes.
 */
#include <stdio.h>
#include <string.h>

#include <blkbackend/block-backend.h>

/* ---- the device ---- */

typedef struct Drive {
    bool tray_open;
    bool locked;
} Drive;

static void drive_change_media(void *opaque, bool load)
{
    Drive *drive = opaque;

    drive->tray_open = !load;
}

static void drive_eject_request(void *opaque, bool force)
{
    Drive *drive = opaque;

    printf("asked to let the medium go%s\n", force ? " by force" : "");
    drive->locked = false;
}

static bool drive_is_tray_open(void *opaque)
{
    return ((Drive *)opaque)->tray_open;
}

static bool drive_is_locked(void *opaque)
{
    return ((Drive *)opaque)->locked;
}

static const BlockDevOps drive_ops = {
    .change_media_cb = drive_change_media,
    .eject_request_cb = drive_eject_request,
    .is_tray_open = drive_is_tray_open,
    .is_medium_locked = drive_is_locked,
};

/* ---- the program ---- */

static void on_event(void *opaque, const BlkEvent *event)
{
    (void)opaque;
    if (event->type == BLK_EVENT_DEVICE_TRAY_MOVED) {
        printf("tray of %s %s\n", event->device, event->u.tray_moved.tray_open ? "open" : "closed");
    }
}

/* What the guest sees of the medium: its first 16 bytes, or why not. */
static void look(BlockBackend *blk)
{
    char text[17] = "";
    int ret = blk_pread(blk, 0, text, 16);

    printf("read: %s\n", ret < 0 ? strerror(-ret) : text);
}

static void swap(BlockBackend *blk, const char *image)
{
    BlockDriverState *medium = NULL;

    /* Locked: this only asks the device, which may unlock.  Then it opens. */
    blk_open_tray(blk, false, &error_fatal);
    if (!blk_dev_is_tray_open(blk)) {
        blk_open_tray(blk, false, &error_fatal);
    }
    look(blk);
    blk_remove_medium(blk, &error_fatal);
    look(blk);

    bdrv_open(&medium, image, NULL, NULL, blk_get_open_flags_from_root_state(blk), &error_fatal);
    blk_apply_root_state(blk, medium);
    blk_insert_medium(blk, medium, &error_fatal);
    bdrv_unref(medium);       /* the drive has a reference of its own */
    look(blk);
    blk_close_tray(blk, &error_fatal);
}

int main(int argc, char **argv)
{
    Drive drive = { .locked = true };
    BlockBackend *blk;

    if (argc != 3) {
        fprintf(stderr, "usage: hot-swap IMAGE OTHER-IMAGE\n");
        return 2;
    }
    qemu_init_main_loop(&error_fatal);
    blkbackend_set_event_fn(on_event, NULL);
    blk = blk_new_open(argv[1], NULL, NULL, BDRV_O_CACHE_WB, &error_fatal);
    monitor_add_blk(blk, "cd0", &error_fatal);
    blk_attach_dev_nofail(blk, &drive);
    blk_set_dev_ops(blk, &drive_ops, &drive);

    look(blk);
    swap(blk, argv[2]);
    look(blk);

    blk_drain(blk);
    blk_detach_dev(blk, &drive);
    monitor_remove_blk(blk);
    blk_unref(blk);
    return 0;
}
