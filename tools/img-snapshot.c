/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img snapshot: the internal snapshots of an image: list, create, apply, delete. */
#include "tools/img.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Action {
    int (*run)(BlockDriverState *bs, const char *name);   /* 0, or negative: reported */
    const char *name;
} Action;

static int list(BlockDriverState *bs, const char *name)
{
    QEMUSnapshotInfo *table;
    int n = bdrv_snapshot_list(bs, &table);

    (void)name;
    if (n > 0) {
        printf("Snapshot list:\n");
        img_print_snapshot(NULL);
    }
    for (int i = 0; i < n; i++) {
        img_print_snapshot(&table[i]);
    }
    free(table);
    return 0;
}

static int create(BlockDriverState *bs, const char *name)
{
    QEMUSnapshotInfo sn = { 0 };
    Error *err = NULL;
    struct timespec now;
    int ret;

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(sn.name, sizeof(sn.name), "%s", name);
    sn.date_sec = (uint32_t)now.tv_sec;
    sn.date_nsec = (uint32_t)(now.tv_nsec / 1000 * 1000);
    ret = bdrv_snapshot_create(bs, &sn, &err);
    if (ret < 0) {
        error_report("Could not create snapshot '%s': %d (%s)", name, ret, strerror(-ret));
        error_free(err);
    }
    return ret;
}

static int apply(BlockDriverState *bs, const char *name)
{
    Error *err = NULL;
    int ret = bdrv_snapshot_goto(bs, name, &err);

    if (ret < 0) {
        error_reportf_err(err, "Could not apply snapshot '%s': ", name);
    }
    return ret;
}

static bool has_name(BlockDriverState *bs, const char *name)
{
    QEMUSnapshotInfo *table;
    int n = bdrv_snapshot_list(bs, &table);
    bool found = false;

    for (int i = 0; i < n; i++) {
        found = found || strcmp(table[i].name, name) == 0;
    }
    free(table);
    return found;
}

/* By its name alone: a number that is an ID as well could take the wrong one. */
static int delete(BlockDriverState *bs, const char *name)
{
    Error *err = NULL;
    int ret;

    if (!has_name(bs, name)) {
        error_report("Could not delete snapshot '%s': snapshot not found", name);
        return -ENOENT;
    }
    ret = bdrv_snapshot_delete(bs, NULL, name, &err);
    if (ret < 0) {
        error_reportf_err(err, "Could not delete snapshot '%s': ", name);
    }
    return ret;
}

static bool choose(Action *action, int (*run)(BlockDriverState *, const char *), const char *name)
{
    if (action->run) {
        img_error_exit("Cannot mix '-l', '-a', '-c', '-d'");
    }
    *action = (Action){ run, name };
    return true;
}

static bool choose_apply(void *opaque, const char *arg)
{
    return choose(opaque, apply, arg);
}

static bool choose_create(void *opaque, const char *arg)
{
    return choose(opaque, create, arg);
}

static bool choose_delete(void *opaque, const char *arg)
{
    return choose(opaque, delete, arg);
}

int img_snapshot(int argc, char **argv)
{
    ImgSource source = { 0 };
    Action action = { 0 };
    bool wants_list = false, quiet = false;
    const ImgOption options[] = {
        IMG_OPTION_IMAGE_OPTS(&source),
        IMG_OPTION_FORCE_SHARE(&source),
        IMG_OPTION_OBJECT,
        { .letter = 'l', .flag = &wants_list },
        { .letter = 'a', .fn = choose_apply, .opaque = &action },
        { .letter = 'c', .fn = choose_create, .opaque = &action },
        { .letter = 'd', .fn = choose_delete, .opaque = &action },
        { .letter = 'q', .flag = &quiet },
        { 0 },
    };
    int flags = BDRV_O_CACHE_WB, first, ret = 0;
    BlockBackend *blk;

    if (!img_parse_options(argc, argv, options, &first)) {
        return EXIT_FAILURE;
    }
    if (wants_list) {
        choose(&action, list, NULL);
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    blk = img_open(&source, argv[first], flags | (wants_list ? 0 : BDRV_O_RDWR));
    if (!blk) {
        return EXIT_FAILURE;
    }
    if (action.run) {
        ret = action.run(blk_bs(blk), action.name);
    }
    blk_unref(blk);
    return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
