/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Notifier lists.  A Notifier is its user's storage and must stay in place
 * while registered.  Threads: main-loop thread only.
 */
#ifndef BLKBACKEND_NOTIFY_H
#define BLKBACKEND_NOTIFY_H

#include <stdbool.h>
#include <sys/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Notifier Notifier;
struct Notifier {
    void (*notify)(Notifier *notifier, void *data);
    LIST_ENTRY(Notifier) node;
};
typedef struct NotifierList {
    LIST_HEAD(, Notifier) notifiers;
} NotifierList;

void notifier_list_init(NotifierList *list);
void notifier_list_add(NotifierList *list, Notifier *notifier);  /* newest is called first */
void notifier_remove(Notifier *notifier);                        /* it must be registered */
/* Calls all; a notifier may remove itself while it runs. */
void notifier_list_notify(NotifierList *list, void *data);
bool notifier_list_empty(const NotifierList *list);

#ifdef __cplusplus
}
#endif
#endif
