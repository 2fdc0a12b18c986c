/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests: what the library thinks of a qcow2 image, and does with it.
 *
 *     check-image check FILE [leaks|all]    the result as JSON; faults to standard error
 *     check-image info FILE                 what the format says of itself, as JSON
 *     check-image write FILE OFFSET BYTES   opens it for writing, and writes
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/block-backend.h>
#include <blkbackend/image.h>

static BlockBackend *open_image(const char *name, int flags)
{
    QDict *options = qdict_new();
    Error *err = NULL;
    BlockBackend *blk;

    qdict_put(options, "driver", qstring_from_str("qcow2"));
    blk = blk_new_open(name, NULL, options, flags | BDRV_O_CACHE_WB, &err);
    if (!blk) {
        fprintf(stderr, "%s\n", error_get_pretty(err));
        error_free(err);
        exit(1);
    }
    return blk;
}

static void print_line(void *opaque, const char *line)
{
    (void)opaque;
    fprintf(stderr, "%s\n", line);
}

static int check(const char *name, int fix)
{
    int flags = BDRV_O_CHECK | BDRV_O_NO_BACKING | BDRV_O_UNMAP | (fix ? BDRV_O_RDWR : 0);
    BlockBackend *blk = open_image(name, flags);
    BdrvCheckResult r;
    int ret = bdrv_check(blk_bs(blk), &r, fix, print_line, NULL);

    blk_unref(blk);
    printf("{\"ret\": %d, \"corruptions\": %" PRId64 ", \"leaks\": %" PRId64 ", \"check-errors\": %"
           PRId64 ", \"corruptions-fixed\": %" PRId64 ", \"leaks-fixed\": %" PRId64 ", "
           "\"image-end-offset\": %" PRId64 ", \"total-clusters\": %" PRId64 ", "
           "\"allocated-clusters\": %" PRId64 ", \"fragmented-clusters\": %" PRId64 ", "
           "\"compressed-clusters\": %" PRId64 "}\n", ret, r.corruptions, r.leaks,
           r.check_errors, r.corruptions_fixed, r.leaks_fixed, r.image_end_offset,
           r.total_clusters, r.allocated_clusters, r.fragmented_clusters, r.compressed_clusters);
    return 0;
}

static int info(const char *name)
{
    BlockBackend *blk = open_image(name, BDRV_O_NO_BACKING);
    QDict *specific = bdrv_get_specific_info(blk_bs(blk), NULL);
    char *text = json_dumps(specific, 0);

    printf("%s\n", text);
    free(text);
    QDECREF(specific);
    blk_unref(blk);
    return 0;
}

static int write_some(const char *name, int64_t offset, int bytes)
{
    BlockBackend *blk = open_image(name, BDRV_O_RDWR);
    uint8_t *buf = malloc((size_t)bytes + 1);
    int ret;

    memset(buf, 0x5a, (size_t)bytes);
    ret = bytes ? blk_pwrite(blk, offset, buf, bytes) : 0;
    free(buf);
    blk_unref(blk);
    if (ret < 0) {
        fprintf(stderr, "write: %s\n", strerror(-ret));
    }
    return ret < 0;
}

int main(int argc, char **argv)
{
    const char *engine = getenv("ENGINE");

    if (argc < 3 || (engine && aio_set_engine(engine, NULL) < 0) ||
        qemu_init_main_loop(NULL) < 0) {
        return 2;
    }
    if (strcmp(argv[1], "check") == 0) {
        const char *fix = argc > 3 ? argv[3] : "";

        return check(argv[2], strcmp(fix, "all") == 0 ? BDRV_FIX_LEAKS | BDRV_FIX_ERRORS
                              : strcmp(fix, "leaks") == 0 ? BDRV_FIX_LEAKS : 0);
    }
    if (strcmp(argv[1], "info") == 0) {
        return info(argv[2]);
    }
    return argc > 4 ? write_some(argv[2], strtoll(argv[3], NULL, 0), atoi(argv[4])) : 2;
}
