/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole-image functions on a command line, for tests that compare them with qemu-img:
 *
 *     image-tool create FORMAT FILE SIZE|- FLAGS [NAME=VALUE]...    FLAGS: BDRV_O_*, decimal
 *     image-tool amend FORMAT FILE FORCE [NAME=VALUE]...            FORCE: 0 or 1
 *     image-tool measure FORMAT FILE|- FROMFORMAT [NAME=VALUE]...   FILE: what is to be copied
 *     image-tool resize FORMAT FILE SIZE PREALLOCATION
 *
 * Prints what qemu-img does, as far as it is the library's text.  Exit status 1: it failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

static QDict *parse_options(char **args)
{
    QDict *options = qdict_new();

    for (; *args; args++) {
        char *value = strchr(*args, '=');

        if (value) {
            *value = '\0';
            qdict_put(options, *args, qstring_from_str(value + 1));
        }
    }
    return options;
}

static void print_line(void *opaque, const char *line)
{
    (void)opaque;
    puts(line);
    fflush(stdout);
}

static void print_progress(void *opaque, int64_t done, int64_t total)
{
    (void)opaque;
    if (getenv("PROGRESS")) {
        printf("progress %" PRId64 " %" PRId64 "\n", done, total);
    }
}

static int open_image(const char *filename, const char *format, int flags, BlockDriverState **bs,
                      Error **errp)
{
    QDict *options = qdict_new();

    qdict_put(options, "driver", qstring_from_str(format));
    return bdrv_open(bs, filename, NULL, options, flags | BDRV_O_CACHE_WB | BDRV_O_UNMAP, errp);
}

static int do_create(char **args, Error **errp)
{
    int64_t size = strcmp(args[2], "-") == 0 ? -1 : strtoll(args[2], NULL, 10);
    QDict *options = parse_options(args + 4);
    int ret = bdrv_img_create(args[1], args[0], NULL, NULL, options, size, atoi(args[3]),
                              print_line, NULL, errp);

    QDECREF(options);
    return ret;
}

static int do_amend(char **args, Error **errp)
{
    QDict *options = parse_options(args + 3);
    BlockDriverState *bs = NULL;
    int ret = open_image(args[1], args[0], BDRV_O_RDWR, &bs, errp);

    if (ret == 0) {
        ret = bdrv_amend(bs, options, atoi(args[2]), print_progress, NULL, errp);
    }
    bdrv_unref(bs);
    QDECREF(options);
    return ret;
}

static int do_measure(char **args, Error **errp)
{
    BlockMeasureInfo info;
    BlockDriverState *from = NULL;
    QDict *options = parse_options(args + 3);
    BlockDriver *drv = bdrv_find_format(args[0]);
    int ret = strcmp(args[1], "-") == 0 ? 0 : open_image(args[1], args[2], 0, &from, errp);

    if (ret == 0) {
        ret = bdrv_measure(drv, options, from, &info, errp);
    }
    if (ret == 0) {
        printf("required size: %" PRId64 "\nfully allocated size: %" PRId64 "\n", info.required,
               info.fully_allocated);
        if (info.bitmaps >= 0) {
            printf("bitmaps size: %" PRId64 "\n", info.bitmaps);
        }
    }
    bdrv_unref(from);
    QDECREF(options);
    return ret;
}

static int do_resize(char **args, Error **errp)
{
    BlockDriverState *bs = NULL;
    PreallocMode mode;
    int ret = prealloc_mode_parse(args[3], &mode);

    if (ret == 0) {
        ret = open_image(args[1], args[0], BDRV_O_RDWR, &bs, errp);
    }
    if (ret == 0) {
        ret = bdrv_truncate(bs, strtoll(args[2], NULL, 10), mode, errp);
    }
    bdrv_unref(bs);
    return ret;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int args;
        int (*fn)(char **args, Error **errp);
    } all[] = {
        { "create", 4, do_create }, { "amend", 3, do_amend }, { "measure", 3, do_measure },
        { "resize", 4, do_resize },
    };
    Error *err = NULL;

    if (qemu_init_main_loop(&err) < 0) {
        fprintf(stderr, "image-tool: %s\n", error_get_pretty(err));
        return 2;
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (argc >= all[i].args + 2 && strcmp(argv[1], all[i].verb) == 0) {
            int ret = all[i].fn(argv + 2, &err);

            if (ret < 0) {
                printf("%s\n%s", err ? error_get_pretty(err) : strerror(-ret),
                       err ? error_get_hint(err) : "");
            }
            error_free(err);
            return ret < 0;
        }
    }
    fprintf(stderr, "image-tool: see the head of tests/lib/image-tool.c\n");
    return 2;
}
