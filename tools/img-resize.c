/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* blk-img resize: another size for an image, absolute or relative to what it has. */
#include "tools/img.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct Resize {
    int sign;                          /* of the size: 0 absolute, 1 more, -1 less */
    int64_t size;
    PreallocMode prealloc;
    bool shrink, quiet;
} Resize;

static bool parse_size(Resize *resize, const char *text)
{
    resize->sign = *text == '+' ? 1 : *text == '-' ? -1 : 0;
    resize->size = cvtnum(text + (resize->sign ? 1 : 0));
    if (resize->size == -ERANGE) {
        error_report("Value '%s' is out of range for parameter 'size'",
                     text + (resize->sign ? 1 : 0));
    } else if (resize->size < 0) {
        error_report("Parameter 'size' expects a non-negative number below 2^64");
        error_printf("Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                     "and exabytes, respectively.\n");
    }
    return resize->size >= 0;
}

static bool parse_prealloc(void *opaque, const char *arg)
{
    if (prealloc_mode_parse(arg, opaque) < 0) {
        error_report("Invalid preallocation mode '%s'", arg);
        return false;
    }
    return true;
}

/* The new size of an image that has `current` bytes; negative: reported. */
static int64_t new_size(const Resize *resize, int64_t current)
{
    int64_t total = resize->size;

    if (resize->sign > 0 && total > INT64_MAX - current) {
        error_report("New image size is too large");
        return -EINVAL;
    }
    if (resize->sign) {
        total = current + resize->sign * resize->size;
    }
    if (total <= 0) {
        error_report("New image size must be positive");
        return -EINVAL;
    }
    if (total <= current && resize->prealloc != PREALLOC_MODE_OFF) {
        error_report("Preallocation can only be used for growing images");
        return -EINVAL;
    }
    if (total < current && !resize->shrink) {
        error_report("Use the --shrink option to perform a shrink operation.");
        warn_report("Shrinking an image will delete all data beyond the shrunken image's end. "
                    "Before performing such an operation, make sure there is no important data "
                    "there.");
        return -EINVAL;
    }
    return total;
}

static int resize_image(BlockBackend *blk, const Resize *resize)
{
    int64_t size = blk_getlength(blk);
    Error *err = NULL;

    if (size < 0) {
        error_report("Failed to inquire current image length: %s", strerror((int)-size));
        return EXIT_FAILURE;
    }
    size = new_size(resize, size);
    if (size < 0) {
        return EXIT_FAILURE;
    }
    if (bdrv_truncate(blk_bs(blk), size, resize->prealloc, &err) < 0) {
        error_reportf_err(err, "%s", "");
        return EXIT_FAILURE;
    }
    img_qprintf(resize->quiet, "Image resized.\n");
    return EXIT_SUCCESS;
}

int img_resize(int argc, char **argv)
{
    ImgSource source = { 0 };
    Resize resize = { 0 };
    const ImgOption options[] = {
        IMG_OPTION_FMT(&source),
        IMG_OPTION_IMAGE_OPTS(&source),
        IMG_OPTION_OBJECT,
        { .name = "preallocation", .fn = parse_prealloc, .opaque = &resize.prealloc },
        { .name = "shrink", .flag = &resize.shrink },
        { .letter = 'q', .flag = &resize.quiet },
        { 0 },
    };
    BlockBackend *blk;
    int first, status;

    if (argc < 3) {
        img_error_exit("Not enough arguments");
    }
    /* The size comes last, and may begin with '-': no option. */
    if (!img_parse_options(--argc, argv, options, &first)) {
        return EXIT_FAILURE;
    }
    if (first != argc - 1) {
        img_error_exit("Expecting image file name and size");
    }
    if (!parse_size(&resize, argv[argc])) {
        return EXIT_FAILURE;
    }
    blk = img_open(&source, argv[first], BDRV_O_RDWR | BDRV_O_CACHE_WB);
    if (!blk) {
        return EXIT_FAILURE;
    }
    status = resize_image(blk, &resize);
    blk_unref(blk);
    return status;
}
