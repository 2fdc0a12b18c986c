/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of settings.  The command line, the keys of --export, the help, the
 * bounds and the check of the manual all come from it: a new setting is a row.
 */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/dirty-bitmap.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"

/* ---- settings that are more than one value ---- */

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

    if (!config_parse_number(value, 0, 65535, &port)) {
        error_setg(errp, "\"%s\" is not a port number from 0 to 65535", value);
        return false;
    }
    add_address(&config->ports)->port = (unsigned)port;
    return true;
}

/* ADDR, ADDR:PORT, [ADDR] or [ADDR]:PORT; an IPv6 address with a port needs the brackets. */
static bool parse_address(const char *value, ListenAddress *address, Error **errp)
{
    const char *host = value, *port = NULL;
    const char *colon = strchr(value, ':');
    size_t len = strlen(value);
    int64_t number = 0;

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
    if (port && !config_parse_number(port, 0, 65535, &number)) {
        error_setg(errp, "\"%s\": \"%s\" is not a port number from 0 to 65535",
                   value, port);
        return false;
    }
    address->host = len ? xstrndup(host, len) : NULL;
    address->has_port = port != NULL;
    address->port = (unsigned)number;
    return true;
}

static bool set_bind(Config *config, const char *value, Error **errp)
{
    return parse_address(value, add_address(&config->binds), errp);
}

static bool set_metrics(Config *config, const char *value, Error **errp)
{
    ListenAddress *address = xcalloc(1, sizeof(*address));
    int64_t port;

    config_free_address(config->metrics);
    config->metrics = address;
    if (config_parse_number(value, 0, 65535, &port)) {
        address->host = xstrdup("127.0.0.1");
        address->port = (unsigned)port;
    } else if (!parse_address(value, address, errp)) {
        return false;
    } else if (!address->has_port || !address->host) {
        error_setg(errp, "\"%s\" should be PORT, ADDRESS:PORT or [ADDRESS]:PORT", value);
        return false;
    }
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

    if (!config_parse_number(value, 0, INT_MAX, &fd)) {
        error_setg(errp, "\"%s\" is not the number of a file descriptor", value);
        return false;
    }
    /* Now, while none of our own could have that number. */
    if (!config->again && fcntl((int)fd, F_GETFD) < 0) {
        error_setg(errp, "file descriptor %s is not open", value);
        return false;
    }
    config->ready_fd = (int)fd;
    return true;
}

static bool set_verbose(Config *config, const char *value, Error **errp)
{
    int64_t level = config->verbose + 1;

    if (value && !config_parse_number(value, 0, 2, &level)) {
        error_setg(errp, "\"%s\" should be 0, 1 or 2", value);
        return false;
    }
    config->verbose = (unsigned)level;
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

static bool set_list_settings(Config *config, const char *value, Error **errp)
{
    (void)value;
    (void)errp;
    config->action = CONFIG_SETTINGS;
    return true;
}

static bool set_version(Config *config, const char *value, Error **errp)
{
    (void)value;
    (void)errp;
    config->action = CONFIG_VERSION;
    return true;
}

/* ---- settings of nbd-server that are others of ours ---- */

static bool set_listenaddr(Config *config, const char *value, Error **errp)
{
    auto_free char *list = xstrdup(value);
    char *rest = NULL;

    for (char *each = strtok_r(list, ", ", &rest); each; each = strtok_r(NULL, ", ", &rest)) {
        if (!set_bind(config, each, errp)) {
            return false;
        }
    }
    return true;
}

static bool set_unixsock(Config *config, const char *value, Error **errp)
{
    config->unix_only = true;
    return set_socket(config, value, errp);
}

/* Clients can use TLS; to make them takes force_tls.  The file may hold the certificate too. */
static bool set_keyfile(Config *config, const char *value, Error **errp)
{
    (void)errp;
    free(config->tls_key_file);
    config->tls_key_file = xstrdup(value);
    config->tls_is_optional = true;
    return true;
}

static bool set_cacertfile(Config *config, const char *value, Error **errp)
{
    (void)errp;
    free(config->tls_ca_file);
    config->tls_ca_file = xstrdup(value);
    config->tls_verify_peer = true;
    return true;
}

static bool set_force_tls(Config *config, const char *value, Error **errp)
{
    bool on;

    if (!config_parse_switch(value, &on, errp)) {
        return false;
    }
    config->tls = on ? TLS_REQUIRE : config->tls;
    return true;
}

static bool set_export_force_tls(ExportConfig *export, const char *value, Error **errp)
{
    bool on;

    if (!config_parse_switch(value, &on, errp)) {
        return false;
    }
    export->tls = on ? TLS_REQUIRE : TLS_ON;
    return true;
}

static bool set_trim(ExportConfig *export, const char *value, Error **errp)
{
    if (!config_parse_switch(value, &export->trim, errp)) {
        return false;
    }
    export->discard = export->trim ? DISCARD_UNMAP : DISCARD_IGNORE;
    return true;
}

/* ---- settings that a reload cannot compare by their field ---- */

static bool same_address(const ListenAddress *a, const ListenAddress *b)
{
    return a->port == b->port && config_same_string(a->path, b->path) &&
           config_same_string(a->host, b->host);
}

static bool same_addresses(const ListenAddressList *a, const ListenAddressList *b)
{
    const ListenAddress *x = STAILQ_FIRST(a), *y = STAILQ_FIRST(b);

    while (x && y && same_address(x, y)) {
        x = STAILQ_NEXT(x, link);
        y = STAILQ_NEXT(y, link);
    }
    return !x && !y;
}

static bool same_sockets(const void *a, const void *b)
{
    return same_addresses(&((const Config *)a)->sockets, &((const Config *)b)->sockets);
}

static bool same_binds(const void *a, const void *b)
{
    return same_addresses(&((const Config *)a)->binds, &((const Config *)b)->binds);
}

static bool same_ports(const void *a, const void *b)
{
    return same_addresses(&((const Config *)a)->ports, &((const Config *)b)->ports);
}

static bool same_metrics(const void *a, const void *b)
{
    const ListenAddress *x = ((const Config *)a)->metrics, *y = ((const Config *)b)->metrics;

    return x && y ? same_address(x, y) : x == y;
}

static bool same_trim(const void *a, const void *b)
{
    return ((const ExportConfig *)a)->trim == ((const ExportConfig *)b)->trim;
}

/* ---- settings that a running export takes over in part ---- */

/* The write cache can be switched, but not where it is never flushed; the host's cache cannot. */
static bool only_write_cache(const void *from, const void *to)
{
    int a = ((const ExportConfig *)from)->open_flags, b = ((const ExportConfig *)to)->open_flags;

    return !((a ^ b) & BDRV_O_CACHE_MASK & ~BDRV_O_CACHE_WB) && !(a & BDRV_O_NO_FLUSH);
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

static const struct key_choice read_error_choices[] = {
    { "report", BLOCKDEV_ON_ERROR_REPORT },
    { "ignore", BLOCKDEV_ON_ERROR_IGNORE },
    { "stop", BLOCKDEV_ON_ERROR_STOP },
    { NULL, 0 },
};

static const struct key_choice write_error_choices[] = {
    { "report", BLOCKDEV_ON_ERROR_REPORT },
    { "ignore", BLOCKDEV_ON_ERROR_IGNORE },
    { "enospc", BLOCKDEV_ON_ERROR_ENOSPC },
    { "stop", BLOCKDEV_ON_ERROR_STOP },
    { NULL, 0 },
};

static const struct key_choice eject_choices[] = {
    { "fail", EJECT_FAIL },
    { "wait", EJECT_WAIT },
    { NULL, 0 },
};

static const struct key_choice removed_choices[] = {
    { "keep", REMOVED_KEEP },
    { "disconnect", REMOVED_DISCONNECT },
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
#define CLIENT_LIMIT(field) .scope = KEY_CLIENT_LIMIT, .offset = offsetof(ExportConfig, field)
#define GENERIC(field) .scope = KEY_GENERIC, .offset = offsetof(Config, field)
#define SECTION(field) .scope = KEY_SECTION, .offset = offsetof(ExportConfig, field)
#define COMMAND(function) .scope = KEY_COMMAND, .type = KEY_SPECIAL, .set = (function)
#define SPECIAL(function) .scope = KEY_SERVER, .type = KEY_SPECIAL, .set = (function)

/* A rate, that of its bursts, and their length. */
#define RATES(rate_type, unit, where, field, key, bucket, text)                                  \
    { key, 0, unit, where(field.buckets[bucket].avg), .type = (rate_type),                       \
      .max = THROTTLE_VALUE_MAX, .live = true, .help = (text) },                                 \
    { key "-max", 0, unit, where(field.buckets[bucket].max), .type = (rate_type),                \
      .max = THROTTLE_VALUE_MAX, .live = true },                                                 \
    { key "-max-length", 0, "SECONDS", where(field.buckets[bucket].burst_length),                \
      .type = KEY_NUMBER, .min = 1, .max = UINT_MAX, .live = true }
#define BYTE_RATES(...) RATES(KEY_BYTE_RATE, "SIZE", __VA_ARGS__)
#define OPERATION_RATES(...) RATES(KEY_RATE, "NUM", __VA_ARGS__)
#define LIMITS(...)                                                                              \
    BYTE_RATES(__VA_ARGS__, "bps-total", THROTTLE_BPS_TOTAL,                                     \
               "bytes of reads and writes together"),                                            \
    BYTE_RATES(__VA_ARGS__, "bps-read", THROTTLE_BPS_READ, "bytes of reads"),                    \
    BYTE_RATES(__VA_ARGS__, "bps-write", THROTTLE_BPS_WRITE, "bytes of writes"),                 \
    OPERATION_RATES(__VA_ARGS__, "iops-total", THROTTLE_OPS_TOTAL, "reads and writes together"), \
    OPERATION_RATES(__VA_ARGS__, "iops-read", THROTTLE_OPS_READ, "reads"),                       \
    OPERATION_RATES(__VA_ARGS__, "iops-write", THROTTLE_OPS_WRITE, "writes"),                    \
    IOPS_SIZE(__VA_ARGS__)
#define IOPS_SIZE(where, field)                                                                  \
    { "iops-size", 0, "SIZE", where(field.op_size), .type = KEY_SIZE, .max = THROTTLE_VALUE_MAX, \
      .live = true, .help = "a larger read or write counts as several" }
#define OTHERS(key, arg, how) { key, 0, arg, .scope = KEY_GENERIC | KEY_SECTION, .type = (how) }
#define WITHOUT_EFFECT(key, arg) OTHERS(key, arg, KEY_WITHOUT_EFFECT)
#define UNSUPPORTED(key, arg) OTHERS(key, arg, KEY_UNSUPPORTED)

const ConfigKey config_keys[] = {
    /* Where to listen. */
    { "socket", 'k', "PATH", SPECIAL(set_socket), .repeats = true, .same = same_sockets,
      .help = "listen on this unix socket (may be repeated)" },
    { "bind", 'b', "ADDRESS", SPECIAL(set_bind), .repeats = true, .same = same_binds,
      .help = "listen on this TCP address, ADDRESS or ADDRESS:PORT (may be repeated)" },
    { "port", 'p', "PORT", SPECIAL(set_port), .repeats = true, .same = same_ports,
      .help = "TCP port; 0: any free one (may be repeated; without --socket: 10809)" },
    { "metrics", 0, "[ADDRESS:]PORT", SPECIAL(set_metrics), .same = same_metrics,
      .help = "tell numbers to a monitoring system over HTTP; ADDRESS is 127.0.0.1 if not given" },

    /* Exports. */
    { "export", 0, "LIST", COMMAND(set_export),
      .help = "serve an image: name=N,image=PATH,... (may be repeated)" },
    { "export-dir", 0, "DIR", SERVER(export_dir), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "serve each image in this folder, under its file name" },
    { "default-export", 0, "NAME", SERVER(default_export), .type = KEY_STRING,
      .max = NBD_MAX_STRING, .live = true,
      .help = "the export that a client gets who names none" },
    { "image", 0, "IMAGE", IN_LIST(image), .type = KEY_STRING, .min = 1, .max = INT_MAX,
      .help = "the image, as the argument IMAGE" },
    { "name", 0, "NAME", .scope = KEY_ONLY_IN_LIST, .offset = offsetof(ExportConfig, name),
      .type = KEY_STRING, .max = NBD_MAX_STRING,
      .help = "the export's name, as --export-name" },
    { "export-name", 'x', "NAME", ONE_EXPORT(name), .type = KEY_STRING, .max = NBD_MAX_STRING,
      .def = "", .help = "name of the export" },
    { "description", 'D', "TEXT", .scope = KEY_ONE_EXPORT | KEY_IN_LIST,
      .offset = offsetof(ExportConfig, description), .type = KEY_STRING, .max = NBD_MAX_STRING,
      .live = true, .help = "text for people that goes with the export" },
    { "format", 'f', "FORMAT", EXPORT(format), .type = KEY_STRING, .min = 1, .max = 64,
      .help = "format of the image; without it the format is probed" },
    { "image-opts", 0, NULL, EXPORT(image_opts), .type = KEY_SWITCH, .def = "off",
      .help = "IMAGE is a list of driver options, not a file name" },
    { "read-only", 'r', NULL, EXPORT(read_only), .type = KEY_SWITCH, .def = "off",
      .live = true, .help = "refuse writes" },
    { "hidden", 0, NULL, IN_LIST(hidden), .type = KEY_SWITCH, .def = "off",
      .live = true, .help = "not listed: a client must know the name" },
    { "allow", 0, "RULE", EXPORT(access), .type = KEY_ALLOW, .repeats = true, .live = true,
      .help = "clients that may enter, like net:10.0.0.0/8 or uid:1000 (may be repeated)" },
    { "allow-read-only", 0, "RULE", EXPORT(access), .type = KEY_ALLOW_READ,
      .repeats = true, .live = true,
      .help = "clients that may enter, but only read (may be repeated)" },
    { "shared", 'e', "NUM", EXPORT(max_clients), .type = KEY_NUMBER, .max = 1000000,
      .def = "0", .live = true, .help = "most clients of an export at a time; 0: no limit" },
    { "cache", 0, "MODE", EXPORT(cache), .type = KEY_CHOICE, .choices = cache_choices,
      .live_if = only_write_cache, .def = "writeback", .help = "host cache and write cache" },
    { "discard", 0, "MODE", EXPORT(discard), .type = KEY_CHOICE, .choices = discard_choices,
      .def = "ignore", .help = "whether a client's trim frees space in the image" },
    { "on-read-error", 0, "ACTION", EXPORT(on_read_error), .type = KEY_CHOICE,
      .choices = read_error_choices, .def = "report", .live = true,
      .help = "when the image cannot be read" },
    { "on-write-error", 0, "ACTION", EXPORT(on_write_error), .type = KEY_CHOICE,
      .choices = write_error_choices, .def = "report", .live = true,
      .help = "when it cannot be written, or flushed" },
    { "rotational", 0, "MODE", EXPORT(rotational), .type = KEY_CHOICE,
      .choices = rotational_choices, .def = "auto",
      .help = "tell clients that the disk is one that turns" },
    { "on-eject", 0, "MODE", EXPORT(on_eject), .type = KEY_CHOICE, .choices = eject_choices,
      .live = true, .def = "fail",
      .help = "whether requests fail, or wait, while the medium is out" },
    { "allocation-depth", 'A', NULL, EXPORT(allocation_depth), .type = KEY_SWITCH, .def = "off",
      .help = "tell clients which image of a chain has the data (qemu:allocation-depth)" },
    { "bitmap", 'B', "NAME", EXPORT(bitmaps), .type = KEY_NAMES, .min = 1,
      .max = BDRV_BITMAP_MAX_NAME_SIZE, .repeats = true,
      .help = "tell clients what this dirty bitmap says (may be repeated)" },
    { "throttle", 0, "LIST", EXPORT(limits), .type = KEY_LIMITS, .keys = KEY_LIMIT,
      .help = "limit reads and writes: KEY=VALUE,KEY=VALUE,..." },
    { "throttle-client", 0, "LIST", EXPORT(client_limits), .type = KEY_LIMITS,
      .keys = KEY_CLIENT_LIMIT, .help = "limit those of each client: KEY=VALUE,KEY=VALUE,..." },

    { "tls", 0, "CHOICE", IN_LIST(tls), .type = KEY_CHOICE, .choices = export_tls_choices,
      .live = true,
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
    LIMITS(LIMIT, limits),
    { "group", 0, "NAME", LIMIT(throttle_group), .type = KEY_STRING, .min = 1, .max = 255,
      .live = true, .help = "exports of one group share its limits" },
    LIMITS(CLIENT_LIMIT, client_limits),

    /* Encryption. */
    { "tls", 0, "CHOICE", SERVER(tls), .type = KEY_CHOICE, .choices = tls_choices,
      .live = true,
      .help = "whether clients can or must use TLS; with certificates or keys, require" },
    { "tls-certs", 0, "DIR", SERVER(tls_certs), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .live = true,
      .help = "TLS with server-cert.pem, server-key.pem, ca-cert.pem and ca-crl.pem from here" },
    { "tls-cert-file", 0, "FILE", SERVER(tls_cert_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .live = true,
      .help = "certificate of the server, and those that lead to its authority" },
    { "tls-key-file", 0, "FILE", SERVER(tls_key_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .live = true,
      .help = "private key of the server's certificate" },
    { "tls-ca-file", 0, "FILE", SERVER(tls_ca_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .live = true,
      .help = "certificate of the authority that vouches for clients" },
    { "tls-psk", 0, "FILE", SERVER(tls_psk), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .live = true, .help = "TLS with pre-shared keys: a line a user, USER:KEY in hexadecimal" },
    { "tls-verify-peer", 0, NULL, SERVER(tls_verify_peer), .type = KEY_SWITCH, .def = "off",
      .live = true, .help = "a client must show a certificate of our authority" },
    { "make-certs", 0, "DIR", COMMAND(set_make_certs),
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
      .def = "45", .help = "a TCP client whose machine does not answer is gone then; 0: off" },
    { "max-clients", 0, "NUM", SERVER(max_clients), .type = KEY_NUMBER, .min = 1,
      .max = SERVER_MAX_CLIENTS, .def = "1000",
      .help = "most clients of all exports at a time; more wait until one leaves" },
    { "drain-timeout", 0, "SECONDS", SERVER(drain_timeout), .type = KEY_NUMBER, .max = 86400,
      .def = "30", .help = "at the end, wait this long for requests in flight" },
    { "persistent", 't', NULL, COMMAND(set_persistent),
      .help = "accepted for qemu-nbd's sake: the server always outlives its clients" },

    /* Files. */
    { "config", 0, "FILE", .scope = KEY_COMMAND, .offset = offsetof(Config, file),
      .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "read settings and exports from this file" },
    { "removed-clients", 0, "MODE", SERVER(removed_clients), .type = KEY_CHOICE,
      .choices = removed_choices, .def = "keep", .live = true,
      .help = "of an export that a reload removes" },
    { "check-config", 0, NULL, .scope = KEY_COMMAND, .offset = offsetof(Config, check),
      .type = KEY_SWITCH, .help = "print all that is wrong with the settings, and exit" },
    { "includedir", 0, "DIR", GENERIC(include_dir), .type = KEY_STRING, .min = 1, .max = PATH_MAX },

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
    { "qmp", 0, "PATH", SERVER(qmp), .type = KEY_STRING, .min = 1, .max = PATH_MAX,
      .help = "take commands on this unix socket, in the QEMU Machine Protocol" },
    { "qmp-allow", 0, "RULE", SERVER(qmp_allow), .type = KEY_ALLOW_LOCAL, .repeats = true,
      .help = "who may use that socket, like uid:1000 or group:disk (may be repeated)" },
    { "ready-fd", 0, "FD", COMMAND(set_ready_fd),
      .help = "write READY to this file descriptor once clients can connect" },
    { "log", 0, "TARGET", SERVER(log), .type = KEY_CHOICE, .choices = log_choices, .def = "auto",
      .help = "where messages go" },
    { "verbose", 'v', NULL, SPECIAL(set_verbose),
      .help = "tell about addresses and more; twice: about every option and request" },
    { "list-settings", 0, NULL, COMMAND(set_list_settings),
      .help = "print all settings for a program to read, and exit" },
    { "version", 'V', NULL, COMMAND(set_version), .help = "print the version and exit" },
    { "help", 'h', NULL, COMMAND(set_help), .help = "print this help and exit" },

    /* As nbd-server calls them, in files only. */
    { "listenaddr", 0, "LIST", .scope = KEY_GENERIC, .type = KEY_SPECIAL, .set = set_listenaddr },
    { "unixsock", 0, "PATH", .scope = KEY_GENERIC, .type = KEY_SPECIAL, .set = set_unixsock },
    { "duallisten", 0, NULL, GENERIC(dual_listen), .type = KEY_SWITCH },
    { "allowlist", 0, NULL, GENERIC(allow_list), .type = KEY_SWITCH, .def = "on" },
    { "max_threads", 0, "NUM", GENERIC(threads), .type = KEY_NUMBER, .min = 1, .max = 256 },
    { "certfile", 0, "FILE", GENERIC(tls_cert_file), .type = KEY_STRING, .min = 1,
      .max = PATH_MAX, .live = true },
    { "keyfile", 0, "FILE", .scope = KEY_GENERIC, .type = KEY_SPECIAL, .set = set_keyfile },
    { "cacertfile", 0, "FILE", .scope = KEY_GENERIC, .type = KEY_SPECIAL, .set = set_cacertfile },
    { "force_tls", 0, NULL, .scope = KEY_GENERIC, .type = KEY_SPECIAL, .set = set_force_tls },
    { "force_tls", 0, NULL, .scope = KEY_SECTION, .type = KEY_EXPORT_SPECIAL,
      .set_export = set_export_force_tls },
    { "exportname", 0, "IMAGE", SECTION(image), .type = KEY_STRING, .min = 1, .max = INT_MAX },
    { "readonly", 0, NULL, SECTION(read_only), .type = KEY_SWITCH },
    { "maxconnections", 0, "NUM", SECTION(max_clients), .type = KEY_NUMBER, .max = 1000000 },
    { "authfile", 0, "FILE", .scope = KEY_SECTION, .type = KEY_EXPORT_SPECIAL,
      .set_export = config_read_authfile },
    { "filesize", 0, "SIZE", SECTION(size), .type = KEY_SIZE, .max = INT64_MAX },
    { "flush", 0, NULL, SECTION(flush), .type = KEY_SWITCH, .def = "on",
      .live_if = only_write_cache },
    { "fua", 0, NULL, SECTION(fua), .type = KEY_SWITCH, .def = "on", .live = true },
    { "trim", 0, NULL, .scope = KEY_SECTION, .type = KEY_EXPORT_SPECIAL, .set_export = set_trim,
      .live = true, .same = same_trim },
    { "sync", 0, NULL, SECTION(sync), .type = KEY_SWITCH, .live_if = only_write_cache },
    WITHOUT_EFFECT("splice", NULL),
    WITHOUT_EFFECT("sparse_cow", NULL),
    WITHOUT_EFFECT("cowdir", "DIR"),
    UNSUPPORTED("oldstyle", NULL),
    UNSUPPORTED("multifile", NULL),
    UNSUPPORTED("treefiles", NULL),
    UNSUPPORTED("copyonwrite", NULL),
    UNSUPPORTED("temporary", NULL),
    UNSUPPORTED("waitfile", NULL),
    UNSUPPORTED("sdp", NULL),
    UNSUPPORTED("datalog", NULL),
    UNSUPPORTED("tlsprio", "PRIORITIES"),
    UNSUPPORTED("virtstyle", "STYLE"),
    UNSUPPORTED("prerun", "COMMAND"),
    UNSUPPORTED("postrun", "COMMAND"),
    UNSUPPORTED("transactionlog", "FILE"),
};
const size_t n_config_keys = sizeof(config_keys) / sizeof(config_keys[0]);
