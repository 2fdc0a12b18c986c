/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz target: any bytes as what a client of the control socket sends.
 *
 *     how the bytes arrive (1 byte) │ whether to negotiate first (1 byte) │ commands
 *
 * Commands open and make files.  The target works in an empty folder of its own, which it empties
 * again after each input, and takes no input that could name a file elsewhere or a host.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <blkbackend/image.h>

#include "fuzz/fuzz.h"
#include "fuzz/server-target.h"

#define SOCKET "qmp.sock"
#define MAX_FILE (64u << 20)        /* bytes */

#define ELSEWHERE -1                /* libFuzzer forgets that input */

static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
static char folder[] = "/tmp/fuzz-qmp-XXXXXX";
static int folder_fd, home_fd;      /* the fuzzer itself stays where it was */

static void empty_folder(bool all)
{
    DIR *dir = opendir(".");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (all || strcmp(entry->d_name, SOCKET) != 0) {
            unlink(entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* d.qcow2, as each input finds it. */
static uint8_t image[1 << 20];
static size_t image_len;

static void make_image(void)
{
    int fd;

    bdrv_img_create("d.qcow2", "qcow2", NULL, NULL, NULL, 1 << 20, 0, NULL, NULL, &error_abort);
    fd = open("d.qcow2", O_RDONLY | O_CLOEXEC);
    image_len = (size_t)read(fd, image, sizeof(image));
    close(fd);
}

static void write_image(void)
{
    int fd = open("d.qcow2", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (write(fd, image, image_len) != (ssize_t)image_len) {
        abort();
    }
    close(fd);
}

static void move_to(int fd)
{
    if (fchdir(fd) < 0) {
        abort();
    }
}

static void remove_folder(void)
{
    move_to(folder_fd);
    empty_folder(true);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct rlimit limit = { MAX_FILE, MAX_FILE };

    (void)argc;
    (void)argv;
    home_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home_fd < 0 || !mkdtemp(folder) || setrlimit(RLIMIT_FSIZE, &limit) < 0) {
        abort();
    }
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    signal(SIGXFSZ, SIG_IGN);
    atexit(remove_folder);
    move_to(folder_fd);
    server_target_init(SOCKET);
    make_image();
    move_to(home_fd);
    return 0;
}

static bool has(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text));
}

/* A slash in whatever form, or what the driver nbd calls its server. */
static bool leads_elsewhere(const uint8_t *data, size_t size)
{
    return has(data, size, "/") || has(data, size, "u002f") || has(data, size, "u002F") ||
           has(data, size, "host") || has(data, size, "inet");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t hello_len = size > 1 && data[1] ? sizeof(hello) - 1 : 0;
    uint8_t *bytes;

    if (size < 2 || leads_elsewhere(data, size)) {
        return ELSEWHERE;
    }
    bytes = malloc(hello_len + size - 2 + 1);
    if (bytes) {
        memcpy(bytes, hello, hello_len);
        memcpy(bytes + hello_len, data + 2, size - 2);
        move_to(folder_fd);
        write_image();
        server_target_run_qmp(bytes, hello_len + size - 2, data[0]);
        empty_folder(false);
        move_to(home_fd);
    }
    free(bytes);
    return 0;
}
