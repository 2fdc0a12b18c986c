/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img info: what an image is, of one or of its whole chain.  It is gathered
 * as a dictionary, which is the JSON output, and from which the other is printed.
 */
#include "tools/img.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/image-info.h"

/* ---- gathering ---- */

/* NULL: reported. */
static QDict *describe(BlockBackend *blk)
{
    Error *err = NULL;
    QDict *info = image_info(blk_bs(blk), &err);

    if (!info) {
        error_reportf_err(err, "%s", "");
    }
    return info;
}

/* ---- people's form ---- */

static void print_snapshots(const json_t *snapshots)
{
    size_t i;
    json_t *dict;

    printf("Snapshot list:\n");
    img_print_snapshot(NULL);
    json_array_foreach(snapshots, i, dict) {
        json_t *icount = json_object_get(dict, "icount");
        QEMUSnapshotInfo sn = {
            .vm_state_size = json_integer_value(json_object_get(dict, "vm-state-size")),
            .date_sec = json_integer_value(json_object_get(dict, "date-sec")),
            .vm_clock_nsec = json_integer_value(json_object_get(dict, "vm-clock-sec")) *
                             UINT64_C(1000000000) +
                             json_integer_value(json_object_get(dict, "vm-clock-nsec")),
            .icount = icount ? (uint64_t)json_integer_value(icount) : UINT64_MAX,
        };

        snprintf(sn.id_str, sizeof(sn.id_str), "%s", qdict_get_try_str(dict, "id"));
        snprintf(sn.name, sizeof(sn.name), "%s", qdict_get_try_str(dict, "name"));
        img_print_snapshot(&sn);
    }
}

static void print_backing_file(const QDict *info)
{
    const char *name = qdict_get_try_str(info, "backing-filename");
    const char *full = qdict_get_try_str(info, "full-backing-filename");
    const char *format = qdict_get_try_str(info, "backing-filename-format");

    if (!name) {
        return;
    }
    printf("backing file: %s", name);
    if (!full) {
        printf(" (cannot determine actual path)");
    } else if (strcmp(name, full) != 0) {
        printf(" (actual path: %s)", full);
    }
    putchar('\n');
    if (format) {
        printf("backing file format: %s\n", format);
    }
}

static void print_info(const QDict *info)
{
    int64_t size = json_integer_value(json_object_get(info, "virtual-size"));
    json_t *allocated = json_object_get(info, "actual-size");
    json_t *cluster_size = json_object_get(info, "cluster-size");
    json_t *specific = json_object_get(info, "format-specific");
    json_t *snapshots = json_object_get(info, "snapshots");
    char text[SIZE_STR_LEN];

    printf("image: %s\nfile format: %s\n", qdict_get_try_str(info, "filename"),
           qdict_get_try_str(info, "format"));
    printf("virtual size: %s (%" PRId64 " bytes)\n", size_str((uint64_t)size, text), size);
    printf("disk size: %s\n",
           allocated ? size_str((uint64_t)json_integer_value(allocated), text)
                     : "unavailable");
    if (cluster_size) {
        printf("cluster_size: %" PRId64 "\n", (int64_t)json_integer_value(cluster_size));
    }
    if (json_is_true(json_object_get(info, "dirty-flag"))) {
        printf("cleanly shut down: no\n");
    }
    print_backing_file(info);
    if (snapshots) {
        print_snapshots(snapshots);
    }
    if (specific) {
        printf("Format specific information:\n");
        tool_print_nested(json_object_get(specific, "data"), 1);
    }
}

/* ---- chains ---- */

static bool is_in_chain(const json_t *names, const char *name)
{
    size_t i;
    json_t *seen;

    json_array_foreach(names, i, seen) {
        if (strcmp(json_string_value(seen), name) == 0) {
            error_report("Backing file '%s' creates an infinite loop.", name);
            return true;
        }
    }
    return false;
}

static QDict *describe_image(const ImgSource *source, const char *filename)
{
    BlockBackend *blk = img_open(source, filename, BDRV_O_NO_BACKING | BDRV_O_CACHE_WB);
    QDict *info = blk ? describe(blk) : NULL;

    blk_unref(blk);
    return info;
}

/* Adds the image to list, and with chain those below it; false: reported. */
static bool gather(json_t *list, ImgSource source, const char *filename, bool chain)
{
    json_t *names = json_array();
    bool good = true;

    while (good && filename && !is_in_chain(names, filename)) {
        QDict *info;

        json_array_append_new(names, qstring_from_str(filename));
        info = describe_image(&source, filename);
        if (!info) {
            good = false;
            break;
        }
        json_array_append_new(list, info);
        if (!chain) {
            break;
        }
        /* What the command line says of the first image is not about the others. */
        filename = qdict_get_try_str(info, "full-backing-filename");
        source = (ImgSource){ .format = qdict_get_try_str(info, "backing-filename-format"),
                              .force_share = source.force_share };
    }
    good = good && (!filename || !chain);
    QDECREF(names);
    return good;
}

int img_info(int argc, char **argv)
{
    ImgSource source = { 0 };
    const char *output = NULL;
    bool chain = false, json;
    const ImgOption options[] = {
        IMG_OPTION_FORMAT(&source),
        IMG_OPTION_IMAGE_OPTS(&source),
        IMG_OPTION_FORCE_SHARE(&source),
        IMG_OPTION_OBJECT,
        { .name = "backing-chain", .flag = &chain },
        { .name = "output", .string = &output },
        { 0 },
    };
    json_t *list;
    int first, status = EXIT_FAILURE;

    if (!img_parse_options(argc, argv, options, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting one image file name");
    }
    if (!img_parse_output(output, &json)) {
        return EXIT_FAILURE;
    }
    list = json_array();
    if (gather(list, source, argv[first], chain)) {
        status = EXIT_SUCCESS;
        if (json) {
            img_print_json(chain ? list : json_array_get(list, 0), stdout);
        }
        for (size_t i = 0; !json && i < json_array_size(list); i++) {
            fputs(i ? "\n" : "", stdout);
            print_info(json_array_get(list, i));
        }
    }
    QDECREF(list);
    return status;
}
