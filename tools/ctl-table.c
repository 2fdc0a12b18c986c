/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of subcommands, and the help.  A word of a synopsis in capitals names what completion
 * looks for: EXPORT, CLIENT and JOB are asked of the server, FILE and IMAGE are files.  In brackets
 * it may be left out, with "..." it may come more than once.
 */
#include "tools/ctl.h"

#include <string.h>

#define HELP_COLUMN 32            /* where help begins, behind two blanks */

const CtlOption ctl_global_options[] = {
    { "socket", 's', "FILE", "the server's control socket (its --qmp)" },
    { "json", 'j', NULL, "print results and errors as JSON" },
    { "timeout", 0, "SECONDS", "give up a server that does not answer for so long" },
    { "help", 'h', NULL, "print this help, or that of a command" },
    { "version", 'V', NULL, "print the version" },
    { "list-commands", 0, NULL, "print the table of commands, for completion" },
    { "list-names", 0, "KIND", "print the names of its exports, clients, jobs or nodes" },
    { NULL, 0, NULL, NULL },
};

const CtlCommand ctl_commands[] = {
    /* What there is. */
    { "status", "[EXPORT]", ctl_run_status,
      .help = "what the server serves, or all about one export" },
    { "top", "", ctl_run_top,
      .help = "a live table of exports and clients",
      .options = {
          { "delay", 'd', "SECONDS", "from one table to the next (default 2)" },
          { "count", 'n', "COUNT", "end after so many tables" },
      } },
    { "clients", "[EXPORT]", ctl_run_clients,
      .help = "who is connected" },
    { "events", "[EVENT]...", ctl_run_events,
      .help = "wait for what happens next, of all events or those named",
      .options = {
          { "follow", 'f', NULL, "and for what happens after that, until interrupted" },
      } },
    { "jobs", "", ctl_run_jobs,
      .help = "what is under way" },

    /* Exports. */
    { "throttle", "[EXPORT]", ctl_run_throttle,
      .help = "set I/O limits, or see those in force",
      .options = {
          { "iops", 0, "RATE", "operations a second; 0: no limit; RATE:BURST:SECONDS" },
          { "iops-read", 0, "RATE", "only reads" },
          { "iops-write", 0, "RATE", "only writes" },
          { "bps", 0, "RATE", "bytes a second" },
          { "bps-read", 0, "RATE", "only reads" },
          { "bps-write", 0, "RATE", "only writes" },
          { "burst", 0, "RATE:SECONDS", "how fast, and how long, beyond the limit before it" },
          { "group", 0, "GROUP", "share the limits with all exports of this group" },
          { "client", 0, NULL, "limits that each client has to itself" },
      } },
    { "cache", "[EXPORT] [on|off]", ctl_run_cache,
      .help = "switch the write cache, or see whether it is on" },
    { "on-error", "[EXPORT]", ctl_run_on_error,
      .help = "what an error of the image does, or see what it does",
      .options = {
          { "read", 0, "report|ignore|stop", "when reading" },
          { "write", 0, "report|ignore|enospc|stop", "when writing" },
      } },
    { "eject", "[EXPORT]", ctl_run_eject,
      .help = "take the medium out",
      .options = {
          { "force", 0, NULL, "although it is locked or in use" },
      } },
    { "insert", "[EXPORT] IMAGE", ctl_run_insert,
      .help = "show another image",
      .options = {
          { "format", 0, "FORMAT", "of the image; it is guessed without" },
          { "read-only", 0, NULL, "it is not to be written" },
          { "force", 0, NULL, "although the medium before it is locked or in use" },
      } },
    { "resize", "[EXPORT] [+]SIZE", ctl_run_resize,
      .help = "make the image larger, or smaller",
      .options = {
          { "shrink", 0, NULL, "it may become smaller: what lies beyond the end is lost" },
      } },
    { "snapshot", "[EXPORT] [FILE]", ctl_run_snapshot,
      .help = "keep this moment: writes go to FILE, on top of the image",
      .options = {
          { "format", 0, "FORMAT", "of FILE (default qcow2)" },
          { "existing", 0, NULL, "FILE is there already" },
          { "internal", 0, "NAME", "keep it inside of the qcow2 image" },
          { "delete", 0, "NAME", "forget one that is inside of it" },
          { "list", 0, NULL, "those inside of it" },
      } },
    { "commit", "[EXPORT]", ctl_run_commit,
      .help = "copy what is in the top image into the one below it, and drop it",
      .options = {
          { "base", 0, "IMAGE", "copy into this one, further down" },
          { "top", 0, "IMAGE", "copy from this one, and those down to the base" },
          { "speed", 0, "SIZE", "bytes a second at most" },
          { "no-wait", 0, NULL, "leave the job to itself" },
      } },
    { "pause", "[EXPORT]", ctl_run_pause,
      .help = "have requests wait" },
    { "resume", "[EXPORT]", ctl_run_resume,
      .help = "let them go on" },
    { "drain", "[EXPORT]", ctl_run_drain,
      .help = "wait until nothing is in flight" },
    { "export add", "KEY=VALUE...", ctl_run_export_add,
      .help = "serve another image, by settings as of nbd-export --export" },
    { "export set", "EXPORT KEY=VALUE...", ctl_run_export_set,
      .help = "change settings of an export" },
    { "export del", "EXPORT", ctl_run_export_del,
      .help = "serve it no longer",
      .advice = "--soft waits for its clients to leave, --hard ends them.",
      .options = {
          { "safe", 0, NULL, "only if it has no clients (default)" },
          { "soft", 0, NULL, "once its clients have left; no new ones come" },
          { "hide", 0, NULL, "no new clients find it; those it has stay" },
          { "hard", 0, NULL, "its clients are cut off" },
      } },

    /* Clients and jobs. */
    { "kick", "[CLIENT]", ctl_run_kick,
      .help = "end a client's connection",
      .options = {
          { "export", 0, "EXPORT", "those of all clients of an export" },
          { "force", 0, NULL, "without answering what is in flight" },
      } },
    { "jobs cancel", "JOB", ctl_run_job, .help = "end a job before it is done" },
    { "jobs complete", "JOB", ctl_run_job, .help = "have a job that is ready end" },
    { "jobs dismiss", "JOB", ctl_run_job, .help = "forget a job that has ended" },
    { "jobs pause", "JOB", ctl_run_job, .help = "have a job wait" },
    { "jobs resume", "JOB", ctl_run_job, .help = "let it go on" },
    { "jobs speed", "JOB SIZE", ctl_run_job_speed,
      .help = "bytes a second at most; 0: no limit" },

    /* The server. */
    { "reload", "", ctl_run_reload,
      .help = "read the configuration again" },
    { "tls-reload", "", ctl_run_tls_reload,
      .help = "read certificates and keys again" },
    { "log-level", "[LEVEL]", ctl_run_log_level,
      .help = "what the log tells: error, warning, notice, info or debug" },
    { "quit", "", ctl_run_quit,
      .help = "end the server: what is in flight is answered" },
    { "qmp", "COMMAND [JSON]", ctl_run_qmp,
      .help = "any command of the protocol, with its arguments" },
};

const size_t n_ctl_commands = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

/* ---- help ---- */

static void print_options(const CtlOption *options)
{
    for (; options->name; options++) {
        char text[64];
        const char *value = options->value;
        char letter[] = { '-', options->letter, ',', ' ', '\0' };

        snprintf(text, sizeof(text), "%s--%s%s%s", options->letter ? letter : "    ",
                 options->name, value ? "=" : "", value ? value : "");
        printf("  %-*s%s\n", HELP_COLUMN, text, options->help);
    }
}

static void print_command_help(const CtlCommand *cmd)
{
    printf("Usage: nbd-ctl [--socket FILE] %s%s%s%s\n\n%c%s.\n", cmd->name,
           cmd->options[0].name ? " [OPTION...]" : "", *cmd->words ? " " : "", cmd->words,
           cmd->help[0] - 'a' + 'A', cmd->help + 1);
    if (strncmp(cmd->words, "[EXPORT]", 8) == 0) {
        printf("A server's only export need not be named.\n");
    }
    if (cmd->options[0].name) {
        printf("\nOptions:\n");
        print_options(cmd->options);
    }
}

void ctl_print_help(const CtlCommand *cmd)
{
    if (cmd) {
        print_command_help(cmd);
        return;
    }
    printf("Usage: nbd-ctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
           "Watch and change a running nbd-export over its control socket.\n\nCommands:\n");
    for (size_t i = 0; i < n_ctl_commands; i++) {
        const CtlCommand *row = &ctl_commands[i];
        char text[64];

        snprintf(text, sizeof(text), "%s %s", row->name, row->words);
        printf("  %-*s%s\n", HELP_COLUMN, text, row->help);
    }
    printf("\nOptions, before a command or behind it:\n");
    print_options(ctl_global_options);
    printf("\n`nbd-ctl COMMAND --help` has a command's options, the manual page nbd-ctl(1) all of "
           "them with\nexamples.  A socket that is not named is that of $NBD_EXPORT_QMP, or else "
           "the first that\nanswers of /run/nbd-export/qmp.sock and "
           "$XDG_RUNTIME_DIR/nbd-export/qmp.sock.\n");
}

/* Fields between tabs: what, of which command, then its name and its value, or its words. */
static void print_option_rows(const char *of, const CtlOption *options)
{
    for (; options->name; options++) {
        printf("option\t%s\t%s\t%c\t%s\n", of, options->name,
               options->letter ? options->letter : '-', options->value ? options->value : "-");
    }
}

void ctl_print_commands(void)
{
    print_option_rows("-", ctl_global_options);
    for (size_t i = 0; i < n_ctl_commands; i++) {
        printf("command\t%s\t%s\n", ctl_commands[i].name, ctl_commands[i].words);
        print_option_rows(ctl_commands[i].name, ctl_commands[i].options);
    }
}
