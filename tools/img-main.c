/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blk-img: the table of its subcommands, its help, and the start of the
 * program.  Called by the name of qemu-img it is a qemu-img.
 */
#include "tools/img.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"

/* The version of qemu-img whose command lines and output these are: scripts ask for it. */
#define QEMU_IMG_LEVEL "7.2.0"

typedef struct Subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;              /* scripts look here for what there is */
} Subcommand;

static const Subcommand subcommands[] = {
    { "amend", img_amend,
      "[--object objectdef] [--image-opts] [-p] [-q] [-f fmt] [-t cache] [--force] -o options "
      "filename" },
    { "bench", img_bench,
      "[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [-n] "
      "[--no-drain] [-o offset] [--pattern=pattern] [-q] [-s buffer_size] [-S step_size] "
      "[-t cache] [-w] [-U] filename" },
    { "bitmap", img_bitmap,
      "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... "
      "[-b source_file [-F source_fmt]] [-g granularity] [--object objectdef] "
      "[--image-opts | -f fmt] filename bitmap" },
    { "check", img_check,
      "[--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] "
      "[-T src_cache] [-U] filename" },
    { "commit", img_commit,
      "[--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-r rate_limit] "
      "[-d] [-p] filename" },
    { "compare", img_compare,
      "[--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] "
      "filename1 filename2" },
    { "convert", img_convert,
      "[--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] [--bitmaps "
      "[--skip-broken-bitmaps]] [-U] [-C] [-c] [-p] [-q] [-n] [-f fmt] [-t cache] "
      "[-T src_cache] [-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] "
      "[-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] [--salvage] "
      "filename [filename2 [...]] output_filename" },
    { "create", img_create,
      "[--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] "
      "filename [size]" },
    { "dd", img_dd,
      "[--image-opts] [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] "
      "[skip=blocks] if=input of=output" },
    { "info", img_info,
      "[--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] "
      "filename" },
    { "map", img_map,
      "[--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] "
      "[--output=ofmt] [-U] filename" },
    { "measure", img_measure,
      "[--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] "
      "[--image-opts] [-f fmt] [-l snapshot_param] filename]" },
    { "snapshot", img_snapshot,
      "[--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | "
      "-d snapshot] filename" },
    { "rebase", img_rebase,
      "[--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] "
      "[-u] -b backing_file [-F backing_fmt] filename" },
    { "resize", img_resize,
      "[--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] "
      "filename [+ | -]size" },
};

#define N_SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

/* ---- help ---- */

static const char parameters[] =
    "\nCommand parameters:\n"
    "  filename        an image: a path, PROTOCOL:..., json:{...}, or with --image-opts\n"
    "                  a list KEY=VALUE,KEY=VALUE...\n"
    "  fmt             the format of an image; it is guessed from its content if not given\n"
    "  cache           none, writeback, writethrough, directsync or unsafe\n"
    "  size, N         bytes, or a number with one of the suffixes k M G T P E\n"
    "  options         NAME=VALUE,...; `-o help` lists those of the format\n"
    "  ofmt            human or json\n"
    "  objectdef       secret,id=ID,...: accepted; nothing here needs a secret\n"
    "  -p              show the progress\n"
    "  -q              print nothing but errors\n"
    "  -U              open the image although another process uses it\n"
    "  -h, --help      with or without a command: this text\n"
    "\nThe manual page blk-img(1) has every command with examples.\n";

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_formats(void)
{
    auto_free const char **names = NULL;
    const BlockDriver *drv = NULL;
    size_t n = 0;

    while ((drv = bdrv_next_driver(drv))) {
        n++;
    }
    names = xcalloc(n + 1, sizeof(*names));
    for (n = 0; (drv = bdrv_next_driver(drv)); n++) {
        names[n] = drv->format_name;
    }
    qsort(names, n, sizeof(*names), compare_words);
    printf("\nSupported formats:");
    for (size_t i = 0; i < n; i++) {
        printf(" %s", names[i]);
    }
    putchar('\n');
}

static void print_version(void)
{
    printf("%s version %s (%s)\n", tool_name(), QEMU_IMG_LEVEL, PACKAGE_STRING);
}

void img_help(void)
{
    print_version();
    printf("usage: %s [standard options] command [command options]\n"
           "Disk image utility with the command lines of qemu-img\n\n"
           "    '-h', '--help'       display this help and exit\n"
           "    '-V', '--version'    output version information and exit\n"
           "    '-T', '--trace'      accepted; there are no trace events\n\n"
           "Command syntax:\n", tool_name());
    for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
        printf("  %s %s\n", subcommands[i].name, subcommands[i].synopsis);
    }
    fputs(parameters, stdout);
    print_formats();
}

/* ---- start ---- */

/* No pattern is the name of an event here; one with '*' may well match none. */
static void parse_trace(const char *arg)
{
    size_t len = strcspn(arg, ",");
    auto_free char *first = xstrndup(arg, len);
    const char *pattern = strncmp(first, "enable=", 7) == 0 ? first + 7 : first;

    if (strcmp(first, "help") == 0) {
        exit(EXIT_SUCCESS);
    }
    if (!strpbrk(pattern, "*?=")) {
        warn_report("trace event '%s' does not exist", pattern);
    }
}

/* The options before the command; the command's place in argv. */
static int parse_standard_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { "trace", required_argument, NULL, 'T' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "+:hVT:", names, NULL)) != -1) {
        switch (c) {
        case ':':
            img_error_exit("missing argument for option '%s'", argv[optind - 1]);
        case 'h':
            img_help();
            exit(EXIT_SUCCESS);
        case 'V':
            print_version();
            exit(EXIT_SUCCESS);
        case 'T':
            parse_trace(optarg);
            break;
        default:
            img_error_exit("unrecognized option '%s'", argv[optind - 1]);
        }
    }
    return optind;
}

int main(int argc, char **argv)
{
    int first;

    tool_init(argv[0]);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        img_error_exit("Not enough arguments");
    }
    first = parse_standard_options(argc, argv);
    if (first == argc) {
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < N_SUBCOMMANDS; i++) {
        if (strcmp(argv[first], subcommands[i].name) == 0) {
            return subcommands[i].run(argc - first, argv + first);
        }
    }
    img_error_exit("Command not found: %s", argv[first]);
}
