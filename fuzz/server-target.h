/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd-export in one thread, for the fuzz targets of the protocol: real connections on a
 * socketpair, images in memory, made anew for each input.  The exports are "" (1 MiB), "ro" and
 * "big" (16 GiB, holds nothing).
 *
 * What the client gets is read and forgotten: the sanitizers, the fuzzer's clock and its memory
 * limit say whether the server behaves.
 */
#ifndef FUZZ_SERVER_TARGET_H
#define FUZZ_SERVER_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* qmp: path of a control socket; with it there is an export "d", of d.qcow2 in the current folder.
 * NULL: none of both. */
void server_target_init(const char *qmp);
/* A client that sends these bytes, `step` at a time (0: all at once), and then no more. */
void server_target_run(const uint8_t *bytes, size_t len, size_t step);
/* The same for a client of the control socket. */
void server_target_run_qmp(const uint8_t *bytes, size_t len, size_t step);

#endif
