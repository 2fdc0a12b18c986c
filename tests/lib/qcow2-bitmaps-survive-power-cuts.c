/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Persistent bitmaps of a qcow2 image whatever moment the power fails at.
 *
 * Images are opened, written to and closed, bitmaps added and removed on the way, above
 * blkdebug's log.  Each state that a power cut could leave must open; a bitmap in it that claims
 * to be consistent must be as it was before or as it is afterwards, and in the first case the
 * disk must be as it was before, too.  QEMU checks one state in CHECK_EVERY.
 *
 * POWER_CUT_SESSIONS: how many openings (16).  POWER_CUT_SEED: of the first (1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/dirty-bitmap.h>

#include "tests/cut-states.h"
#include "tests/ram-file.h"

#define IMAGE_ROOM (16 << 20)
#define DISK (300 * 512)
#define GRANULARITY 512
#define BITS (DISK / GRANULARITY)
#define WRITES 6
#define RANDOM_STATES 4                 /* at a moment */
#define CHECK_EVERY 100

static char folder[] = "/tmp/qcow2-bitmap-cuts-XXXXXX";
static unsigned seed, rng;
static uint64_t states, consistent, inconsistent;

/* The disk and its bitmap at one time. */
typedef struct Content {
    uint8_t data[DISK], bits[BITS];
    bool has_bitmap;
} Content;
static Content before, after, found;

static void fail(const char *why)
{
    printf("seed %u, state %" PRIu64 ": %s\n", seed, states, why);
    exit(1);
}

static unsigned roll(unsigned n)
{
    rng = rng * 1103515245u + 12345u;
    return (rng >> 8) % n;
}

/* ---- images ---- */

static void make_image(const char *options)
{
    char path[100], command[600];
    uint8_t *image = malloc(IMAGE_ROOM);
    size_t size;
    FILE *f;

    snprintf(path, sizeof(path), "%s/start", folder);
    snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 -o %s %s %d && "
             "qemu-img bitmap --add -g %d %s b0 && qemu-img bitmap --add -g 4096 %s b1", options,
             path, DISK, GRANULARITY, path, path);
    if (system(command) != 0 || !(f = fopen(path, "rb"))) {
        fail("cannot make an image");
    }
    size = fread(image, 1, IMAGE_ROOM, f);
    fclose(f);
    ram_file_set(&ram_files[0], image, size);
    free(image);
}

static BlockBackend *open_image(bool logged, int flags)
{
    char log[100];
    json_t *file = json_pack("{s:s, s:i}", "driver", "ram-file", "number", 0);
    Error *err = NULL;
    BlockBackend *blk;

    snprintf(log, sizeof(log), "%s/log", folder);
    if (logged) {
        file = json_pack("{s:s, s:o, s:s, s:b}", "driver", "blkdebug", "image", file, "log", log,
                         "log-data", 1);
    }
    blk = blk_new_open(NULL, NULL, json_pack("{s:s, s:o}", "driver", "qcow2", "file", file),
                       flags | BDRV_O_CACHE_WB, &err);
    if (!blk) {
        fail(error_get_pretty(err));
    }
    return blk;
}

static void look(BlockBackend *blk, Content *content)
{
    BdrvDirtyBitmap *b = bdrv_find_dirty_bitmap(blk_bs(blk), "b0");

    if (blk_pread(blk, 0, content->data, DISK) != DISK) {
        fail("cannot read it");
    }
    content->has_bitmap = b && !bdrv_dirty_bitmap_inconsistent(b);
    for (int i = 0; content->has_bitmap && i < BITS; i++) {
        content->bits[i] = bdrv_dirty_bitmap_get(b, i * GRANULARITY);
    }
}

/* ---- a session ---- */

static void write_somewhere(BlockBackend *blk)
{
    static uint8_t data[DISK];
    unsigned first = roll(DISK / 512), count = 1 + roll(4);

    count = count < DISK / 512 - first ? count : DISK / 512 - first;
    memset(data, (int)roll(255) + 1, count * 512);
    if (blk_pwrite(blk, first * 512, data, (int)count * 512) < 0 || blk_flush(blk) < 0) {
        fail("cannot write");
    }
}

/* "b1" comes and goes. */
static void swap_other(BlockBackend *blk)
{
    BdrvDirtyBitmap *b = bdrv_find_dirty_bitmap(blk_bs(blk), "b1");

    if (b) {
        bdrv_remove_persistent_dirty_bitmap(blk_bs(blk), "b1", &error_abort);
        bdrv_release_dirty_bitmap(b);
    } else {
        b = bdrv_create_dirty_bitmap(blk_bs(blk), 4096, "b1", &error_abort);
        bdrv_dirty_bitmap_set_persistence(b, true);
    }
}

static void run_session(void)
{
    BlockBackend *blk = open_image(true, BDRV_O_RDWR);
    unsigned swap = roll(WRITES + 2);

    look(blk, &before);
    for (unsigned i = 0; i < WRITES; i++) {
        if (i == swap) {
            swap_other(blk);
        }
        write_somewhere(blk);
    }
    blk_unref(blk);
    blk = open_image(false, 0);
    look(blk, &after);
    blk_unref(blk);
    if (!before.has_bitmap || !after.has_bitmap) {
        fail("the bitmap was lost without any power cut");
    }
}

/* ---- states ---- */

static void check_by_qemu(void)
{
    char path[100], command[200];
    FILE *f;
    int status;

    snprintf(path, sizeof(path), "%s/state", folder);
    snprintf(command, sizeof(command), "qemu-img check -q %s >/dev/null 2>&1", path);
    f = fopen(path, "wb");
    if (!f || fwrite(ram_files[0].data, 1, (size_t)ram_files[0].size, f) !=
        (size_t)ram_files[0].size || fclose(f) != 0) {
        fail("cannot write a state");
    }
    status = system(command);
    if (status != 0 && status != 3 << 8) {
        fail("QEMU finds more than leaks");
    }
}

static void judge(void)
{
    BlockBackend *blk = open_image(false, 0);

    look(blk, &found);
    blk_unref(blk);
    if (!found.has_bitmap) {
        inconsistent++;
    } else if (memcmp(found.bits, after.bits, BITS) != 0 &&
               (memcmp(found.bits, before.bits, BITS) != 0 ||
                memcmp(found.data, before.data, DISK) != 0)) {
        fail("a bitmap claims to be consistent, and is not");
    } else {
        consistent++;
    }
    if (states++ % CHECK_EVERY == 0) {
        check_by_qemu();
    }
}

static void try_all_moments(const uint8_t *start, size_t size)
{
    char log[100];

    snprintf(log, sizeof(log), "%s/log", folder);
    cut_try_all_moments(&(CutChoice){ .at_random = RANDOM_STATES, .roll = roll, .judge = judge },
                        log, start, size, IMAGE_ROOM);
}

static void silence(void *opaque, const char *message)
{
    (void)opaque;
    (void)message;
}

/* From image to image: what one session left is where the next begins. */
static void run_sessions(unsigned first, unsigned count)
{
    static const char *const kinds[] = { "cluster_size=512", "cluster_size=4k,refcount_bits=1" };
    uint8_t *start = malloc(IMAGE_ROOM), *end = malloc(IMAGE_ROOM);

    for (seed = first; seed < first + count; seed++) {
        size_t size, end_size;

        rng = seed * 2654435761u;
        if (seed == first || seed % 4 == 0) {
            make_image(kinds[seed / 4 % 2]);
        }
        size = (size_t)ram_files[0].size;
        memcpy(start, ram_files[0].data, size);
        run_session();
        end_size = (size_t)ram_files[0].size;
        memcpy(end, ram_files[0].data, end_size);
        try_all_moments(start, size);
        ram_file_set(&ram_files[0], end, end_size);
    }
    free(start);
    free(end);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

int main(void)
{
    char command[100];

    if (system("qemu-img --version >/dev/null 2>&1") != 0) {
        printf("there is no qemu-img\n");
        return 77;
    }
    if (!mkdtemp(folder) || qemu_init_main_loop(NULL) < 0) {
        return 1;
    }
    blkbackend_set_log_fn(silence, NULL);
    run_sessions(number_from("POWER_CUT_SEED", 1), number_from("POWER_CUT_SESSIONS", 16));
    printf("%" PRIu64 " states, the bitmap consistent in %" PRIu64 "\n", states, consistent);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) != 0 || consistent == 0 || inconsistent == 0;
}
