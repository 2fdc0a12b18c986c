/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifier lists. */
#include <stddef.h>

#include <blkbackend/notify.h>

void notifier_list_init(NotifierList *list)
{
    LIST_INIT(&list->notifiers);
}

void notifier_list_add(NotifierList *list, Notifier *notifier)
{
    LIST_INSERT_HEAD(&list->notifiers, notifier, node);
}

void notifier_remove(Notifier *notifier)
{
    LIST_REMOVE(notifier, node);
}

void notifier_list_notify(NotifierList *list, void *data)
{
    Notifier *notifier, *next;

    for (notifier = LIST_FIRST(&list->notifiers); notifier; notifier = next) {
        next = LIST_NEXT(notifier, node);   /* it may be gone after the call */
        notifier->notify(notifier, data);
    }
}

bool notifier_list_empty(const NotifierList *list)
{
    return LIST_EMPTY(&list->notifiers);
}
