/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an export shows: its medium, its size, its write cache, what it does about errors. */
#include "tools/ctl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

char *ctl_image_name(const char *name)
{
    auto_free char *here = getcwd(NULL, 0);
    char *path;

    if (name[0] == '/' || !here || name[strcspn(name, ":/")] == ':') {
        return xstrdup(name);
    }
    if (asprintf(&path, "%s/%s", here, name) < 0) {
        xalloc_check(NULL);
    }
    return path;
}

int ctl_run_eject(Ctl *ctl)
{
    const char *export = ctl_take_export(ctl, 0);

    return export ? ctl_done(ctl, ctl_call(ctl, "eject", "{s:s, s:b}", "device", export, "force",
                                           ctl_option(ctl, "force") != NULL),
                             "%s: its medium is out", export)
                  : CTL_FAILED;
}

int ctl_run_insert(Ctl *ctl)
{
    const char *export = ctl_take_export(ctl, 1), *format = ctl_option(ctl, "format");
    auto_free char *image = NULL;
    json_t *args;

    if (!export) {
        return CTL_FAILED;
    }
    image = ctl_image_name(ctl->words[0]);
    args = json_pack("{s:s, s:s, s:b}", "device", export, "filename", image, "force",
                     ctl_option(ctl, "force") != NULL);
    if (format) {
        json_object_set_new(args, "format", json_string(format));
    }
    if (ctl_option(ctl, "read-only")) {
        json_object_set_new(args, "read-only-mode", json_string("read-only"));
    }
    return ctl_done(ctl, ctl_call_with(ctl, "blockdev-change-medium", args), "%s: shows %s",
                    export, image);
}

/* ---- resize ---- */

int ctl_run_resize(Ctl *ctl)
{
    const char *export = ctl_take_export(ctl, 1), *text;
    json_t *now;
    int64_t size, old;
    char was[SIZE_STR_LEN], is[SIZE_STR_LEN];

    if (!export) {
        return CTL_FAILED;
    }
    text = ctl->words[0];
    if (!ctl_parse_size(ctl, "SIZE", text + (text[0] == '+'), &size)) {
        return CTL_USAGE;
    }
    now = ctl_query_export(ctl, export);
    if (!now) {
        return CTL_FAILED;
    }
    old = ctl_int(now, "size");
    json_decref(now);
    if (text[0] == '+' && (old < 0 || size > INT64_MAX - old)) {
        return ctl_usage_error(ctl, NULL, "SIZE: \"%s\" is too large", text);
    }
    size += text[0] == '+' ? old : 0;
    if (size < old && !ctl_option(ctl, "shrink")) {
        return ctl_error(ctl, "GenericError", "With --shrink, what lies beyond the new end is "
                         "lost.", "%s has %s now, and would be shrunk to %s", export,
                         size_str((uint64_t)old, was), size_str((uint64_t)size, is));
    }
    return ctl_done(ctl, ctl_call(ctl, "block_resize", "{s:s, s:I, s:b}", "device", export, "size",
                                  (json_int_t)size, "x-force", size < old),
                    "%s: %s (%jd bytes)", export, size_str((uint64_t)size, is), (intmax_t)size);
}

/* ---- how it writes ---- */

static int show_cache(Ctl *ctl, const char *export)
{
    json_t *block = ctl_query_block(ctl, export), *cache = NULL;

    if (block) {
        cache = json_incref(json_object_get(json_object_get(block, "inserted"), "cache"));
        json_decref(block);
        if (!cache) {
            return ctl_error(ctl, "GenericError", NULL, "%s has no medium", export);
        }
    }
    return ctl_done(ctl, cache, "%s: write cache %s", export,
                    ctl_bool(cache, "writeback") ? "on" : "off");
}

int ctl_run_cache(Ctl *ctl)
{
    const char *word = ctl->n_words ? ctl->words[ctl->n_words - 1] : "", *export;
    bool on = strcmp(word, "on") == 0, off = strcmp(word, "off") == 0;

    if (!on && !off && ctl->n_words > 1) {
        return ctl_usage_error(ctl, NULL, "\"%s\" should be on or off", word);
    }
    export = ctl_take_export(ctl, on || off);
    if (!export) {
        return CTL_FAILED;
    } else if (!on && !off) {
        return show_cache(ctl, export);
    }
    return ctl_done(ctl, ctl_call(ctl, "x-set-write-cache", "{s:s, s:b}", "device", export,
                                  "enable", on),
                    on ? "%s: write cache on"
                       : "%s: write cache off: a write is stable when it is answered", export);
}

/* Takes over what x-set-error-policy says, and what the settings of an export do, too. */
static int tell_policy(Ctl *ctl, const char *export, json_t *policy)
{
    return ctl_done(ctl, policy, "%s: errors of reading: %s, of writing: %s", export,
                    ctl_str(policy, "on-read-error"), ctl_str(policy, "on-write-error"));
}

static int show_policy(Ctl *ctl, const char *name)
{
    json_t *export = ctl_query_export(ctl, name), *settings, *policy = NULL;

    settings = json_object_get(export, "settings");
    if (settings) {
        policy = json_pack("{s:s, s:s}", "on-read-error", ctl_str(settings, "on-read-error"),
                           "on-write-error", ctl_str(settings, "on-write-error"));
    }
    json_decref(export);
    return tell_policy(ctl, name, policy);
}

int ctl_run_on_error(Ctl *ctl)
{
    const char *export = ctl_take_export(ctl, 0), *read = ctl_option(ctl, "read");
    const char *write = ctl_option(ctl, "write");
    json_t *args;

    if (!export) {
        return CTL_FAILED;
    } else if (!read && !write) {
        return show_policy(ctl, export);
    }
    args = json_pack("{s:s}", "device", export);
    if (read) {
        json_object_set_new(args, "on-read-error", json_string(read));
    }
    if (write) {
        json_object_set_new(args, "on-write-error", json_string(write));
    }
    return tell_policy(ctl, export, ctl_call_with(ctl, "x-set-error-policy", args));
}
