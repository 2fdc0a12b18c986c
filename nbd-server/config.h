/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the user asked for: the settings of the server and of each export.
 */
#ifndef NBD_EXPORT_CONFIG_H
#define NBD_EXPORT_CONFIG_H

#include "server.h"

/* A place to listen: a unix socket, or a TCP host and port. */
typedef struct ListenAddress {
    char *path;                /* unix socket; NULL: TCP */
    char *host;                /* NULL: all addresses of this machine */
    unsigned port;             /* 0: one that the kernel picks */
    bool has_port;             /* --bind gave one with the address */
    STAILQ_ENTRY(ListenAddress) link;
} ListenAddress;

typedef STAILQ_HEAD(ListenAddressList, ListenAddress) ListenAddressList;

/* An argument of --export, kept until the command line is read to its end. */
typedef struct ExportText {
    const char *text;          /* in argv */
    STAILQ_ENTRY(ExportText) link;
} ExportText;

enum config_action { CONFIG_RUN, CONFIG_MAKE_CERTS, CONFIG_HELP, CONFIG_VERSION };

enum tls_choice { TLS_UNSAID, TLS_OFF, TLS_ON, TLS_REQUIRE };

struct Config {
    enum config_action action;
    STAILQ_HEAD(, ExportConfig) exports;
    ListenAddressList addresses;   /* resolved from the three below; none: port 10809 */
    unsigned aio;                  /* enum aio_choice */
    unsigned threads;
    unsigned drain_timeout;        /* seconds */
    unsigned handshake_timeout;    /* seconds */
    unsigned payload_timeout;      /* seconds; 0: none */
    unsigned keepalive;            /* seconds; 0: off */
    unsigned max_clients;          /* of all exports together */
    int64_t max_memory;            /* bytes held for all clients */
    unsigned tls;                  /* enum tls_choice */
    char *tls_certs;               /* folder of certificates; NULL: none */
    char *tls_ca_file, *tls_cert_file, *tls_key_file;   /* instead of those in tls_certs, or NULL */
    char *tls_psk;                 /* file of users and keys; NULL: none */
    bool tls_verify_peer;          /* clients must have a certificate of the authority's */
    char *make_certs;              /* CONFIG_MAKE_CERTS: the folder */
    char *pid_file;                /* NULL: none */
    int ready_fd;                  /* -1: none */
    bool fork;
    bool inetd;                    /* one client, on standard input and output */
    char *run;                     /* command that the server lives for; NULL: none */
    bool exit_with_last_client;
    char *user, *group;            /* to become once all is open; NULL: stays what it is */
    unsigned verbose;              /* how often -v was given */
    unsigned log;                  /* enum log_target */

    /* As given, until config_parse() has put them together. */
    ExportConfig defaults;         /* the settings of an export outside of --export */
    STAILQ_HEAD(, ExportText) export_texts;
    ListenAddressList sockets, binds, ports;
};

enum cache_choice {
    CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_DIRECTSYNC, CACHE_UNSAFE
};
enum discard_choice { DISCARD_IGNORE, DISCARD_UNMAP };
enum rotational_choice { ROTATIONAL_AUTO, ROTATIONAL_ON, ROTATIONAL_OFF };
enum aio_choice { AIO_AUTO, AIO_THREADS, AIO_IO_URING, AIO_NATIVE };

/* NULL with errp set if the command line cannot be used. */
Config *config_parse(int argc, char **argv, Error **errp);
void config_free(Config *config);

/* ---- config-keys.c: the table of settings ---- */

enum key_type {
    KEY_SWITCH,      /* bool: on or off; the command line needs no argument for "on" */
    KEY_STRING,      /* char * */
    KEY_NUMBER,      /* unsigned, min to max */
    KEY_SIZE,        /* int64_t bytes, min to max */
    KEY_CHOICE,      /* unsigned: a value of `choices` */
    KEY_RATE,        /* double: whole units a second */
    KEY_BYTE_RATE,   /* double: a size a second */
    KEY_NAMES,       /* NameList: adds one; min and max as for KEY_STRING */
    KEY_LIMITS,      /* several keys of KEY_LIMIT as a list */
    KEY_ALLOW,       /* AccessRules: one more rule */
    KEY_ALLOW_READ,  /* AccessRules: one more rule, to read only */
    KEY_SPECIAL,     /* `set` knows */
};

enum key_scope {
    KEY_SERVER = 1,  /* one value for the server */
    KEY_EXPORT = 2,  /* command line: for every export; and a key of --export */
    KEY_ONE_EXPORT = 4, /* command line: for the export of IMAGE */
    KEY_IN_LIST = 8, /* a key of --export */
    KEY_LIMIT = 16,  /* a key of --throttle; and, after "throttle.", of --export */
};

struct key_choice {
    const char *name;
    unsigned value;
};

typedef struct ConfigKey {
    const char *name;
    char short_name;                   /* 0: none */
    const char *argument;              /* NULL: a switch */
    unsigned scope;                    /* enum key_scope */
    enum key_type type;
    size_t offset;                     /* in Config or ExportConfig */
    int64_t min, max;                  /* KEY_NUMBER, KEY_SIZE; KEY_STRING, _NAMES: bytes */
    const struct key_choice *choices;  /* KEY_CHOICE */
    /* KEY_SPECIAL; value is NULL if the command line had none. */
    bool (*set)(Config *config, const char *value, Error **errp);
    const char *def;                   /* in words, for the help; NULL: nothing worth saying */
    const char *help;                  /* NULL: it is told with another key's */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t n_config_keys;

/* By name among the keys of `scopes`; errp names the nearest if there is none.
 * `prefix` is what the user typed before it ("--" or ""). */
const ConfigKey *config_key_find(const char *name, unsigned scopes, const char *prefix,
                                 Error **errp);
const ConfigKey *config_key_find_short(char short_name);
/* base: the Config or the ExportConfig that the key's offset is meant for. */
bool config_key_set(const ConfigKey *key, Config *config, void *base, const char *value,
                    Error **errp);
/* A key of a list: found by its name among `scopes` and set.  errp names it. */
bool config_key_set_in_list(Config *config, void *base, const char *name, unsigned scopes,
                            const char *prefix, const char *value, Error **errp);
void config_set_defaults(Config *config);

void name_list_add(NameList *list, const char *name);
void name_list_copy(NameList *to, const NameList *from);
void name_list_clear(NameList *list);
void config_print_help(void);

#endif
