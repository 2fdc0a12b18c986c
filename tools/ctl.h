/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd-ctl: what its parts know of each other.
 *
 *   ctl-table.c   the subcommands: dispatch, help, completion and the manual's check come from it
 *   ctl-args.c    the command line
 *   ctl-qmp.c     the QEMU Machine Protocol, as a client;  ctl-oob.c: what overtakes others
 *   ctl-call.c    finds the server, calls its commands, tells their errors
 *   ctl-report.c  errors and results, for people and for programs
 *   ctl-text.c    names and tables for a terminal;  ctl-screen.c: all of it;  ctl-progress.c: a bar
 *   ctl-rates.c   what happened between two looks at the server
 *   the others    the subcommands
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <blkbackend/error.h>
#include <jansson.h>

#include "tools/tool.h"

typedef struct Ctl Ctl;
typedef struct CtlQmp CtlQmp;

/* Exit statuses. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

/* ---- ctl-table.c ---- */

typedef struct CtlOption {
    const char *name;            /* behind "--"; NULL ends a list */
    char letter;                 /* behind "-"; 0: none */
    const char *value;           /* what the help calls it; "on|off": these; NULL: takes none */
    const char *help;
} CtlOption;

typedef struct CtlCommand {
    const char *name;            /* one or two words */
    const char *words;           /* what follows: "[EXPORT] IMAGE" */
    int (*run)(Ctl *ctl);        /* exit status */
    const char *help;            /* one line */
    const char *advice;          /* what to do if the server refuses; or NULL */
    CtlOption options[12];       /* the last one has no name */
} CtlCommand;

extern const CtlCommand ctl_commands[];
extern const size_t n_ctl_commands;
extern const CtlOption ctl_global_options[];

void ctl_print_help(const CtlCommand *cmd);       /* NULL: of the program */
void ctl_print_commands(void);                    /* for completion */

/* ---- ctl-args.c ---- */

#define CTL_MAX_GIVEN 64

typedef struct CtlGiven {
    const CtlOption *option;
    const char *value;           /* "" if it takes none */
} CtlGiven;

struct Ctl {
    const CtlCommand *cmd;
    char **words;                /* what is not an option: those that are left of ... */
    unsigned n_words;
    char **all_words;            /* ... these, the allocation */
    CtlGiven given[CTL_MAX_GIVEN];   /* in their order */
    unsigned n_given;
    bool json;                   /* --json */
    int timeout_ms;              /* for an answer; -1: for ever */
    const char *socket;          /* --socket; or NULL */
    CtlQmp *qmp;                 /* once there is a connection */
    char *only_export;           /* what the command line need not name; or NULL */
};

/* False: a usage error, reported. */
bool ctl_parse(Ctl *ctl, int argc, char **argv);
/* The value that an option was given last, "" if it takes none; NULL: it was not given. */
const char *ctl_option(const Ctl *ctl, const char *name);
/* A whole number; false, reported: text is none from min to max. */
bool ctl_parse_number(Ctl *ctl, const char *what, const char *text, int64_t min, int64_t max,
                      int64_t *value);
/* Bytes; false, reported: text is no size. */
bool ctl_parse_size(Ctl *ctl, const char *what, const char *text, int64_t *bytes);

/* ---- ctl-report.c ---- */

/* Each reports on stderr, with --json as an object; and returns the exit status. */
int ctl_usage_error(const Ctl *ctl, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int ctl_error(const Ctl *ctl, const char *error_class, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* One JSON document and a newline on stdout. */
void ctl_print_json(const json_t *value);
/* The end of a subcommand: result (its reference is taken over; NULL: the failure was reported) as
 * JSON, or the text in its stead. */
int ctl_done(const Ctl *ctl, json_t *result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- ctl-qmp.c ---- */

/* Negotiated; NULL: errp says why not. */
CtlQmp *ctl_qmp_connect(const char *path, int timeout_ms, Error **errp);
void ctl_qmp_close(CtlQmp *qmp);
/* Takes over args (NULL: none).  The result; or NULL and either *refusal is what the server said, a
 * new reference, or errp is set: it did not answer. */
json_t *ctl_qmp_execute(CtlQmp *qmp, const char *command, json_t *args, json_t **refusal,
                        Error **errp);
/* It did not answer only because the time was too short. */
bool ctl_qmp_is_late(const CtlQmp *qmp);
/* How long an answer is waited for from now on, -1: for ever; and how long it was. */
int ctl_qmp_set_timeout(CtlQmp *qmp, int timeout_ms);
/* The next event; NULL: none came in that time or a signal did, or errp is set. */
json_t *ctl_qmp_event(CtlQmp *qmp, int timeout_ms, Error **errp);
/* Waits until the server closes the connection; false: it took too long. */
bool ctl_qmp_wait_end(CtlQmp *qmp);

/* ---- ctl-oob.c ---- */

/* The server that greets so can run commands out of band. */
bool ctl_oob_offered(const json_t *greeting);
/* This is one of those that nbd-export can. */
bool ctl_oob_allowed(const char *command);
/* The answer (or NULL) says that this server cannot: nothing is done. */
bool ctl_oob_refused(const json_t *reply);

/* ---- ctl-call.c ---- */

/* False: no server, reported. */
bool ctl_connect(Ctl *ctl);
/* Calls a command of the server; fmt and what follows make its arguments by json_pack(), NULL:
 * none.  NULL: reported. */
json_t *ctl_call(Ctl *ctl, const char *command, const char *fmt, ...);
/* The same; takes over args. */
json_t *ctl_call_with(Ctl *ctl, const char *command, json_t *args);
/* The same for what need not be there: NULL without a word if the server refuses. */
json_t *ctl_try(Ctl *ctl, const char *command, const char *fmt, ...);
/* The same without arguments for what the server does only when it has done what others have asked:
 * a *result NULL says that this takes longer than a moment.  False: reported. */
bool ctl_try_soon(Ctl *ctl, const char *command, json_t **result);

/* Of the words of the command line: the export, if more than `others` words are given, which it
 * takes off; otherwise the only one that the server has.  NULL: reported. */
const char *ctl_take_export(Ctl *ctl, unsigned others);
/* What x-query-exports says of an export, and what query-block does: new references; NULL:
 * reported. */
json_t *ctl_query_export(Ctl *ctl, const char *name);
json_t *ctl_query_block(Ctl *ctl, const char *name);
/* Names for completion, one a line: of "exports", "clients", "commands", "jobs" or "nodes". */
int ctl_print_names(Ctl *ctl, const char *kind);

/* ---- what a result holds; none of it fails ---- */

const char *ctl_str(const json_t *object, const char *key);          /* "" */
int64_t ctl_int(const json_t *object, const char *key);              /* 0 */
bool ctl_bool(const json_t *object, const char *key);                /* false */

/* ---- ctl-text.c ---- */

/* The text (NULL: "") as it may go to a terminal: what controls one is written as an escape.
 * free() it. */
char *ctl_escape(const char *text);
/* The columns that it takes. */
unsigned ctl_width(const char *text);
/* The text in so many columns: its middle gives way to an ellipsis.  free() it. */
char *ctl_cut(const char *text, unsigned width);
/* "3:25:07" or "2 d 3:25:07" */
const char *ctl_duration(int64_t seconds, char buf[32]);

/*
 * Columns of text.  Heads: ">" in front has the cells to the right, "~" has them cut in their
 * middle where the terminal is too narrow.
 */
typedef struct CtlTable CtlTable;
CtlTable *ctl_table_new(const char *const *heads, unsigned n);
/* The next cell, row by row; "" shows as "-". */
void ctl_table_add(CtlTable *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints it; width 0: cuts nothing.  free()s it. */
void ctl_table_print(CtlTable *table, FILE *out, unsigned width);
/* The terminal's, 0 if stdout is none. */
unsigned ctl_terminal_width(void);

/* ---- ctl-progress.c ---- */

typedef struct CtlProgress {
    const char *what;
    bool terminal;               /* stdout is one */
    unsigned next_percent;       /* of the next line, elsewhere */
    uint64_t done;               /* bytes at the last look ... */
    double then;                 /* ... which was at that second; 0: there was none */
    double speed;                /* bytes a second */
} CtlProgress;

/* what is lent until its end. */
void ctl_progress_begin(CtlProgress *progress, const char *what);
/* now: seconds of any clock. */
void ctl_progress_show(CtlProgress *progress, uint64_t done, uint64_t total, double now);
/* Takes the bar away. */
void ctl_progress_end(CtlProgress *progress);

/* ---- ctl-rates.c ---- */

/* A look at all that counts; NULL: reported. */
json_t *ctl_rates_look(Ctl *ctl);
/* What happened in the seconds between two looks: "exports" and "clients", the busiest first. */
json_t *ctl_rates(const json_t *then, const json_t *now, double seconds);

/* ---- ctl-screen.c ---- */

enum ctl_key { CTL_KEY_NONE, CTL_KEY_REDRAW, CTL_KEY_QUIT };

/* stdout is a terminal. */
void ctl_screen_begin(void);
/* Before anything else is printed; nothing if it has not begun. */
void ctl_screen_end(void);
/* As many lines of the page as there is room for. */
void ctl_screen_draw(const char *page);
/* NONE: the time is over; REDRAW: the terminal has another size, or somebody cannot wait. */
enum ctl_key ctl_screen_wait(int64_t timeout_ms);

/* ---- ctl-media.c ---- */

/* The image as the server has to be told: a path is relative to where nbd-ctl runs, not to where
 * the server does; "PROTOCOL:..." is none.  free() it. */
char *ctl_image_name(const char *name);

/* ---- the subcommands ---- */

int ctl_run_cache(Ctl *ctl);
int ctl_run_clients(Ctl *ctl);
int ctl_run_commit(Ctl *ctl);
int ctl_run_drain(Ctl *ctl);
int ctl_run_eject(Ctl *ctl);
int ctl_run_events(Ctl *ctl);
int ctl_run_export_add(Ctl *ctl);
int ctl_run_export_del(Ctl *ctl);
int ctl_run_export_set(Ctl *ctl);
int ctl_run_insert(Ctl *ctl);
int ctl_run_job(Ctl *ctl);
int ctl_run_job_speed(Ctl *ctl);
int ctl_run_jobs(Ctl *ctl);
int ctl_run_kick(Ctl *ctl);
int ctl_run_log_level(Ctl *ctl);
int ctl_run_on_error(Ctl *ctl);
int ctl_run_pause(Ctl *ctl);
int ctl_run_qmp(Ctl *ctl);
int ctl_run_quit(Ctl *ctl);
int ctl_run_reload(Ctl *ctl);
int ctl_run_resize(Ctl *ctl);
int ctl_run_resume(Ctl *ctl);
int ctl_run_snapshot(Ctl *ctl);
int ctl_run_status(Ctl *ctl);
int ctl_run_throttle(Ctl *ctl);
int ctl_run_tls_reload(Ctl *ctl);
int ctl_run_top(Ctl *ctl);

#endif
