/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img create: a new image, empty or on top of a backing file. */
#include "tools/img.h"

#include <stdlib.h>

typedef struct Create {
    const char *format;
    const char *backing, *backing_format;
    char *text;                        /* -o */
    bool unsafe, quiet;
} Create;

/* Printed before anything is written: seen although creating may take long, or fail. */
static void print_formatting(void *opaque, const char *line)
{
    (void)opaque;
    puts(line);
    fflush(stdout);
}

/* size: bytes, or -1: not given. */
static int create(const Create *c, const char *filename, int64_t size)
{
    QDict *options = qdict_new();
    Error *err = NULL;
    int status = EXIT_FAILURE;

    if (c->text && !tool_parse_image_options(options, c->text)) {
        QDECREF(options);
        return EXIT_FAILURE;
    }
    if (bdrv_img_create(filename, c->format, c->backing, c->backing_format, options, size,
                        BDRV_O_CACHE_WB | (c->unsafe ? BDRV_O_NO_BACKING : 0),
                        c->quiet ? NULL : print_formatting, NULL, &err) < 0) {
        error_reportf_err(err, "%s: ", filename);
    } else {
        status = EXIT_SUCCESS;
    }
    QDECREF(options);
    return status;
}

static int create_from_words(const Create *c, int n, char **words)
{
    int64_t size = -1;

    if (img_wants_help(c->text)) {
        return img_print_create_help(words[0], c->format);
    }
    if (n == 0) {
        img_error_exit("Expecting image file name");
    }
    if (n > 1) {
        size = img_cvtnum("image size", words[1]);
        if (size < 0) {
            return EXIT_FAILURE;
        }
    }
    if (n > 2) {
        img_error_exit("Unexpected argument: %s", words[2]);
    }
    return create(c, words[0], size);
}

int img_create(int argc, char **argv)
{
    Create c = { .format = "raw" };
    const ImgOption options[] = {
        { .letter = 'f', .string = &c.format },
        { .letter = 'b', .string = &c.backing },
        { .letter = 'F', .string = &c.backing_format },
        { .letter = 'o', .fn = img_parse_o, .opaque = &c.text },
        { .letter = 'q', .flag = &c.quiet },
        { .letter = 'u', .flag = &c.unsafe },
        IMG_OPTION_OBJECT,
        { 0 },
    };
    int first, status = EXIT_FAILURE;

    if (img_parse_options(argc, argv, options, &first)) {
        status = create_from_words(&c, argc - first, argv + first);
    }
    free(c.text);
    return status;
}
