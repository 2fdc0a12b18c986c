/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a qcow2 image as a whole, whatever moment the power fails at.
 *
 * Snapshots are taken, applied and deleted, images emptied and given another backing file, above
 * blkdebug's log.  Each state that a power cut could leave must be free of errors, have the disk
 * as it was before or as it is afterwards, and the snapshots with their content.  QEMU checks one
 * state in CHECK_EVERY.
 *
 * POWER_CUT_SESSIONS: how many changes (120).  POWER_CUT_SEED: of the first (1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

#include "tests/cut-states.h"
#include "tests/qcow2-walk.h"
#include "tests/ram-file.h"

#define IMAGE_ROOM (16 << 20)
#define DISK (200 * 512)
#define MAX_SNAPSHOTS 4
#define RANDOM_STATES 4                 /* at a moment */
#define CHECK_EVERY 200

static char folder[] = "/tmp/qcow2-snapshot-cuts-XXXXXX";
static const char *change = "";
static unsigned seed, rng, names;
static uint64_t states, old_states, new_states;

/* The disk and its snapshots at one time. */
typedef struct Content {
    uint8_t disk[DISK];
    int count;
    struct { char name[16]; uint8_t disk[DISK]; } snapshots[MAX_SNAPSHOTS];
} Content;
static Content before, after, found;

static void fail(const char *why)
{
    printf("seed %u, %s, state %" PRIu64 ": %s\n", seed, change, states, why);
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
    char path[100], command[400];
    uint8_t *image = malloc(IMAGE_ROOM);
    size_t size;
    FILE *f;

    snprintf(path, sizeof(path), "%s/start", folder);
    snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 -o %s %s %d", options, path,
             DISK);
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
                       flags | BDRV_O_CACHE_WB | BDRV_O_UNMAP | BDRV_O_NO_BACKING, &err);
    if (!blk) {
        fail(error_get_pretty(err));
    }
    return blk;
}

static void read_disk(uint8_t *disk, const char *snapshot)
{
    BlockBackend *blk = open_image(false, 0);

    if (snapshot) {
        bdrv_snapshot_load_tmp(blk_bs(blk), NULL, snapshot, &error_abort);
    }
    if (blk_pread(blk, 0, disk, DISK) != DISK) {
        fail("cannot read it");
    }
    blk_unref(blk);
}

static void look(Content *content)
{
    QEMUSnapshotInfo *list;
    BlockBackend *blk = open_image(false, 0);

    memset(content, 0, sizeof(*content));
    content->count = bdrv_snapshot_list(blk_bs(blk), &list);
    blk_unref(blk);
    read_disk(content->disk, NULL);
    for (int i = 0; i < content->count; i++) {
        snprintf(content->snapshots[i].name, sizeof(content->snapshots[i].name), "%.15s",
                 list[i].name);
        read_disk(content->snapshots[i].disk, list[i].name);
    }
    free(list);
}

/* ---- changes ---- */

static void write_somewhere(void)
{
    static uint8_t data[DISK];
    BlockBackend *blk = open_image(false, BDRV_O_RDWR);

    for (int i = 0; i < 4; i++) {
        unsigned first = roll(DISK / 512), count = 1 + roll(120);

        count = count < DISK / 512 - first ? count : DISK / 512 - first;
        memset(data, (int)roll(255) + 1, count * 512);
        if (blk_pwrite(blk, first * 512, data, (int)count * 512) < 0) {
            fail("cannot write");
        }
    }
    blk_unref(blk);
}

static int take(BlockDriverState *bs)
{
    QEMUSnapshotInfo info = { .icount = UINT64_MAX };

    snprintf(info.name, sizeof(info.name), "s%u", names++);
    return bdrv_snapshot_create(bs, &info, NULL);
}

static int change_backing_file(BlockDriverState *bs)
{
    static char name[400];

    memset(name, 'n', sizeof(name) - 1);
    name[roll(200)] = '\0';
    return bdrv_change_backing_file(bs, name, roll(2) ? "raw" : NULL, NULL);
}

static int change_something(BlockDriverState *bs)
{
    const char *name = before.count ? before.snapshots[roll((unsigned)before.count)].name : NULL;
    unsigned what = roll(8);

    if (what == 0) {
        change = "another backing file";
        return change_backing_file(bs);
    }
    if (what == 1) {
        change = "emptied";
        return bdrv_make_empty(bs, NULL);
    }
    if (name && what < 4) {
        change = "applied";
        return bdrv_snapshot_goto(bs, name, NULL);
    }
    if (name && (what < 6 || before.count == MAX_SNAPSHOTS)) {
        change = "deleted";
        return bdrv_snapshot_delete(bs, NULL, name, NULL);
    }
    change = "taken";
    return take(bs);
}

static void run_session(void)
{
    BlockBackend *blk = open_image(true, BDRV_O_RDWR);
    int ret = change_something(blk_bs(blk));

    blk_unref(blk);
    if (ret < 0) {
        fail(strerror(-ret));
    }
    look(&after);
}

/* ---- states ---- */

static void check_by_qemu(void)
{
    char path[100], command[300];
    FILE *f;
    int status;

    snprintf(path, sizeof(path), "%s/state", folder);
    snprintf(command, sizeof(command), "qemu-img check -q 'json:{\"driver\":\"qcow2\","
             "\"backing\":null,\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}' "
             ">/dev/null 2>&1", path);
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

/* Emptying by cluster, because of snapshots, may have come halfway. */
static bool may_be_mixed(void)
{
    for (int i = 0; i < DISK; i++) {
        if (found.disk[i] != before.disk[i] && found.disk[i] != after.disk[i]) {
            return false;
        }
    }
    return strcmp(change, "emptied") == 0 && before.count > 0;
}

static void judge(void)
{
    Qcow2Walk walk;

    qcow2_walk(ram_files[0].data, (size_t)ram_files[0].size, &walk);
    if (walk.errors > 0) {
        fail(walk.first);
    }
    look(&found);
    if (memcmp(&found, &after, sizeof(found)) == 0) {
        new_states++;
    } else if (memcmp(&found, &before, sizeof(found)) == 0 || may_be_mixed()) {
        old_states++;
    } else {
        fail("neither the old content nor the new");
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
    static const char *const kinds[] = {
        "cluster_size=512", "cluster_size=4k,refcount_bits=8", "compat=0.10,cluster_size=1k",
        "cluster_size=16k,extended_l2=on",
    };
    uint8_t *start = malloc(IMAGE_ROOM), *end = malloc(IMAGE_ROOM);

    for (seed = first; seed < first + count; seed++) {
        size_t size, end_size;

        rng = seed * 2654435761u;
        if (seed == first || seed % 10 == 0) {
            make_image(kinds[seed / 10 % 4]);
        }
        write_somewhere();
        look(&before);
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
    run_sessions(number_from("POWER_CUT_SEED", 1), number_from("POWER_CUT_SESSIONS", 120));
    printf("%" PRIu64 " states, %" PRIu64 " with the old content\n", states, old_states);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) != 0 || old_states == 0 || new_states == 0;
}
