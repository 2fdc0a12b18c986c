/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of the format qcow2 on images that qemu-img makes and checks. */
#ifndef TESTS_QCOW2_TEST_H
#define TESTS_QCOW2_TEST_H

#include "driver-test.h"

#include <stdarg.h>

/* In the test's own folder. */
#define IMAGE "image"
#define BASE "base"

/* ---- qemu-img ---- */

static inline int __attribute__((format(printf, 1, 2))) shell(const char *fmt, ...)
{
    char command[2000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    return system(command);
}

static inline void make_image(const char *options, const char *size)
{
    assert_int_equal(shell("qemu-img create -q -f qcow2 -o '%s' " IMAGE " %s", options, size), 0);
}

/* Made anew, and on top of a base that is longer and full of 0x11. */
static inline void make_overlay(const char *options, const char *size)
{
    assert_int_equal(shell("qemu-img create -q -f raw " BASE " 4M && "
                           "qemu-io -f raw -c 'write -P 0x11 0 4M' " BASE " >/dev/null && "
                           "qemu-img create -q -f qcow2 -o '%s' -b " BASE " -F raw " IMAGE " %s",
                           options, size), 0);
}

static inline void assert_clean(void)
{
    assert_int_equal(shell("qemu-img check -q " IMAGE), 0);
}

static inline BlockBackend *open_image(int flags, const char *more)
{
    return open_options(flags, &error_abort, "'driver':'qcow2','file':{'driver':'file',"
                        "'filename':'" IMAGE "'}%s", more);
}

/* Changes bytes of the image by the back door. */
static inline void poke(off_t offset, const void *bytes, size_t len)
{
    int fd = open(IMAGE, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), len);
    close(fd);
}

static inline bool have_qemu_img(void)
{
    if (system("qemu-img --version >/dev/null 2>&1") == 0) {
        return true;
    }
    printf("qemu-img is not installed\n");
    return false;
}

#endif
