/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One writer or many readers of a file, also where the other one is QEMU. */
#include "driver-test.h"

#include <signal.h>
#include <sys/wait.h>

#define IN_USE     "Failed to get shared \"write\" lock"
#define NOT_SHARED "Failed to get \"write\" lock"

#define OPTIONS "'driver':'file','filename':'%s'"

static void second_writer_is_refused(void **state)
{
    TestFile file;
    BlockBackend *blk;
    Error *err = NULL;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    assert_null(open_options(RDWR, &err, OPTIONS, file.path));
    assert_string_equal(error_get_pretty(err), NOT_SHARED);
    assert_non_null(strstr(error_get_hint(err), file.path));
    error_free(err);
    assert_open_fails(IN_USE, 0, OPTIONS, file.path);
    blk_unref(blk);
    blk_unref(open_file(&file, RDWR));     /* gone with its holder */
    test_file_remove(&file);
}

static void readers_share_and_keep_writers_out(void **state)
{
    TestFile file;
    BlockBackend *one, *two;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    one = open_file(&file, 0);
    two = open_file(&file, 0);
    assert_open_fails(NOT_SHARED, RDWR, OPTIONS, file.path);
    blk_unref(one);
    assert_open_fails(NOT_SHARED, RDWR, OPTIONS, file.path);
    blk_unref(two);
    blk_unref(open_file(&file, RDWR));
    test_file_remove(&file);
}

/* Whoever only looks may do so beside a writer, and a writer beside him. */
static void forced_sharing_denies_nothing(void **state)
{
    TestFile file;
    BlockBackend *looker, *writer;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    writer = open_file(&file, RDWR);
    looker = open_options(0, &error_abort, OPTIONS ",'force-share':'on'", file.path);
    blk_unref(writer);
    writer = open_file(&file, RDWR);
    assert_open_fails("force-share=on can only be used with read-only images", RDWR,
                      OPTIONS ",'force-share':'on'", file.path);
    blk_unref(writer);
    blk_unref(looker);
    test_file_remove(&file);
}

static void locking_can_be_switched_off(void **state)
{
    TestFile file;
    BlockBackend *one, *two;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    one = open_options(RDWR, &error_abort, OPTIONS ",'locking':'on'", file.path);
    two = open_options(RDWR, &error_abort, OPTIONS ",'locking':'off'", file.path);
    write_byte(one, 0, 512, 1);
    assert_bytes(two, 0, 512, 1);
    blk_unref(one);
    blk_unref(open_options(RDWR, &error_abort, OPTIONS ",'locking':false", file.path));
    blk_unref(two);
    test_file_remove(&file);
}

static void a_failed_open_leaves_no_lock(void **state)
{
    TestFile file;
    BlockBackend *blk;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, 0);
    assert_open_fails("lock", RDWR, OPTIONS, file.path);
    blk_unref(open_file(&file, 0));
    blk_unref(blk);
    test_file_remove(&file);
}

static int reopen(BlockBackend *blk, int flags, Error **errp)
{
    return bdrv_find_format("file")->bdrv_reopen(blk_bs(blk), flags, errp);
}

static void reopen_changes_the_lock_or_keeps_it(void **state)
{
    TestFile file;
    BlockBackend *one, *two;
    Error *err = NULL;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    one = open_file(&file, RDWR);
    assert_int_equal(reopen(one, 0, &error_abort), 0);
    two = open_file(&file, 0);
    assert_int_equal(reopen(one, RDWR, &err), -EAGAIN);
    assert_string_equal(error_get_pretty(err), NOT_SHARED);
    error_free(err);
    blk_unref(two);
    assert_open_fails("lock", RDWR, OPTIONS, file.path);   /* still a reader */
    assert_int_equal(reopen(one, RDWR, &error_abort), 0);
    assert_open_fails("lock", 0, OPTIONS, file.path);
    blk_unref(one);
    test_file_remove(&file);
}

static void an_inactive_image_is_not_locked_yet(void **state)
{
    TestFile file;
    BlockBackend *source, *target;
    Error *err = NULL;

    (void)state;
    test_file_make(&file, ON_DISK, MIB);
    source = open_file(&file, RDWR);
    target = open_file(&file, RDWR | BDRV_O_INACTIVE);
    blk_invalidate_cache(target, &err);
    assert_non_null(err);
    error_free(err);
    blk_unref(source);
    blk_invalidate_cache(target, &error_abort);
    assert_open_fails("lock", RDWR, OPTIONS, file.path);
    blk_unref(target);
    test_file_remove(&file);
}

/* ---- QEMU on the other side ---- */

typedef struct QemuIo {
    pid_t pid;
    int in, out;
} QemuIo;

/* A qemu-io with the file open; it has read a sector when this returns.  False: there is none. */
static bool qemu_io_start(QemuIo *io, const char *path, const char *read_only)
{
    int in[2], out[2];
    char text[4096];
    size_t len = 0;
    ssize_t n;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    io->pid = fork();
    if (io->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execlp("qemu-io", "qemu-io", "-f", "raw", path, read_only, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    io->in = in[1];
    io->out = out[0];
    n = write(io->in, "read 0 512\n", 11);
    do {
        n = read(io->out, text + len, sizeof(text) - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
        if (strstr(text, "read 512/512")) {
            return true;
        }
    } while (n > 0);
    return false;
}

static int qemu_io_stop(QemuIo *io)
{
    int status;

    close(io->in);
    close(io->out);
    assert_int_equal(waitpid(io->pid, &status, 0), io->pid);
    return WEXITSTATUS(status);
}

static void need_qemu_io(void)
{
    if (system("qemu-io --version >/dev/null 2>&1") != 0) {
        printf("no qemu-io here\n");
        skip();
    }
}

static void qemus_image_is_refused(void **state)
{
    TestFile file;
    QemuIo io;

    (void)state;
    need_qemu_io();
    test_file_make(&file, ON_DISK, MIB);
    assert_true(qemu_io_start(&io, file.path, NULL));
    assert_open_fails(IN_USE, RDWR, OPTIONS, file.path);
    assert_open_fails(IN_USE, 0, OPTIONS, file.path);
    assert_int_equal(qemu_io_stop(&io), 0);
    blk_unref(open_file(&file, RDWR));
    test_file_remove(&file);
}

static void qemu_is_refused_our_image(void **state)
{
    TestFile file;
    BlockBackend *blk;
    QemuIo io;

    (void)state;
    need_qemu_io();
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, RDWR);
    assert_false(qemu_io_start(&io, file.path, NULL));
    assert_int_not_equal(qemu_io_stop(&io), 0);
    blk_unref(blk);
    assert_true(qemu_io_start(&io, file.path, NULL));
    assert_int_equal(qemu_io_stop(&io), 0);
    test_file_remove(&file);
}

static void qemu_and_we_read_together(void **state)
{
    TestFile file;
    BlockBackend *blk;
    QemuIo io;

    (void)state;
    need_qemu_io();
    test_file_make(&file, ON_DISK, MIB);
    blk = open_file(&file, 0);
    assert_true(qemu_io_start(&io, file.path, "-r"));
    blk_unref(open_file(&file, 0));
    assert_int_equal(qemu_io_stop(&io), 0);
    blk_unref(blk);
    test_file_remove(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_writer_is_refused),
        cmocka_unit_test(readers_share_and_keep_writers_out),
        cmocka_unit_test(forced_sharing_denies_nothing),
        cmocka_unit_test(locking_can_be_switched_off),
        cmocka_unit_test(a_failed_open_leaves_no_lock),
        cmocka_unit_test(reopen_changes_the_lock_or_keeps_it),
        cmocka_unit_test(an_inactive_image_is_not_locked_yet),
        cmocka_unit_test(qemus_image_is_refused),
        cmocka_unit_test(qemu_is_refused_our_image),
        cmocka_unit_test(qemu_and_we_read_together),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, driver_test_setup, NULL);
}
