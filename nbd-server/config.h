/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the user asked for: the settings of the server and of each export.
 */
#ifndef NBD_EXPORT_CONFIG_H
#define NBD_EXPORT_CONFIG_H

#include "config-text.h"
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

enum config_action { CONFIG_RUN, CONFIG_MAKE_CERTS, CONFIG_HELP, CONFIG_SETTINGS, CONFIG_VERSION };

enum tls_choice { TLS_UNSAID, TLS_OFF, TLS_ON, TLS_REQUIRE };

struct Config {
    enum config_action action;
    bool again;                    /* not the first time that the settings are read */
    STAILQ_HEAD(, ExportConfig) exports;
    ListenAddressList addresses;   /* resolved from the three below; none: port 10809 */
    ListenAddress *metrics;        /* where metrics are served; NULL: nowhere */
    unsigned aio;                  /* enum aio_choice */
    unsigned threads;
    unsigned drain_timeout;        /* seconds */
    unsigned handshake_timeout;    /* seconds */
    unsigned payload_timeout;      /* seconds; 0: none */
    unsigned keepalive;            /* seconds; 0: off */
    unsigned max_clients;          /* of all exports together */
    int64_t max_memory;            /* bytes held for all clients */
    unsigned removed_clients;      /* enum removed_choice */
    bool allow_list;               /* clients may ask for the names of the exports */
    char *export_dir;              /* NULL: none */
    char *default_export;          /* what the empty name means; NULL: see exports_find() */
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
    char *qmp;                     /* path of the control socket; NULL: none */
    AccessRules qmp_allow;         /* who may use it, besides root and who we are */
    char *user, *group;            /* to become once all is open; NULL: stays what it is */
    unsigned verbose;              /* how often -v was given */
    unsigned log;                  /* enum log_target */

    /* As given, until config_parse() has put them together. */
    ExportConfig defaults;         /* the settings of an export outside of --export */
    bool check;                    /* --check-config */
    char *file;                    /* --config; NULL: none */
    char *include_dir;             /* more files; NULL: none */
    ConfigSectionList sections;    /* of all files */
    STAILQ_HEAD(, ExportText) export_texts;
    ListenAddressList sockets, binds, ports;
    bool tls_is_optional;          /* nbd-server's keyfile was given */
    bool unix_only, dual_listen;   /* nbd-server's unixsock without, with duallisten */
};

enum cache_choice {
    CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_DIRECTSYNC, CACHE_UNSAFE
};
enum discard_choice { DISCARD_IGNORE, DISCARD_UNMAP };
enum removed_choice { REMOVED_KEEP, REMOVED_DISCONNECT };
enum eject_choice { EJECT_FAIL, EJECT_WAIT };
enum rotational_choice { ROTATIONAL_AUTO, ROTATIONAL_ON, ROTATIONAL_OFF };
enum aio_choice { AIO_AUTO, AIO_THREADS, AIO_IO_URING, AIO_NATIVE };

/* Command line and configuration files; NULL if they cannot be used: errors says why.  With
 * --check-config what can be understood of them, even so.
 * again: as before, but for what the files say now. */
Config *config_parse(int argc, char **argv, bool again, ConfigErrors *errors);
void config_free(Config *config);
Config *config_new(bool again);     /* the defaults */

/* ---- listen.c ---- */

/* A TCP socket that listens for something else than clients, on the first of the host's addresses
 * that can be had; -1: errp is set.  Logs `what` and the address.  *exposed: reachable from other
 * machines.  [main] */
int listen_open_tcp(const ListenAddress *address, const char *what, bool *exposed, Error **errp);

/* ---- config-export.c ---- */

/* From the defaults, with no name, image nor description; one reference. */
ExportConfig *config_new_export(const Config *config);
/* The checks that need more than one setting, and what follows from several. */
bool config_complete_export(const Config *config, ExportConfig *export, Error **errp);
/* Takes over export, which has a name and an image; completes it, and checks it against others. */
bool config_add_export(Config *config, ExportConfig *export, Error **errp);
/* Writes are stable when they are answered, or not: the nearest mode of those that go with it. */
void config_set_write_cache(ExportConfig *export, bool on);
bool config_same_limits(const ThrottleConfig *a, const ThrottleConfig *b);
/* Frees what it holds. */
void config_export_clear(ExportConfig *export);

/* ---- config-check.c ---- */

/* What is left open about TLS, once the exports are known. */
bool config_resolve_tls(Config *config, Error **errp);
/* Whether the clients that an export is for can be told from others. */
bool config_check_tls(const Config *config, const ExportConfig *export, Error **errp);
bool config_check_process(const Config *config, Error **errp);

/* ---- config-address.c ---- */

/* From sockets, binds and ports to addresses. */
void config_resolve_addresses(Config *config);
/* Forgets what the file says if the command line says where to listen. */
void config_override_addresses(Config *config, const Config *command_line);
void config_free_addresses(Config *config);
void config_free_address(ListenAddress *address);    /* NULL is let pass */

/* ---- config-authfile.c ---- */

/* The networks of a file, one a line, become rules of access. */
bool config_read_authfile(ExportConfig *export, const char *file, Error **errp);

/* ---- config-sections.c ---- */

/* Reads a configuration file, and those it includes; sets what [generic] says. */
void config_read_files(Config *config, const char *file, ConfigErrors *errors);
/* The same without files: [generic] among the sections; whether each name stands there once. */
void config_set_generic(Config *config, ConfigErrors *errors);
void config_check_names(Config *config, ConfigErrors *errors);
/* An export for each of the other sections. */
void config_add_sections(Config *config, ConfigErrors *errors);

/* ---- the table of settings: config-keys.c ---- */

enum key_type {
    KEY_SWITCH,      /* bool: on or off; the command line needs no argument for "on" */
    KEY_STRING,      /* char * */
    KEY_NUMBER,      /* unsigned, min to max */
    KEY_SIZE,        /* int64_t bytes, min to max */
    KEY_CHOICE,      /* unsigned: a value of `choices` */
    KEY_RATE,        /* double: whole units a second */
    KEY_BYTE_RATE,   /* double: a size a second */
    KEY_NAMES,       /* NameList: adds one; min and max as for KEY_STRING */
    KEY_LIMITS,      /* several keys of one scope of limits as a list */
    KEY_ALLOW,       /* AccessRules: one more rule */
    KEY_ALLOW_READ,  /* AccessRules: one more rule, to read only */
    KEY_ALLOW_LOCAL, /* AccessRules: one more rule about users of this machine */
    KEY_SPECIAL,     /* `set` knows */
    KEY_EXPORT_SPECIAL, /* `set_export` knows */
    KEY_UNSUPPORTED, /* nbd-server's: refused */
    KEY_WITHOUT_EFFECT, /* nbd-server's: accepted */
};

enum key_scope {
    KEY_SERVER = 1,  /* one value for the server: command line and [generic] */
    KEY_EXPORT = 2,  /* command line and [generic]: for every export; and as KEY_IN_LIST */
    KEY_ONE_EXPORT = 4, /* command line: for the export of IMAGE */
    KEY_IN_LIST = 8, /* a key of --export and of an export's section */
    KEY_LIMIT = 16,  /* a key of --throttle; and, after "throttle.", of --export */
    KEY_COMMAND = 32, /* of the server, and on the command line only */
    KEY_GENERIC = 64, /* of the server, and in [generic] only: as nbd-server calls it */
    KEY_SECTION = 128, /* of an export, and in its section only: as nbd-server calls it */
    KEY_ONLY_IN_LIST = 256, /* a key of --export that sections do not have */
    KEY_CLIENT_LIMIT = 512, /* the same of --throttle-client */
};

#define EXPORT_LIST_SCOPES (KEY_EXPORT | KEY_IN_LIST | KEY_ONLY_IN_LIST)

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
    bool (*set_export)(ExportConfig *export, const char *value, Error **errp);
    enum key_scope keys;               /* KEY_LIMITS: those of the list */
    bool repeats;                      /* each value is one more */
    bool live;                         /* a reload applies it to what runs */
    /* The same for one that is so for some changes only; NULL: as `live` says. */
    bool (*live_if)(const void *from, const void *to);
    /* Whether two Configs or ExportConfigs agree; NULL: their fields tell. */
    bool (*same)(const void *a, const void *b);
    const char *def;                   /* in words, for the help; NULL: nothing worth saying */
    const char *help;                  /* NULL: it is told with another key's */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t n_config_keys;

/* ---- config-find.c ---- */

/* By name among the keys of `scopes`; errp names the nearest if there is none.
 * `prefix` is what the user typed before it ("--" or ""). */
const ConfigKey *config_key_find(const char *name, unsigned scopes, const char *prefix,
                                 Error **errp);
/* The same for a key of an export, where "throttle.KEY" is one of KEY_LIMIT, and so on. */
const ConfigKey *config_export_key_find(const char *name, unsigned scopes, Error **errp);
/* What stands before the key's name in the settings of an export: "", "throttle." and so on. */
const char *config_key_prefix(const ConfigKey *key);
const ConfigKey *config_key_find_short(char short_name);

/* ---- config-set.c ---- */

/* base: the Config or the ExportConfig that the key's offset is meant for. */
bool config_key_set(const ConfigKey *key, Config *config, void *base, const char *value,
                    Error **errp);
/* The same for a key in a list or a file, which was called `name`; errp repeats it. */
bool config_key_set_named(const ConfigKey *key, Config *config, void *base, const char *name,
                          const char *value, Error **errp);
/* Which of the two the key sets. */
void *config_key_base(const ConfigKey *key, Config *config, ExportConfig *export);
bool config_set_export_name(ExportConfig *export, const char *name, Error **errp);
void config_set_defaults(Config *config);
/* "a, b or c" for a key of KEY_CHOICE; the caller frees it. */
char *config_key_choices(const struct key_choice *choices);
/* NULL means on: the key alone. */
bool config_parse_switch(const char *value, bool *on, Error **errp);
/* A whole number from min to max, and nothing else. */
bool config_parse_number(const char *text, int64_t min, int64_t max, int64_t *number);

void name_list_add(NameList *list, const char *name);
void name_list_copy(NameList *to, const NameList *from);
void name_list_clear(NameList *list);

/* ---- config-diff.c ---- */

#define CHANGES_LIVE 1      /* in settings that a running export takes over */
#define CHANGES_REOPEN 2    /* in others: the image must be opened anew */
/* The names of the settings that differ, "a, b"; the caller frees it; NULL: none. */
char *config_export_changes(const ExportConfig *from, const ExportConfig *to, unsigned which);
/* The same for settings of the server that are not live. */
char *config_server_changes(const Config *from, const Config *to);
bool config_same_string(const char *a, const char *b);   /* NULL is a value like others */

/* ---- config-help.c ---- */

void config_print_help(void);
/* A line each: where it can stand, name, short name or -, argument or -, choices with commas. */
void config_print_settings(void);

#endif
