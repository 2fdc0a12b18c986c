/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * status: the server and its exports, or all about one of them line by line.  What images are like
 * the server tells in turn only: it is left out while another client's command takes its time.
 */
#include "tools/ctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

static const char busy[] = "A command of another client is at work: what the images are like is "
                           "left out.";

/* What query-block says of an export, by its id; lent. */
static const json_t *find_device(const json_t *devices, const char *id)
{
    json_t *each;
    size_t i;

    json_array_foreach(devices, i, each) {
        if (strcmp(ctl_str(each, "device"), id) == 0) {
            return each;
        }
    }
    return NULL;
}

static const char *cache_word(const json_t *inserted)
{
    const json_t *on = json_object_get(json_object_get(inserted, "cache"), "writeback");

    return json_is_true(on) ? "on" : json_is_false(on) ? "off" : "";
}

/* ---- the server ---- */

static void print_exports(const json_t *exports, const json_t *devices)
{
    static const char *const heads[] = {
        "~EXPORT", ">SIZE", "MODE", "STATE", ">CLIENTS", "CACHE", "FORMAT", "~IMAGE",
    };
    CtlTable *table = ctl_table_new(heads, sizeof(heads) / sizeof(heads[0]));
    json_t *each;
    size_t i;

    json_array_foreach(exports, i, each) {
        const json_t *inserted = json_object_get(find_device(devices, ctl_str(each, "id")),
                                                 "inserted");
        char size[SIZE_STR_LEN];

        ctl_table_add(table, "%s", ctl_str(each, "name"));
        ctl_table_add(table, "%s", size_str((uint64_t)ctl_int(each, "size"), size));
        ctl_table_add(table, "%s", ctl_bool(each, "read-only") ? "ro" : "rw");
        ctl_table_add(table, "%s", ctl_str(each, "state"));
        ctl_table_add(table, "%" PRId64, ctl_int(each, "clients"));
        ctl_table_add(table, "%s", cache_word(inserted));
        ctl_table_add(table, "%s", ctl_str(inserted, "drv"));
        /* As it is now, after snapshots and other media. */
        ctl_table_add(table, "%s", ctl_str(inserted, "file"));
    }
    ctl_table_print(table, stdout, ctl_terminal_width());
}

static void print_server(const json_t *all)
{
    const json_t *server = json_object_get(all, "server");
    const json_t *exports = json_object_get(all, "exports");
    char memory[SIZE_STR_LEN], most[SIZE_STR_LEN], up[32];
    auto_free char *version = ctl_escape(ctl_str(server, "version"));
    int64_t uptime = (int64_t)json_number_value(json_object_get(server, "uptime"));

    printf("nbd-export %s, pid %" PRId64 ", up %s, %" PRId64 " client%s, %s of %s for requests\n",
           version, ctl_int(server, "pid"), ctl_duration(uptime, up), ctl_int(server, "clients"),
           ctl_int(server, "clients") == 1 ? "" : "s",
           size_str((uint64_t)ctl_int(server, "memory"), memory),
           size_str((uint64_t)ctl_int(server, "max-memory"), most));
    if (json_array_size(exports) > 0) {
        putchar('\n');
        print_exports(exports, json_object_get(all, "devices"));
    }
    if (!json_object_get(all, "devices")) {
        printf("\n%s\n", busy);
    }
}

/* ---- one export ---- */

__attribute__((format(printf, 2, 3)))
static void line(const char *key, const char *fmt, ...)
{
    auto_free char *text = NULL, *safe_key = ctl_escape(key), *safe = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0) {
        xalloc_check(NULL);
    }
    va_end(args);
    safe = ctl_escape(text);
    printf("  %-22s %s\n", safe_key, safe);
}

/* The image, and those below it. */
static void print_images(const json_t *inserted)
{
    const json_t *image = json_object_get(inserted, "image");

    if (!inserted) {
        line("medium", "none");
    }
    for (const char *key = "image"; image; key = "on top of") {
        char disk[SIZE_STR_LEN] = "unknown";
        const json_t *allocated = json_object_get(image, "actual-size");

        if (allocated) {
            size_str((uint64_t)json_integer_value(allocated), disk);
        }
        line(key, "%s (%s, %s on disk)", ctl_str(image, "filename"), ctl_str(image, "format"),
             disk);
        image = json_object_get(image, "backing-image");
    }
}

static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_string(value) && !*json_string_value(value)) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* "a, b" of a list, a word of anything else. */
static char *value_text(const json_t *value)
{
    char *text = NULL;
    size_t i, len;
    FILE *out = xalloc_check(open_memstream(&text, &len));
    json_t *each;

    if (json_is_array(value)) {
        json_array_foreach(value, i, each) {
            fprintf(out, "%s%s", i ? ", " : "", json_is_string(each) ? json_string_value(each)
                                                                      : "?");
        }
    } else if (json_is_string(value)) {
        fputs(json_string_value(value), out);
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "on" : "off", out);
    } else {
        json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY);
    }
    fclose(out);
    return text;
}

/* Limits are `throttle`'s business. */
static void print_settings(const json_t *settings)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)settings, key, value) {
        if (strncmp(key, "throttle", 8) != 0 && !says_nothing(value)) {
            auto_free char *text = value_text(value);

            line(key, "%s", text);
        }
    }
}

static void print_export(const json_t *all)
{
    const json_t *export = json_object_get(all, "export");
    const json_t *inserted = json_object_get(json_object_get(all, "device"), "inserted");
    auto_free char *name = ctl_escape(ctl_str(export, "name"));
    auto_free char *flags = value_text(json_object_get(export, "flags"));
    char size[SIZE_STR_LEN];

    printf("%s\n", name);
    if (strcmp(ctl_str(export, "id"), ctl_str(export, "name")) != 0) {
        line("id", "%s", ctl_str(export, "id"));
    }
    line("state", "%s", ctl_str(export, "state"));
    line("size", "%s (%" PRId64 " bytes)", size_str((uint64_t)ctl_int(export, "size"), size),
         ctl_int(export, "size"));
    line("mode", "%s", ctl_bool(export, "read-only") ? "read-only" : "read-write");
    if (inserted) {
        line("write cache", "%s", cache_word(inserted));
    }
    line("clients", "%" PRId64, ctl_int(export, "clients"));
    line("offers", "%s", flags);
    if (json_object_get(all, "device")) {
        print_images(inserted);
    }
    print_settings(json_object_get(export, "settings"));
    if (!json_object_get(all, "device")) {
        printf("\n%s\n", busy);
    }
}

/* ---- both ---- */

/* Takes over the parts; NULL among them: one was reported, so all are. */
static json_t *join(json_t *whole, const char *name, json_t *part)
{
    if (whole && part) {
        json_object_set_new(whole, name, part);
        return whole;
    }
    json_decref(whole);
    json_decref(part);
    return NULL;
}

/* Adds what query-block says, if it can be had. */
static json_t *join_devices(Ctl *ctl, json_t *all)
{
    json_t *devices;

    if (all && !ctl_try_soon(ctl, "query-block", &devices)) {
        json_decref(all);
        return NULL;
    }
    if (all && devices) {
        json_object_set_new(all, "devices", devices);
    }
    return all;
}

/* Of its list, the one of the export. */
static json_t *pick_device(Ctl *ctl, json_t *all)
{
    const char *id = ctl_str(json_object_get(all, "export"), "id");
    const json_t *devices = json_object_get(all, "devices");
    const json_t *device = find_device(devices, id);

    if (devices && !device) {
        ctl_error(ctl, "DeviceNotFound", NULL, "export \"%s\" is being removed", id);
        json_decref(all);
        return NULL;
    }
    if (device) {
        json_object_set(all, "device", (json_t *)device);
        json_object_del(all, "devices");
    }
    return all;
}

static json_t *ask_for_one(Ctl *ctl, const char *name)
{
    json_t *all = join(json_object(), "export", ctl_query_export(ctl, name));

    all = join_devices(ctl, all);
    return all ? pick_device(ctl, all) : NULL;
}

static json_t *ask_for_all(Ctl *ctl)
{
    json_t *all = join(json_object(), "server", ctl_call(ctl, "x-query-server", NULL));

    all = all ? join(all, "exports", ctl_call(ctl, "x-query-exports", NULL)) : NULL;
    return join_devices(ctl, all);
}

int ctl_run_status(Ctl *ctl)
{
    json_t *all = ctl->n_words ? ask_for_one(ctl, ctl->words[0]) : ask_for_all(ctl);

    if (!all) {
        return CTL_FAILED;
    }
    if (ctl->json) {
        ctl_print_json(all);
    } else if (ctl->n_words) {
        print_export(all);
    } else {
        print_server(all);
    }
    json_decref(all);
    return CTL_OK;
}
