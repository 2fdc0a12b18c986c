/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Users and their pre-shared keys: a file of lines USER:KEY, the key in hexadecimal, as
 * psktool writes it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "tls-int.h"

typedef struct PskUser {
    gnutls_datum_t name, key;
} PskUser;

struct PskUsers {
    PskUser *list;
    size_t n;
};

void psk_users_free(PskUsers *users)
{
    if (!users) {
        return;
    }
    for (size_t i = 0; i < users->n; i++) {
        tls_wipe(&users->list[i].key);
        free(users->list[i].name.data);
    }
    free(users->list);
    free(users);
}

const gnutls_datum_t *psk_users_key(const PskUsers *users, const gnutls_datum_t *name)
{
    for (size_t i = 0; i < users->n; i++) {
        const PskUser *user = &users->list[i];

        if (user->name.size == name->size &&
            memcmp(user->name.data, name->data, name->size) == 0) {
            return &user->key;
        }
    }
    return NULL;
}

/* The key that stands in hexadecimal at text; false if it is none. */
static bool decode_key(const char *text, size_t len, gnutls_datum_t *key)
{
    const gnutls_datum_t hex = { (unsigned char *)text, (unsigned)len };

    return len > 0 && gnutls_hex_decode2(&hex, key) >= 0;
}

static bool add_user(PskUsers *users, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    PskUser user;

    if (!colon || colon == line ||
        !decode_key(colon + 1, len - (size_t)(colon + 1 - line), &user.key)) {
        return false;
    }
    user.name.size = (unsigned)(colon - line);
    user.name.data = (unsigned char *)xstrndup(line, user.name.size);
    users->list = xalloc_check(realloc(users->list, (users->n + 1) * sizeof(users->list[0])));
    users->list[users->n++] = user;
    return true;
}

/* 0, or the number of the first line that is wrong. */
static unsigned add_users(PskUsers *users, const char *text)
{
    for (unsigned number = 1; *text; number++) {
        size_t len = strcspn(text, "\n");
        size_t used = len > 0 && text[len - 1] == '\r' ? len - 1 : len;

        if (used > 0 && !add_user(users, text, used)) {
            return number;
        }
        text += len + (text[len] == '\n');
    }
    return 0;
}

PskUsers *psk_users_load(const char *path, Error **errp)
{
    PskUsers *users;
    gnutls_datum_t text;
    unsigned wrong;

    if (!tls_read_file(path, "file of pre-shared keys", true, &text, errp)) {
        return NULL;
    }
    users = xcalloc(1, sizeof(*users));
    wrong = add_users(users, (char *)text.data);
    tls_wipe(&text);
    if (!wrong && users->n > 0) {
        return users;
    }
    if (wrong) {
        error_setg(errp, "file of pre-shared keys \"%s\": line %u should be USER:KEY, the key in "
                   "hexadecimal", path, wrong);
    } else {
        error_setg(errp, "file of pre-shared keys \"%s\": there is no user in it", path);
    }
    error_append_hint(errp, "'psktool -u USER -p FILE' adds a user with a new key.\n");
    psk_users_free(users);
    return NULL;
}
