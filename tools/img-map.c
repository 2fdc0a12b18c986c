/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img map: which image of a chain has what, and where in its file. */
#include "tools/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/image-info.h"

typedef struct MapEntry {
    int64_t start, length;             /* bytes; length 0: there is none yet */
    int depth;
    int status;                        /* BDRV_BLOCK_* */
    int64_t map;                       /* in the file, if OFFSET_VALID */
    const char *filename;              /* NULL: not in a file of its own; lent */
} MapEntry;

/* What lies at offset, in the first image of the chain that knows.  0 or -errno. */
static int look_up(BlockDriverState *bs, int64_t offset, int64_t bytes, MapEntry *entry)
{
    BlockDriverState *file = NULL;
    int64_t map = 0;
    int ret, depth = 0;

    while ((ret = bdrv_block_status(bs, offset, bytes, &bytes, &map, &file)) >= 0 &&
           !(ret & (BDRV_BLOCK_ZERO | BDRV_BLOCK_DATA))) {
        BlockDriverState *below = bdrv_backing(bs);

        if (!below || offset >= bdrv_getlength(below)) {
            ret |= BDRV_BLOCK_ZERO;
            break;
        }
        bs = below;
        depth++;
    }
    if (ret < 0) {
        return ret;
    }
    *entry = (MapEntry){ .start = offset, .length = bytes, .depth = depth, .map = map };
    entry->status = ret & (BDRV_BLOCK_DATA | BDRV_BLOCK_ZERO | BDRV_BLOCK_OFFSET_VALID |
                           BDRV_BLOCK_ALLOCATED);
    if (file && (ret & BDRV_BLOCK_OFFSET_VALID)) {
        entry->filename = image_filename(file);
    }
    return 0;
}

static bool goes_on(const MapEntry *entry, const MapEntry *next)
{
    if (entry->length == 0 || entry->status != next->status || entry->depth != next->depth ||
        !entry->filename != !next->filename) {
        return false;
    }
    if (entry->filename && strcmp(entry->filename, next->filename) != 0) {
        return false;
    }
    return !(entry->status & BDRV_BLOCK_OFFSET_VALID) || entry->map + entry->length == next->map;
}

/* Only data are printed, so what is not needs no distinction: longer ranges result. */
static bool print_human(const MapEntry *entry, MapEntry *next)
{
    bool data = entry->status & BDRV_BLOCK_DATA;

    if (data && !(entry->status & BDRV_BLOCK_OFFSET_VALID)) {
        error_report("File contains external, encrypted or compressed clusters.");
        return false;
    }
    if (data && !(entry->status & BDRV_BLOCK_ZERO)) {
        printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", entry->start, entry->length,
               entry->map, entry->filename ? entry->filename : "");
    }
    if (next && (!(next->status & BDRV_BLOCK_DATA) || (next->status & BDRV_BLOCK_ZERO))) {
        next->status = (next->status & ~BDRV_BLOCK_DATA) | BDRV_BLOCK_ZERO;
    }
    return true;
}

static const char *truth(int flags)
{
    return flags ? "true" : "false";
}

static void print_json(const MapEntry *entry, const MapEntry *next)
{
    printf("{ \"start\": %" PRId64 ", \"length\": %" PRId64 ", \"depth\": %d, \"present\": %s, "
           "\"zero\": %s, \"data\": %s", entry->start, entry->length, entry->depth,
           truth(entry->status & (BDRV_BLOCK_DATA | BDRV_BLOCK_ALLOCATED)),
           truth(entry->status & BDRV_BLOCK_ZERO), truth(entry->status & BDRV_BLOCK_DATA));
    if (entry->status & BDRV_BLOCK_OFFSET_VALID) {
        printf(", \"offset\": %" PRId64, entry->map);
    }
    fputs(next ? "},\n" : "}", stdout);
}

static bool print_entry(bool json, const MapEntry *entry, MapEntry *next)
{
    if (json) {
        print_json(entry, next);
        return true;
    }
    return print_human(entry, next);
}

/* False: reported. */
static bool print_map(BlockDriverState *bs, int64_t start, int64_t end, bool json)
{
    MapEntry entry = { .start = start }, next;

    while (entry.start + entry.length < end) {
        int64_t offset = entry.start + entry.length;
        int ret = look_up(bs, offset, end - offset, &next);

        if (ret < 0) {
            error_report("Could not read file metadata: %s", strerror(-ret));
            return false;
        }
        if (goes_on(&entry, &next)) {
            entry.length += next.length;
            continue;
        }
        if (entry.length > 0 && !print_entry(json, &entry, &next)) {
            return false;
        }
        entry = next;
    }
    return print_entry(json, &entry, NULL);
}

static int map_image(BlockBackend *blk, const char *filename, int64_t start, int64_t max, bool json)
{
    int64_t length = blk_getlength(blk);

    if (json) {
        putchar('[');
    } else {
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    }
    if (length < 0) {
        error_report("Failed to get size for '%s'", filename);
        return EXIT_FAILURE;
    }
    if (max >= 0 && max < length - start) {
        length = start + max;
    }
    if (!print_map(blk_bs(blk), start, length, json)) {
        return EXIT_FAILURE;
    }
    if (json) {
        puts("]");
    }
    return EXIT_SUCCESS;
}

static bool parse_start(void *opaque, const char *arg)
{
    return (*(int64_t *)opaque = img_cvtnum("start offset", arg)) >= 0;
}

static bool parse_max_length(void *opaque, const char *arg)
{
    return (*(int64_t *)opaque = img_cvtnum("max length", arg)) >= 0;
}

int img_map(int argc, char **argv)
{
    ImgSource source = { 0 };
    const char *output = NULL;
    int64_t start = 0, max_length = -1;
    bool json;
    const ImgOption options[] = {
        IMG_OPTION_FORMAT(&source),
        IMG_OPTION_IMAGE_OPTS(&source),
        IMG_OPTION_FORCE_SHARE(&source),
        IMG_OPTION_OBJECT,
        { .name = "output", .string = &output },
        { .letter = 's', .name = "start-offset", .fn = parse_start, .opaque = &start },
        { .letter = 'l', .name = "max-length", .fn = parse_max_length, .opaque = &max_length },
        { 0 },
    };
    BlockBackend *blk;
    int first, status;

    if (!img_parse_options(argc, argv, options, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    if (!img_parse_output(output, &json)) {
        return EXIT_FAILURE;
    }
    blk = img_open(&source, argv[first], BDRV_O_CACHE_WB);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = map_image(blk, argv[first], start, max_length, json);
    blk_unref(blk);
    return status;
}
