/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trays and media: who is asked, who is told, in which order. */
#include "blk-test.h"

/* A device with a tray that follows its orders, and keeps a log of letters:
 * L(oad), U(nload), R(equest to eject), F(orced request). */
typedef struct Drive {
    BlockBackend *blk;
    bool open, locked;
    bool stuck;                 /* the tray does not move */
    bool unlocks;               /* when forced */
    char log[16];
    bool had_root;              /* seen by the last change_media_cb */
} Drive;

static void log_letter(Drive *d, char what)
{
    size_t len = strlen(d->log);

    assert_true(len + 1 < sizeof(d->log));
    d->log[len] = what;
    d->log[len + 1] = '\0';
}

static void drive_change_media(void *opaque, bool load)
{
    Drive *d = opaque;

    log_letter(d, load ? 'L' : 'U');
    d->had_root = blk_bs(d->blk) != NULL;
    if (!d->stuck) {
        d->open = !load;
    }
}

static void drive_eject_request(void *opaque, bool force)
{
    Drive *d = opaque;

    log_letter(d, force ? 'F' : 'R');
    d->locked = d->locked && !(force && d->unlocks);
}

static bool drive_tray_open(void *opaque)
{
    return ((Drive *)opaque)->open;
}

static bool drive_locked(void *opaque)
{
    return ((Drive *)opaque)->locked;
}

static const BlockDevOps tray_ops = {
    .change_media_cb = drive_change_media,
    .eject_request_cb = drive_eject_request,
    .is_tray_open = drive_tray_open,
    .is_medium_locked = drive_locked,
};

static const BlockDevOps floppy_ops = {     /* removable, no tray */
    .change_media_cb = drive_change_media,
};

static const BlockDevOps disk_ops = {       /* not removable */
    .resize_cb = NULL,
};

/* Events as letters: O(pened), C(losed), ? */
static char events[16];

static void log_event(void *opaque, const BlkEvent *event)
{
    size_t len = strlen(events);

    (void)opaque;
    assert_true(len + 1 < sizeof(events));
    events[len] = event->type != BLK_EVENT_DEVICE_TRAY_MOVED ? '?'
                  : event->u.tray_moved.tray_open ? 'O' : 'C';
    assert_string_equal(event->device, "cd");
}

static Drive *new_drive(Drive *d, const BlockDevOps *ops, BlockBackend *blk)
{
    *d = (Drive){ .blk = blk };
    monitor_add_blk(blk, "cd", &error_abort);
    blk_attach_dev_nofail(blk, d);
    blk_set_dev_ops(blk, ops, d);
    memset(events, 0, sizeof(events));
    blkbackend_set_event_fn(log_event, NULL);
    return d;
}

static void free_drive(Drive *d)
{
    blkbackend_set_event_fn(NULL, NULL);
    monitor_remove_blk(d->blk);
    blk_detach_dev(d->blk, d);
    blk_unref(d->blk);
    assert_int_equal(medium.closed, medium.opened);
}

static void removable_is_who_can_change_media(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    Drive d;

    (void)state;
    assert_true(blk_dev_has_removable_media(blk));      /* no device */
    blk_set_dev_ops(blk, &disk_ops, NULL);
    assert_true(blk_dev_has_removable_media(blk));
    blk_attach_dev_nofail(blk, &d);
    assert_false(blk_dev_has_removable_media(blk));
    blk_set_dev_ops(blk, NULL, NULL);
    assert_false(blk_dev_has_removable_media(blk));
    blk_set_dev_ops(blk, &floppy_ops, &d);
    assert_true(blk_dev_has_removable_media(blk));
    blk_detach_dev(blk, &d);
    blk_unref(blk);
}

static void a_disk_has_no_media_operations(void **state)
{
    BlockDriverState *bs = open_node(NULL, 0);
    Error *err = NULL;
    Drive d;

    (void)state;
    new_drive(&d, &disk_ops, open_disk());
    assert_true(blk_open_tray(d.blk, true, &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_true(blk_close_tray(d.blk, &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_true(blk_remove_medium(d.blk, &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_true(blk_insert_medium(d.blk, bs, &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_true(blk_eject_medium(d.blk, true, &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_true(blk_change_medium(d.blk, "test:", NULL, BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN,
                                  &err) < 0);
    assert_error(err, "'cd' is not removable");
    assert_non_null(blk_bs(d.blk));
    bdrv_unref(bs);
    free_drive(&d);
}

static void opening_an_unlocked_tray(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    assert_int_equal(blk_open_tray(d.blk, false, &error_abort), 0);
    assert_string_equal(d.log, "U");
    assert_string_equal(events, "O");
    assert_true(blk_dev_is_tray_open(d.blk));
    assert_non_null(blk_bs(d.blk));
    assert_int_equal(blk_open_tray(d.blk, false, &error_abort), 0);     /* open already */
    assert_string_equal(d.log, "U");
    assert_int_equal(blk_close_tray(d.blk, &error_abort), 0);
    assert_string_equal(d.log, "UL");
    assert_string_equal(events, "OC");
    assert_int_equal(blk_close_tray(d.blk, &error_abort), 0);
    assert_string_equal(d.log, "UL");
    free_drive(&d);
}

static void a_locked_tray_is_only_asked(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    d.locked = true;
    assert_int_equal(blk_open_tray(d.blk, false, &error_abort), 0);
    assert_string_equal(d.log, "R");
    assert_false(blk_dev_is_tray_open(d.blk));
    assert_string_equal(events, "");
    free_drive(&d);
}

static void force_opens_a_locked_tray(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    d.locked = true;
    d.unlocks = true;
    assert_int_equal(blk_open_tray(d.blk, true, &error_abort), 0);
    assert_string_equal(d.log, "FU");
    assert_true(blk_dev_is_tray_open(d.blk));
    assert_string_equal(events, "O");
    free_drive(&d);
}

static void no_event_if_the_tray_did_not_move(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    d.stuck = true;
    assert_int_equal(blk_open_tray(d.blk, false, &error_abort), 0);
    assert_string_equal(d.log, "U");
    assert_string_equal(events, "");
    free_drive(&d);
}

static void trayless_drives_ignore_tray_operations(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &floppy_ops, open_disk());
    assert_int_equal(blk_open_tray(d.blk, true, &error_abort), 0);
    assert_int_equal(blk_close_tray(d.blk, &error_abort), 0);
    assert_string_equal(d.log, "");
    free_drive(&d);
}

static void media_move_only_through_an_open_tray(void **state)
{
    BlockDriverState *bs = open_node(NULL, 0);
    Error *err = NULL;
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    assert_true(blk_remove_medium(d.blk, &err) < 0);
    assert_error(err, "Tray of device 'cd' is not open");
    assert_true(blk_insert_medium(d.blk, bs, &err) < 0);
    assert_error(err, "Tray of device 'cd' is not open");

    blk_open_tray(d.blk, false, &error_abort);
    assert_int_equal(blk_remove_medium(d.blk, &error_abort), 0);
    assert_null(blk_bs(d.blk));
    assert_int_equal(blk_remove_medium(d.blk, &error_abort), 0);    /* empty: done */
    assert_int_equal(blk_insert_medium(d.blk, bs, &error_abort), 0);
    assert_ptr_equal(blk_bs(d.blk), bs);
    assert_string_equal(d.log, "U");        /* the tray told; the medium does not */
    bdrv_unref(bs);
    free_drive(&d);
}

static void trayless_devices_are_told_of_media_afterwards(void **state)
{
    BlockDriverState *bs = open_node(NULL, 0);
    Drive d;

    (void)state;
    new_drive(&d, &floppy_ops, open_disk());
    assert_int_equal(blk_remove_medium(d.blk, &error_abort), 0);
    assert_string_equal(d.log, "U");
    assert_false(d.had_root);
    assert_int_equal(blk_insert_medium(d.blk, bs, &error_abort), 0);
    assert_string_equal(d.log, "UL");
    assert_true(d.had_root);
    assert_string_equal(events, "");
    bdrv_unref(bs);
    free_drive(&d);
}

static void without_a_device_media_come_and_go(void **state)
{
    BlockBackend *blk = open_disk();
    BlockDriverState *bs = open_node(NULL, 0);

    (void)state;
    assert_int_equal(blk_eject_medium(blk, false, &error_abort), 0);
    assert_null(blk_bs(blk));
    assert_int_equal(blk_insert_medium(blk, bs, &error_abort), 0);
    assert_ptr_equal(blk_bs(blk), bs);
    bdrv_unref(bs);
    blk_unref(blk);
}

static void insertion_refuses_what_is_taken(void **state)
{
    BlockBackend *full = open_disk(), *empty = blk_new(NULL);
    BlockDriverState *bs = open_node(NULL, 0);
    Error *err = NULL;

    (void)state;
    assert_true(blk_insert_medium(full, bs, &err) < 0);
    assert_error(err, "already");
    assert_true(blk_insert_medium(empty, blk_bs(full), &err) < 0);
    assert_error(err, "in use");
    assert_null(blk_bs(empty));
    bdrv_unref(bs);
    blk_unref(full);
    blk_unref(empty);
}

static void a_blocked_medium_stays_in(void **state)
{
    Error *reason = NULL, *err = NULL;
    Drive d;

    (void)state;
    error_setg(&reason, "a backup runs");
    new_drive(&d, &floppy_ops, open_disk());
    blk_op_block_all(d.blk, reason);
    assert_int_equal(blk_remove_medium(d.blk, &err), -EBUSY);
    assert_error(err, "a backup runs");
    assert_non_null(blk_bs(d.blk));
    assert_string_equal(d.log, "");
    blk_op_unblock_all(d.blk, reason);
    error_free(reason);
    free_drive(&d);
}

static void eject_opens_and_removes(void **state)
{
    Error *err = NULL;
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    d.locked = true;
    assert_true(blk_eject_medium(d.blk, false, &err) < 0);
    assert_error(err, "not open");
    assert_non_null(blk_bs(d.blk));
    assert_int_equal(blk_eject_medium(d.blk, true, &error_abort), 0);
    assert_string_equal(d.log, "RFU");
    assert_null(blk_bs(d.blk));
    assert_true(blk_dev_is_tray_open(d.blk));
    free_drive(&d);
}

static void a_medium_behind_an_open_tray_is_not_available(void **state)
{
    uint64_t sectors = 0;
    uint8_t buf[512];
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    blk_open_tray(d.blk, false, &error_abort);
    assert_true(blk_is_inserted(d.blk));
    assert_false(blk_is_available(d.blk));
    assert_int_equal(blk_read(d.blk, 0, buf, 1), -ENOMEDIUM);
    blk_get_geometry(d.blk, &sectors);
    assert_int_equal(sectors, MEDIUM_SIZE / 512);
    blk_close_tray(d.blk, &error_abort);
    assert_int_equal(blk_read(d.blk, 0, buf, 1), 0);
    free_drive(&d);
}

static int change(BlockBackend *blk, BlockdevChangeReadOnlyMode mode, Error **errp)
{
    return blk_change_medium(blk, "test:", "test", mode, errp);
}

static void change_exchanges_the_medium(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_blk("old", BDRV_O_RDWR | BDRV_O_CACHE_WB));
    assert_int_equal(change(d.blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN, &error_abort), 0);
    assert_string_equal(d.log, "UL");
    assert_string_equal(events, "OC");
    assert_false(blk_dev_is_tray_open(d.blk));
    assert_null(bdrv_find_node("old"));
    assert_non_null(blk_bs(d.blk));
    assert_int_equal(medium.opened, 2);
    assert_int_equal(medium.closed, 1);
    assert_int_equal(blk_is_read_only(d.blk), 0);
    assert_int_equal(blk_enable_write_cache(d.blk), 1);
    free_drive(&d);
}

static void change_sets_or_keeps_read_only(void **state)
{
    BlockBackend *blk = open_blk(NULL, 0);

    (void)state;
    change(blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN, &error_abort);
    assert_int_equal(blk_is_read_only(blk), 1);
    change(blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_WRITE, &error_abort);
    assert_int_equal(blk_is_read_only(blk), 0);
    change(blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN, &error_abort);
    assert_int_equal(blk_is_read_only(blk), 0);
    change(blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY, &error_abort);
    assert_int_equal(blk_is_read_only(blk), 1);
    blk_unref(blk);
}

static void change_fills_an_empty_drive_as_remembered(void **state)
{
    BlockBackend *blk = blk_new(NULL);
    BlockBackendRootState *root_state = blk_get_root_state(blk);

    (void)state;
    root_state->open_flags = BDRV_O_CACHE_WB | BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING;
    root_state->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_ON;
    change(blk, BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN, &error_abort);
    assert_true(blk_is_inserted(blk));
    assert_int_equal(blk_is_read_only(blk), 0);
    assert_int_equal(blk_enable_write_cache(blk), 1);
    assert_int_equal(blk_get_flags(blk) & (BDRV_O_SNAPSHOT | BDRV_O_NO_BACKING), 0);
    root_state->detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    blk_remove_bs(blk);
    assert_int_equal(root_state->detect_zeroes, BLOCKDEV_DETECT_ZEROES_OPTIONS_ON);
    blk_unref(blk);
}

static void a_file_that_does_not_open_leaves_the_old_medium(void **state)
{
    Error *err = NULL;
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_blk("old", BDRV_O_RDWR));
    assert_true(blk_change_medium(d.blk, "/nonexistent/image", "raw",
                                  BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN, &err) < 0);
    assert_error(err, "/nonexistent/image");
    assert_ptr_equal(blk_bs(d.blk), bdrv_find_node("old"));
    assert_string_equal(d.log, "");
    free_drive(&d);
}

static void the_device_moves_its_tray(void **state)
{
    Drive d;

    (void)state;
    new_drive(&d, &tray_ops, open_disk());
    blk_eject(d.blk, true);
    assert_int_equal(medium.ejects, 1);
    assert_true(medium.ejected);
    blk_eject(d.blk, false);
    assert_int_equal(medium.ejects, 2);
    assert_false(medium.ejected);
    assert_string_equal(events, "OC");
    assert_string_equal(d.log, "");
    assert_non_null(blk_bs(d.blk));
    blk_remove_bs(d.blk);
    blk_eject(d.blk, true);             /* also without a medium */
    assert_string_equal(events, "OCO");
    free_drive(&d);
}

static void locking_goes_to_the_driver(void **state)
{
    BlockBackend *blk = open_disk(), *without = blk_new_with_bs(NULL);

    (void)state;
    blk_lock_medium(blk, true);
    assert_true(medium.locked);
    blk_lock_medium(blk, false);
    assert_false(medium.locked);
    assert_int_equal(medium.lock_calls, 2);
    assert_false(blk_dev_is_medium_locked(blk));
    blk_lock_medium(without, true);
    blk_remove_bs(without);
    blk_lock_medium(without, true);
    assert_int_equal(medium.lock_calls, 2);
    blk_unref(blk);
    blk_unref(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLK_TEST(removable_is_who_can_change_media),
        BLK_TEST(a_disk_has_no_media_operations),
        BLK_TEST(opening_an_unlocked_tray),
        BLK_TEST(a_locked_tray_is_only_asked),
        BLK_TEST(force_opens_a_locked_tray),
        BLK_TEST(no_event_if_the_tray_did_not_move),
        BLK_TEST(trayless_drives_ignore_tray_operations),
        BLK_TEST(media_move_only_through_an_open_tray),
        BLK_TEST(trayless_devices_are_told_of_media_afterwards),
        BLK_TEST(without_a_device_media_come_and_go),
        BLK_TEST(insertion_refuses_what_is_taken),
        BLK_TEST(a_blocked_medium_stays_in),
        BLK_TEST(eject_opens_and_removes),
        BLK_TEST(a_medium_behind_an_open_tray_is_not_available),
        BLK_TEST(change_exchanges_the_medium),
        BLK_TEST(change_sets_or_keeps_read_only),
        BLK_TEST(change_fills_an_empty_drive_as_remembered),
        BLK_TEST(a_file_that_does_not_open_leaves_the_old_medium),
        BLK_TEST(the_device_moves_its_tray),
        BLK_TEST(locking_goes_to_the_driver),
    };

    return cmocka_run_group_tests_name("media", tests, blk_test_setup, NULL);
}
