/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots of a running export: as a new file on top of it, or inside of a qcow2 image. */
#include "tools/ctl.h"

#include <string.h>
#include <time.h>

#include "common/cleanup.h"

static void print_snapshots(const json_t *snapshots)
{
    static const char *const heads[] = { "ID", "~NAME", "DATE", ">VM STATE" };
    CtlTable *table = ctl_table_new(heads, 4);
    json_t *each;
    size_t i;

    json_array_foreach(snapshots, i, each) {
        time_t seconds = (time_t)ctl_int(each, "date-sec");
        char date[32], size[SIZE_STR_LEN];
        struct tm tm;

        localtime_r(&seconds, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        ctl_table_add(table, "%s", ctl_str(each, "id"));
        ctl_table_add(table, "%s", ctl_str(each, "name"));
        ctl_table_add(table, "%s", date);
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "vm-state-size"), size));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

/* Those of the image that an export shows: an array, maybe empty; NULL: reported. */
static json_t *query_snapshots(Ctl *ctl, const char *export)
{
    json_t *block = ctl_query_block(ctl, export), *found;
    const json_t *image = json_object_get(json_object_get(block, "inserted"), "image");

    if (!block) {
        return NULL;
    }
    found = json_incref(json_object_get(image, "snapshots"));
    json_decref(block);
    return found ? found : json_array();
}

static int list(Ctl *ctl, const char *export)
{
    json_t *snapshots = query_snapshots(ctl, export);

    if (snapshots && !ctl->json && json_array_size(snapshots) > 0) {
        print_snapshots(snapshots);
        json_decref(snapshots);
        return CTL_OK;
    }
    return ctl_done(ctl, snapshots, "%s: no snapshots inside of its image", export);
}

static int make_file(Ctl *ctl, const char *export)
{
    const char *format = ctl_option(ctl, "format");
    auto_free char *file = ctl_image_name(ctl->words[0]);
    json_t *args = json_pack("{s:s, s:s}", "device", export, "snapshot-file", file);

    if (format) {
        json_object_set_new(args, "format", json_string(format));
    }
    if (ctl_option(ctl, "existing")) {
        json_object_set_new(args, "mode", json_string("existing"));
    }
    return ctl_done(ctl, ctl_call_with(ctl, "blockdev-snapshot-sync", args),
                    "%s: writes go to %s from now on", export, file);
}

int ctl_run_snapshot(Ctl *ctl)
{
    const char *name = ctl_option(ctl, "internal"), *doomed = ctl_option(ctl, "delete");
    bool listing = ctl_option(ctl, "list") != NULL;
    bool makes_file = !name && !doomed && !listing;
    const char *export;

    if ((name != NULL) + (doomed != NULL) + listing > 1) {
        return ctl_usage_error(ctl, NULL, "--internal, --delete and --list go one at a time");
    } else if (ctl->n_words < makes_file || ctl->n_words > 1u + makes_file) {
        return ctl_usage_error(ctl, NULL, makes_file ? "a snapshot needs FILE, or --internal=NAME"
                                                     : "\"%s\" is one word too many",
                               makes_file ? "" : ctl->words[1]);
    }
    export = ctl_take_export(ctl, makes_file);
    if (!export) {
        return CTL_FAILED;
    } else if (listing) {
        return list(ctl, export);
    } else if (name) {
        return ctl_done(ctl, ctl_call(ctl, "blockdev-snapshot-internal-sync", "{s:s, s:s}",
                                      "device", export, "name", name),
                        "%s: its image keeps this moment as %s", export, name);
    } else if (doomed) {
        return ctl_done(ctl, ctl_call(ctl, "blockdev-snapshot-delete-internal-sync",
                                      "{s:s, s:s}", "device", export, "name", doomed),
                        "%s: its snapshot %s is gone", export, doomed);
    }
    return make_file(ctl, export);
}
