/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of commands: from it comes what may be typed, what is called, and
 * what `help` says.  Names, arguments and summaries are qemu-io's.
 */
#include "tools/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "tools/tool.h"

#define HELP_C " -C, -- one line for programs: bytes, requests, time, bytes/s, requests/s\n"
#define HELP_F " -f, -- stable storage before the request ends (FUA)\n"
#define HELP_FILL " -P, -- the byte to write (0xcd)\n"
#define HELP_INVALID " -i, -- only count an invalid request in the statistics\n"
#define HELP_P " -p, -- accepted, does nothing\n"
#define HELP_Q " -q, -- no report\n"
#define HELP_U " -u, -- with -z: the range may be deallocated\n"
#define HELP_V " -v, -- print the data\n"
#define HELP_VERIFY " -P, -- every byte read must be this one\n"
#define HELP_Z " -z, -- write zeroes without sending data\n"
#define HELP_ASYNC \
    " The next command runs at once; aio_flush waits for the end of the request.\n" \
    " Errors and wrong patterns are printed then, and do not count as a failed\n" \
    " command.\n"

/* In the order of their names. */
static const IoCommand commands[] = {
    { "abort", NULL, io_abort, 0, 0, IO_NO_IMAGE, "", NULL,
      "simulate a program crash using abort(3)", NULL },
    { "aio_flush", NULL, io_aio_flush, 0, 0, 0, "", NULL,
      "completes all outstanding aio requests", NULL },
    { "aio_read", NULL, io_aio_read, 2, -1, 0, "CP:iqv", "[-Ciqv] [-P pattern] off len [len..]",
      "asynchronously reads a number of bytes",
      "\n Starts to read at an offset, into as many buffers as there are lengths.\n"
      HELP_ASYNC "\n 'aio_read -P 1 0 4k' - are the first 4 KiB all 0x01?\n\n"
      HELP_C HELP_VERIFY HELP_INVALID HELP_Q HELP_V "\n" },
    { "aio_write", NULL, io_aio_write, 2, -1, IO_WRITES, "CfiqP:uz",
      "[-Cfiquz] [-P pattern] off len [len..]", "asynchronously writes a number of bytes",
      "\n Starts to write at an offset, from as many buffers as there are lengths.\n"
      HELP_ASYNC "\n 'aio_write -P 1 1M 4k 4k' - 8 KiB of 0x01 at 1 MiB\n\n"
      HELP_C HELP_FILL HELP_F HELP_INVALID HELP_Q HELP_U HELP_Z "\n" },
    { "alloc", "a", io_alloc, 1, 2, 0, "", "offset [count]",
      "checks if offset is allocated in the file", NULL },
    { "break", NULL, io_break, 2, 2, 0, "", "event tag",
      "sets a breakpoint on event and tags the stopped request as tag", NULL },
    { "close", "c", io_close, 0, 0, 0, "", NULL, "close the current open file", NULL },
    { "discard", "d", io_discard, 2, -1, IO_WRITES, "Cq", "[-Cq] off len",
      "discards a number of bytes at a specified offset",
      "\n Tells the image that a range is needed no more; what it reads as\n"
      " afterwards is undefined.\n"
      "\n 'discard 0 64k' - the first 64 KiB\n\n" HELP_C HELP_Q "\n" },
    { "flush", "f", io_flush, 0, 0, 0, "", NULL, "flush all in-core file state to disk", NULL },
    { "help", "?", io_help, 0, 1, IO_NO_IMAGE, "", "[command]",
      "help for one or all commands", NULL },
    { "info", "i", io_info, 0, 0, 0, "", NULL, "prints information about the current file",
      NULL },
    { "length", "l", io_length, 0, 0, 0, "", NULL, "gets the length of the current file", NULL },
    { "map", NULL, io_map, 0, 0, 0, "", "", "prints the allocated areas of a file", NULL },
    { "open", "o", io_open, 1, -1, IO_NO_IMAGE, "snCro:ki:t:d:U",
      "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]", "open the file specified by path",
      "\n Opens the image that the commands after it work on, for writing unless\n"
      " -r is given.  Each write waits for the disk unless -n or -t is given.\n"
      "\n 'open -n -o driver=qcow2 disk.qcow2' - without the host's page cache\n\n"
      " -r, -- for reading only\n"
      " -s, -- writes go to a temporary snapshot\n"
      " -C, -- copy on read\n"
      " -n, -- without the host's page cache: -t none\n"
      " -U, -- even though others use it\n"
      " -k, -- Linux native AIO: -i native\n"
      " -i, -- AIO mode: threads, native or io_uring\n"
      " -t, -- cache mode: none, writeback, writethrough, directsync or unsafe\n"
      " -d, -- discard mode: ignore or unmap\n"
      " -o, -- options of the image, KEY=VALUE,...\n\n" },
    { "quit", "q", io_quit, 0, -1, IO_NO_IMAGE, "", NULL, "exit the program", NULL },
    { "read", "r", io_read, 2, -1, IO_VERIFIES, "bCl:pP:qs:v",
      "[-abCqv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset",
      "\n Reads, and with -P verifies what was read.\n"
      "\n 'read -P 0 -s 512 1M 4k' - 4 KiB at 1 MiB; all but the first 512 are zero?\n\n"
      " -b, -- from the VM state instead of the disk\n"
      HELP_C " -l, -- how much -P verifies\n" HELP_P HELP_VERIFY HELP_Q
      " -s, -- where in the data -P begins\n" HELP_V "\n" },
    { "readv", NULL, io_readv, 2, -1, IO_VERIFIES, "CP:qv", "[-Cqv] [-P pattern] off len [len..]",
      "reads a number of bytes at a specified offset",
      "\n Reads into as many buffers as there are lengths.\n"
      "\n 'readv -v 0 512 512' - prints the first 1 KiB\n\n"
      HELP_C HELP_VERIFY HELP_Q HELP_V "\n" },
    { "remove_break", NULL, io_remove_break, 1, 1, 0, "", "tag", "remove a breakpoint by tag",
      NULL },
    { "reopen", NULL, io_reopen, 0, -1, 0, "c:o:rw", "[(-r|-w)] [-c cache] [-o options]",
      "reopens an image with new options",
      "\n Changes how the open image is open.\n"
      "\n 'reopen -r -c none' - for reading, without the host's page cache\n\n"
      " -r, -- for reading only\n"
      " -w, -- for writing too\n"
      " -c, -- cache mode, as -t of open\n"
      " -o, -- options: cache.direct, cache.no-flush, read-only\n\n" },
    { "resume", NULL, io_resume, 1, 1, 0, "", "tag", "resumes the request tagged as tag", NULL },
    { "sigraise", NULL, io_sigraise, 1, 1, IO_NO_IMAGE, "", "signal", "raises a signal",
      "\n Sends this process a signal, by its number.\n"
      "\n 'sigraise 9' - dies on the spot\n\n" },
    { "sleep", NULL, io_sleep, 1, 1, IO_NO_IMAGE, "", NULL,
      "waits for the given value in milliseconds", NULL },
    { "truncate", "t", io_truncate, 1, 3, IO_WRITES, "m:", "[-m prealloc_mode] off",
      "truncates the current file at the given offset", NULL },
    { "wait_break", NULL, io_wait_break, 1, 1, 0, "", "tag",
      "waits for the suspension of a request", NULL },
    { "write", "w", io_write, 2, -1, IO_WRITES, "bcCfnpP:qs:uz",
      "[-bcCfnquz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset",
      "\n Writes a pattern, a file's content, or zeroes.\n"
      "\n 'write -P 0x55 1M 64k' - 64 KiB of 0x55 at 1 MiB\n\n"
      " -b, -- to the VM state instead of the disk\n"
      " -c, -- compressed\n"
      HELP_C HELP_F
      " -n, -- with -z: fail rather than write data\n"
      HELP_P HELP_FILL HELP_Q
      " -s, -- what to write: a file, over and over\n"
      HELP_U HELP_Z "\n" },
    { "writev", NULL, io_writev, 2, -1, IO_WRITES, "CfqP:", "[-Cfq] [-P pattern] off len [len..]",
      "writes a number of bytes at a specified offset",
      "\n Writes from as many buffers as there are lengths.\n"
      "\n 'writev 0 512 512' - the first 1 KiB\n\n" HELP_C HELP_F HELP_FILL HELP_Q "\n" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const IoCommand *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const IoCommand *command = &commands[i];

        if (strcmp(command->name, name) == 0 ||
            (command->alias && strcmp(command->alias, name) == 0)) {
            return command;
        }
    }
    return NULL;
}

/* ---- help, quit ---- */

void io_print_usage(const IoCommand *command)
{
    printf("%s %s -- %s\n", command->name, command->args, command->summary);
}

static void print_summary(const char *name, const IoCommand *command)
{
    printf("%s ", name);
    if (command->args) {
        printf("%s ", command->args);
    }
    printf("-- %s\n", command->summary);
}

int io_help(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)io;
    if (argc < 2) {
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            print_summary(commands[i].name, &commands[i]);
        }
        printf("\nUse 'help commandname' for extended help.\n");
        return 0;
    }
    command = find_command(argv[1]);
    if (!command) {
        printf("command %s not found\n", argv[1]);
        return -EINVAL;
    }
    print_summary(argv[1], command);
    fputs(command->help ? command->help : "", stdout);
    return 0;
}

int io_quit(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)command, (void)argc, (void)argv;
    io->quit = true;
    return 0;
}

/* ---- one line ---- */

static bool check_count(const IoCommand *command, int count, const char *name)
{
    if (count >= command->min_args && (command->max_args < 0 || count <= command->max_args)) {
        return true;
    }
    fprintf(stderr, "bad argument count %d to %s, expected ", count, name);
    if (command->max_args < 0) {
        fprintf(stderr, "at least %d arguments\n", command->min_args);
    } else if (command->min_args == command->max_args) {
        fprintf(stderr, "%d arguments\n", command->min_args);
    } else {
        fprintf(stderr, "between %d and %d arguments\n", command->min_args, command->max_args);
    }
    return false;
}

static int run_command(Io *io, int argc, char **argv)
{
    const IoCommand *command = find_command(argv[0]);

    if (!command) {
        fprintf(stderr, "command \"%s\" not found\n", argv[0]);
        return -EINVAL;
    }
    if (!(command->flags & IO_NO_IMAGE) && !io->blk) {
        fprintf(stderr, "no file open, try 'help open'\n");
        return -EINVAL;
    }
    if (!check_count(command, argc - 1, argv[0])) {
        return -EINVAL;
    }
    if ((command->flags & IO_WRITES) && blk_is_read_only(io->blk)) {
        error_report("Block node is read-only");
        return -EACCES;
    }
    optind = 0;   /* getopt() begins anew */
    return command->run(io, command, argc, argv);
}

int io_run_line(Io *io, const char *line)
{
    auto_free char *words = xstrdup(line);
    auto_free char **argv = xcalloc(strlen(line) / 2 + 2, sizeof(*argv));
    char *rest = words, *word;
    int argc = 0;

    while ((word = strsep(&rest, " "))) {
        if (*word) {
            argv[argc++] = word;
        }
    }
    return argc ? run_command(io, argc, argv) : 0;
}
