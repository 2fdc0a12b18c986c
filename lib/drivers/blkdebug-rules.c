/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * blkdebug: which request fails, and how.
 *
 * A rule chooses requests by operation, place, state and count, and each that
 * it chooses is delayed, fails, is cut short (inject-error), or brings about
 * another state (set-state).  docs/blkdebug.md lists the options.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/blkdebug.h"
#include "util/options.h"

#define ALL_OPS ((1u << DEBUG_OPS) - 1)
#define SECTOR 512
#define MAX_ERRNO 4095
#define MAX_RULES 1000
#define NO_LIMIT (-1)

/* What a rule without event and iotype is about. */
#define USUAL_OPS (1u << DEBUG_READ | 1u << DEBUG_WRITE | 1u << DEBUG_WRITE_ZEROES |         \
                   1u << DEBUG_DISCARD | 1u << DEBUG_FLUSH_TO_DISK)

struct DebugRule {
    /* What it chooses. */
    unsigned ops;               /* a bit each */
    int64_t state;              /* 0: any */
    int64_t offset, length;     /* touches this range; offset -1: any place, and none */
    int64_t after;              /* so many more that it would choose it lets go */
    int64_t count;              /* so many it still chooses; NO_LIMIT */

    /* What it does. */
    int64_t new_state;          /* 0: it injects this: */
    DebugFault fault;
};

/* ---- words ---- */

static const struct {
    const char *word;
    unsigned ops;
} events[] = {
    { "none",             ALL_OPS },
    { "read_aio",         1u << DEBUG_READ },
    { "write_aio",        1u << DEBUG_WRITE },
    { "pwritev",          1u << DEBUG_WRITE },
    { "pwritev_zero",     1u << DEBUG_WRITE_ZEROES },
    { "write_compressed", 1u << DEBUG_COMPRESSED },
    { "flush_to_os",      1u << DEBUG_FLUSH_TO_OS },
    { "flush_to_disk",    1u << DEBUG_FLUSH_TO_DISK },
    { "flush",            1u << DEBUG_FLUSH_TO_DISK },
};

unsigned debug_ops_of_word(const char *word)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i].word, word) == 0) {
            return events[i].ops;
        }
    }
    for (int op = 0; op < DEBUG_OPS; op++) {
        if (strcmp(debug_op_words[op], word) == 0) {
            return 1u << op;
        }
    }
    return 0;
}

static int take_ops(QDict *options, const char *key, unsigned *ops, Error **errp)
{
    const char *word = qdict_get_try_str(options, key);

    if (!qdict_haskey(options, key)) {
        return 0;
    }
    *ops = word ? debug_ops_of_word(word) : 0;
    if (*ops == 0) {
        error_setg(errp, "Parameter '%s' names no operation: '%s'", key, word ? word : "");
        error_append_hint(errp, "Operations are read, write, write-zeroes, discard, flush, "
                          "flush-to-os, truncate, block-status, compressed, ioctl, getlength.\n");
        return -EINVAL;
    }
    qdict_del(options, key);
    return 0;
}

/* ---- options of one rule: "LIST.N.NAME" ---- */

typedef struct RuleOptions {
    QDict *options;
    char prefix[40];
    char key[80];       /* the last one that was asked for */
    Error **errp;
    int ret;            /* of what was taken so far */
} RuleOptions;

static const char *key_of(RuleOptions *o, const char *name)
{
    snprintf(o->key, sizeof(o->key), "%s%s", o->prefix, name);
    return o->key;
}

static bool has(RuleOptions *o, const char *name)
{
    return qdict_haskey(o->options, key_of(o, name));
}

static void take_number(RuleOptions *o, const char *name, int64_t *value)
{
    if (o->ret == 0) {
        o->ret = options_take_size(o->options, key_of(o, name), value, o->errp);
    }
}

static void take_switch(RuleOptions *o, const char *name, bool *value)
{
    if (o->ret == 0) {
        o->ret = options_take_bool(o->options, key_of(o, name), value, o->errp);
    }
}

static void refuse(RuleOptions *o, const char *name, const char *why)
{
    if (o->ret == 0) {
        error_setg(o->errp, "Parameter '%s' %s", key_of(o, name), why);
        o->ret = -EINVAL;
    }
}

static void take_operations(RuleOptions *o, DebugRule *rule)
{
    unsigned event = ALL_OPS, iotype = ALL_OPS;
    bool any = !has(o, "event") || strcmp(qdict_get_try_str(o->options, o->key) ?: "", "none") == 0;

    any = any && !has(o, "iotype");
    if (o->ret == 0) {
        o->ret = take_ops(o->options, key_of(o, "event"), &event, o->errp);
    }
    if (o->ret == 0) {
        o->ret = take_ops(o->options, key_of(o, "iotype"), &iotype, o->errp);
    }
    rule->ops = any ? USUAL_OPS : event & iotype;
    if (rule->ops == 0) {
        refuse(o, "iotype", "is no operation of that event");
    }
}

static void take_range(RuleOptions *o, DebugRule *rule)
{
    int64_t sector = -1;

    if (has(o, "sector") && has(o, "offset")) {
        refuse(o, "sector", "does not go with 'offset'");
    }
    if (has(o, "length") && !has(o, "sector") && !has(o, "offset")) {
        refuse(o, "length", "needs an 'offset'");
    }
    rule->offset = -1;
    take_number(o, "sector", &sector);
    if (sector > INT64_MAX / SECTOR) {
        refuse(o, "sector", "is too large");
    }
    if (sector >= 0 && o->ret == 0) {
        rule->offset = sector * SECTOR;
    }
    rule->length = sector >= 0 ? SECTOR : 1;
    take_number(o, "offset", &rule->offset);
    take_number(o, "length", &rule->length);
}

static void take_count(RuleOptions *o, DebugRule *rule)
{
    bool once = false;

    if (has(o, "once") && has(o, "count")) {
        refuse(o, "once", "does not go with 'count'");
    }
    rule->count = NO_LIMIT;
    take_number(o, "after", &rule->after);
    take_number(o, "count", &rule->count);
    take_switch(o, "once", &once);
    if (once) {
        rule->count = 1;
    }
}

/* Only a delay is asked for: no failure. */
static bool is_delay_only(RuleOptions *o)
{
    return has(o, "delay-ns") && !has(o, "errno") && !has(o, "short");
}

static void take_fault(RuleOptions *o, DebugFault *fault)
{
    int64_t error = EIO;

    fault->fails = !is_delay_only(o);
    take_number(o, "delay-ns", &fault->delay_ns);
    take_number(o, "errno", &error);
    take_number(o, "short", &fault->most);
    take_switch(o, "immediately", &fault->immediately);
    if (error > MAX_ERRNO) {
        refuse(o, "errno", "is no error number");
    }
    fault->error = (int)error;
}

static int take_rule(RuleOptions *o, DebugRule *rule, bool injects)
{
    take_operations(o, rule);
    take_range(o, rule);
    take_count(o, rule);
    take_number(o, "state", &rule->state);
    if (injects) {
        take_fault(o, &rule->fault);
        return o->ret;
    }
    take_number(o, "new_state", &rule->new_state);
    if (rule->new_state == 0) {
        refuse(o, "new_state", "is missing");
    }
    return o->ret;
}

/* ---- all rules ---- */

static bool has_prefix(QDict *options, const char *prefix)
{
    size_t len = strlen(prefix);
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value) {
        if (strncmp(key, prefix, len) == 0) {
            return true;
        }
    }
    return false;
}

static DebugRule *add_rule(DebugRules *rules)
{
    DebugRule *rule = realloc(rules->rule, (size_t)(rules->n + 1) * sizeof(*rule));

    if (!rule) {
        abort();
    }
    rules->rule = rule;
    rule += rules->n++;
    memset(rule, 0, sizeof(*rule));
    return rule;
}

/* A gap in the numbers ends the list; what is behind it nobody takes, and opening fails. */
static int take_list(DebugRules *rules, QDict *options, const char *list, bool injects,
                     Error **errp)
{
    for (int i = 0; i < MAX_RULES; i++) {
        RuleOptions o = { .options = options, .errp = errp };

        snprintf(o.prefix, sizeof(o.prefix), "%s.%d.", list, i);
        if (!has_prefix(options, o.prefix)) {
            break;
        }
        if (take_rule(&o, add_rule(rules), injects) < 0) {
            return o.ret;
        }
    }
    return 0;
}

int debug_rules_take(DebugRules *rules, QDict *options, Error **errp)
{
    int ret = take_list(rules, options, "inject-error", true, errp);

    rules->state = 1;
    return ret < 0 ? ret : take_list(rules, options, "set-state", false, errp);
}

void debug_rules_free(DebugRules *rules)
{
    free(rules->rule);
    *rules = (DebugRules){ 0 };
}

/* ---- requests ---- */

static bool touches(const DebugRule *rule, const DebugRequest *req)
{
    if (rule->offset < 0) {
        return true;
    }
    return req->bytes > 0 && rule->offset < req->offset + req->bytes &&
           req->offset - rule->offset < rule->length;
}

static bool chooses(DebugRule *rule, const DebugRequest *req, int64_t state)
{
    if (!(rule->ops & 1u << req->op) || (rule->state && rule->state != state) ||
        !touches(rule, req)) {
        return false;
    }
    if (rule->after > 0) {
        rule->after--;
        return false;
    }
    if (rule->count > 0) {
        rule->count--;
        return true;
    }
    return rule->count == NO_LIMIT;
}

void debug_rules_apply(DebugRules *rules, DebugRequest *req)
{
    int64_t state = rules->state;   /* the same for all of them */

    for (int i = 0; i < rules->n; i++) {
        DebugRule *rule = &rules->rule[i];

        if (!chooses(rule, req, state)) {
            continue;
        }
        if (rule->new_state) {
            rules->state = rule->new_state;
        } else if (rule->fault.fails && !req->fault.fails) {
            int64_t delay = req->fault.delay_ns;

            req->fault = rule->fault;
            req->fault.delay_ns += delay;
        } else {
            req->fault.delay_ns += rule->fault.delay_ns;
        }
    }
}
