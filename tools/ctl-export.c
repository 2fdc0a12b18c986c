/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exports that come, go, change and wait. */
#include "tools/ctl.h"

#include <string.h>

/* KEY=VALUE of each word from the first on, as the server's command takes it. */
static bool parse_settings(Ctl *ctl, json_t *settings)
{
    for (unsigned i = 0; i < ctl->n_words; i++) {
        if (!ctl_parse_pair(ctl, settings, ctl->words[i])) {
            return false;
        }
    }
    return true;
}

int ctl_run_export_add(Ctl *ctl)
{
    json_t *settings = json_object();

    if (!parse_settings(ctl, settings)) {
        json_decref(settings);
        return CTL_USAGE;
    }
    return ctl_done(ctl, ctl_call(ctl, "x-export-add", "{s:o}", "settings", settings),
                    "it is served");
}

int ctl_run_export_set(Ctl *ctl)
{
    const char *export = ctl->words[0];
    json_t *settings = json_object();

    ctl->words++;
    ctl->n_words--;
    if (!parse_settings(ctl, settings)) {
        json_decref(settings);
        return CTL_USAGE;
    }
    return ctl_done(ctl, ctl_call(ctl, "x-export-set", "{s:s, s:o}", "device", export,
                                  "settings", settings),
                    "%s: changed", export);
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

    return export ? ctl_done(ctl, ctl_call(ctl, command, "{s:s}", "device", export), "%s: %s",
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
    return act(ctl, "x-export-drain", "nothing is in flight any more");
}
