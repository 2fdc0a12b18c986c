/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding a setting by its name, or the one that was meant.
 */
#include "config.h"

#include <string.h>

#include "common/edit-distance.h"

/* Keys that have a list of their own, and what they are called outside of it. */
static const struct {
    enum key_scope scope;
    const char *prefix;
} prefixes[] = {
    { KEY_LIMIT, "throttle." },
    { KEY_CLIENT_LIMIT, "throttle-client." },
};
#define N_PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

const ConfigKey *config_key_find(const char *name, unsigned scopes, const char *prefix,
                                 Error **errp)
{
    const ConfigKey *nearest = NULL;
    size_t best = strlen(name) / 2 + 1;   /* farther off it would be a wild guess */

    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        size_t distance;

        if (!(key->scope & scopes)) {
            continue;
        }
        distance = edit_distance(key->name, name);
        if (distance == 0) {
            return key;
        }
        if (distance < best) {
            best = distance;
            nearest = key;
        }
    }
    error_setg(errp, "unknown %s \"%s%s\"", strcmp(prefix, "--") == 0 ? "option" : "key", prefix,
               name);
    if (nearest) {
        error_append_hint(errp, "Did you mean \"%s%s\"?\n", prefix, nearest->name);
    } else {
        error_append_hint(errp, "Try 'nbd-export --help' for a list.\n");
    }
    return NULL;
}

const ConfigKey *config_export_key_find(const char *name, unsigned scopes, Error **errp)
{
    for (size_t i = 0; i < N_PREFIXES; i++) {
        const char *prefix = prefixes[i].prefix;

        if (strncmp(name, prefix, strlen(prefix)) == 0) {
            return config_key_find(name + strlen(prefix), prefixes[i].scope, prefix, errp);
        }
    }
    return config_key_find(name, scopes, "", errp);
}

const char *config_key_prefix(const ConfigKey *key)
{
    for (size_t i = 0; i < N_PREFIXES; i++) {
        if (key->scope & prefixes[i].scope) {
            return prefixes[i].prefix;
        }
    }
    return "";
}

const ConfigKey *config_key_find_short(char short_name)
{
    for (size_t i = 0; i < n_config_keys; i++) {
        if (config_keys[i].short_name == short_name) {
            return &config_keys[i];
        }
    }
    return NULL;
}
