/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of events.
 */
#include "qmp.h"

const QmpEventType qmp_events[] = {
    { "DEVICE_TRAY_MOVED", "device str, id str, tray-open bool",
      "the tray of an export was opened or closed" },
    { "x-EXPORT_RESIZED", "id str, size int", "an export has another size, in bytes" },
    { "x-EVENTS_LOST", "count int", "a client has not read that many events before this one" },
};
const size_t n_qmp_events = sizeof(qmp_events) / sizeof(qmp_events[0]);
