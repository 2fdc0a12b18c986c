/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image as a whole, and its ranges: flush, length, info, truncate, discard, alloc, map. */
#include "tools/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/tool.h"

int io_flush(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)command, (void)argc, (void)argv;
    return blk_flush(io->blk);
}

int io_length(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t length = blk_getlength(io->blk);
    char text[CVTSTR_LEN];

    (void)command, (void)argc, (void)argv;
    if (length < 0) {
        printf("getlength: %s\n", strerror(-(int)length));
        return (int)length;
    }
    printf("%s\n", cvtstr((double)length, text));
    return 0;
}

/* ---- info ---- */

static void print_names(const char *format)
{
    const BlockDriver *drv = format ? bdrv_find_format(format) : NULL;

    if (format) {
        printf("format name: %s\n", format);
    }
    if (drv && drv->protocol_name) {
        printf("format name: %s\n", drv->protocol_name);
    }
}

int io_info(Io *io, const IoCommand *command, int argc, char **argv)
{
    BlockDriverState *bs = blk_bs(io->blk);
    BlockDriverInfo info;
    Error *err = NULL;
    QDict *specific;
    char text[CVTSTR_LEN];
    int ret = bdrv_get_info(bs, &info);

    (void)command, (void)argc, (void)argv;
    print_names(bdrv_get_format_name(bs));
    if (ret < 0 && ret != -ENOTSUP) {   /* without clusters all of it is 0 */
        return ret;
    }
    printf("cluster size: %s\n", cvtstr(info.cluster_size, text));
    printf("vm state offset: %s\n", cvtstr((double)info.vm_state_offset, text));
    specific = bdrv_get_specific_info(bs, &err);
    if (err) {
        error_reportf_err(err, "%s", "");
        return -EIO;
    }
    if (specific) {
        printf("Format specific information:\n");
        tool_print_nested(json_object_get(specific, "data"), 1);
        QDECREF(specific);
    }
    return 0;
}

/* ---- truncate ---- */

int io_truncate(Io *io, const IoCommand *command, int argc, char **argv)
{
    Error *err = NULL;
    PreallocMode prealloc = PREALLOC_MODE_OFF;
    int64_t length;
    int ret, letter;

    while ((letter = getopt(argc, argv, command->letters)) != -1) {
        if (letter != 'm') {
            io_print_usage(command);
            return -EINVAL;
        }
        if (prealloc_mode_parse(optarg, &prealloc) < 0) {
            error_report("Invalid preallocation mode '%s'", optarg);
            return -EINVAL;
        }
    }
    if (optind >= argc) {
        io_print_usage(command);
        return -EINVAL;
    }
    ret = io_take_size(argv[optind], &length);
    if (ret < 0) {
        return ret;
    }
    ret = bdrv_truncate(blk_bs(io->blk), length, prealloc, &err);
    if (ret < 0) {
        error_reportf_err(err, "%s", "");
    }
    return ret;
}

/* ---- discard ---- */

int io_discard(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t offset, bytes, start;
    IoOptions o;
    int ret = io_take_options(command, argc, argv, &o);

    if (ret == 0 && o.next != argc - 2) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (ret == 0) {
        ret = io_take_range(command, &o, argv + o.next, &offset, &bytes);
    }
    if (ret < 0) {
        return ret;
    }
    start = io_now();
    ret = blk_pdiscard(io->blk, offset, bytes);
    if (ret < 0) {
        io_print_failure("discard", ret);
        return ret;
    }
    io_print_report(&o, "discard", io_now() - start, offset, bytes);
    return 0;
}

/* ---- alloc, map ---- */

/* Is the start of the range stored in this image itself?  *pnum bytes are alike, at most `bytes`;
 * 0 at the image's end.  1, 0 or -errno. */
static int is_allocated(Io *io, int64_t offset, int64_t bytes, int64_t *pnum)
{
    int64_t length = blk_getlength(io->blk);
    int ret;

    *pnum = 0;
    if (length < 0) {
        return (int)length;
    }
    if (offset >= length || bytes == 0) {
        return 0;
    }
    ret = blk_block_status(io->blk, offset, bytes < length - offset ? bytes : length - offset,
                           pnum);
    return ret < 0 ? ret : (ret & BDRV_BLOCK_ALLOCATED) != 0;
}

/* The same, as far as it goes. */
static int is_allocated_run(Io *io, int64_t offset, int64_t bytes, int64_t *pnum)
{
    int64_t n;
    int first = is_allocated(io, offset, bytes, pnum), ret = first;

    while (ret == first && ret >= 0 && *pnum < bytes) {
        ret = is_allocated(io, offset + *pnum, bytes - *pnum, &n);
        if (ret == first) {
            *pnum += n;
        }
        if (n == 0) {
            break;
        }
    }
    return first;
}

int io_alloc(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t start, bytes = BDRV_SECTOR_SIZE, n, done = 0, allocated = 0;
    char text[CVTSTR_LEN];
    int ret = io_take_size(argv[1], &start);

    (void)command;
    if (ret == 0 && argc == 3) {
        ret = io_take_size(argv[2], &bytes);
    }
    if (ret < 0) {
        return ret;
    }
    do {
        ret = is_allocated(io, start + done, bytes - done, &n);
        if (ret < 0) {
            printf("is_allocated failed: %s\n", strerror(-ret));
            return ret;
        }
        done += n;
        allocated += ret ? n : 0;
    } while (n > 0 && done < bytes);
    printf("%" PRId64 "/%" PRId64 " bytes allocated at offset %s\n", allocated, done,
           cvtstr((double)start, text));
    return 0;
}

int io_map(Io *io, const IoCommand *command, int argc, char **argv)
{
    int64_t length = blk_getlength(io->blk), n;
    char size[CVTSTR_LEN], at[CVTSTR_LEN];

    (void)command, (void)argc, (void)argv;
    if (length < 0) {
        error_report("Failed to query image length: %s", strerror(-(int)length));
        return (int)length;
    }
    for (int64_t offset = 0; offset < length; offset += n) {
        int ret = is_allocated_run(io, offset, length - offset, &n);

        if (ret < 0) {
            error_report("Failed to get allocation status: %s", strerror(-ret));
            return ret;
        }
        if (n == 0) {
            error_report("Unexpected end of image");
            return -EIO;
        }
        printf("%s (0x%" PRIx64 ") bytes %s at offset %s (0x%" PRIx64 ")\n",
               cvtstr((double)n, size), n, ret ? "    allocated" : "not allocated",
               cvtstr((double)offset, at), offset);
    }
    return 0;
}
