/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exports that come, go, change and wait. */
#include "tools/ctl.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* KEY=VALUE as of --export: a text each, a list of them where a key comes again. */
static bool put_setting(Ctl *ctl, json_t *settings, const char *text)
{
    const char *equals = strchr(text, '=');
    auto_free char *key = equals ? xstrndup(text, (size_t)(equals - text)) : NULL, *path = NULL;
    json_t *value, *before;

    if (!key || !*key) {
        ctl_usage_error(ctl, NULL, "\"%s\" is not of the form KEY=VALUE", text);
        return false;
    }
    path = strcmp(key, "image") == 0 ? ctl_image_name(equals + 1) : NULL;
    value = json_string(path ? path : equals + 1);
    before = json_object_get(settings, key);
    if (json_is_array(before)) {
        json_array_append_new(before, value);
    } else if (before) {
        json_object_set_new(settings, key, json_pack("[O, o]", before, value));
    } else {
        json_object_set_new(settings, key, value);
    }
    return true;
}

/* Of each word from the first on; NULL: reported. */
static json_t *parse_settings(Ctl *ctl)
{
    json_t *settings = json_object();

    for (unsigned i = 0; i < ctl->n_words; i++) {
        if (!put_setting(ctl, settings, ctl->words[i])) {
            json_decref(settings);
            return NULL;
        }
    }
    return settings;
}

int ctl_run_export_add(Ctl *ctl)
{
    json_t *settings = parse_settings(ctl);
    const char *name;
    int status;

    if (!settings) {
        return CTL_USAGE;
    }
    json_incref(settings);
    name = ctl_str(settings, "name");
    status = ctl_done(ctl, ctl_call_with(ctl, "x-export-add", settings), "%s: served", name);
    json_decref(settings);
    return status;
}

int ctl_run_export_set(Ctl *ctl)
{
    const char *export = *ctl->words++;
    json_t *settings;

    ctl->n_words--;
    settings = parse_settings(ctl);
    if (!settings) {
        return CTL_USAGE;
    }
    json_object_set_new(settings, "id", json_string(export));
    return ctl_done(ctl, ctl_call_with(ctl, "x-export-set", settings), "%s: changed", export);
}

int ctl_run_export_del(Ctl *ctl)
{
    static const char *const modes[] = { "safe", "soft", "hide", "hard" };
    const char *export = ctl->words[0], *mode = NULL;

    for (size_t i = 0; i < 4; i++) {
        if (ctl_option(ctl, modes[i])) {
            if (mode) {
                return ctl_usage_error(ctl, NULL, "--%s and --%s go one at a time", mode,
                                       modes[i]);
            }
            mode = modes[i];
        }
    }
    return ctl_done(ctl, ctl_call(ctl, "block-export-del", "{s:s, s:s}", "id", export, "mode",
                                  mode ? mode : "safe"),
                    mode && strcmp(mode, "hide") == 0 ? "%s: no new client finds it"
                                                      : "%s: removed", export);
}

/* A command that takes nothing but the export. */
static int act(Ctl *ctl, const char *command, const char *done)
{
    const char *export = ctl_take_export(ctl, 0);

    return export ? ctl_done(ctl, ctl_call(ctl, command, "{s:s}", "id", export), "%s: %s",
                             export, done)
                  : CTL_FAILED;
}

int ctl_run_pause(Ctl *ctl)
{
    return act(ctl, "x-export-pause", "its requests wait");
}

int ctl_run_resume(Ctl *ctl)
{
    return act(ctl, "x-export-resume", "its requests go on");
}

int ctl_run_drain(Ctl *ctl)
{
    return ctl->n_words ? act(ctl, "x-export-drain", "all that was in flight is done")
                        : ctl_done(ctl, ctl_call(ctl, "x-export-drain", NULL),
                                   "all that was in flight is done");
}
