/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the command line, and the configuration file that it names, into a Config.
 *
 * What stands outside of --export holds for every export, wherever it stands on
 * the line; so the texts of --export wait until everything else is known.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/option-list.h"
#include "common/xalloc.h"

#define COMMAND_LINE_SCOPES (KEY_SERVER | KEY_COMMAND | KEY_EXPORT | KEY_ONE_EXPORT)

/* ---- exports ---- */

static bool parse_export_text(Config *config, const char *text, Error **errp)
{
    ExportConfig *export = config_new_export(config);
    const char *cursor = text;
    char *key, *value;

    export->name = xstrdup("");
    while (option_list_next(&cursor, &key, &value)) {
        const ConfigKey *row = config_export_key_find(key, EXPORT_LIST_SCOPES, errp);
        bool ok = row && config_key_set_named(row, config, export, key, value, errp);

        free(key);
        free(value);
        if (!ok) {
            export_config_unref(export);
            error_prepend(errp, "--export \"%s\": ", text);
            return false;
        }
    }
    if (!export->image) {
        export_config_unref(export);
        error_setg(errp, "--export \"%s\": says no image", text);
        error_append_hint(errp, "Add image=PATH to the list.\n");
        return false;
    }
    return config_add_export(config, export, errp);
}

static bool add_image(Config *config, Error **errp)
{
    ExportConfig *export = config_new_export(config);

    export->name = xstrdup(config->defaults.name);
    export->description = xstrdup(config->defaults.description);
    export->image = xstrdup(config->defaults.image);
    return config_add_export(config, export, errp);
}

/* The exports of the command line. */
static bool add_exports(Config *config, Error **errp)
{
    ExportText *text;

    if (config->defaults.image && !STAILQ_EMPTY(&config->export_texts)) {
        error_setg(errp, "image \"%s\" stands beside --export", config->defaults.image);
        error_append_hint(errp, "Serve it by one more --export: --export name=NAME,image=%s\n",
                          config->defaults.image);
        return false;
    }
    if (config->defaults.image) {
        return add_image(config, errp);
    }
    if (*config->defaults.name || config->defaults.description) {
        error_setg(errp, "--export-name and --description belong to a single IMAGE");
        error_append_hint(errp, "Inside of --export say name=NAME and description=TEXT.\n");
        return false;
    }
    STAILQ_FOREACH(text, &config->export_texts, link) {
        if (!parse_export_text(config, text->text, errp)) {
            return false;
        }
    }
    return true;
}

/* With the exports of the command line and those of the files. */
static bool check_exports(const Config *config, Error **errp)
{
    const ExportConfig *export;

    if (config->export_dir && config->defaults.image_opts) {
        error_setg(errp, "--export-dir and --image-opts do not go together");
        return false;
    }
    if (config->export_dir) {
        return true;
    }
    if (STAILQ_EMPTY(&config->exports)) {
        error_setg(errp, "no image to serve");
        error_append_hint(errp, "Try 'nbd-export disk.img', or 'nbd-export --help'.\n");
        return false;
    }
    STAILQ_FOREACH(export, &config->exports, link) {
        if (!config->default_export || strcmp(export->name, config->default_export) == 0) {
            return true;
        }
    }
    error_setg(errp, "default-export: there is no export \"%s\"", config->default_export);
    return false;
}

/* ---- the command line ---- */

/* Where reading the command line has got to. */
typedef struct {
    int argc;
    char **argv;
    int next;
} Words;

static const char *next_word(Words *words)
{
    return words->next < words->argc ? words->argv[words->next++] : NULL;
}

/* value: what stood in the same word, or NULL: then the next word, if the key wants one. */
static bool set_from_words(Config *config, const ConfigKey *key, const char *value, Words *words,
                           Error **errp)
{
    void *base = config_key_base(key, config, &config->defaults);

    if (key->argument && !value) {
        value = next_word(words);
        if (!value) {
            error_setg(errp, "--%s needs an argument: --%s=%s", key->name, key->name,
                       key->argument);
            return false;
        }
    }
    if (!key->argument && key->type == KEY_SPECIAL && value) {
        error_setg(errp, "--%s takes no argument", key->name);
        return false;
    }
    if (!config_key_set(key, config, base, value, errp)) {
        error_prepend(errp, "--%s: ", key->name);
        return false;
    }
    return true;
}

static bool parse_long(Config *config, const char *word, Words *words, Error **errp)
{
    const char *equals = strchr(word, '=');
    auto_free char *name = xstrndup(word, equals ? (size_t)(equals - word) : strlen(word));
    const ConfigKey *key = config_key_find(name, COMMAND_LINE_SCOPES, "--", errp);

    return key && set_from_words(config, key, equals ? equals + 1 : NULL, words, errp);
}

/* One or more short options in a word: -rv, -p10810, -p 10810. */
static bool parse_short(Config *config, const char *word, Words *words, Error **errp)
{
    while (*word) {
        const ConfigKey *key = config_key_find_short(*word);
        const char *rest = word + 1;

        if (!key) {
            error_setg(errp, "unknown option \"-%c\"", *word);
            error_append_hint(errp, "Try 'nbd-export --help' for a list.\n");
            return false;
        }
        if (key->argument) {
            return set_from_words(config, key, *rest ? rest : NULL, words, errp);
        }
        if (!set_from_words(config, key, NULL, words, errp)) {
            return false;
        }
        word = rest;
    }
    return true;
}

static bool set_image(Config *config, const char *word, Error **errp)
{
    if (config->defaults.image) {
        error_setg(errp, "two images: \"%s\" and \"%s\"", config->defaults.image, word);
        error_append_hint(errp, "For several write --export name=NAME,image=PATH for each.\n");
        return false;
    }
    if (!*word) {
        error_setg(errp, "the image's name is empty");
        return false;
    }
    config->defaults.image = xstrdup(word);
    return true;
}

static bool parse_words(Config *config, Words *words, Error **errp)
{
    bool options_end = false;
    const char *word;

    while ((word = next_word(words)) && config->action == CONFIG_RUN) {
        bool ok;

        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
            continue;
        } else if (options_end || word[0] != '-' || !word[1]) {
            ok = set_image(config, word, errp);
        } else if (word[1] == '-') {
            ok = parse_long(config, word + 2, words, errp);
        } else {
            ok = parse_short(config, word + 1, words, errp);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

Config *config_new(bool again)
{
    Config *config = xcalloc(1, sizeof(*config));

    config->again = again;
    STAILQ_INIT(&config->exports);
    STAILQ_INIT(&config->addresses);
    STAILQ_INIT(&config->sections);
    STAILQ_INIT(&config->export_texts);
    STAILQ_INIT(&config->sockets);
    STAILQ_INIT(&config->binds);
    STAILQ_INIT(&config->ports);
    config_set_defaults(config);
    return config;
}

static bool parse_command_line(Config *config, int argc, char **argv, ConfigErrors *errors)
{
    Words words = { argc, argv, 1 };
    Error *err = NULL;

    if (!parse_words(config, &words, &err)) {
        config_errors_add(errors, err);
        return false;
    }
    return true;
}

/* The command line once more, on top of what the file says that it names. */
static Config *parse_with_file(Config *first, int argc, char **argv, ConfigErrors *errors)
{
    Config *config = config_new(first->again);

    config_read_files(config, first->file, errors);
    config_override_addresses(config, first);
    config_free(first);
    parse_command_line(config, argc, argv, errors);
    config_add_sections(config, errors);
    return config;
}

Config *config_parse(int argc, char **argv, bool again, ConfigErrors *errors)
{
    Config *config = config_new(again);
    Error *err = NULL;
    bool ok = parse_command_line(config, argc, argv, errors);

    if (ok && config->action == CONFIG_RUN) {
        if (config->file) {
            config = parse_with_file(config, argc, argv, errors);
        }
        config_resolve_addresses(config);
        if (!add_exports(config, &err) || (errors->n == 0 && !check_exports(config, &err)) ||
            !config_resolve_tls(config, &err) || !config_check_process(config, &err)) {
            config_errors_add(errors, err);
        }
    }
    if (errors->n > 0 && !(ok && config->check)) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(Config *config)
{
    ExportConfig *export;
    ExportText *text;

    if (!config) {
        return;
    }
    while ((export = STAILQ_FIRST(&config->exports))) {
        STAILQ_REMOVE_HEAD(&config->exports, link);
        export_config_unref(export);
    }
    while ((text = STAILQ_FIRST(&config->export_texts))) {
        STAILQ_REMOVE_HEAD(&config->export_texts, link);
        free(text);
    }
    config_text_free(&config->sections);
    config_free_addresses(config);
    config_free_address(config->metrics);
    config_export_clear(&config->defaults);
    free(config->default_export);
    free(config->export_dir);
    free(config->file);
    free(config->include_dir);
    free(config->tls_certs);
    free(config->tls_ca_file);
    free(config->tls_cert_file);
    free(config->tls_key_file);
    free(config->tls_psk);
    free(config->make_certs);
    free(config->qmp);
    access_rules_clear(&config->qmp_allow);
    free(config->pid_file);
    free(config->run);
    free(config->user);
    free(config->group);
    free(config);
}
