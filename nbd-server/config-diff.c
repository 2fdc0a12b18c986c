/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In which settings two configurations differ, in words.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

/* Of both that describe exports: those by which we call a setting, and those that are nbd-server's
 * alone. */
#define EXPORT_SCOPES (KEY_EXPORT | KEY_IN_LIST | KEY_LIMIT | KEY_CLIENT_LIMIT | KEY_SECTION)

bool config_same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_names(const NameList *a, const NameList *b)
{
    unsigned i = 0;

    while (i < a->n && i < b->n && strcmp(a->names[i], b->names[i]) == 0) {
        i++;
    }
    return i == a->n && i == b->n;
}

static bool is_same(const ConfigKey *key, const void *a, const void *b)
{
    const void *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;

    if (key->same) {
        return key->same(a, b);
    }
    switch (key->type) {
    case KEY_SWITCH:
        return *(const bool *)x == *(const bool *)y;
    case KEY_STRING:
        return config_same_string(*(char *const *)x, *(char *const *)y);
    case KEY_NUMBER:
    case KEY_CHOICE:
        return *(const unsigned *)x == *(const unsigned *)y;
    case KEY_SIZE:
        return *(const int64_t *)x == *(const int64_t *)y;
    case KEY_RATE:
    case KEY_BYTE_RATE:
        return memcmp(x, y, sizeof(double)) == 0;
    case KEY_NAMES:
        return same_names(x, y);
    case KEY_ALLOW:
    case KEY_ALLOW_LOCAL:
        return access_rules_equal(x, y);
    default:
        return true;      /* what it sets are fields of other keys */
    }
}

/* An earlier row has told about that field. */
static bool is_alias(const ConfigKey *key, unsigned scopes)
{
    for (const ConfigKey *other = config_keys; other < key; other++) {
        if ((other->scope & scopes) && other->type == key->type && other->offset == key->offset &&
            !other->same) {
            return true;
        }
    }
    return false;
}

static bool is_live(const ConfigKey *key, const void *from, const void *to)
{
    return key->live_if ? key->live_if(from, to) : key->live;
}

/* As config_export_changes(). */
static char *list_differences(unsigned scopes, unsigned which, const void *a,
                              const void *b)
{
    char *text = NULL;
    size_t size;
    FILE *out = xalloc_check(open_memstream(&text, &size));

    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        if ((key->scope & scopes) &&
            (which & (is_live(key, a, b) ? CHANGES_LIVE : CHANGES_REOPEN)) &&
            !is_same(key, a, b) && !is_alias(key, scopes)) {
            fprintf(out, "%s%s%s", ftell(out) > 0 ? ", " : "",
                    config_key_prefix(key), key->name);
        }
    }
    fclose(out);
    if (size == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

char *config_export_changes(const ExportConfig *from, const ExportConfig *to, unsigned which)
{
    return list_differences(EXPORT_SCOPES, which, from, to);
}

char *config_server_changes(const Config *from, const Config *to)
{
    return list_differences(KEY_SERVER | KEY_GENERIC, CHANGES_REOPEN, from, to);
}
