/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What nobody should read in a log.
 *
 * Names are all there is to go by.  They stand where a value has a name:
 *
 *     {"password": "X"}                        members, and all that is in them
 *     driver=nbd,file.password=X               options in a string; ",," is a comma of the value
 *     nbds://host/export?password=X            the query of a URI
 *     json:{"driver": "nbd", "password": "X"}  a file name made of options
 *
 * And a URI may have one without a name: nbd://user:X@host.
 */
#include "secrets.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define HIDDEN "***"
/* Bytes of a text that are worth a line of the log. */
#define MAX_TEXT 1024
/* A request that is full of them gets no text: to look for so many would take long. */
#define MAX_FOUND 64

static bool is_secret_name(const char *name, size_t len)
{
    static const char *const parts[] = { "pass", "psk", "secret", "token", "credential" };
    auto_free char *text = strndup(name, len);
    const char *last = text ? strrchr(text, '.') : NULL;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!text || strcasestr(text, parts[i])) {
            return true;
        }
    }
    /* "data" has what QEMU's objects of the type "secret" keep. */
    return (len >= 3 && strcasecmp(text + len - 3, "key") == 0) ||
           strcasecmp(last ? last + 1 : text, "data") == 0;
}

/* ---- in a string ---- */

/* The password of a URI whose "://" this is; NULL: it has none. */
static const char *find_in_uri(const char *mark, size_t *len)
{
    const char *user = mark + 3, *colon;
    size_t authority = strcspn(user, "/?#");
    const char *at = memrchr(user, '@', authority);

    colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;
    *len = colon ? (size_t)(at - colon - 1) : 0;
    return colon ? colon + 1 : NULL;
}

/* Up to the next option, or the next word of a query. */
static size_t value_len(const char *value, bool in_query)
{
    size_t len = strcspn(value, in_query ? "&;" : ",");

    while (!in_query && value[len] == ',' && value[len + 1] == ',') {
        len += 2;
        len += strcspn(value + len, ",");
    }
    return len;
}

/* The first secret from `from` on; NULL: there is none.  *in_query: there was a "?" before. */
static const char *find_secret(const char *from, bool *in_query, size_t *len)
{
    const char *name = from;

    for (const char *p = from; *p; p++) {
        const char *found;

        if (strncmp(p, "://", 3) == 0 && (found = find_in_uri(p, len)) && *len > 0) {
            return found;
        }
        if (*p == '=' && is_secret_name(name, (size_t)(p - name))) {
            *len = value_len(p + 1, *in_query);
            return p + 1;
        }
        *in_query |= *p == '?';
        name = strchr(",?&;:= ", *p) ? p + 1 : name;
    }
    return NULL;
}

static void add(json_t *found, const char *secret, size_t len)
{
    if (len > 0) {
        json_array_append_new(found, json_stringn(secret, len));
    }
}

static void append(char **out, const char *text, size_t len)
{
    *out = (char *)mempcpy(*out, text, len);
}

static json_t *hide_in_string(const char *text, json_t *found)
{
    /* What is put in is no longer than the name or the "://" before it, and more. */
    auto_free char *hidden = malloc(2 * strlen(text) + 1);
    const char *from = text, *secret;
    bool in_query = false;
    char *out = hidden;
    size_t len;

    while (hidden && (secret = find_secret(from, &in_query, &len))) {
        append(&out, from, (size_t)(secret - from));
        append(&out, HIDDEN, strlen(HIDDEN));
        add(found, secret, len);
        from = secret + len;
    }
    if (!hidden) {
        return json_string(HIDDEN);
    }
    strcpy(out, from);
    return json_string(hidden);
}

static json_t *hide_in_file_name(const char *text, json_t *found)
{
    static const char prefix[] = "json:";
    const size_t len = strlen(prefix);
    auto_free char *shown = NULL;
    json_t *options, *hidden;
    size_t before;

    if (strncmp(text, prefix, len) != 0) {
        return hide_in_string(text, found);
    }
    options = json_loads(text + len, 0, NULL);
    if (!options) {
        add(found, text + len, strlen(text + len));
        return json_string("json:" HIDDEN);
    }
    before = json_array_size(found);
    hidden = secrets_hide(options, found);
    if (json_array_size(found) > before) {
        add(found, text + len, strlen(text + len));     /* its own way to write them */
    }
    shown = json_dumps(hidden, JSON_COMPACT);
    json_decref(options);
    json_decref(hidden);
    return json_sprintf("json:%s", shown ? shown : HIDDEN);
}

/* ---- in a value ---- */

/* All of it is secret. */
static void add_all(const json_t *value, json_t *found)
{
    const char *key;
    json_t *each;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, each) {
            add_all(each, found);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, each) {
            add_all(each, found);
        }
    } else if (json_is_string(value)) {
        add(found, json_string_value(value), json_string_length(value));
    } else if (json_is_number(value)) {
        auto_free char *number = json_dumps(value, JSON_ENCODE_ANY);

        add(found, number, strlen(number));
    }
}

static json_t *hide_member(const char *key, const json_t *value, json_t *found)
{
    if (is_secret_name(key, strlen(key))) {
        add_all(value, found);
        return json_string(HIDDEN);
    }
    return secrets_hide(value, found);
}

json_t *secrets_hide(const json_t *value, json_t *found)
{
    json_t *copy, *each;
    const char *key;
    size_t i;

    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach((json_t *)value, key, each) {
            json_object_set_new(copy, key, hide_member(key, each, found));
        }
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, each) {
            json_array_append_new(copy, secrets_hide(each, found));
        }
        return copy;
    }
    return json_is_string(value) ? hide_in_file_name(json_string_value(value), found)
                                 : json_incref((json_t *)value);
}

/* ---- in a text ---- */

/* Bytes of the longest secret that begins here. */
static size_t longest_here(const char *text, const json_t *found)
{
    size_t longest = 0, i;
    const json_t *each;

    json_array_foreach(found, i, each) {
        size_t len = json_string_length(each);

        if (len > longest && strncmp(text, json_string_value(each), len) == 0) {
            longest = len;
        }
    }
    return longest;
}

char *secrets_hide_found(const char *text, const json_t *found)
{
    char *hidden = malloc(MAX_TEXT + sizeof(HIDDEN)), *out = hidden;

    if (!hidden || json_array_size(found) > MAX_FOUND) {
        free(hidden);
        return strdup(HIDDEN);
    }
    while (*text && out < hidden + MAX_TEXT) {
        size_t len = longest_here(text, found);

        append(&out, len ? HIDDEN : text, len ? strlen(HIDDEN) : 1);
        text += len ? len : 1;
    }
    *out = '\0';
    return hidden;
}
