/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Out of the table of settings, both ways. */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* What can stand in a list of --export, limits of each kind included. */
#define SCOPES (EXPORT_LIST_SCOPES | KEY_LIMIT | KEY_CLIENT_LIMIT)

/* ---- from JSON ---- */

/* As the command line has it; NULL: it is no single value. */
static char *to_text(const json_t *value)
{
    char *text = NULL;
    int ret = -1;

    switch (json_typeof(value)) {
    case JSON_STRING:
        return xstrdup(json_string_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return xstrdup(json_is_true(value) ? "on" : "off");
    case JSON_INTEGER:
        ret = asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        ret = asprintf(&text, "%.17g", json_real_value(value));
        break;
    default:
        return NULL;
    }
    return ret < 0 ? xalloc_check(NULL) : text;
}

static bool set_one(const ConfigKey *key, const Config *config, ExportConfig *cfg,
                    const char *name, const json_t *value, Error **errp)
{
    auto_free char *text = to_text(value);

    if (!text) {
        error_setg(errp, "%s: should be a string, a number or a boolean%s", name,
                   key->repeats ? ", or a list of strings" : "");
        return false;
    }
    /* No key of an export writes to the server's settings. */
    return config_key_set_named(key, (Config *)config, cfg, name, text, errp);
}

static bool set_list(const ConfigKey *key, const Config *config, ExportConfig *cfg,
                     const char *name, const json_t *list, Error **errp)
{
    const json_t *value;
    size_t i;

    json_array_foreach(list, i, value) {
        if (!set_one(key, config, cfg, name, value, errp)) {
            return false;
        }
    }
    return true;
}

static void *field_of(const ConfigKey *key, const ExportConfig *cfg)
{
    return (char *)cfg + key->offset;
}

static void copy_string(char **to, char *const *from)
{
    free(*to);
    *to = xstrdup(*from);
}

/* As `from` has it. */
static void copy(const ConfigKey *key, ExportConfig *cfg, const ExportConfig *from)
{
    void *to = field_of(key, cfg);
    const void *value = field_of(key, from);

    switch (key->type) {
    case KEY_SWITCH:
        *(bool *)to = *(const bool *)value;
        break;
    case KEY_STRING:
        copy_string(to, value);
        break;
    case KEY_NUMBER:
    case KEY_CHOICE:
        *(unsigned *)to = *(const unsigned *)value;
        break;
    case KEY_SIZE:
        *(int64_t *)to = *(const int64_t *)value;
        break;
    case KEY_RATE:
    case KEY_BYTE_RATE:
        *(double *)to = *(const double *)value;
        break;
    case KEY_NAMES:
        name_list_clear(to);
        name_list_copy(to, value);
        break;
    case KEY_ALLOW:
    case KEY_ALLOW_READ:
        access_rules_clear(to);
        access_rules_inherit(to, value);
        break;
    default:
        break;
    }
}

/* What the command line says of its one IMAGE is for no other export. */
static void reset(const ConfigKey *key, const Config *config, ExportConfig *cfg)
{
    Config *fresh = key->scope & KEY_ONE_EXPORT ? config_new(true) : NULL;

    copy(key, cfg, fresh ? &fresh->defaults : &config->defaults);
    config_free(fresh);
}

ExportConfig *settings_new(const Config *config)
{
    ExportConfig *cfg = config_new_export(config);

    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        if ((key->scope & KEY_ONE_EXPORT) && (key->scope & KEY_IN_LIST)) {
            reset(key, config, cfg);
        }
    }
    cfg->dynamic = true;
    return cfg;
}

static void clear(const ConfigKey *key, ExportConfig *cfg)
{
    if (key->type == KEY_NAMES) {
        name_list_clear(field_of(key, cfg));
    } else {
        access_rules_drop(field_of(key, cfg), key->type == KEY_ALLOW_READ);
    }
}

static bool set_limits(const Config *config, ExportConfig *cfg, const char *list,
                       const json_t *limits, Error **errp)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)limits, name, value) {
        auto_free char *full = NULL;

        if (asprintf(&full, "%s.%s", list, name) < 0) {
            full = xalloc_check(NULL);
        }
        if (!settings_set(config, cfg, full, value, errp)) {
            return false;
        }
    }
    return true;
}

bool settings_set(const Config *config, ExportConfig *cfg, const char *name, const json_t *value,
                  Error **errp)
{
    const ConfigKey *key = config_export_key_find(name, EXPORT_LIST_SCOPES, errp);

    if (!key) {
        return false;
    }
    if (key->type == KEY_LIMITS && json_is_object(value)) {
        return set_limits(config, cfg, name, value, errp);
    }
    if (json_is_null(value)) {
        reset(key, config, cfg);
        return true;
    }
    if (key->repeats) {
        clear(key, cfg);
    }
    if (key->repeats && json_is_array(value)) {
        return set_list(key, config, cfg, name, value, errp);
    }
    return set_one(key, config, cfg, name, value, errp);
}

/* ---- to JSON ---- */

static json_t *choice_json(const ConfigKey *key, unsigned value)
{
    const struct key_choice *c = key->choices;

    while (c->name && c->value != value) {
        c++;
    }
    return c->name ? json_string(c->name) : json_null();     /* nothing was said */
}

static json_t *names_json(const NameList *list)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < list->n; i++) {
        json_array_append_new(names, json_string(list->names[i]));
    }
    return names;
}

static json_t *rules_json(const AccessRules *rules, bool read_only)
{
    json_t *list = json_array();
    const char *text;
    bool is_read_only;

    for (size_t i = 0; (text = access_rules_text(rules, i, &is_read_only)); i++) {
        if (is_read_only == read_only) {
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

static json_t *string_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* NULL: it has no value of its own. */
static json_t *value_json(const ConfigKey *key, const ExportConfig *cfg)
{
    const void *field = field_of(key, cfg);

    switch (key->type) {
    case KEY_SWITCH:
        return json_boolean(*(const bool *)field);
    case KEY_STRING:
        return string_json(*(char *const *)field);
    case KEY_NUMBER:
        return json_integer(*(const unsigned *)field);
    case KEY_CHOICE:
        return choice_json(key, *(const unsigned *)field);
    case KEY_SIZE:
        return json_integer(*(const int64_t *)field);
    case KEY_RATE:
    case KEY_BYTE_RATE:
        return json_integer((json_int_t)*(const double *)field);
    case KEY_NAMES:
        return names_json(field);
    case KEY_ALLOW:
    case KEY_ALLOW_READ:
        return rules_json(field, key->type == KEY_ALLOW_READ);
    default:
        return NULL;
    }
}

json_t *settings_live(const ExportConfig *cfg)
{
    json_t *settings = json_object();

    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        bool shown = (key->live || key->live_if) && (key->scope & SCOPES);
        json_t *value = shown ? value_json(key, cfg) : NULL;
        auto_free char *name = NULL;

        if (value) {
            if (asprintf(&name, "%s%s", config_key_prefix(key), key->name) < 0) {
                name = xalloc_check(NULL);
            }
            json_object_set_new(settings, name, value);
        }
    }
    return settings;
}
