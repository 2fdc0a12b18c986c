/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may enter an export, and who may only read it.
 *
 * A rule names clients.  A client that some allow rule names may do everything; one that only
 * allow-read-only rules name may read; others may not even learn that the export exists.
 * Without any rule everybody may do everything.
 */
#ifndef NBD_EXPORT_ACCESS_H
#define NBD_EXPORT_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Conn Conn;
typedef struct Error Error;
typedef struct AccessRule AccessRule;

typedef struct AccessRules {
    AccessRule *rules;
    size_t n;
    bool inherited;        /* the rules of every export: the first of an export's own drops them */
} AccessRules;

enum access { ACCESS_NONE, ACCESS_READ_ONLY, ACCESS_FULL };

/* Adds the rule that `text` stands for; false with errp set if it is none. */
bool access_rules_add(AccessRules *rules, const char *text, bool read_only, Error **errp);
/* The same, for rules that name users of this machine: no others. */
bool access_rules_add_local(AccessRules *rules, const char *text, Error **errp);
/* `to` gets a copy, as inherited ones; what it had is lost. */
void access_rules_inherit(AccessRules *to, const AccessRules *from);
void access_rules_clear(AccessRules *rules);
/* Drops those of one kind, and inherited ones: what is added next stands in their place. */
void access_rules_drop(AccessRules *rules, bool read_only);
/* The i-th rule as it was given; NULL: there are no more. */
const char *access_rules_text(const AccessRules *rules, size_t i, bool *read_only);
/* One by one, whatever they were inherited from. */
bool access_rules_equal(const AccessRules *a, const AccessRules *b);
/* [conn's thread] */
enum access access_check(const AccessRules *rules, const Conn *conn);
/* The kind of a rule that names nobody unless clients show certificates, or keys; NULL: none. */
const char *access_rules_unmet(const AccessRules *rules, bool certificates, bool keys);
/* Some of the network's clients may not enter. */
bool access_rules_guard_network(const AccessRules *rules);

#endif
