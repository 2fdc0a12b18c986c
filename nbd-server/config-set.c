/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the text of a setting to its value, by the type of its key.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/human-size.h"
#include "common/nbd-protocol.h"
#include "common/option-list.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define MAX_DEFAULT_THREADS 4

bool config_parse_number(const char *text, int64_t min, int64_t max, int64_t *number)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < min || n > max) {
        return false;
    }
    *number = n;
    return true;
}

bool config_parse_switch(const char *value, bool *on, Error **errp)
{
    static const char *const words[][2] = {
        { "off", "on" }, { "no", "yes" }, { "false", "true" },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int j = 0; j < 2; j++) {
            if (!value || strcmp(value, words[i][j]) == 0) {
                *on = !value || j;
                return true;
            }
        }
    }
    error_setg(errp, "\"%s\" should be on or off", value);
    return false;
}

/* ---- lists of names ---- */

void name_list_add(NameList *list, const char *name)
{
    list->names = xalloc_check(reallocarray(list->names, list->n + 1, sizeof(list->names[0])));
    list->names[list->n++] = xstrdup(name);
}

void name_list_copy(NameList *to, const NameList *from)
{
    *to = (NameList){ .names = NULL };
    for (unsigned i = 0; i < from->n; i++) {
        name_list_add(to, from->names[i]);
    }
}

void name_list_clear(NameList *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        free(list->names[i]);
    }
    free(list->names);
    *list = (NameList){ .names = NULL };
}

/* ---- values of one type ---- */

/* As "Conventions" of the protocol asks of names and texts. */
static bool is_utf8(const char *text)
{
    for (size_t len; *text; text += len) {
        len = utf8_length(text);
        if (len == 0) {
            return false;
        }
    }
    return true;
}

static bool check_string(const ConfigKey *key, const char *value, Error **errp)
{
    size_t len = strlen(value);

    if ((int64_t)len < key->min) {
        error_setg(errp, "needs a value");
        return false;
    }
    if ((int64_t)len > key->max) {
        error_setg(errp, "is %zu bytes long, at most %" PRId64 " are possible", len, key->max);
        return false;
    }
    if ((key->max == NBD_MAX_STRING || key->type == KEY_NAMES) && !is_utf8(value)) {
        error_setg(errp, "is not UTF-8, and clients expect that");
        return false;
    }
    return true;
}

static bool set_string(const ConfigKey *key, char **field, const char *value, Error **errp)
{
    if (!check_string(key, value, errp)) {
        return false;
    }
    free(*field);
    *field = xstrdup(value);
    return true;
}

static bool add_name(const ConfigKey *key, NameList *list, const char *value, Error **errp)
{
    if (!check_string(key, value, errp)) {
        return false;
    }
    for (unsigned i = 0; i < list->n; i++) {
        if (strcmp(list->names[i], value) == 0) {
            error_setg(errp, "\"%s\" is given twice", value);
            return false;
        }
    }
    name_list_add(list, value);
    return true;
}

static bool set_number(const ConfigKey *key, unsigned *field, const char *value, Error **errp)
{
    int64_t number;

    if (!config_parse_number(value, key->min, key->max, &number)) {
        error_setg(errp, "\"%s\" should be a number from %" PRId64 " to %" PRId64,
                   value, key->min, key->max);
        return false;
    }
    *field = (unsigned)number;
    return true;
}

static bool set_size(const ConfigKey *key, int64_t *field, const char *value, Error **errp)
{
    char min[HUMAN_SIZE_LEN], max[HUMAN_SIZE_LEN];
    int64_t size;

    if (human_size_parse(value, &size) < 0 || size < key->min || size > key->max) {
        error_setg(errp, "\"%s\" should be a size from %s to %s, like 4096, 64k or 1G", value,
                   human_size_format(key->min, min), human_size_format(key->max, max));
        return false;
    }
    *field = size;
    return true;
}

static bool set_rate(const ConfigKey *key, double *field, const char *value, Error **errp)
{
    unsigned long long max = (unsigned long long)key->max;
    int64_t rate;

    if (key->type == KEY_RATE && !config_parse_number(value, key->min, key->max, &rate)) {
        error_setg(errp, "\"%s\" should be a number from 0 to %llu", value, max);
        return false;
    }
    if (key->type == KEY_BYTE_RATE && (human_size_parse(value, &rate) < 0 || rate > key->max)) {
        error_setg(errp, "\"%s\" should be a size from 0 to %llu, like 500000, 64k or 1G",
                   value, max);
        return false;
    }
    *field = (double)rate;
    return true;
}

static bool set_limits(enum key_scope keys, Config *config, void *base, const char *value,
                       Error **errp)
{
    char *name, *setting;

    while (option_list_next(&value, &name, &setting)) {
        const ConfigKey *key = config_key_find(name, keys, "", errp);
        bool ok = key && config_key_set_named(key, config, base, name, setting, errp);

        free(name);
        free(setting);
        if (!ok) {
            return false;
        }
    }
    return true;
}

char *config_key_choices(const struct key_choice *choices)
{
    char *text = NULL;
    size_t size;
    FILE *out = xalloc_check(open_memstream(&text, &size));

    for (const struct key_choice *c = choices; c->name; c++) {
        fprintf(out, "%s%s", c == choices ? "" : c[1].name ? ", " : " or ", c->name);
    }
    fclose(out);
    return text;
}

/* What is on or off may be said in all words for it. */
static const char *plain_word(const char *value)
{
    bool on;

    return config_parse_switch(value, &on, NULL) ? (on ? "on" : "off") : value;
}

static bool set_choice(const ConfigKey *key, unsigned *field, const char *value, Error **errp)
{
    const char *word = plain_word(value);
    auto_free char *all = NULL;

    for (const struct key_choice *c = key->choices; c->name; c++) {
        if (strcmp(c->name, word) == 0) {
            *field = c->value;
            return true;
        }
    }
    all = config_key_choices(key->choices);
    error_setg(errp, "\"%s\" should be %s", value, all);
    return false;
}

/* "false" is what we do. */
static bool refuse(const ConfigKey *key, const char *value, Error **errp)
{
    bool on = true;

    if (!key->argument && !config_parse_switch(value, &on, errp)) {
        return false;
    }
    if (on) {
        error_setg(errp, "nbd-export does not have this setting of nbd-server's");
    }
    return !on;
}

bool config_key_set(const ConfigKey *key, Config *config, void *base, const char *value,
                    Error **errp)
{
    void *field = (char *)base + key->offset;

    switch (key->type) {
    case KEY_SWITCH:
        return config_parse_switch(value, field, errp);
    case KEY_STRING:
        return set_string(key, field, value, errp);
    case KEY_NUMBER:
        return set_number(key, field, value, errp);
    case KEY_SIZE:
        return set_size(key, field, value, errp);
    case KEY_CHOICE:
        return set_choice(key, field, value, errp);
    case KEY_RATE:
    case KEY_BYTE_RATE:
        return set_rate(key, field, value, errp);
    case KEY_NAMES:
        return add_name(key, field, value, errp);
    case KEY_LIMITS:
        return set_limits(key->keys, config, base, value, errp);
    case KEY_ALLOW:
    case KEY_ALLOW_READ:
        return access_rules_add(field, value, key->type == KEY_ALLOW_READ, errp);
    case KEY_ALLOW_LOCAL:
        return access_rules_add_local(field, value, errp);
    case KEY_SPECIAL:
        return key->set(config, value, errp);
    case KEY_EXPORT_SPECIAL:
        return key->set_export(base, value, errp);
    case KEY_UNSUPPORTED:
        return refuse(key, value, errp);
    case KEY_WITHOUT_EFFECT:
        return true;
    }
    return false;
}

bool config_key_set_named(const ConfigKey *key, Config *config, void *base, const char *name,
                          const char *value, Error **errp)
{
    if (!value && key->argument) {
        error_setg(errp, "%s needs a value: %s=%s", name, name, key->argument);
        return false;
    }
    if (!config_key_set(key, config, base, value, errp)) {
        error_prepend(errp, "%s: ", name);
        return false;
    }
    return true;
}

void *config_key_base(const ConfigKey *key, Config *config, ExportConfig *export)
{
    return key->scope & (KEY_SERVER | KEY_COMMAND | KEY_GENERIC) ? (void *)config : (void *)export;
}

bool config_set_export_name(ExportConfig *export, const char *name, Error **errp)
{
    const ConfigKey *key = config_key_find("name", KEY_ONLY_IN_LIST, "", &error_abort);

    return set_string(key, &export->name, name, errp);
}

/* ---- what holds when nothing is set ---- */

static unsigned count_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return (unsigned)(n < 1 ? 1 : n > MAX_DEFAULT_THREADS ? MAX_DEFAULT_THREADS : n);
}

void config_set_defaults(Config *config)
{
    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        void *base = config_key_base(key, config, &config->defaults);

        if (key->def) {
            config_key_set(key, config, base, key->def, &error_abort);
        }
    }
    throttle_config_init(&config->defaults.limits);
    throttle_config_init(&config->defaults.client_limits);
    config->threads = count_processors();
    config->defaults.size = -1;
    config->defaults.trim = true;
    config->ready_fd = -1;
}
