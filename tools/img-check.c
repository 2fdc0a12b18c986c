/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img check: whether an image's metadata are consistent, and mending them.
 *
 * Exit status: 0 good, 1 could not be checked, 2 corrupt, 3 leaked clusters and
 * otherwise good, 63 a format without checks.
 */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_CORRUPT = 2, STATUS_LEAKS = 3, STATUS_NO_CHECKS = 63 };

typedef struct Check {
    const char *filename;
    const char *format;
    bool json, quiet;
    BdrvCheckResult result;
} Check;

static void report_finding(void *opaque, const char *line)
{
    (void)opaque;
    fprintf(stderr, "%s\n", line);
}

static void put_unless_zero(QDict *dict, const char *key, int64_t value)
{
    if (value) {
        qdict_put(dict, key, qint_from_int(value));
    }
}

static void print_json(const Check *check)
{
    const BdrvCheckResult *result = &check->result;
    QDict *dict = qdict_new();

    qdict_put(dict, "filename", qstring_from_str(check->filename));
    qdict_put(dict, "format", qstring_from_str(check->format));
    qdict_put(dict, "check-errors", qint_from_int(result->check_errors));
    put_unless_zero(dict, "image-end-offset", result->image_end_offset);
    put_unless_zero(dict, "corruptions", result->corruptions);
    put_unless_zero(dict, "leaks", result->leaks);
    put_unless_zero(dict, "corruptions-fixed", result->corruptions_fixed);
    put_unless_zero(dict, "leaks-fixed", result->leaks_fixed);
    put_unless_zero(dict, "total-clusters", result->total_clusters);
    put_unless_zero(dict, "allocated-clusters", result->allocated_clusters);
    put_unless_zero(dict, "fragmented-clusters", result->fragmented_clusters);
    put_unless_zero(dict, "compressed-clusters", result->compressed_clusters);
    img_print_json(dict, stdout);
    QDECREF(dict);
}

static void print_findings(const BdrvCheckResult *result)
{
    if (!result->corruptions && !result->leaks && !result->check_errors) {
        printf("No errors were found on the image.\n");
    }
    if (result->corruptions) {
        printf("\n%" PRId64 " errors were found on the image.\n"
               "Data may be corrupted, or further writes to the image may corrupt it.\n",
               result->corruptions);
    }
    if (result->leaks) {
        printf("\n%" PRId64 " leaked clusters were found on the image.\n"
               "This means waste of disk space, but no harm to data.\n", result->leaks);
    }
    if (result->check_errors) {
        printf("\n%" PRId64 " internal errors have occurred during the check.\n",
               result->check_errors);
    }
}

static void print_human(const BdrvCheckResult *result)
{
    double allocated = (double)result->allocated_clusters;

    print_findings(result);
    if (result->total_clusters && result->allocated_clusters) {
        printf("%" PRId64 "/%" PRId64 " = %0.2f%% allocated, %0.2f%% fragmented, "
               "%0.2f%% compressed clusters\n",
               result->allocated_clusters, result->total_clusters,
               allocated * 100 / (double)result->total_clusters,
               (double)result->fragmented_clusters * 100 / allocated,
               (double)result->compressed_clusters * 100 / allocated);
    }
    if (result->image_end_offset) {
        printf("Image end offset: %" PRId64 "\n", result->image_end_offset);
    }
}

/* An unknown end is not printed. */
static int look(BlockDriverState *bs, BdrvCheckResult *result, int fix)
{
    int ret = bdrv_check(bs, result, fix, report_finding, NULL);

    if (result->image_end_offset < 0) {
        result->image_end_offset = 0;
    }
    return ret;
}

/* What was mended is counted; what is left is what a second look finds. */
static int look_again(BlockDriverState *bs, Check *check)
{
    BdrvCheckResult first = check->result;
    int ret;

    if (!check->json) {
        img_qprintf(check->quiet, "The following inconsistencies were found and repaired:\n\n"
                    "    %" PRId64 " leaked clusters\n    %" PRId64 " corruptions\n\n"
                    "Double checking the fixed image now...\n",
                    first.leaks_fixed, first.corruptions_fixed);
    }
    ret = look(bs, &check->result, 0);
    check->result.leaks_fixed = first.leaks_fixed;
    check->result.corruptions_fixed = first.corruptions_fixed;
    return ret;
}

static int check_image(BlockDriverState *bs, Check *check, int fix)
{
    BdrvCheckResult *result = &check->result;
    int ret = look(bs, result, fix);

    check->format = bdrv_get_format_name(bs);
    if (ret == -ENOTSUP) {
        error_report("This image format does not support checks");
        return STATUS_NO_CHECKS;
    }
    if (result->corruptions_fixed || result->leaks_fixed) {
        ret = look_again(bs, check);
    }
    if (ret < 0) {
        error_report("Check failed: %s", strerror(-ret));
        return EXIT_FAILURE;
    }
    if (!check->quiet) {
        if (check->json) {
            print_json(check);
        } else {
            print_human(result);
        }
    }
    if (result->check_errors) {
        error_report("Check failed");
        return EXIT_FAILURE;
    }
    return result->corruptions ? STATUS_CORRUPT : result->leaks ? STATUS_LEAKS : EXIT_SUCCESS;
}

static bool parse_repair(void *opaque, const char *arg)
{
    int *fix = opaque;

    if (strcmp(arg, "leaks") == 0) {
        *fix = BDRV_FIX_LEAKS;
    } else if (strcmp(arg, "all") == 0) {
        *fix = BDRV_FIX_LEAKS | BDRV_FIX_ERRORS;
    } else {
        img_error_exit("Unknown option value for -r (expecting 'leaks' or 'all'): %s", arg);
    }
    return true;
}

int img_check(int argc, char **argv)
{
    ImgSource source = { 0 };
    Check check = { 0 };
    const char *output = NULL, *cache = "writeback";
    int fix = 0, flags = BDRV_O_CHECK, first, status;
    const ImgOption options[] = {
        IMG_OPTION_FORMAT(&source),
        IMG_OPTION_IMAGE_OPTS(&source),
        IMG_OPTION_FORCE_SHARE(&source),
        IMG_OPTION_OBJECT,
        { .letter = 'r', .name = "repair", .fn = parse_repair, .opaque = &fix },
        { .name = "output", .string = &output },
        { .letter = 'T', .string = &cache },
        { .letter = 'q', .flag = &check.quiet },
        { 0 },
    };
    BlockBackend *blk;

    if (!img_parse_options(argc, argv, options, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    if (!img_parse_output(output, &check.json) ||
        !img_parse_cache("source cache", cache, &flags)) {
        return EXIT_FAILURE;
    }
    check.filename = argv[first];
    blk = img_open(&source, check.filename, flags | (fix ? BDRV_O_RDWR : 0));
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = check_image(blk_bs(blk), &check, fix);
    blk_unref(blk);
    return status;
}
