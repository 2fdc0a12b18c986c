/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments of commands. */
#include "tools/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/tool.h"

int io_take_size(const char *arg, int64_t *value)
{
    *value = cvtnum(arg);
    if (*value >= 0) {
        return 0;
    }
    if (*value == -ERANGE) {
        printf("Parsing error: argument too large -- %s\n", arg);
    } else {
        printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n",
               arg);
    }
    return (int)*value;
}

int io_take_range(const IoCommand *command, const IoOptions *o, char **argv, int64_t *offset,
                  int64_t *bytes)
{
    int ret = io_take_size(argv[0], offset);

    if (ret == 0) {
        ret = io_take_size(argv[1], bytes);
    }
    if (ret == 0 && *bytes > BDRV_REQUEST_MAX_BYTES && !o->given['n']) {
        printf("length cannot exceed %" PRId64 "%s, given %s\n", BDRV_REQUEST_MAX_BYTES,
               strchr(command->letters, 'n') ? " without -n" : "", argv[1]);
        ret = -EINVAL;
    }
    return ret;
}

static int take_pattern(const char *arg, int *pattern)
{
    char *end;
    long value = strtol(arg, &end, 0);

    if (value < 0 || value > UCHAR_MAX || *end) {
        printf("%s is not a valid pattern byte\n", arg);
        return -EINVAL;
    }
    *pattern = (int)value;
    return 0;
}

static int take_option(const IoCommand *command, int letter, IoOptions *o)
{
    switch (letter) {
    case '?':
        io_print_usage(command);
        return -EINVAL;
    case 'P':
        return take_pattern(optarg, &o->pattern);
    case 'l':
        return io_take_size(optarg, &o->length);
    case 's':
        if (command->flags & IO_VERIFIES) {
            return io_take_size(optarg, &o->skip);
        }
        o->file = optarg;
        return 0;
    default:
        return 0;
    }
}

int io_take_options(const IoCommand *command, int argc, char **argv, IoOptions *o)
{
    int ret = 0, letter;

    *o = (IoOptions){0};
    while (ret == 0 && !o->given['i'] &&
           (letter = getopt(argc, argv, command->letters)) != -1) {
        o->given[letter] = true;
        ret = take_option(command, letter, o);
    }
    o->next = optind;
    return ret;
}
