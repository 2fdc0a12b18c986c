/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of nbdkit's command line.  What an image understands is handed on to it as it stands. */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#include "common/option-list.h"
#include "common/xalloc.h"

#define THROTTLE_PREFIX "throttle."

Settings settings;

int plugin_error(Error *err, const char *what)
{
    const char *hint = error_get_hint(err);
    int len = hint ? (int)strcspn(hint, "\n") : 0;

    nbdkit_error("%s%s%s%s%.*s", what ? what : "", what ? ": " : "", error_get_pretty(err),
                 len ? ". " : "", len, hint ? hint : "");
    error_free(err);
    return -1;
}

/* ---- one key each ---- */

static int set_string(char **field, const char *key, const char *value)
{
    if (!*value) {
        nbdkit_error("%s= needs a value", key);
        return -1;
    }
    free(*field);
    *field = xstrdup(value);
    return 0;
}

/* nbdkit goes to / when it goes to the background: a path must not depend on where it started.
 * "proto:rest" is no path; main-thread.c looks after names inside it. */
static int set_file(const char *value)
{
    size_t prefix = strcspn(value, ":/");

    if (!*value || value[prefix] == ':') {
        return set_string(&settings.file, "file", value);
    }
    free(settings.file);
    settings.file = nbdkit_absolute_path(value);
    return settings.file ? 0 : -1;
}

static int set_dir(const char *value)
{
    free(settings.dir);
    settings.dir = nbdkit_realpath(value);
    return settings.dir ? 0 : -1;
}

static int set_image_opts(const char *value)
{
    Error *err = NULL;

    QDECREF(settings.image_opts);
    settings.image_opts = option_list_parse(value, &err);
    return settings.image_opts ? 0 : plugin_error(err, "image-opts");
}

static int set_cache(const char *value)
{
    if (bdrv_parse_cache_mode(value, &settings.open_flags) < 0) {
        nbdkit_error("cache=%s: should be writeback, writethrough, none, directsync or unsafe",
                     value);
        return -1;
    }
    return 0;
}

static int set_discard(const char *value)
{
    if (bdrv_parse_discard_flags(value, &settings.open_flags) < 0) {
        nbdkit_error("discard=%s: should be unmap or ignore", value);
        return -1;
    }
    return 0;
}

static int set_aio(const char *value)
{
    if (strcmp(value, "native") == 0) {
        settings.open_flags |= BDRV_O_NATIVE_AIO;
        return 0;
    }
    settings.open_flags &= ~BDRV_O_NATIVE_AIO;
    return set_string(&settings.engine, "aio", value);
}

static int set_snapshot(const char *value)
{
    int on = nbdkit_parse_bool(value);

    if (on < 0) {
        return -1;
    }
    settings.open_flags &= ~BDRV_O_SNAPSHOT;
    settings.open_flags |= on ? BDRV_O_SNAPSHOT : 0;
    return 0;
}

static int set_image_option(const char *option, const char *value)
{
    qdict_put(settings.options, option, qstring_from_str(value));
    return 0;
}

static int set_throttle(const char *key, const char *value)
{
    if (strcmp(key, THROTTLE_PREFIX "group") == 0) {
        return set_string(&settings.throttle_group, key, value);
    }
    qdict_put(settings.limit_options, key, qstring_from_str(value));
    return 0;
}

/* ---- all of them ---- */

static void init(void)
{
    if (!settings.options) {
        settings.options = qdict_new();
        settings.limit_options = qdict_new();
        settings.open_flags = BDRV_O_CACHE_WB | BDRV_O_UNMAP;
        throttle_config_init(&settings.limits);
    }
}

int settings_set(const char *key, const char *value)
{
    init();
    if (strcmp(key, "file") == 0) {
        return set_file(value);
    } else if (strcmp(key, "dir") == 0) {
        return set_dir(value);
    } else if (strcmp(key, "image-opts") == 0) {
        return set_image_opts(value);
    } else if (strcmp(key, "format") == 0) {
        return set_image_option("driver", value);
    } else if (strcmp(key, "detect-zeroes") == 0) {
        return set_image_option(key, value);
    } else if (strcmp(key, "cache") == 0) {
        return set_cache(value);
    } else if (strcmp(key, "discard") == 0) {
        return set_discard(value);
    } else if (strcmp(key, "aio") == 0) {
        return set_aio(value);
    } else if (strcmp(key, "snapshot") == 0) {
        return set_snapshot(value);
    } else if (strcmp(key, "load-snapshot") == 0) {
        return set_string(&settings.load_snapshot, key, value);
    } else if (strncmp(key, THROTTLE_PREFIX, sizeof(THROTTLE_PREFIX) - 1) == 0) {
        return set_throttle(key, value);
    }
    nbdkit_error("unknown key '%s'; 'nbdkit blkbackend --help' lists them", key);
    return -1;
}

static int complete_limits(void)
{
    Error *err = NULL;

    if (throttle_config_take(&settings.limits, settings.limit_options, THROTTLE_PREFIX,
                             &err) < 0 || !throttle_is_valid(&settings.limits, &err)) {
        return plugin_error(err, "throttle");
    }
    if (qdict_size(settings.limit_options) > 0) {
        nbdkit_error("unknown key '%s'; 'nbdkit blkbackend --help' lists them",
                     json_object_iter_key(json_object_iter(settings.limit_options)));
        return -1;
    }
    return 0;
}

static int choose_engine(void)
{
    Error *err = NULL;

    if (settings.engine && aio_set_engine(settings.engine, &err) < 0) {
        return plugin_error(err, "aio");
    }
    return 0;
}

int settings_complete(void)
{
    init();
    if (!!settings.file + !!settings.dir + !!settings.image_opts != 1) {
        nbdkit_error("name what to serve by one of file=IMAGE, image-opts=LIST and dir=FOLDER");
        return -1;
    }
    if (settings.image_opts && qdict_haskey(settings.options, "driver")) {
        nbdkit_error("format= does not go together with image-opts=, which has driver=");
        return -1;
    }
    return complete_limits() < 0 ? -1 : choose_engine();
}

void settings_free(void)
{
    free(settings.file);
    free(settings.dir);
    free(settings.engine);
    free(settings.load_snapshot);
    free(settings.throttle_group);
    QDECREF(settings.image_opts);
    QDECREF(settings.options);
    QDECREF(settings.limit_options);
    settings = (Settings){ 0 };
}
