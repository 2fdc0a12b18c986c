/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling where the exports are: on a terminal with commands to paste, else one line of JSON.
 */
#include "daemon.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/human-size.h"
#include "common/nbd-protocol.h"
#include "common/xalloc.h"
#include "uri.h"

#define EXPORTS_SHOWN 20      /* on a terminal */

/* ---- URIs ---- */

static void add_uri(json_t *uris, char *uri)
{
    bool known = !uri;

    for (size_t i = 0; i < json_array_size(uris) && !known; i++) {
        known = strcmp(json_string_value(json_array_get(uris, i)), uri) == 0;
    }
    if (!known) {
        json_array_append_new(uris, json_string(uri));
    }
    free(uri);
}

static bool must_use_tls(Server *server, Export *export)
{
    ExportConfig *cfg = export_settings(export);
    bool required = cfg->tls == TLS_REQUIRE;

    export_config_unref(cfg);
    return server->tls && (required || server->config->tls == TLS_REQUIRE);
}

/* Those of an export, each once: an address of IPv4 and its twin of IPv6 make the same. */
static json_t *uris_of(Server *server, Export *export)
{
    json_t *uris = xalloc_check(json_array());
    bool tls_only = must_use_tls(server, export);
    struct sockaddr_storage addr;
    Listener *l = NULL;
    socklen_t len;

    while (listen_next(server, &l, &addr, &len)) {
        if (!tls_only) {
            add_uri(uris, uri_make((struct sockaddr *)&addr, len, false, export->name));
        }
        if (server->tls) {
            add_uri(uris, uri_make((struct sockaddr *)&addr, len, true, export->name));
        }
    }
    return uris;
}

char *announce_uri(Server *server, Export *export)
{
    json_t *uris = uris_of(server, export);
    char *uri = xstrdup(json_string_value(json_array_get(uris, 0)));

    json_decref(uris);
    return uri;
}

/* ---- for programs ---- */

static void announce_json(Server *server, Export *const *exports)
{
    json_t *list = json_array();
    json_t *all = xalloc_check(json_pack("{s:i, s:o}", "pid", (int)getpid(), "exports", list));
    auto_free char *text = NULL;

    for (; *exports; exports++) {
        json_array_append_new(list, json_pack("{s:s, s:I, s:b, s:o}", "name", (*exports)->name,
                                              "size", (json_int_t)(*exports)->size,
                                              "read-only", (int)(*exports)->read_only,
                                              "uris", uris_of(server, *exports)));
    }
    text = xalloc_check(json_dumps(all, JSON_COMPACT));
    json_decref(all);
    printf("%s\n", text);
}

/* ---- for people ---- */

/* In single quotes if a shell would see more in it than a word. */
static void print_word(const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~/:@%+=,";

    if (*word && strspn(word, plain) == strlen(word)) {
        printf("%s", word);
        return;
    }
    putchar('\'');
    for (; *word; word++) {
        printf(*word == '\'' ? "'\\''" : "%c", *word);
    }
    putchar('\'');
}

static void print_exports(Server *server, Export *const *exports)
{
    for (int n = 0; *exports && n < EXPORTS_SHOWN; exports++, n++) {
        json_t *uris = uris_of(server, *exports);
        char size[HUMAN_SIZE_LEN];
        json_t *uri;
        size_t i;

        json_array_foreach(uris, i, uri) {
            printf("  %s   %s%s\n", json_string_value(uri),
                   human_size_format((int64_t)(*exports)->size, size),
                   (*exports)->read_only ? ", read-only" : "");
        }
        json_decref(uris);
    }
    if (*exports) {
        printf("  ... and more: nbdinfo --list tells them all\n");
    }
}

/* nbd-client knows no URIs. */
static void print_nbd_client(Server *server, const char *export, const char *more)
{
    struct sockaddr_storage addr;
    Listener *l = NULL;
    socklen_t len;

    if (!listen_next(server, &l, &addr, &len)) {
        return;
    }
    printf("  use it as a disk   sudo nbd-client ");
    if (addr.ss_family == AF_UNIX) {
        printf("-unix ");
        print_word(((struct sockaddr_un *)&addr)->sun_path);
    } else {
        auto_free char *host = uri_host((struct sockaddr *)&addr, len);

        printf("%s %u", host, ntohs(addr.ss_family == AF_INET6
                                    ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                    : ((struct sockaddr_in *)&addr)->sin_port));
    }
    printf(" /dev/nbd0");
    if (*export) {
        printf(" -N ");
        print_word(export);
    }
    printf("%s\n", more);
}

static void print_command(const char *what, const char *command, const char *uri,
                          const char *more)
{
    printf("  %-18s %s ", what, command);
    print_word(uri);
    printf("%s\n", more);
}

/* The URI with what a client needs for TLS; the caller frees it. */
static char *with_credentials(const Config *config, const char *uri)
{
    const char *separator = strchr(uri, '?') ? "&" : "?", *rest = strstr(uri, "://") + 3;
    char *text;
    int ret = config->tls_psk
              ? asprintf(&text, "%.*sUSER@%s%stls-psk-file=KEYS", (int)(rest - uri), uri, rest,
                         separator)
              : asprintf(&text, "%s%stls-certificates=DIR", uri, separator);

    return xalloc_check(ret < 0 ? NULL : text);
}

static void print_commands_for_tls(Server *server, const char *plain, const char *export)
{
    auto_free char *uri = with_credentials(server->config, plain);

    print_command("look at it", "nbdinfo", uri, "");
    print_command("copy it", "nbdcopy", uri, " copy.img");
    if (server->config->tls_psk) {
        printf("\n  USER: a user in KEYS, a file with a line USER:KEY\n");
    } else {
        print_nbd_client(server, export, " -enable-tls -cacertfile DIR/ca-cert.pem"
                         " -certfile DIR/client-cert.pem -keyfile DIR/client-key.pem");
        printf("\n  DIR: a folder with ca-cert.pem, client-cert.pem and client-key.pem\n");
    }
}

static void announce_text(Server *server, Export *const *exports)
{
    auto_free char *uri = *exports ? announce_uri(server, *exports) : NULL;

    if (!uri) {
        return;
    }
    printf("\nServing, until Ctrl-C:\n\n");
    print_exports(server, exports);
    printf("\n");
    if (strncmp(uri, "nbds", 4) == 0) {
        print_commands_for_tls(server, uri, (*exports)->name);
    } else {
        print_command("look at it", "nbdinfo", uri, "");
        print_command("copy it", "nbdcopy", uri, " copy.img");
        print_command("convert it", "qemu-img convert -O qcow2", uri, " copy.qcow2");
        print_nbd_client(server, (*exports)->name, "");
    }
    printf("\n");
}

void announce(Server *server)
{
    Export **exports;

    /* Else standard output is the client's, the command's, or that of who knows the socket. */
    if (server->config->inetd || server->config->run || server->passed_fds) {
        return;
    }
    exports = xalloc_check(exports_snapshot(server));
    if (isatty(STDOUT_FILENO)) {
        announce_text(server, exports);
    } else {
        announce_json(server, exports);
    }
    fflush(stdout);
    exports_snapshot_free(exports);
}
