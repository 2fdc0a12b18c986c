/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-io: reads and writes disk images by commands. */
#include "tools/io.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "tools/tool.h"

enum {
    OPTION_OBJECT = 256,
    OPTION_IMAGE_OPTS,
};

static const struct option long_options[] = {
    {"aio", required_argument, NULL, 'i'},
    {"cache", required_argument, NULL, 't'},
    {"cmd", required_argument, NULL, 'c'},
    {"copy-on-read", no_argument, NULL, 'C'},
    {"discard", required_argument, NULL, 'd'},
    {"force-share", no_argument, NULL, 'U'},
    {"format", required_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {"image-opts", no_argument, NULL, OPTION_IMAGE_OPTS},
    {"misalign", no_argument, NULL, 'm'},
    {"native-aio", no_argument, NULL, 'k'},
    {"nocache", no_argument, NULL, 'n'},
    {"object", required_argument, NULL, OPTION_OBJECT},
    {"read-only", no_argument, NULL, 'r'},
    {"snapshot", no_argument, NULL, 's'},
    {"trace", required_argument, NULL, 'T'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void print_help(void)
{
    printf("Usage: %s [OPTIONS]... [-c STRING]... [file]\n"
           "Reads and writes a disk image by commands: those of -c, or else those from stdin.\n"
           "\n"
           "  -c, --cmd STRING     run a command; may be repeated\n"
           "  -f, --format FMT     format of the image (default: guessed)\n"
           "  --image-opts         the image is a list of options, KEY=VALUE,...\n"
           "  -r, --read-only      open it for reading only\n"
           "  -U, --force-share    open it although others use it (with -r)\n"
           "  -s, --snapshot       writes go to a temporary snapshot\n"
           "  -C, --copy-on-read   what is read from the backing file is stored in the image\n"
           "  -t, --cache=MODE     none, writeback, writethrough (default), directsync, unsafe\n"
           "  -n, --nocache        same as -t none\n"
           "  -d, --discard=MODE   unmap (default), ignore\n"
           "  -i, --aio=MODE       threads, native, io_uring (default: what the kernel offers)\n"
           "  -k, --native-aio     same as -i native\n"
           "  -m, --misalign       use buffers that do not suit direct I/O\n"
           "  -h, --help           this text\n"
           "  -V, --version        version\n"
           "  --object, -T, --trace  of qemu-io: refused\n"
           "\n"
           "'%s -c help' lists the commands.\n", tool_name(), tool_name());
}

typedef struct MainArgs {
    const char **commands;   /* -c */
    int n_commands;
    const char *format;
    int flags;
    bool force_share;
} MainArgs;

static void check_mode(int ret, const char *what)
{
    if (ret < 0) {
        error_report("Invalid %s option: %s", what, optarg);
        exit(EXIT_FAILURE);
    }
}

static void refuse(const char *option, const char *why)
{
    error_report("%s is not supported: %s", option, why);
    exit(EXIT_FAILURE);
}

/* Options that set a flag and have no argument. */
static int flag_of(int letter)
{
    switch (letter) {
    case 'C':
        return BDRV_O_COPY_ON_READ;
    case 'k':
        return BDRV_O_NATIVE_AIO;
    case 'n':
        return BDRV_O_NOCACHE | BDRV_O_CACHE_WB;
    case 's':
        return BDRV_O_SNAPSHOT;
    default:
        return 0;
    }
}

static void take_mode(int letter, int *flags)
{
    if (letter == 'd') {
        check_mode(bdrv_parse_discard_flags(optarg, flags), "discard");
    } else if (letter == 'i') {
        check_mode(tool_parse_aio(optarg, flags), "aio");
    } else {
        check_mode(bdrv_parse_cache_mode(optarg, flags), "cache");
    }
}

static void take_option(int letter, MainArgs *args, Io *io)
{
    switch (letter) {
    case 'c':
        args->commands[args->n_commands++] = optarg;
        break;
    case 'f':
        args->format = optarg;
        break;
    case 'r':
        args->flags &= ~BDRV_O_RDWR;
        break;
    case 'U':
        args->force_share = true;
        break;
    case 'm':
        io->misalign = true;
        break;
    case OPTION_IMAGE_OPTS:
        io->image_opts = true;
        break;
    case 'd':
    case 'i':
    case 't':
        take_mode(letter, &args->flags);
        break;
    case 'T':
        refuse("--trace", "there are no trace points");
        break;
    case OPTION_OBJECT:
        refuse("--object", "no image that this version opens needs a secret");
        break;
    case 'h':
        print_help();
        exit(EXIT_SUCCESS);
    case 'V':
        printf("%s version %s (blkbackend)\n", tool_name(), PACKAGE_VERSION);
        exit(EXIT_SUCCESS);
    case '?':
        print_help();
        exit(EXIT_FAILURE);
    default:
        args->flags |= flag_of(letter);
    }
}

static bool open_first(Io *io, const MainArgs *args, const char *image)
{
    QDict *options = qdict_new();

    if (io->image_opts) {
        if (!tool_parse_options(options, image)) {
            QDECREF(options);
            return false;
        }
        image = NULL;
    } else if (args->format) {
        qdict_put(options, "driver", qstring_from_str(args->format));
    }
    return io_open_image(io, image, options, args->flags, args->force_share) == 0;
}

static int run_commands(Io *io, const MainArgs *args)
{
    int last_error = 0;

    for (int i = 0; !io->quit && i < args->n_commands; i++) {
        int ret = io_run_line(io, args->commands[i]);

        last_error = ret < 0 ? ret : last_error;
    }
    return last_error;
}

/* The first image and all that is done with it.  Is everything well? */
static bool run(Io *io, const MainArgs *args, const char *image)
{
    Error *err = NULL;
    int ret;

    if (args->format && io->image_opts) {
        error_report("--image-opts and -f are mutually exclusive");
        return false;
    }
    if (qemu_init_main_loop(&err) < 0) {
        error_reportf_err(err, "%s", "");
        return false;
    }
    if (image && !open_first(io, args, image)) {
        return false;
    }
    ret = args->n_commands ? run_commands(io, args) : io_prompt(io);
    blk_drain_all();
    blk_unref(io->blk);
    return ret == 0;
}

int main(int argc, char **argv)
{
    Io io = {0};
    MainArgs args = { .flags = BDRV_O_RDWR | BDRV_O_UNMAP };
    bool good;
    int letter;

    tool_init(argv[0]);
    signal(SIGPIPE, SIG_IGN);
    args.commands = xcalloc((size_t)argc, sizeof(*args.commands));
    while ((letter = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", long_options,
                                 NULL)) != -1) {
        take_option(letter, &args, &io);
    }
    if (argc - optind > 1) {
        print_help();
        exit(EXIT_FAILURE);
    }
    good = run(&io, &args, argv[optind]);
    free(args.commands);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
