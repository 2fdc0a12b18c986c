/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol "ram-file": files in arrays that the program itself holds, for tests that open
 * images by the thousand.  Like a file it grows when written to, and reads as zeroes behind its
 * end; unlike one it is full at RAM_FILE_ROOM.  Options: number, which of ram_files.
 *
 * All in one thread.
 */
#ifndef TESTS_RAM_FILE_H
#define TESTS_RAM_FILE_H

#include <stddef.h>
#include <stdint.h>

#define RAM_FILES 3
#define RAM_FILE_ROOM (64 << 20)

typedef struct RamFile {
    uint8_t *data;              /* RAM_FILE_ROOM bytes; zeroes from size on */
    int64_t size;
    unsigned delays;            /* state of a generator: requests end late and in any order;
                                   0: at once */
} RamFile;

extern RamFile ram_files[RAM_FILES];

/* What is in it from now on; the first call takes the memory.  Not while it is open. */
void ram_file_set(RamFile *file, const void *data, size_t size);

#endif
