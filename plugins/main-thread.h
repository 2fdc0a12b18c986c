/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread for what belongs to the library's main-loop thread: opening and
 * closing images.  nbdkit's own threads come and go, and none of them loops.
 */
#ifndef MAIN_THREAD_H
#define MAIN_THREAD_H

#include <blkbackend/block-backend.h>

/* Before nbdkit goes to the background, and to the folder /: relative names of files go on to mean
 * what they do now, in that thread.  0, or -1 with errno set. */
int main_thread_prepare(void);
/* After nbdkit has forked: a thread does not survive that.  0, or -errno with errp set. */
int main_thread_start(Error **errp);
void main_thread_stop(void);
/* Runs fn(opaque) there and waits for its end; from any other thread. */
void main_thread_run(void (*fn)(void *opaque), void *opaque);

#endif
