/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the command line into a Config.
 *
 * What stands outside of --export holds for every export, wherever it stands on
 * the line; so the texts of --export wait until everything else is known.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/nbd-protocol.h"
#include "common/option-list.h"
#include "common/xalloc.h"
#include "view.h"

#define COMMAND_LINE_SCOPES (KEY_SERVER | KEY_EXPORT | KEY_ONE_EXPORT)
#define LIST_SCOPES (KEY_EXPORT | KEY_IN_LIST)
#define LIMIT_PREFIX "throttle."

/* ---- exports ---- */

static void clear_export(ExportConfig *export)
{
    free(export->name);
    free(export->description);
    free(export->image);
    free(export->format);
    free(export->throttle_group);
    free(export->load_snapshot);
    access_rules_clear(&export->access);
    name_list_clear(&export->bitmaps);
}

ExportConfig *export_config_ref(ExportConfig *cfg)
{
    atomic_fetch_add(&cfg->refs, 1);
    return cfg;
}

void export_config_unref(ExportConfig *cfg)
{
    if (cfg && atomic_fetch_sub(&cfg->refs, 1) == 1) {
        clear_export(cfg);
        free(cfg);
    }
}

static ExportConfig *copy_defaults(const Config *config)
{
    ExportConfig *export = xcalloc(1, sizeof(*export));

    *export = config->defaults;
    atomic_init(&export->refs, 1);
    export->name = xstrdup(config->defaults.name);
    export->description = xstrdup(config->defaults.description);
    export->image = xstrdup(config->defaults.image);
    export->format = xstrdup(config->defaults.format);
    export->throttle_group = xstrdup(config->defaults.throttle_group);
    export->load_snapshot = xstrdup(config->defaults.load_snapshot);
    access_rules_inherit(&export->access, &config->defaults.access);
    name_list_copy(&export->bitmaps, &config->defaults.bitmaps);
    return export;
}

static int open_flags(const Config *config, const ExportConfig *export)
{
    static const int cache_flags[] = {
        [CACHE_WRITEBACK] = BDRV_O_CACHE_WB,
        [CACHE_WRITETHROUGH] = 0,
        [CACHE_NONE] = BDRV_O_NOCACHE | BDRV_O_CACHE_WB,
        [CACHE_DIRECTSYNC] = BDRV_O_NOCACHE,
        [CACHE_UNSAFE] = BDRV_O_CACHE_WB | BDRV_O_NO_FLUSH,
    };
    int flags = cache_flags[export->cache];

    flags |= export->read_only ? 0 : BDRV_O_RDWR;
    flags |= export->discard == DISCARD_UNMAP ? BDRV_O_UNMAP : 0;
    flags |= config->aio == AIO_NATIVE ? BDRV_O_NATIVE_AIO : 0;
    return flags;
}

static bool same_limits(const ThrottleConfig *a, const ThrottleConfig *b)
{
    for (int i = 0; i < BUCKETS_COUNT; i++) {
        const LeakyBucket *x = &a->buckets[i], *y = &b->buckets[i];

        if (x->avg != y->avg || x->max != y->max || x->burst_length != y->burst_length) {
            return false;
        }
    }
    return a->op_size == b->op_size;
}

/* A group has one set of limits; an export that names none of its own takes the group's. */
static bool check_limits(Config *config, ExportConfig *export, Error **errp)
{
    ExportConfig *other;

    if (!throttle_is_valid(&export->limits, errp)) {
        error_prepend(errp, "--throttle: ");
        return false;
    }
    STAILQ_FOREACH(other, &config->exports, link) {
        if (other != export && export->throttle_group && other->throttle_group &&
            strcmp(other->throttle_group, export->throttle_group) == 0 &&
            throttle_enabled(&other->limits) && throttle_enabled(&export->limits) &&
            !same_limits(&other->limits, &export->limits)) {
            error_setg(errp, "exports \"%s\" and \"%s\" have different limits for throttle group "
                       "\"%s\"", other->name, export->name, export->throttle_group);
            error_append_hint(errp, "Give the limits of a group once, or alike everywhere.\n");
            return false;
        }
    }
    return true;
}

/* The checks that need more than one setting; takes over export. */
static bool add_export(Config *config, ExportConfig *export, Error **errp)
{
    ExportConfig *other;

    STAILQ_INSERT_TAIL(&config->exports, export, link);
    if (export->image_opts && export->format) {
        error_setg(errp, "--image-opts and --format do not go together");
        error_append_hint(errp, "Name the format in the image's options: driver=FORMAT,...\n");
        return false;
    }
    if (config->aio == AIO_NATIVE && export->cache != CACHE_NONE &&
        export->cache != CACHE_DIRECTSYNC) {
        error_setg(errp, "--aio=native works only past the host's cache");
        error_append_hint(errp, "Add --cache=none or --cache=directsync.\n");
        return false;
    }
    STAILQ_FOREACH(other, &config->exports, link) {
        if (other != export && strcmp(other->name, export->name) == 0) {
            error_setg(errp, "two exports have the name \"%s\"", export->name);
            error_append_hint(errp, "Give each its own: --export name=NAME,image=PATH,...\n");
            return false;
        }
    }
    export->read_only |= export->load_snapshot != NULL;
    export->open_flags = open_flags(config, export);
    return view_check(export, errp) && check_limits(config, export, errp);
}

static bool set_in_list(Config *config, ExportConfig *export, const char *name,
                        const char *value, Error **errp)
{
    size_t len = strlen(LIMIT_PREFIX);

    if (strncmp(name, LIMIT_PREFIX, len) == 0) {
        return config_key_set_in_list(config, export, name + len, KEY_LIMIT, LIMIT_PREFIX, value,
                                      errp);
    }
    return config_key_set_in_list(config, export, name, LIST_SCOPES, "", value, errp);
}

static bool parse_export_text(Config *config, const char *text, Error **errp)
{
    ExportConfig *export = copy_defaults(config);
    const char *cursor = text;
    char *key, *value;

    while (option_list_next(&cursor, &key, &value)) {
        bool ok = set_in_list(config, export, key, value, errp);

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
    return add_export(config, export, errp);
}

static bool resolve_exports(Config *config, Error **errp)
{
    ExportText *text;

    if (config->defaults.image && !STAILQ_EMPTY(&config->export_texts)) {
        error_setg(errp, "image \"%s\" stands beside --export", config->defaults.image);
        error_append_hint(errp, "Serve it by one more --export: --export name=NAME,image=%s\n",
                          config->defaults.image);
        return false;
    }
    if (config->defaults.image) {
        return add_export(config, copy_defaults(config), errp);
    }
    if (STAILQ_EMPTY(&config->export_texts)) {
        error_setg(errp, "no image to serve");
        error_append_hint(errp, "Try 'nbd-export disk.img', or 'nbd-export --help'.\n");
        return false;
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

/* ---- TLS ---- */

static bool has_credentials(const Config *config)
{
    return config->tls_certs || config->tls_cert_file || config->tls_key_file || config->tls_psk;
}

/* Who gives certificates or keys and says no more wants nobody to do without. */
static bool resolve_tls(Config *config, Error **errp)
{
    const ExportConfig *export;

    if (config->tls == TLS_UNSAID) {
        config->tls = has_credentials(config) ? TLS_REQUIRE : TLS_OFF;
    }
    if (config->tls != TLS_OFF && !has_credentials(config)) {
        error_setg(errp, "TLS needs certificates or keys");
        error_append_hint(errp, "Give --tls-certs DIR or --tls-psk FILE; for a test, "
                          "'nbd-export --make-certs DIR' makes certificates.\n");
        return false;
    }
    if (config->tls_verify_peer && config->tls != TLS_OFF && !config->tls_certs &&
        !config->tls_ca_file) {
        error_setg(errp, "--tls-verify-peer needs the certificate of an authority");
        error_append_hint(errp, "Give --tls-certs DIR with a ca-cert.pem, or --tls-ca-file.\n");
        return false;
    }
    STAILQ_FOREACH(export, &config->exports, link) {
        if (export->tls == TLS_REQUIRE && config->tls == TLS_OFF) {
            error_setg(errp, "export \"%s\" is for clients with TLS, and there is no TLS",
                       export->name);
            error_append_hint(errp, "Give --tls=on and --tls-certs DIR or --tls-psk FILE.\n");
            return false;
        }
    }
    return true;
}

/* ---- listening addresses ---- */

static void add_address(Config *config, const ListenAddress *from, unsigned port)
{
    ListenAddress *address = xcalloc(1, sizeof(*address));

    address->path = xstrdup(from->path);
    address->host = xstrdup(from->host);
    address->port = port;
    STAILQ_INSERT_TAIL(&config->addresses, address, link);
}

/* A --bind without a port goes with every --port; each has its default. */
static void resolve_addresses(Config *config)
{
    static const ListenAddress everywhere;
    ListenAddress *bind, *port, *socket;

    STAILQ_FOREACH(socket, &config->sockets, link) {
        add_address(config, socket, 0);
    }
    STAILQ_FOREACH(bind, &config->binds, link) {
        if (bind->has_port) {
            add_address(config, bind, bind->port);
            continue;
        }
        STAILQ_FOREACH(port, &config->ports, link) {
            add_address(config, bind, port->port);
        }
        if (STAILQ_EMPTY(&config->ports)) {
            add_address(config, bind, NBD_DEFAULT_PORT);
        }
    }
    if (!STAILQ_EMPTY(&config->binds)) {
        return;
    }
    STAILQ_FOREACH(port, &config->ports, link) {
        add_address(config, &everywhere, port->port);
    }
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
    void *base = key->scope == KEY_SERVER ? (void *)config : (void *)&config->defaults;

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

/* Ways to start that exclude each other. */
static bool check_process(const Config *config, Error **errp)
{
    const char *way = config->inetd ? "--inetd" : config->run ? "--run" : NULL;

    if (config->inetd && (config->run || !STAILQ_EMPTY(&config->addresses))) {
        error_setg(errp, "--inetd serves one client and listens nowhere: it goes without %s",
                   config->run ? "--run" : "--socket, --bind and --port");
        return false;
    }
    if (way && config->fork) {
        error_setg(errp, "%s and --fork do not go together", way);
        return false;
    }
    return true;
}

Config *config_parse(int argc, char **argv, Error **errp)
{
    Config *config = xcalloc(1, sizeof(*config));
    Words words = { argc, argv, 1 };

    STAILQ_INIT(&config->exports);
    STAILQ_INIT(&config->addresses);
    STAILQ_INIT(&config->export_texts);
    STAILQ_INIT(&config->sockets);
    STAILQ_INIT(&config->binds);
    STAILQ_INIT(&config->ports);
    config_set_defaults(config);

    if (!parse_words(config, &words, errp) ||
        (config->action == CONFIG_RUN &&
         !(resolve_exports(config, errp) && resolve_tls(config, errp)))) {
        config_free(config);
        return NULL;
    }
    resolve_addresses(config);
    if (!check_process(config, errp)) {
        config_free(config);
        return NULL;
    }
    return config;
}

static void free_addresses(ListenAddressList *list)
{
    ListenAddress *address;

    while ((address = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        free(address->path);
        free(address->host);
        free(address);
    }
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
    free_addresses(&config->addresses);
    free_addresses(&config->sockets);
    free_addresses(&config->binds);
    free_addresses(&config->ports);
    clear_export(&config->defaults);
    free(config->tls_certs);
    free(config->tls_ca_file);
    free(config->tls_cert_file);
    free(config->tls_key_file);
    free(config->tls_psk);
    free(config->make_certs);
    free(config->pid_file);
    free(config->run);
    free(config->user);
    free(config->group);
    free(config);
}
