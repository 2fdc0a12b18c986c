/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formats that we know when we see them, and do not read.
 *
 * An image of one of them must not be served as if it were raw: its user would
 * see the format's own tables as the disk.  And a client must not be able to
 * turn a raw image into one by writing its header.
 */
#include <errno.h>
#include <string.h>

#include <blkbackend/block-driver.h>

static int foreign_open(BlockDriverState *bs, QDict *options, int flags, Error **errp)
{
    (void)options;
    (void)flags;
    error_setg(errp, "The image is in the format '%s', which is not supported",
               bdrv_get_format_name(bs));
    error_append_hint(errp, "Convert it to raw, or name the format 'raw' to use its bytes as "
                      "they are.\n");
    return -ENOTSUP;
}

static bool has_magic(const uint8_t *buf, int buf_size, size_t offset, const void *magic,
                      size_t len)
{
    return (size_t)buf_size >= offset + len && memcmp(buf + offset, magic, len) == 0;
}

#define FOREIGN_FORMAT(id, name)                \
    static BlockDriver foreign_##id = {         \
        .format_name = name,                    \
        .has_file_child = true,                 \
        .bdrv_probe = probe_##id,               \
        .bdrv_open = foreign_open,              \
    };                                          \
    BLOCK_DRIVER(foreign_##id)

/* `magic` is a string literal; it stands at `offset` of the image.  The longer, the surer. */
#define FOREIGN(id, name, offset, magic)                                                \
    static int probe_##id(const uint8_t *buf, int buf_size, const char *filename)       \
    {                                                                                   \
        (void)filename;                                                                 \
        return has_magic(buf, buf_size, offset, magic, sizeof(magic) - 1)               \
               ? 50 + (int)sizeof(magic) : 0;                                           \
    }                                                                                   \
    FOREIGN_FORMAT(id, name)

FOREIGN(qcow, "qcow", 0, "QFI\xfb\0\0\0\1")
FOREIGN(qed, "qed", 0, "QED\0")
FOREIGN(vmdk, "vmdk", 0, "KDMV")
FOREIGN(vmdk_cowd, "vmdk", 0, "COWD")
FOREIGN(vdi, "vdi", 0x40, "\x7f\x10\xda\xbe")
FOREIGN(vhdx, "vhdx", 0, "vhdxfile")
FOREIGN(vpc, "vpc", 0, "conectix")
FOREIGN(luks, "luks", 0, "LUKS\xba\xbe")
FOREIGN(parallels, "parallels", 0, "WithoutFreeSpace")
FOREIGN(parallels_ext, "parallels", 0, "WithouFreSpacExt")
FOREIGN(bochs, "bochs", 0, "Bochs Virtual HD Image")
FOREIGN(cloop, "cloop", 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop")

/* A vmdk in words: comments and empty lines, then its version. */
static bool is_vmdk_descriptor(const char *text, const char *end)
{
    static const char version[] = "version=";
    const int len = sizeof(version) - 1;

    while (text < end) {
        const char *line = text;

        while (text < end && *text == ' ') {
            text++;
        }
        if (text < end && *text != '#' && *text != '\r' && *text != '\n') {
            return end - line >= len && memcmp(line, version, len) == 0;
        }
        text = memchr(text, '\n', end - text);
        if (!text) {
            return false;
        }
        text++;
    }
    return false;
}

static int probe_vmdk_text(const uint8_t *buf, int buf_size, const char *filename)
{
    (void)filename;
    return is_vmdk_descriptor((const char *)buf, (const char *)buf + buf_size) ? 50 : 0;
}

FOREIGN_FORMAT(vmdk_text, "vmdk")
