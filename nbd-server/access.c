/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rule is a kind and what that kind compares: one row of `kinds`, one pair of functions. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkbackend/error.h>

#include "access.h"
#include "common/cleanup.h"
#include "common/xalloc.h"
#include "peer.h"
#include "server.h"
#include "tls.h"

typedef struct RuleKind RuleKind;

struct AccessRule {
    const RuleKind *kind;
    char *text;            /* as it was given */
    bool read_only;
    PeerAddress address;   /* net */
    unsigned prefix;       /* net: bits that must agree */
    uint32_t id;           /* uid, gid */
    char *name;            /* tls, psk */
};

struct RuleKind {
    const char *name, *argument;
    bool (*parse)(AccessRule *rule, const char *value, Error **errp);
    bool (*match)(const AccessRule *rule, const Conn *conn);
    bool local;            /* it names users of this machine */
};

/* ---- net:ADDRESS/BITS ---- */

static bool bit_is_set(const PeerAddress *address, unsigned bit)
{
    return address->bytes[bit / 8] & (0x80 >> bit % 8);
}

/* The network's own address has nothing after the prefix: else one of the two is a mistake. */
static bool check_prefix(const AccessRule *rule, const char *value, Error **errp)
{
    char text[INET6_ADDRSTRLEN];
    PeerAddress network = rule->address;
    bool ok = true;

    for (unsigned bit = rule->prefix; bit < 8 * network.len; bit++) {
        ok &= !bit_is_set(&network, bit);
        network.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
    }
    if (!ok) {
        inet_ntop(network.len == 4 ? AF_INET : AF_INET6, network.bytes, text, sizeof(text));
        error_setg(errp, "\"%s\" is no network: its address goes on after %u bits", value,
                   rule->prefix);
        error_append_hint(errp, "The network is net:%s/%u, the one address is net:%.*s.\n", text,
                          rule->prefix, (int)strcspn(value, "/"), value);
    }
    return ok;
}

static bool parse_net(AccessRule *rule, const char *value, Error **errp)
{
    const char *slash = strchr(value, '/');
    auto_free char *text = xstrndup(value, slash ? (size_t)(slash - value) : strlen(value));
    unsigned bits, offset;
    char *end;

    if (!peer_address_parse(&rule->address, text, &offset)) {
        error_setg(errp, "\"%s\" is not an IPv4 or IPv6 address", text);
        error_append_hint(errp, "Examples: net:192.0.2.7, net:10.0.0.0/8, net:2001:db8::/32.\n");
        return false;
    }
    rule->prefix = 8 * rule->address.len;
    if (slash) {
        unsigned long n = strtoul(slash + 1, &end, 10);

        bits = rule->prefix + offset;
        if (!isdigit((unsigned char)slash[1]) || *end || n > bits || n < offset) {
            error_setg(errp, "\"%s\": the bits after the \"/\" should be a number from %u to %u",
                       value, offset, bits);
            return false;
        }
        rule->prefix = (unsigned)n - offset;
    }
    return check_prefix(rule, value, errp);
}

static bool match_net(const AccessRule *rule, const Conn *conn)
{
    PeerAddress address;

    if (!peer_address(conn, &address) || address.len != rule->address.len) {
        return false;
    }
    for (unsigned bit = 0; bit < rule->prefix; bit++) {
        if (bit_is_set(&address, bit) != bit_is_set(&rule->address, bit)) {
            return false;
        }
    }
    return true;
}

/* ---- uid:N, user:NAME, gid:N, group:NAME ---- */

static bool parse_id(AccessRule *rule, const char *value, Error **errp)
{
    unsigned long id;
    char *end;

    errno = 0;
    id = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || id >= UINT32_MAX) {
        error_setg(errp, "\"%s\" is not a number from 0 to %" PRIu32, value, UINT32_MAX - 1);
        error_append_hint(errp, "By name: user:NAME, group:NAME.\n");
        return false;
    }
    rule->id = (uint32_t)id;
    return true;
}

static bool parse_user(AccessRule *rule, const char *value, Error **errp)
{
    const struct passwd *user = getpwnam(value);

    if (!user) {
        error_setg(errp, "this machine has no user \"%s\"", value);
        return false;
    }
    rule->id = user->pw_uid;
    return true;
}

static bool parse_group(AccessRule *rule, const char *value, Error **errp)
{
    const struct group *group = getgrnam(value);

    if (!group) {
        error_setg(errp, "this machine has no group \"%s\"", value);
        return false;
    }
    rule->id = group->gr_gid;
    return true;
}

static bool match_user(const AccessRule *rule, const Conn *conn)
{
    return conn->has_cred && conn->cred.uid == rule->id;
}

static bool match_group(const AccessRule *rule, const Conn *conn)
{
    return conn->has_cred && peer_is_in_group(conn, rule->id);
}

/* ---- tls:NAME, psk:NAME, any ---- */

static bool parse_name(AccessRule *rule, const char *value, Error **errp)
{
    (void)errp;
    rule->name = xstrdup(value);
    return true;
}

static bool match_psk(const AccessRule *rule, const Conn *conn)
{
    return tls_peer_has_key(conn, rule->name);
}

/* Who has a key has no certificate: the two kinds of names are not to be mixed up. */
static bool match_certificate(const AccessRule *rule, const Conn *conn)
{
    return tls_peer_has_name(conn, rule->name) && !match_psk(rule, conn);
}

static bool match_any(const AccessRule *rule, const Conn *conn)
{
    (void)rule;
    (void)conn;
    return true;
}

/* ---- the table ---- */

static const RuleKind kinds[] = {
    { "net", "ADDRESS[/BITS]", parse_net, match_net, false },
    { "uid", "NUMBER", parse_id, match_user, true },
    { "user", "NAME", parse_user, match_user, true },
    { "gid", "NUMBER", parse_id, match_group, true },
    { "group", "NAME", parse_group, match_group, true },
    { "tls", "NAME", parse_name, match_certificate, false },
    { "psk", "NAME", parse_name, match_psk, false },
    { "any", NULL, NULL, match_any, false },
};

static const RuleKind *find_kind(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, text, len) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void hint_kinds(bool local, Error **errp)
{
    const char *comma = "";

    error_append_hint(errp, "A rule is one of:");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const RuleKind *kind = &kinds[i];

        if (local && !kind->local) {
            continue;
        }
        error_append_hint(errp, "%s %s%s%s", comma, kind->name, kind->argument ? ":" : "",
                          kind->argument ? kind->argument : "");
        comma = ",";
    }
    error_append_hint(errp, ".\n");
}

static bool parse_rule(AccessRule *rule, const char *text, bool local, Error **errp)
{
    size_t len = strcspn(text, ":");
    const char *value = text[len] ? text + len + 1 : NULL;

    rule->kind = find_kind(text, len);
    if (!rule->kind || (local && !rule->kind->local)) {
        error_setg(errp, "\"%s\" is no %s", text,
                   rule->kind ? "rule about users of this machine" : "access rule");
        hint_kinds(local, errp);
        return false;
    }
    if (rule->kind->argument ? !value || !*value : value != NULL) {
        error_setg(errp, "\"%s\" should be %s%s%s", text, rule->kind->name,
                   rule->kind->argument ? ":" : "",
                   rule->kind->argument ? rule->kind->argument : "");
        return false;
    }
    return !value || rule->kind->parse(rule, value, errp);
}

/* ---- lists of rules ---- */

static bool add_rule(AccessRules *rules, const char *text, bool read_only, bool local,
                     Error **errp)
{
    AccessRule rule = { .read_only = read_only };

    if (!parse_rule(&rule, text, local, errp)) {
        return false;
    }
    if (rules->inherited) {
        access_rules_clear(rules);
    }
    rule.text = xstrdup(text);
    rules->rules = xalloc_check(realloc(rules->rules, (rules->n + 1) * sizeof(rule)));
    rules->rules[rules->n++] = rule;
    return true;
}

bool access_rules_add(AccessRules *rules, const char *text, bool read_only, Error **errp)
{
    return add_rule(rules, text, read_only, false, errp);
}

bool access_rules_add_local(AccessRules *rules, const char *text, Error **errp)
{
    return add_rule(rules, text, false, true, errp);
}

void access_rules_inherit(AccessRules *to, const AccessRules *from)
{
    *to = (AccessRules){ .n = from->n, .inherited = true };
    if (from->n > 0) {
        to->rules = xcalloc(from->n, sizeof(to->rules[0]));
    }
    for (size_t i = 0; i < from->n; i++) {
        to->rules[i] = from->rules[i];
        to->rules[i].name = xstrdup(from->rules[i].name);
        to->rules[i].text = xstrdup(from->rules[i].text);
    }
}

static bool rule_equal(const AccessRule *a, const AccessRule *b)
{
    return a->kind == b->kind && a->read_only == b->read_only && a->prefix == b->prefix &&
           a->id == b->id && a->address.len == b->address.len &&
           memcmp(a->address.bytes, b->address.bytes, a->address.len) == 0 &&
           strcmp(a->name ? a->name : "", b->name ? b->name : "") == 0;
}

bool access_rules_equal(const AccessRules *a, const AccessRules *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!rule_equal(&a->rules[i], &b->rules[i])) {
            return false;
        }
    }
    return true;
}

static void clear_rule(AccessRule *rule)
{
    free(rule->name);
    free(rule->text);
}

void access_rules_clear(AccessRules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        clear_rule(&rules->rules[i]);
    }
    free(rules->rules);
    *rules = (AccessRules){ .n = 0 };
}

void access_rules_drop(AccessRules *rules, bool read_only)
{
    size_t n = 0;

    for (size_t i = 0; i < rules->n; i++) {
        if (rules->inherited || rules->rules[i].read_only == read_only) {
            clear_rule(&rules->rules[i]);
        } else {
            rules->rules[n++] = rules->rules[i];
        }
    }
    rules->n = n;
    rules->inherited = false;
}

const char *access_rules_text(const AccessRules *rules, size_t i, bool *read_only)
{
    *read_only = i < rules->n && rules->rules[i].read_only;
    return i < rules->n ? rules->rules[i].text : NULL;
}

enum access access_check(const AccessRules *rules, const Conn *conn)
{
    enum access access = rules->n ? ACCESS_NONE : ACCESS_FULL;

    for (size_t i = 0; i < rules->n && access != ACCESS_FULL; i++) {
        const AccessRule *rule = &rules->rules[i];

        if (rule->kind->match(rule, conn)) {
            access = rule->read_only ? ACCESS_READ_ONLY : ACCESS_FULL;
        }
    }
    return access;
}

/* A network of all addresses, and `any`, guard nothing. */
bool access_rules_guard_network(const AccessRules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        const AccessRule *rule = &rules->rules[i];

        if (rule->kind->match == match_any || (rule->kind->match == match_net && !rule->prefix)) {
            return false;
        }
    }
    return rules->n > 0;
}

const char *access_rules_unmet(const AccessRules *rules, bool certificates, bool keys)
{
    for (size_t i = 0; i < rules->n; i++) {
        const RuleKind *kind = rules->rules[i].kind;

        if ((kind->match == match_certificate && !certificates) ||
            (kind->match == match_psk && !keys)) {
            return kind->name;
        }
    }
    return NULL;
}
