/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error objects and the log hook. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <blkbackend/error.h>

#include "unit.h"

/* ---- a log hook that collects ---- */

static char collected[256];

static void collect(void *opaque, const char *message)
{
    size_t len = strlen(collected);

    snprintf(collected + len, sizeof(collected) - len, "%s%s\n", (char *)opaque, message);
}

static void assert_logged(const char *expected)
{
    assert_string_equal(collected, expected);
    collected[0] = '\0';
}

static int hook_log(void **state)
{
    (void)state;
    collected[0] = '\0';
    blkbackend_set_log_fn(collect, "> ");
    return 0;
}

static int unhook_log(void **state)
{
    (void)state;
    blkbackend_set_log_fn(NULL, NULL);
    return 0;
}

/* ---- setting ---- */

static void message_is_formatted(void **state)
{
    Error *err = NULL;

    (void)state;
    error_setg(&err, "Could not open '%s' at %d", "disk.img", 7);
    assert_non_null(err);
    assert_string_equal(error_get_pretty(err), "Could not open 'disk.img' at 7");
    assert_string_equal(error_get_hint(err), "");
    error_free(err);
}

static void errno_is_explained_and_kept(void **state)
{
    Error *err = NULL;
    char expected[128];

    (void)state;
    errno = EBUSY;
    error_setg_errno(&err, ENOENT, "Could not open");
    assert_int_equal(errno, EBUSY);
    snprintf(expected, sizeof(expected), "Could not open: %s", strerror(ENOENT));
    assert_string_equal(error_get_pretty(err), expected);
    error_free(err);
}

static void nobody_interested_is_fine(void **state)
{
    Error *none = NULL;

    (void)state;
    error_setg(NULL, "Nobody reads this");
    error_prepend(NULL, "x");
    error_append_hint(NULL, "x");
    error_prepend(&none, "x");
    error_append_hint(&none, "x");
    assert_null(none);
    error_propagate(NULL, NULL);
    error_free(NULL);
}

static void prefix_and_hints_are_added(void **state)
{
    Error *err = NULL;

    (void)state;
    error_setg(&err, "It is locked");
    error_prepend(&err, "Could not open '%s': ", "a%sb");
    error_append_hint(&err, "Stop the other user, ");
    error_append_hint(&err, "or pass %s.", "locking=off");
    assert_string_equal(error_get_pretty(err), "Could not open 'a%sb': It is locked");
    assert_string_equal(error_get_hint(err), "Stop the other user, or pass locking=off.");
    error_free(err);
}

static void copy_stands_alone(void **state)
{
    Error *err = NULL, *copy;

    (void)state;
    error_setg(&err, "Message");
    error_append_hint(&err, "Hint");
    copy = error_copy(err);
    error_free(err);
    assert_string_equal(error_get_pretty(copy), "Message");
    assert_string_equal(error_get_hint(copy), "Hint");
    error_free(copy);
}

/* ---- handing on ---- */

static void propagate_moves(void **state)
{
    Error *local = NULL, *err = NULL;

    (void)state;
    error_propagate(&err, NULL);
    assert_null(err);
    error_setg(&local, "Cause");
    error_propagate(&err, local);
    assert_ptr_equal(err, local);
    error_free(err);
}

static void propagate_keeps_the_first(void **state)
{
    Error *first = NULL, *second = NULL;

    (void)state;
    error_setg(&first, "Cause");
    error_setg(&second, "Consequence");
    error_propagate(&first, second);
    assert_string_equal(error_get_pretty(first), "Cause");
    error_free(first);
}

static void propagate_to_nobody_frees(void **state)
{
    Error *local = NULL;

    (void)state;
    error_setg(&local, "Nobody reads this");
    error_propagate(NULL, local);
}

/* ---- reporting ---- */

static void report_goes_to_the_log_hook(void **state)
{
    Error *err = NULL;

    (void)state;
    error_setg(&err, "Message");
    error_append_hint(&err, "Hint");
    error_report_err(err);
    assert_logged("> Message\n> Hint\n");
    blkbackend_log("%d of %s", 2, "them");
    assert_logged("> 2 of them\n");
}

#define LOGGERS 4
#define LINES 200

static void *log_much(void *opaque)
{
    for (int i = 0; i < LINES; i++) {
        blkbackend_log("x");
    }
    return opaque;
}

/* Not atomic on purpose: calls of the hook must not overlap. */
static void count_line(void *opaque, const char *message)
{
    assert_string_equal(message, "x");
    ++*(int *)opaque;
}

static void log_calls_do_not_overlap(void **state)
{
    pthread_t threads[LOGGERS];
    int lines = 0;

    (void)state;
    blkbackend_set_log_fn(count_line, &lines);
    for (int i = 0; i < LOGGERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
    }
    for (int i = 0; i < LOGGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(lines, LOGGERS * LINES);
}

static void log_one_line(void)
{
    blkbackend_log("%s", "shown");
}

static void default_log_is_a_line_on_stderr(void **state)
{
    int fds[2];
    char text[64] = "";
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        log_one_line();
        _exit(0);
    }
    close(fds[1]);
    waitpid(pid, NULL, 0);
    assert_int_equal(read(fds[0], text, sizeof(text) - 1), strlen("blkbackend: shown\n"));
    assert_string_equal(text, "blkbackend: shown\n");
    close(fds[0]);
}

/* ---- where an error ends at once ---- */

static void set_abort(void)
{
    error_setg(&error_abort, "Never");
}

static void set_fatal(void)
{
    error_setg(&error_fatal, "Never");
}

static void propagate_fatal(void)
{
    Error *local = NULL;

    error_setg(&local, "Never");
    error_propagate(&error_fatal, local);
}

static void set_twice(void)
{
    Error *err = NULL;

    error_setg(&err, "First");
    error_setg(&err, "Second");
}

static void abort_and_fatal_end_the_process(void **state)
{
    (void)state;
    assert_true(WIFSIGNALED(status_of_child(set_abort)));
    assert_int_equal(WEXITSTATUS(status_of_child(set_fatal)), 1);
    assert_int_equal(WEXITSTATUS(status_of_child(propagate_fatal)), 1);
    assert_true(WIFSIGNALED(status_of_child(set_twice)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abort_and_fatal_end_the_process),
        cmocka_unit_test(default_log_is_a_line_on_stderr),
        cmocka_unit_test(message_is_formatted),
        cmocka_unit_test(errno_is_explained_and_kept),
        cmocka_unit_test(nobody_interested_is_fine),
        cmocka_unit_test(prefix_and_hints_are_added),
        cmocka_unit_test(copy_stands_alone),
        cmocka_unit_test(propagate_moves),
        cmocka_unit_test(propagate_keeps_the_first),
        cmocka_unit_test(propagate_to_nobody_frees),
        cmocka_unit_test_setup_teardown(report_goes_to_the_log_hook, hook_log, unhook_log),
        cmocka_unit_test_setup_teardown(log_calls_do_not_overlap, hook_log, unhook_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
