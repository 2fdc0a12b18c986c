/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "qmp.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
