/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dictionaries: ownership, types, bytes that are no UTF-8, absent things. */
#include <blkbackend/qdict.h>

#include "unit.h"

static void put_get_delete(void **state)
{
    QDict *d = qdict_new();

    (void)state;
    assert_int_equal(qdict_size(d), 0);
    qdict_put(d, "driver", qstring_from_str("raw"));
    qdict_put(d, "offset", qint_from_int(INT64_MIN));
    qdict_put(d, "read-only", qbool_from_bool(true));
    assert_int_equal(qdict_size(d), 3);
    assert_true(qdict_haskey(d, "offset"));
    assert_string_equal(qdict_get_try_str(d, "driver"), "raw");
    assert_true(json_integer_value(json_object_get(d, "offset")) == INT64_MIN);
    assert_true(json_is_true(json_object_get(d, "read-only")));
    qdict_del(d, "offset");
    qdict_del(d, "offset");
    assert_false(qdict_haskey(d, "offset"));
    assert_int_equal(qdict_size(d), 2);
    QDECREF(d);
}

static void put_replaces(void **state)
{
    QDict *d = qdict_new();

    (void)state;
    qdict_put(d, "key", qstring_from_str("old"));
    qdict_put(d, "key", qstring_from_str("new"));
    assert_int_equal(qdict_size(d), 1);
    assert_string_equal(qdict_get_try_str(d, "key"), "new");
    QDECREF(d);
}

static void only_strings_are_strings(void **state)
{
    QDict *d = qdict_new();

    (void)state;
    qdict_put(d, "number", qint_from_int(1));
    qdict_put(d, "truth", qbool_from_bool(false));
    assert_null(qdict_get_try_str(d, "number"));
    assert_null(qdict_get_try_str(d, "truth"));
    assert_null(qdict_get_try_str(d, "absent"));
    QDECREF(d);
}

/* File names in any encoding must come through as they are. */
static void bytes_are_kept(void **state)
{
    QDict *d = qdict_new();

    (void)state;
    qdict_put(d, "\xff key", qstring_from_str("disk-\xe4\xff.img"));
    qdict_put(d, "empty", qstring_from_str(""));
    assert_true(qdict_haskey(d, "\xff key"));
    assert_string_equal(qdict_get_try_str(d, "\xff key"), "disk-\xe4\xff.img");
    assert_string_equal(qdict_get_try_str(d, "empty"), "");
    QDECREF(d);
}

static void put_takes_over_the_reference(void **state)
{
    QDict *outer = qdict_new(), *inner = qdict_new();

    (void)state;
    qdict_put(inner, "x", qint_from_int(1));
    QINCREF(inner);
    qdict_put(outer, "inner", inner);
    QDECREF(outer);
    assert_int_equal(qdict_size(inner), 1);
    QDECREF(inner);
}

static void null_is_harmless(void **state)
{
    QDict *d = qdict_new();

    (void)state;
    qdict_put(d, "key", qstring_from_str("kept"));
    qdict_put(d, "key", NULL);
    qdict_put(d, NULL, qint_from_int(1));
    qdict_put(NULL, "key", qstring_from_str("x"));
    qdict_del(d, NULL);
    qdict_del(NULL, "key");
    assert_false(qdict_haskey(d, NULL));
    assert_false(qdict_haskey(NULL, "key"));
    assert_null(qdict_get_try_str(d, NULL));
    assert_null(qdict_get_try_str(NULL, "key"));
    assert_int_equal(qdict_size(NULL), 0);
    assert_null(qstring_from_str(NULL));
    assert_string_equal(qdict_get_try_str(d, "key"), "kept");
    QDECREF(d);
    QDECREF((QDict *)NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_delete),
        cmocka_unit_test(put_replaces),
        cmocka_unit_test(only_strings_are_strings),
        cmocka_unit_test(bytes_are_kept),
        cmocka_unit_test(put_takes_over_the_reference),
        cmocka_unit_test(null_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
