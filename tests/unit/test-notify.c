/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifier lists. */
#include <string.h>

#include <blkbackend/notify.h>

#include "unit.h"

typedef struct Caller {
    Notifier notifier;             /* first: cast back */
    char name;
} Caller;

static void tell(Notifier *notifier, void *data)
{
    char *story = data;
    size_t len = strlen(story);

    story[len] = ((Caller *)notifier)->name;
    story[len + 1] = '\0';
}

static void tell_and_leave(Notifier *notifier, void *data)
{
    tell(notifier, data);
    notifier_remove(notifier);
    memset(notifier, 0, sizeof(Caller));
}

static void newest_is_called_first(void **state)
{
    Caller a = { { .notify = tell }, 'a' }, b = { { .notify = tell }, 'b' };
    NotifierList list;
    char story[8] = "";

    (void)state;
    notifier_list_init(&list);
    assert_true(notifier_list_empty(&list));
    notifier_list_notify(&list, story);
    notifier_list_add(&list, &a.notifier);
    notifier_list_add(&list, &b.notifier);
    assert_false(notifier_list_empty(&list));
    notifier_list_notify(&list, story);
    assert_string_equal(story, "ba");
    notifier_remove(&b.notifier);
    notifier_list_notify(&list, story);
    assert_string_equal(story, "baa");
    notifier_remove(&a.notifier);
    assert_true(notifier_list_empty(&list));
}

static void notifier_may_remove_itself(void **state)
{
    Caller a = { { .notify = tell }, 'a' };
    Caller b = { { .notify = tell_and_leave }, 'b' };
    Caller c = { { .notify = tell_and_leave }, 'c' };
    NotifierList list;
    char story[8] = "";

    (void)state;
    notifier_list_init(&list);
    notifier_list_add(&list, &a.notifier);
    notifier_list_add(&list, &b.notifier);
    notifier_list_add(&list, &c.notifier);
    notifier_list_notify(&list, story);
    assert_string_equal(story, "cba");
    notifier_list_notify(&list, story);
    assert_string_equal(story, "cbaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_is_called_first),
        cmocka_unit_test(notifier_may_remove_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
