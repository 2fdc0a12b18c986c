/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of NBD exports, and what the driver makes of them and of options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/nbd.h"

/* Opens nothing: from a name as the graph hands it over, and "key=value" options, to settings. */
static int settings_of(FarSettings *set, const char *name, const char *const *options, Error **errp)
{
    QDict *dict = qdict_new();
    Error *err = NULL;
    int ret;

    memset(set, 0, sizeof(*set));
    for (; options && *options; options += 2) {
        qdict_put(dict, options[0], qstring_from_str(options[1]));
    }
    if (name) {
        far_parse_filename(name, dict, &err);
    }
    ret = err ? -1 : far_take_options(set, dict, &err);
    assert_true((ret < 0) == (err != NULL));
    if (ret == 0) {
        assert_int_equal(qdict_size(dict), 0);
    }
    error_propagate(errp, err);
    QDECREF(dict);
    return ret;
}

static void same(const char *got, const char *want)
{
    if (!want) {
        assert_null(got);
    } else {
        assert_non_null(got);
        assert_string_equal(got, want);
    }
}

static const struct {
    const char *name;              /* without "nbd:" */
    const char *host, *port, *path, *export, *user;
    bool tls;
} good[] = {
    { "//host", "host", "10809", NULL, "", NULL, false },
    { "//host/", "host", "10809", NULL, "", NULL, false },
    { "//", "localhost", "10809", NULL, "", NULL, false },
    { "//host:123/disk", "host", "123", NULL, "disk", NULL, false },
    { "//host:/disk", "host", "10809", NULL, "disk", NULL, false },
    { "//[::1]:123/a/b", "::1", "123", NULL, "a/b", NULL, false },
    { "//[::1]", "::1", "10809", NULL, "", NULL, false },
    { "//host//slash", "host", "10809", NULL, "/slash", NULL, false },
    { "//host/a%20b%2Fc%25", "host", "10809", NULL, "a b/c%", NULL, false },
    { "nbd+tcp://host/x", "host", "10809", NULL, "x", NULL, false },
    { "nbd+unix:///x?socket=/run/s", NULL, NULL, "/run/s", "x", NULL, false },
    { "nbd+unix://?socket=/a%3Fb&", NULL, NULL, "/a?b", "", NULL, false },
    { "nbds://bob@host/x", "host", "10809", NULL, "x", "bob", true },
    { "nbds+unix://bob@/x?socket=/s", NULL, NULL, "/s", "x", "bob", true },
    { "host:10", "host", "10", NULL, "", NULL, false },
    { "host:10:exportname=a:b", "host", "10", NULL, "a:b", NULL, false },
    { "[::1]:10", "::1", "10", NULL, "", NULL, false },
    { "unix:/s", NULL, NULL, "/s", "", NULL, false },
    { "unix:/a:b:exportname=", NULL, NULL, "/a:b", "", NULL, false },
    { "unix:/s:exportname=x y", NULL, NULL, "/s", "x y", NULL, false },
};

static void names_say_where_and_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        FarSettings set;

        assert_int_equal(settings_of(&set, good[i].name, NULL, &error_abort), 0);
        same(set.host, good[i].host);
        same(set.port, good[i].port);
        same(set.path, good[i].path);
        same(set.export, good[i].export);
        same(set.tls_username, good[i].user);
        assert_int_equal(set.tls, good[i].tls);
        assert_true(set.tls_verify);
        far_settings_destroy(&set);
    }
}

static void wrong_names_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "host", ":10", "host:", "host:exportname=x", "unix:", "//host/%", "//host/%4",
        "//host/%xy", "//host/%00", "//[::1", "//[::1]x", "//host?socket=/s", "//host?x=y",
        "//host?tls-verify-peer", "nbd+unix:///x", "nbd+unix://host/?socket=/s", "//bob@host/x",
        "//host?tls-verify-peer=perhaps",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FarSettings set;
        Error *err = NULL;

        if (settings_of(&set, bad[i], NULL, &err) == 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
        error_free(err);
        far_settings_destroy(&set);
    }
}

static void options_say_the_same(void **state)
{
    static const char *const options[] = {
        "server.type", "inet", "server.host", "h", "server.port", "7", "export", "e",
        "reconnect-delay", "5", "open-timeout", "2", "connections", "3", "tls", "on",
        "tls-certs", "/c", "tls-verify", "off", NULL
    };
    FarSettings set;

    (void)state;
    assert_int_equal(settings_of(&set, NULL, options, &error_abort), 0);
    same(set.host, "h");
    same(set.port, "7");
    same(set.export, "e");
    same(set.tls_certs, "/c");
    same(set.name, "h:7, export e");
    assert_true(set.reconnect_ns == 5 * NS_PER_SECOND && set.open_ns == 2 * NS_PER_SECOND);
    assert_int_equal(set.connections, 3);
    assert_true(set.tls && !set.tls_verify);
    far_settings_destroy(&set);
}

static void contradictions_are_refused(void **state)
{
    static const char *const bad[][5] = {
        { NULL },
        { "host", "h", "path", "/p" },
        { "host", "h", "server.host", "i" },
        { "server.type", "unix", "host", "h" },
        { "server.type", "vsock", "host", "h" },
        { "host", "h", "connections", "0" },
        { "host", "h", "reconnect-delay", "soon" },
        { "port", "1" },
        { "host", "h", "tls-username", "bob" },
    };
    static const char *const twice[] = { "export", "x", NULL };
    FarSettings set;
    Error *err = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(settings_of(&set, NULL, bad[i], &err) < 0);
        error_free(err);
        err = NULL;
        far_settings_destroy(&set);
    }
    assert_true(settings_of(&set, "//host/y", twice, &err) < 0);
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_say_where_and_what),
        cmocka_unit_test(wrong_names_are_refused),
        cmocka_unit_test(options_say_the_same),
        cmocka_unit_test(contradictions_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
