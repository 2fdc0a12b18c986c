/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The types of arguments, results and events, by name (qmp.h says how they are written).
 */
#include "qmp.h"

const QmpType qmp_types[] = {
    /* The server. */
    { "QMPCapability", "oob" },
    { "ShutdownCause", "host-qmp-quit | host-signal | guest-shutdown" },
    { "VersionTriple", "major int, minor int, micro int" },
    { "VersionInfo", "qemu VersionTriple, package str" },
    { "CommandInfo", "name str" },
    { "SchemaInfo", "name str, meta-type str, ..." },
    { "XHandshakeStats", "ok int, failed int, left int" },
    { "XLogLevel", "error | warning | notice | info | debug" },
    { "XLogLevelInfo", "level XLogLevel" },
    { "XReloadChange", "export str, settings [str]" },
    { "XReloadInfo", "added [str], changed [XReloadChange], removed [str], restart [str]" },
    { "XServerInfo", "version str, pid int, uptime number, uris [str], exports int, clients int, "
                     "max-clients int, memory int, max-memory int, threads int, "
                     "handshakes XHandshakeStats, tls-handshakes XHandshakeStats" },

    /* Exports. */
    { "BlockdevOnError", "report | ignore | enospc | stop | auto" },
    { "BlockErrorAction", "ignore | report | stop" },
    { "BlockExportInfo", "id str, type BlockExportType, node-name str, shutting-down bool" },
    { "BlockExportRemoveMode", "safe | hard | soft | hide" },
    { "BlockExportType", "nbd" },
    { "IoOperationType", "read | write" },
    { "XErrorPolicy", "on-read-error BlockdevOnError, on-write-error BlockdevOnError" },
    { "XExportFlag", "read-only | flush | fua | rotational | trim | write-zeroes | multi-conn | "
      "cache | fast-zero" },
    { "XExportInfo", "id str, name str, state XExportState, read-only bool, hidden bool, "
      "dynamic bool, removed bool, size size, clients int, in-flight int, throttle-waits int, "
      "throttle-wait-ns int, flags [XExportFlag], "
      "settings XExportSettings, *description str, *image str, *format str, node-name str" },
    { "XExportSettings", "..." },
    { "XExportState", "running | paused | io-error | no-medium | removed" },
    { "XExportStateInfo", "id str, state XExportState" },

    /* Clients. */
    { "XClientInfo", "id int, peer str, state XClientState, since int, tls bool, read-only bool, "
      "requests int, errors int, bytes-read int, bytes-written int, in-flight int, held int, "
      "throttled int, throttle-waits int, throttle-wait-ns int, memory size, "
      "*export str, *uid int, *pid int, *tls-name str" },
    { "XClientKickResult", "kicked int" },
    { "XClientState", "handshake | transmission | ending" },
};
const size_t n_qmp_types = sizeof(qmp_types) / sizeof(qmp_types[0]);
