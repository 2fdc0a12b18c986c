/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of settings as text: for people who ask for help, and for programs.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

/* "name=NAME", or "-x, --export-name=NAME" on the command line. */
static void print_key(const ConfigKey *key, bool in_list)
{
    char form[64], short_form[] = "   ";

    if (key->short_name && !in_list) {
        snprintf(short_form, sizeof(short_form), "-%c,", key->short_name);
    }
    if (in_list) {
        snprintf(form, sizeof(form), "%s=%s", key->name,
                 key->argument ? key->argument : "on|off");
    } else {
        snprintf(form, sizeof(form), "%s --%s%s%s", short_form, key->name,
                 key->argument ? "=" : "", key->argument ? key->argument : "");
    }
    printf("  %-32s %s", form, key->help);
    if (key->choices) {
        auto_free char *all = config_key_choices(key->choices);

        printf(": %s", all);
    }
    if (key->def && *key->def && key->type != KEY_SWITCH) {
        printf(" (default: %s)", key->def);
    }
    printf("\n");
}

static void print_keys(const char *title, unsigned scopes, bool in_list)
{
    printf("\n%s:\n", title);
    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        if ((key->scope & scopes) && key->help) {
            print_key(key, in_list);
        }
    }
}

void config_print_help(void)
{
    printf("Usage: nbd-export [OPTION...] IMAGE\n"
           "       nbd-export [OPTION...] --export LIST [--export LIST...]\n"
           "       nbd-export [OPTION...] --config FILE\n"
           "\n"
           "Serves disk images over the NBD protocol (Network Block Device).\n");
    print_keys("Options of the server", KEY_SERVER | KEY_COMMAND, false);
    print_keys("Options of every export", KEY_EXPORT, false);
    print_keys("Options of the export of IMAGE", KEY_ONE_EXPORT, false);
    print_keys("Keys of --export (KEY=VALUE,KEY=VALUE,...; write a comma in a value twice)",
               KEY_IN_LIST | KEY_ONLY_IN_LIST | KEY_EXPORT, true);
    print_keys("Keys of --throttle and, except for group, --throttle-client: what may pass in a\n"
               "second; with KEY-max in a second of a burst, and with KEY-max-length how long\n"
               "that is.  In --export: throttle.KEY=VALUE, throttle-client.KEY=VALUE",
               KEY_LIMIT, true);
    printf("\nThe manual, nbd-export(1), tells more.\n");
}

/* ---- for programs ---- */

static const struct {
    unsigned scopes;
    const char *place;
} places[] = {
    { KEY_SERVER | KEY_COMMAND | KEY_EXPORT | KEY_ONE_EXPORT, "option" },
    { KEY_EXPORT | KEY_IN_LIST | KEY_ONLY_IN_LIST, "export" },
    { KEY_LIMIT, "throttle" },
    { KEY_CLIENT_LIMIT, "throttle-client" },
    { KEY_SERVER | KEY_EXPORT | KEY_GENERIC, "generic" },
    { KEY_EXPORT | KEY_IN_LIST | KEY_SECTION, "section" },
};

/* What a switch takes in a list or a file. */
static void print_choices(const ConfigKey *key, const char *place)
{
    const struct key_choice *c = key->choices;

    if (key->type == KEY_SWITCH && strcmp(place, "option") != 0) {
        printf("on,off");
    }
    for (; c && c->name; c++) {
        printf("%s%s", c == key->choices ? "" : ",", c->name);
    }
}

void config_print_settings(void)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
            if (key->scope & places[i].scopes) {
                printf("%s %s %c %s ", places[i].place, key->name,
                       key->short_name ? key->short_name : '-',
                       key->argument ? key->argument : "-");
                print_choices(key, places[i].place);
                printf("\n");
            }
        }
    }
}
