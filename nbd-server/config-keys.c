/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of settings.  The command line, the keys of --export, the help, the
 * bounds and the check of the manual all come from it: a new setting is a row.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>

#include "common/cleanup.h"
#include "common/human-size.h"
#include "common/nbd-protocol.h"
#include "common/option-list.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define MAX_DEFAULT_THREADS 4

/* ---- settings that are more than one value ---- */

static bool parse_number(const char *text, int64_t min, int64_t max, int64_t *number)
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

static ListenAddress *add_address(ListenAddressList *list)
{
    ListenAddress *address = xcalloc(1, sizeof(*address));

    STAILQ_INSERT_TAIL(list, address, link);
    return address;
}

static bool set_socket(Config *config, const char *value, Error **errp)
{
    if (!*value) {
        error_setg(errp, "needs the path of a unix socket");
        return false;
    }
    add_address(&config->sockets)->path = xstrdup(value);
    return true;
}

static bool set_port(Config *config, const char *value, Error **errp)
{
    int64_t port;

    if (!parse_number(value, 0, 65535, &port)) {
        error_setg(errp, "\"%s\" is not a port number from 0 to 65535", value);
        return false;
    }
    add_address(&config->ports)->port = (unsigned)port;
    return true;
}

/* ADDR, ADDR:PORT, [ADDR] or [ADDR]:PORT; an IPv6 address with a port needs the brackets. */
static bool set_bind(Config *config, const char *value, Error **errp)
{
    const char *host = value, *port = NULL;
    const char *colon = strchr(value, ':');
    size_t len = strlen(value);
    int64_t number = 0;
    ListenAddress *address;

    if (*value == '[') {
        const char *end = strchr(value, ']');

        if (!end || (end[1] && end[1] != ':')) {
            error_setg(errp, "\"%s\" should be [ADDRESS] or [ADDRESS]:PORT", value);
            return false;
        }
        host = value + 1;
        len = (size_t)(end - host);
        port = end[1] ? end + 2 : NULL;
    } else if (colon && !strchr(colon + 1, ':')) {
        len = (size_t)(colon - value);
        port = colon + 1;
    }
    if (port && !parse_number(port, 0, 65535, &number)) {
        error_setg(errp, "\"%s\": \"%s\" is not a port number from 0 to 65535",
                   value, port);
        return false;
    }
    address = add_address(&config->binds);
    address->host = len ? xstrndup(host, len) : NULL;
    address->has_port = port != NULL;
    address->port = (unsigned)number;
    return true;
}

static bool set_export(Config *config, const char *value, Error **errp)
{
    ExportText *text = xcalloc(1, sizeof(*text));

    (void)errp;
    text->text = value;
    STAILQ_INSERT_TAIL(&config->export_texts, text, link);
    return true;
}

static bool set_ready_fd(Config *config, const char *value, Error **errp)
{
    int64_t fd;

    if (!parse_number(value, 0, INT_MAX, &fd)) {
        error_setg(errp, "\"%s\" is not the number of a file descriptor", value);
        return false;
    }
    /* Now, while none of our own could have that number. */
    if (fcntl((int)fd, F_GETFD) < 0) {
        error_setg(errp, "file descriptor %s is not open", value);
        return false;
    }
    config->ready_fd = (int)fd;
    return true;
}

static bool set_verbose(Config *config, const char *value, Error **errp)
{
    (void)value;
    (void)errp;
    config->verbose++;
    return true;
}

static bool set_persistent(Config *config, const char *value, Error **errp)
{
    /* Nothing to set: the server never ends because a client left. */
    (void)config;
    (void)value;
    (void)errp;
    return true;
}

static bool set_make_certs(Config *config, const char *value, Error **errp)
{
    if (!*value) {
        error_setg(errp, "needs the name of a folder");
        return false;
    }
    config->action = CONFIG_MAKE_CERTS;
    config->make_certs = xstrdup(value);
    return true;
}

static bool set_help(Config *config, const char *value, Error **errp)
{
    (void)value;
    (void)errp;
    config->action = CONFIG_HELP;
    return true;
}

static bool set_version(Config *config, const char *value, Error **errp)
{
    (void)value;
    (void)errp;
    config->action = CONFIG_VERSION;
    return true;
}

/* ---- the table ---- */

static const struct key_choice log_choices[] = {
    { "auto", LOG_TO_AUTO },
    { "stderr", LOG_TO_STDERR },
    { "syslog", LOG_TO_SYSLOG },
    { "journal", LOG_TO_JOURNAL },
    { "json", LOG_TO_JSON },
    { NULL, 0 },
};

static const struct key_choice cache_choices[] = {
    { "writeback", CACHE_WRITEBACK },
    { "writethrough", CACHE_WRITETHROUGH },
    { "none", CACHE_NONE },
    { "directsync", CACHE_DIRECTSYNC },
    { "unsafe", CACHE_UNSAFE },
    { NULL, 0 },
};

static const struct key_choice discard_choices[] = {
    { "ignore", DISCARD_IGNORE },
    { "off", DISCARD_IGNORE },
    { "unmap", DISCARD_UNMAP },
    { "on", DISCARD_UNMAP },
    { NULL, 0 },
};

static const struct key_choice rotational_choices[] = {
    { "auto", ROTATIONAL_AUTO },
    { "on", ROTATIONAL_ON },
    { "off", ROTATIONAL_OFF },
    { NULL, 0 },
};

static const struct key_choice aio_choices[] = {
    { "auto", AIO_AUTO },
    { "threads", AIO_THREADS },
    { "io_uring", AIO_IO_URING },
    { "native", AIO_NATIVE },
    { NULL, 0 },
};

static const struct key_choice tls_choices[] = {
    { "off", TLS_OFF },
    { "on", TLS_ON },
    { "require", TLS_REQUIRE },
    { NULL, 0 },
};

static const struct key_choice export_tls_choices[] = {
    { "on", TLS_ON },
    { "require", TLS_REQUIRE },
    { NULL, 0 },
};

#define SERVER(field) .scope = KEY_SERVER, .offset = offsetof(Config, field)
#define EXPORT(field) .scope = KEY_EXPORT, .offset = offsetof(ExportConfig, field)
#define ONE_EXPORT(field) .scope = KEY_ONE_EXPORT, .offset = offsetof(ExportConfig, field)
#define IN_LIST(field) .scope = KEY_IN_LIST, .offset = offsetof(ExportConfig, field)
#define VIEW(field) .scope = KEY_ONE_EXPORT | KEY_IN_LIST, .offset = offsetof(ExportConfig, field)
#define LIMIT(field) .scope = KEY_LIMIT, .offset = offsetof(ExportConfig, field)
#define SPECIAL(function) .scope = KEY_SERVER, .type = KEY_SPECIAL, .set = (function)

/* A rate, that of its bursts, and their length. */
#define RATES(rate_type, unit, key, bucket, text)                                                \
    { key, 0, unit, LIMIT(limits.buckets[bucket].avg), .type = (rate_type),                      \
      .max = THROTTLE_VALUE_MAX, .help = (text) },                                               \
    { key "-max", 0, unit, LIMIT(limits.buckets[bucket].max), .type = (rate_type),               \
      .max = THROTTLE_VALUE_MAX },                                                               \
    { key "-max-length", 0, "SECONDS", LIMIT(limits.buckets[bucket].burst_length),               \
      .type = KEY_NUMBER, .min = 1, .max = UINT_MAX }
#define BYTE_RATES(...) RATES(KEY_BYTE_RATE, "SIZE", __VA_ARGS__)
#define OPERATION_RATES(...) RATES(KEY_RATE, "NUM", __VA_ARGS__)

const ConfigKey config_keys[] = {
    /* Where to listen. */
    { "socket", 'k', "PATH", SPECIAL(set_socket),
      .help = "listen on this unix socket (may be repeated)" },
    { "bind", 'b', "ADDRESS", SPECIAL(set_bind),
      .help = "listen on this TCP address, ADDRESS or ADDRESS:PORT (may be repeated)" },
    { "port", 'p', "PORT", SPECIAL(set_port),
      .help = "TCP port; 0: any free one (may be repeated; without --socket: 10809)" },

    /* Exports. */
    { "export", 0, "LIST", SPECIAL(set_export),
      .help = "serve an image: name=N,image=PATH,... (may be repeated)" },
    { "image", 0, "IMAGE", IN_LIST(image), .type = KEY_STRING, .min = 1, .max = INT_MAX,
      .help = "the image, as the argument IMAGE" },
    { "name", 0, "NAME", IN_LIST(name), .type = KEY_STRING, .max = NBD_MAX_STRING,
      .help = "the export's name, as --export-name" },
    { "export-name", 'x', "NAME", ONE_EXPORT(name), .type = KEY_STRING, .max = NBD_MAX_STRING,
      .def = "", .help = "name of the export" },
    { "description", 'D', "TEXT", .scope = KEY_ONE_EXPORT | KEY_IN_LIST,
      .offset = offsetof(ExportConfig, description), .type = KEY_STRING, .max = NBD_MAX_STRING,
      .help = "text for people that goes with the export" },
    { "format", 'f', "FORMAT", EXPORT(format), .type = KEY_STRING, .min = 1, .max = 64,
      .help = "format of the image; without it the format is probed" },
    { "image-opts", 0, NULL, EXPORT(image_opts), .type = KEY_SWITCH, .def = "off",
      .help = "IMAGE is a list of driver options, not a file name" },
    { "read-only", 'r', NULL, EXPORT(read_only), .type = KEY_SWITCH, .def = "off",
      .help = "refuse writes" },
    { "allow", 0, "RULE", EXPORT(access), .type = KEY_ALLOW,
      .help = "clients that may enter, like net:10.0.0.0/8 or uid:1000 (may be repeated)" },
    { "allow-read-only", 0, "RULE", EXPORT(access), .type = KEY_ALLOW_READ,
      .help = "clients that may enter, but only read (may be repeated)" },
    { "shared", 'e', "NUM", EXPORT(max_clients), .type = KEY_NUMBER, .max = 1000000,
      .def = "0", .help = "most clients of an export at a time; 0: no limit" },
    { "cache", 0, "MODE", EXPORT(cache), .type = KEY_CHOICE, .choices = cache_choices,
      .def = "writeback", .help = "host cache and write cache" },
    { "discard", 0, "MODE", EXPORT(discard), .type = KEY_CHOICE, .choices = discard_choices,
      .def = "ignore", .help = "whether a client's trim frees space in the image" },
    { "rotational", 0, "MODE", EXPORT(rotational), .type = KEY_CHOICE,
      .choices = rotational_choices, .def = "auto",
      .help = "tell clients that the disk is one that turns" },
    { "allocation-depth", 'A', NULL, EXPORT(allocation_depth), .type = KEY_SWITCH, .def = "off",
      .help = "tell clients which image of a chain has the data (qemu:allocation-depth)" },
    { "bitmap", 'B', "NAME", EXPORT(bitmaps), .type = KEY_NAMES, .min = 1,
      .max = BDRV_BITMAP_MAX_NAME_SIZE,
      .help = "tell clients what this dirty bitmap says (may be repeated)" },
    { "throttle", 0, "LIST", EXPORT(limits), .type = KEY_LIMITS,
      .help = "limit reads and writes: KEY=VALUE,KEY=VALUE,..." },

    { "tls", 0, "CHOICE", IN_LIST(tls), .type = KEY_CHOICE, .choices = export_tls_choices,
      .help = "whether clients of this export must use TLS" },

    /* Views. */
    { "snapshot", 's', NULL, EXPORT(snapshot), .type = KEY_SWITCH, .def = "off",
      .help = "what is written goes to a temporary file; the image stays as it is" },
    { "load-snapshot", 'l', "NAME", VIEW(load_snapshot), .type = KEY_STRING, .min = 1,
      .max = 1024, .help = "show a snapshot inside the image, read-only" },
    { "offset", 'o', "SIZE", VIEW(offset), .type = KEY_SIZE, .max = INT64_MAX,
      .help = "show the image from here on" },
    { "size", 0, "SIZE", VIEW(size), .type = KEY_SIZE, .max = INT64_MAX,
      .help = "show so much of the image" },
    { "partition", 'P', "NUM", VIEW(partition), .type = KEY_NUMBER, .min = 1, .max = 256,
      .help = "show a partition of the image" },

    /* Limits. */
    BYTE_RATES("bps-total", THROTTLE_BPS_TOTAL, "bytes of reads and writes together"),
    BYTE_RATES("bps-read", THROTTLE_BPS_READ, "bytes of reads"),
    BYTE_RATES("bps-write", THROTTLE_BPS_WRITE, "bytes of writes"),
    OPERATION_RATES("iops-total", THROTTLE_OPS_TOTAL, "reads and writes together"),
    OPERATION_RATES("iops-read", THROTTLE_OPS_READ, "reads"),
    OPERATION_RATES("iops-write", THROTTLE_OPS_WRITE, "writes"),
    { "iops-size", 0, "SIZE", LIMIT(limits.op_size), .type = KEY_SIZE,
      .max = THROTTLE_VALUE_MAX, .help = "a larger read or write counts as several" },
    { "group", 0, "NAME", LIMIT(throttle_group), .type = KEY_STRING, .min = 1, .max = 255,
      .help = "exports of one group share its limits" },

    /* Encryption. */
    { "tls", 0, "CHOICE", SERVER(tls), .type = KEY_CHOICE, .choices = tls_choices,
      .help = "whether clients can or must use TLS; with certificates or keys, require" },
    { "tls-certs", 0, "DIR", SERVER(tls_certs), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "TLS with server-cert.pem, server-key.pem, ca-cert.pem and ca-crl.pem from here" },
    { "tls-cert-file", 0, "FILE", SERVER(tls_cert_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .help = "certificate of the server, and those that lead to its authority" },
    { "tls-key-file", 0, "FILE", SERVER(tls_key_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .help = "private key of the server's certificate" },
    { "tls-ca-file", 0, "FILE", SERVER(tls_ca_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .help = "certificate of the authority that vouches for clients" },
    { "tls-psk", 0, "FILE", SERVER(tls_psk), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "TLS with pre-shared keys: a line a user, USER:KEY in hexadecimal" },
    { "tls-verify-peer", 0, NULL, SERVER(tls_verify_peer), .type = KEY_SWITCH, .def = "off",
      .help = "a client must show a certificate of our authority" },
    { "make-certs", 0, "DIR", SPECIAL(set_make_certs),
      .help = "make certificates for tests in DIR, tell how to use them, and exit" },

    /* How to work. */
    { "aio", 0, "ENGINE", SERVER(aio), .type = KEY_CHOICE, .choices = aio_choices,
      .def = "auto", .help = "how files are read and written" },
    { "threads", 0, "NUM", SERVER(threads), .type = KEY_NUMBER, .min = 1, .max = 256,
      .help = "I/O threads; default: as many as there are processors, at most 4" },
    { "max-memory", 0, "SIZE", SERVER(max_memory), .type = KEY_SIZE, .min = INT64_C(64) << 20,
      .max = INT64_C(1) << 50, .def = "512M", .help = "memory that all clients may take up" },
    { "handshake-timeout", 0, "SECONDS", SERVER(handshake_timeout), .type = KEY_NUMBER,
      .min = 1, .max = 86400, .def = "10",
      .help = "a client that has not chosen an export by then is disconnected" },
    { "payload-timeout", 0, "SECONDS", SERVER(payload_timeout), .type = KEY_NUMBER,
      .max = 86400, .def = "60",
      .help = "a client that stops inside a request, or takes no replies, is disconnected then" },
    { "keepalive", 0, "SECONDS", SERVER(keepalive), .type = KEY_NUMBER, .max = 86400,
      .def = "45", .help = "a TCP client whose machine does not answer is gone after this; 0: off" },
    { "max-clients", 0, "NUM", SERVER(max_clients), .type = KEY_NUMBER, .min = 1,
      .max = SERVER_MAX_CLIENTS, .def = "1000",
      .help = "most clients of all exports at a time; more wait until one leaves" },
    { "drain-timeout", 0, "SECONDS", SERVER(drain_timeout), .type = KEY_NUMBER, .max = 86400,
      .def = "30", .help = "at the end, wait this long for requests in flight" },
    { "persistent", 't', NULL, SPECIAL(set_persistent),
      .help = "accepted for qemu-nbd's sake: the server always outlives its clients" },

    /* The process. */
    { "fork", 0, NULL, SERVER(fork), .type = KEY_SWITCH, .def = "off",
      .help = "go to the background once clients can connect" },
    { "inetd", 0, NULL, SERVER(inetd), .type = KEY_SWITCH, .def = "off",
      .help = "serve the one client on standard input and output" },
    { "run", 0, "COMMAND", SERVER(run), .type = KEY_STRING, .min = 1, .max = INT_MAX,
      .help = "run a command with $uri, on a socket of its own, and end when it does" },
    { "exit-with-last-client", 0, NULL, SERVER(exit_with_last_client), .type = KEY_SWITCH,
      .def = "off", .help = "end when the last client has left" },
    { "user", 0, "USER", SERVER(user), .type = KEY_STRING, .min = 1, .max = 255,
      .help = "become that user once images and sockets are open" },
    { "group", 0, "GROUP", SERVER(group), .type = KEY_STRING, .min = 1, .max = 255,
      .help = "become that group" },
    { "pid-file", 0, "PATH", SERVER(pid_file), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "write the process ID here once clients can connect" },
    { "ready-fd", 0, "FD", SPECIAL(set_ready_fd),
      .help = "write READY to this file descriptor once clients can connect" },
    { "log", 0, "TARGET", SERVER(log), .type = KEY_CHOICE, .choices = log_choices, .def = "auto",
      .help = "where messages go" },
    { "verbose", 'v', NULL, SPECIAL(set_verbose),
      .help = "tell about addresses and more; twice: about every option and request" },
    { "version", 'V', NULL, SPECIAL(set_version), .help = "print the version and exit" },
    { "help", 'h', NULL, SPECIAL(set_help), .help = "print this help and exit" },
};
const size_t n_config_keys = sizeof(config_keys) / sizeof(config_keys[0]);

/* ---- finding ---- */

/* How many letters to insert, delete or replace to make b of a (Levenshtein). */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t len = strlen(b);

    if (len >= 64) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; *a; a++, i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t best = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            row[j] = best;
        }
    }
    return row[len];
}

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
    error_setg(errp, "unknown option \"%s%s\"", prefix, name);
    if (nearest) {
        error_append_hint(errp, "Did you mean \"%s%s\"?\n", prefix, nearest->name);
    } else {
        error_append_hint(errp, "Try 'nbd-export --help' for a list.\n");
    }
    return NULL;
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

/* ---- lists ---- */

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

/* ---- setting ---- */

static bool set_switch(bool *field, const char *value, Error **errp)
{
    static const char *const words[][2] = {
        { "off", "on" }, { "no", "yes" }, { "false", "true" },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int on = 0; on < 2; on++) {
            if (!value || strcmp(value, words[i][on]) == 0) {
                *field = !value || on;
                return true;
            }
        }
    }
    error_setg(errp, "\"%s\" should be on or off", value);
    return false;
}

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

    if (!parse_number(value, key->min, key->max, &number)) {
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

    if (key->type == KEY_RATE && !parse_number(value, key->min, key->max, &rate)) {
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

static bool set_limits(Config *config, void *base, const char *value, Error **errp)
{
    char *name, *setting;

    while (option_list_next(&value, &name, &setting)) {
        bool ok = config_key_set_in_list(config, base, name, KEY_LIMIT, "", setting, errp);

        free(name);
        free(setting);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* "a, b or c"; the caller frees it. */
static char *list_choices(const struct key_choice *choices)
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

static bool set_choice(const ConfigKey *key, unsigned *field, const char *value, Error **errp)
{
    auto_free char *all = NULL;

    for (const struct key_choice *c = key->choices; c->name; c++) {
        if (strcmp(c->name, value) == 0) {
            *field = c->value;
            return true;
        }
    }
    all = list_choices(key->choices);
    error_setg(errp, "\"%s\" should be %s", value, all);
    return false;
}

bool config_key_set(const ConfigKey *key, Config *config, void *base, const char *value,
                    Error **errp)
{
    void *field = (char *)base + key->offset;

    switch (key->type) {
    case KEY_SWITCH:
        return set_switch(field, value, errp);
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
        return set_limits(config, base, value, errp);
    case KEY_ALLOW:
    case KEY_ALLOW_READ:
        return access_rules_add(field, value, key->type == KEY_ALLOW_READ, errp);
    case KEY_SPECIAL:
        return key->set(config, value, errp);
    }
    return false;
}

bool config_key_set_in_list(Config *config, void *base, const char *name, unsigned scopes,
                            const char *prefix, const char *value, Error **errp)
{
    const ConfigKey *key = config_key_find(name, scopes, prefix, errp);

    if (!key) {
        return false;
    }
    if (!value && key->argument) {
        error_setg(errp, "%s%s needs a value: %s%s=%s", prefix, name, prefix, name, key->argument);
        return false;
    }
    if (!config_key_set(key, config, base, value, errp)) {
        error_prepend(errp, "%s%s: ", prefix, name);
        return false;
    }
    return true;
}

static unsigned count_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return (unsigned)(n < 1 ? 1 : n > MAX_DEFAULT_THREADS ? MAX_DEFAULT_THREADS : n);
}

void config_set_defaults(Config *config)
{
    for (const ConfigKey *key = config_keys; key < config_keys + n_config_keys; key++) {
        void *base = key->scope == KEY_SERVER ? (void *)config : (void *)&config->defaults;

        if (key->def) {
            config_key_set(key, config, base, key->def, &error_abort);
        }
    }
    throttle_config_init(&config->defaults.limits);
    config->threads = count_processors();
    config->defaults.size = -1;
    config->ready_fd = -1;
}

/* ---- help ---- */

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
        auto_free char *all = list_choices(key->choices);

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
           "\n"
           "Serves disk images over the NBD protocol (Network Block Device).\n");
    print_keys("Options of the server", KEY_SERVER, false);
    print_keys("Options of every export", KEY_EXPORT, false);
    print_keys("Options of the export of IMAGE", KEY_ONE_EXPORT, false);
    print_keys("Keys of --export (KEY=VALUE,KEY=VALUE,...; write a comma in a value twice)",
               KEY_IN_LIST | KEY_EXPORT, true);
    print_keys("Keys of --throttle: what may pass in a second; with KEY-max in a second of a\n"
               "burst, and with KEY-max-length how long that is.  In --export: throttle.KEY=VALUE",
               KEY_LIMIT, true);
    printf("\nThe manual, nbd-export(1), tells more.\n");
}
