/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How an NBD export is named: as a URI (the NBD project's doc/uri.md), in QEMU's older form, or by
 * options.  Names become options, and options settings.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/nbd.h"
#include "util/options.h"

#define DEFAULT_PORT "10809"
#define SECONDS_MAX (365 * 24 * 3600)

/* ---- URIs ---- */

/* len bytes of text with %XX decoded; NULL with errp set.  A NUL has no place in any of it. */
static char *percent_decode(const char *text, size_t len, Error **errp)
{
    char *out = malloc(len + 1);
    size_t n = 0;

    if (!out) {
        error_setg(errp, "Out of memory");
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned byte = (unsigned char)text[i];

        if (text[i] == '%') {
            if (len - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
                !isxdigit((unsigned char)text[i + 2]) || sscanf(text + i + 1, "%2x", &byte) != 1 ||
                byte == 0) {
                error_setg(errp, "Invalid %% in '%.*s'", (int)len, text);
                error_append_hint(errp, "A %% itself is written %%25.\n");
                free(out);
                return NULL;
            }
            i += 2;
        }
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return out;
}

static int put_decoded(QDict *options, const char *key, const char *text, size_t len, Error **errp)
{
    char *value = percent_decode(text, len, errp);

    if (!value) {
        return -EINVAL;
    }
    qdict_put(options, key, qstring_from_str(value));
    free(value);
    return 0;
}

/* [user@]host[:port], where host may be [an IPv6 address]. */
static int parse_authority(QDict *options, const char *text, size_t len, Error **errp)
{
    const char *at = memchr(text, '@', len), *end = text + len, *host_end;

    if (at) {
        if (put_decoded(options, "tls-username", text, (size_t)(at - text), errp) < 0) {
            return -EINVAL;
        }
        text = at + 1;
    }
    if (text < end && *text == '[') {
        host_end = memchr(text, ']', (size_t)(end - text));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':')) {
            error_setg(errp, "Invalid address '%.*s'", (int)(end - text), text);
            return -EINVAL;
        }
        qdict_put(options, "host", json_stringn(text + 1, (size_t)(host_end - text - 1)));
        text = host_end + 1;
    } else if (text < end) {
        host_end = memchr(text, ':', (size_t)(end - text));
        host_end = host_end ? host_end : end;
        if (put_decoded(options, "host", text, (size_t)(host_end - text), errp) < 0) {
            return -EINVAL;
        }
        text = host_end;
    }
    if (end - text > 1) {
        qdict_put(options, "port", json_stringn(text + 1, (size_t)(end - text - 1)));
    }
    return 0;
}

/* What a URI may ask for behind its '?', and the option for it. */
static const struct {
    const char *word, *option;
} queries[] = {
    { "socket", "path" },
    { "tls-certificates", "tls-certs" },
    { "tls-psk-file", "tls-psk" },
    { "tls-username", "tls-username" },
    { "tls-verify-peer", "tls-verify" },
};

static int parse_query(QDict *options, const char *text, size_t len, Error **errp)
{
    const char *equals = memchr(text, '=', len);
    size_t word_len = equals ? (size_t)(equals - text) : len;

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        if (equals && strlen(queries[i].word) == word_len &&
            memcmp(queries[i].word, text, word_len) == 0) {
            return put_decoded(options, queries[i].option, equals + 1, len - word_len - 1, errp);
        }
    }
    error_setg(errp, "Invalid parameter '%.*s' in an NBD URI", (int)word_len, text);
    error_append_hint(errp, "There are socket=, tls-certificates=, tls-psk-file=, tls-username= "
                      "and tls-verify-peer=; all else is said by options.\n");
    return -EINVAL;
}

static int parse_queries(QDict *options, const char *text, Error **errp)
{
    int ret = 0;

    while (ret == 0 && *text) {
        size_t len = strcspn(text, "&;");

        ret = len > 0 ? parse_query(options, text, len, errp) : 0;
        text += len + (text[len] != '\0');
    }
    return ret;
}

/* rest is what follows "://". */
static void parse_uri(const char *rest, bool is_unix, QDict *options, Error **errp)
{
    size_t len = strcspn(rest, "/?#");
    const char *path = rest + len;

    if (parse_authority(options, rest, len, errp) < 0) {
        return;
    }
    len = strcspn(path, "?#");
    if (len > 1 && put_decoded(options, "export", path + 1, len - 1, errp) < 0) {
        return;
    }
    if (path[len] == '?' && parse_queries(options, path + len + 1, errp) < 0) {
        return;
    }
    if (is_unix && qdict_haskey(options, "host")) {
        error_setg(errp, "A unix socket has no host, but the URI names '%s'",
                   qdict_get_try_str(options, "host"));
        error_append_hint(errp, "Write nbd+unix:///EXPORT?socket=PATH, with three slashes.\n");
    } else if (is_unix && !qdict_haskey(options, "path")) {
        error_setg(errp, "The URI names no unix socket");
        error_append_hint(errp, "Write nbd+unix:///EXPORT?socket=PATH.\n");
    } else if (!is_unix && qdict_haskey(options, "path")) {
        error_setg(errp, "socket= goes with nbd+unix:// only");
    } else if (!is_unix && !qdict_haskey(options, "host")) {
        qdict_put(options, "host", qstring_from_str("localhost"));
    }
}

/* ---- QEMU's older form: host:port[:exportname=X], unix:PATH[:exportname=X] ---- */

static void parse_legacy(const char *rest, QDict *options, Error **errp)
{
    static const char mark[] = ":exportname=";
    const char *export = strstr(rest, mark);
    size_t len = export ? (size_t)(export - rest) : strlen(rest);
    size_t host_len;

    if (export) {
        qdict_put(options, "export", qstring_from_str(export + strlen(mark)));
    }
    if (strncmp(rest, "unix:", 5) == 0) {
        qdict_put(options, "path", json_stringn(rest + 5, len - 5));
        return;
    }
    host_len = len;
    while (host_len > 0 && rest[host_len - 1] != ':') {
        host_len--;
    }
    if (host_len < 2 || host_len == len) {
        error_setg(errp, "'nbd:%s' is no NBD export", rest);
        error_append_hint(errp, "Write nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH, "
                          "nbd:HOST:PORT:exportname=EXPORT or nbd:unix:PATH:exportname=EXPORT.\n");
        return;
    }
    parse_authority(options, rest, len, errp);
}

void far_parse_filename(const char *filename, QDict *options, Error **errp)
{
    static const struct {
        const char *start;
        bool is_unix, tls;
    } schemes[] = {
        { "//", false, false },        /* of nbd:// */
        { "nbd+tcp://", false, false },
        { "nbd+unix://", true, false },
        { "nbds://", false, true },
        { "nbds+tcp://", false, true },
        { "nbds+unix://", true, true },
    };
    static const char *const taken[] = { "host", "port", "path", "export", "server.type", NULL };

    for (int i = 0; taken[i]; i++) {
        if (qdict_haskey(options, taken[i])) {
            error_setg(errp, "The name of the NBD export and the option '%s' exclude each other",
                       taken[i]);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].start);

        if (strncmp(filename, schemes[i].start, len) == 0) {
            if (schemes[i].tls) {
                qdict_put(options, "tls", qbool_from_bool(true));
            }
            parse_uri(filename + len, schemes[i].is_unix, options, errp);
            return;
        }
    }
    parse_legacy(filename, options, errp);
}

/* ---- options ---- */

/* A string, or a number where somebody wrote a port as one. */
static int take_string(QDict *options, const char *key, char **value, Error **errp)
{
    const QObject *obj = json_object_get(options, key);
    const char *text = qdict_get_try_str(options, key);
    char number[24];

    if (!obj) {
        return 0;
    }
    if (json_is_integer(obj)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(obj));
        text = number;
    }
    if (!text) {
        error_setg(errp, "Option '%s' must be a string", key);
        return -EINVAL;
    }
    if (*value) {
        error_setg(errp, "Option '%s' says again what another says", key);
        return -EINVAL;
    }
    *value = strdup(text);
    qdict_del(options, key);
    if (!*value) {
        error_setg(errp, "Out of memory");
        return -ENOMEM;
    }
    return 0;
}

/* "server.host" and "host" are two names of one thing, and so on. */
static int take_strings(FarSettings *set, QDict *options, Error **errp)
{
    const struct {
        const char *key;
        char **value;
    } strings[] = {
        { "server.host", &set->host }, { "host", &set->host },
        { "server.port", &set->port }, { "port", &set->port },
        { "server.path", &set->path }, { "path", &set->path },
        { "export", &set->export },
        { "tls-certs", &set->tls_certs }, { "tls-psk", &set->tls_psk },
        { "tls-username", &set->tls_username },
    };

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        int ret = take_string(options, strings[i].key, strings[i].value, errp);

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int take_seconds(QDict *options, const char *key, int64_t *ns, Error **errp)
{
    int64_t seconds = 0;

    if (options_take_size(options, key, &seconds, errp) < 0) {
        return -EINVAL;
    }
    if (seconds < 0 || seconds > SECONDS_MAX) {
        error_setg(errp, "Parameter '%s' expects seconds, at most %d", key, SECONDS_MAX);
        return -EINVAL;
    }
    *ns = seconds * NS_PER_SECOND;
    return 0;
}

static int take_connections(FarSettings *set, QDict *options, Error **errp)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = cpus < 1 ? 1 : cpus > 4 ? 4 : cpus;

    if (options_take_size(options, "connections", &n, errp) < 0) {
        return -EINVAL;
    }
    if (n < 1 || n > FAR_CONNECTIONS_MAX) {
        error_setg(errp, "Parameter 'connections' expects a number from 1 to %d",
                   FAR_CONNECTIONS_MAX);
        return -EINVAL;
    }
    set->connections = (int)n;
    return 0;
}

static int check_address(const FarSettings *set, int type, Error **errp)
{
    if (set->path && !set->path[0]) {
        error_setg(errp, "The path of the NBD server's unix socket is empty");
    } else if (set->path && (set->host || set->port)) {
        error_setg(errp, "'path' (a unix socket) and 'host' or 'port' (TCP) exclude each other");
    } else if (!set->path && !set->host) {
        error_setg(errp, "An NBD server needs 'host' or 'path'");
        error_append_hint(errp, "For example server.type=unix,server.path=PATH.\n");
    } else if (type >= 0 && (type == 1) != (set->path != NULL)) {
        error_setg(errp, "server.type=%s goes with %s", type ? "unix" : "inet",
                   type ? "server.path" : "server.host and server.port");
    } else if (!set->tls && (set->tls_certs || set->tls_psk || set->tls_username)) {
        error_setg(errp, "TLS was described, but not asked for");
        error_append_hint(errp, "Write nbds:// or nbds+unix://, or tls=on.\n");
    } else {
        return 0;
    }
    return -EINVAL;
}

/* How messages name the export. */
static int make_name(FarSettings *set, Error **errp)
{
    bool named = set->export[0] != '\0';
    int n = asprintf(&set->name, "%s%s%s%s%s", set->path ? set->path : set->host,
                     set->path ? "" : ":", set->path ? "" : set->port,
                     named ? ", export " : "", set->export);

    if (n < 0) {
        set->name = NULL;
        error_setg(errp, "Out of memory");
        return -ENOMEM;
    }
    return 0;
}

static int set_default(char **value, const char *text, Error **errp)
{
    if (!*value) {
        *value = strdup(text);
    }
    if (!*value) {
        error_setg(errp, "Out of memory");
        return -ENOMEM;
    }
    return 0;
}

int far_take_options(FarSettings *set, QDict *options, Error **errp)
{
    static const char *const types[] = { "inet", "unix", NULL };
    int type = -1, ret;

    set->tls_verify = true;
    if (options_take_word(options, "server.type", types, &type, errp) < 0 ||
        options_take_bool(options, "tls", &set->tls, errp) < 0 ||
        options_take_bool(options, "tls-verify", &set->tls_verify, errp) < 0 ||
        take_seconds(options, "reconnect-delay", &set->reconnect_ns, errp) < 0 ||
        take_seconds(options, "open-timeout", &set->open_ns, errp) < 0 ||
        take_connections(set, options, errp) < 0) {
        return -EINVAL;
    }
    ret = take_strings(set, options, errp);
    if (ret == 0) {
        ret = check_address(set, type, errp);
    }
    if (ret == 0) {
        ret = set_default(&set->export, "", errp);
    }
    if (ret == 0 && set->host) {
        ret = set_default(&set->port, DEFAULT_PORT, errp);
    }
    return ret < 0 ? ret : make_name(set, errp);
}

void far_settings_destroy(FarSettings *set)
{
    free(set->host);
    free(set->port);
    free(set->path);
    free(set->export);
    free(set->tls_certs);
    free(set->tls_psk);
    free(set->tls_username);
    free(set->name);
}
