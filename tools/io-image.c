/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which image, and how it is open: open, close, reopen. */
#include "tools/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/tool.h"

/* ---- open, close ---- */

/* Consumes options. */
static BlockBackend *open_blk(const char *name, QDict *options, int flags, Error **errp)
{
    bool guess = !qdict_haskey(options, "driver");
    BlockBackend *blk = blk_new_open(name, NULL, options, flags, errp);

    if (blk && (flags & BDRV_O_RDWR) && blk_is_read_only(blk)) {
        error_setg(errp, "Block node is read-only");
        blk_unref(blk);
        return NULL;
    }
    if (blk && guess) {
        tool_warn_of_guess(blk, name);
    }
    return blk;
}

int io_open_image(Io *io, const char *name, QDict *options, int flags, bool force_share)
{
    const char *refusal = NULL;
    Error *err = NULL;

    if (io->blk) {
        refusal = "file open already, try 'help close'";
    } else if (force_share && !tool_force_share(options)) {
        refusal = "-U conflicts with image options";
    }
    if (refusal) {
        error_report("%s", refusal);
        QDECREF(options);
        return -EINVAL;
    }
    io->blk = open_blk(name, options, flags, &err);
    if (!io->blk) {
        error_reportf_err(err, "can't open%s%s: ", name ? " device " : "", name ? name : "");
        return -EINVAL;
    }
    return 0;
}

typedef struct OpenArgs {
    QDict *options;
    int flags;
    bool force_share;
} OpenArgs;

static bool take_mode(int ret, const char *what)
{
    if (ret < 0) {
        error_report("Invalid %s option: %s", what, optarg);
    }
    return ret == 0;
}

static bool take_open_option(Io *io, const IoCommand *command, int letter, OpenArgs *args)
{
    switch (letter) {
    case 's':
        args->flags |= BDRV_O_SNAPSHOT;
        return true;
    case 'n':
        args->flags |= BDRV_O_NOCACHE | BDRV_O_CACHE_WB;
        return true;
    case 'C':
        args->flags |= BDRV_O_COPY_ON_READ;
        return true;
    case 'r':
        args->flags &= ~BDRV_O_RDWR;
        return true;
    case 'k':
        args->flags |= BDRV_O_NATIVE_AIO;
        return true;
    case 'U':
        args->force_share = true;
        return true;
    case 't':
        return take_mode(bdrv_parse_cache_mode(optarg, &args->flags), "cache");
    case 'd':
        return take_mode(bdrv_parse_discard_flags(optarg, &args->flags), "discard");
    case 'i':
        return take_mode(tool_parse_aio(optarg, &args->flags), "aio");
    case 'o':
        if (io->image_opts) {
            printf("--image-opts and 'open -o' are mutually exclusive\n");
            return false;
        }
        return tool_parse_options(args->options, optarg);
    default:
        io_print_usage(command);
        return false;
    }
}

static int open_with(Io *io, const IoCommand *command, int argc, char **argv, OpenArgs *args)
{
    const char *name = NULL;
    int letter;

    while ((letter = getopt(argc, argv, command->letters)) != -1) {
        if (!take_open_option(io, command, letter, args)) {
            return -EINVAL;
        }
    }
    if (optind < argc - 1) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (optind == argc - 1) {
        if (!io->image_opts) {
            name = argv[optind];
        } else if (!tool_parse_options(args->options, argv[optind])) {
            return -EINVAL;
        }
    }
    return io_open_image(io, name, json_incref(args->options), args->flags, args->force_share);
}

int io_open(Io *io, const IoCommand *command, int argc, char **argv)
{
    OpenArgs args = { .options = qdict_new(), .flags = BDRV_O_UNMAP | BDRV_O_RDWR };
    int ret = open_with(io, command, argc, argv, &args);

    QDECREF(args.options);
    return ret;
}

int io_close(Io *io, const IoCommand *command, int argc, char **argv)
{
    (void)command, (void)argc, (void)argv;
    blk_unref(io->blk);
    io->blk = NULL;
    return 0;
}

/* ---- reopen ---- */

typedef struct ReopenArgs {
    QDict *options;
    int flags;
    bool mode_given;     /* -r or -w */
    bool cache_given;    /* -c */
} ReopenArgs;

static bool take_reopen_option(const IoCommand *command, int letter, ReopenArgs *args)
{
    switch (letter) {
    case 'c':
        args->cache_given = true;
        return take_mode(bdrv_parse_cache_mode(optarg, &args->flags), "cache");
    case 'o':
        return tool_parse_options(args->options, optarg);
    case 'r':
    case 'w':
        if (args->mode_given) {
            error_report("Only one -r/-w option may be given");
            return false;
        }
        args->mode_given = true;
        args->flags = letter == 'w' ? args->flags | BDRV_O_RDWR : args->flags & ~BDRV_O_RDWR;
        return true;
    default:
        io_print_usage(command);
        return false;
    }
}

/* Options that are flags; `inverted` ones are set by "off". */
static const struct ReopenOption {
    const char *key;
    int flag;
    bool inverted;
} reopen_options[] = {
    {"cache.direct", BDRV_O_NOCACHE, false},
    {"cache.no-flush", BDRV_O_NO_FLUSH, false},
    {"read-only", BDRV_O_RDWR, true},
};

static bool take_reopen_flag(ReopenArgs *args, const struct ReopenOption *option)
{
    const char *word = qdict_get_try_str(args->options, option->key);
    bool on = word && strcmp(word, "on") == 0;

    if (!word) {
        return true;
    }
    if (!on && strcmp(word, "off") != 0) {
        error_report("Parameter '%s' expects 'on' or 'off'", option->key);
        return false;
    }
    args->flags = on != option->inverted ? args->flags | option->flag
                                         : args->flags & ~option->flag;
    qdict_del(args->options, option->key);
    return true;
}

/* What -o says, into the flags; other options are as they are. */
static bool apply_reopen_options(ReopenArgs *args)
{
    const QDict *options = args->options;

    if (args->mode_given && qdict_haskey(options, "read-only")) {
        error_report("Cannot set both -r/-w and 'read-only'");
        return false;
    }
    if (args->cache_given &&
        (qdict_haskey(options, "cache.direct") || qdict_haskey(options, "cache.no-flush"))) {
        error_report("Cannot set both -c and the cache options");
        return false;
    }
    for (size_t i = 0; i < sizeof(reopen_options) / sizeof(reopen_options[0]); i++) {
        if (!take_reopen_flag(args, &reopen_options[i])) {
            return false;
        }
    }
    if (qdict_size(options) > 0) {
        error_report("Cannot change the option '%s'",
                     json_object_iter_key(json_object_iter(args->options)));
        return false;
    }
    return true;
}

static int reopen_with(Io *io, const IoCommand *command, int argc, char **argv, ReopenArgs *args)
{
    Error *err = NULL;
    int letter;

    while ((letter = getopt(argc, argv, command->letters)) != -1) {
        if (!take_reopen_option(command, letter, args)) {
            return -EINVAL;
        }
    }
    if (optind != argc) {
        io_print_usage(command);
        return -EINVAL;
    }
    if (!apply_reopen_options(args)) {
        return -EINVAL;
    }
    if (!args->mode_given && !(args->flags & BDRV_O_RDWR) && !blk_is_read_only(io->blk)) {
        error_report("Read-only block node '%s' cannot support read-write users",
                     bdrv_get_node_name(blk_bs(io->blk)));
        return -EINVAL;
    }
    if (bdrv_reopen(blk_bs(io->blk), args->flags, &err) < 0) {
        error_reportf_err(err, "%s", "");
        return -EINVAL;
    }
    return 0;
}

int io_reopen(Io *io, const IoCommand *command, int argc, char **argv)
{
    ReopenArgs args = { .options = qdict_new(), .flags = blk_get_flags(io->blk) };
    int ret = reopen_with(io, command, argc, argv, &args);

    QDECREF(args.options);
    return ret;
}
