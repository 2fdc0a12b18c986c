/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of events.
 */
#include "qmp.h"

const QmpEventType qmp_events[] = {
    { "SHUTDOWN", "guest bool, reason ShutdownCause", "the server ends" },
    { "BLOCK_EXPORT_DELETED", "id str", "an export is closed, after it was removed" },
    { "BLOCK_IO_ERROR", "device str, operation IoOperationType, action BlockErrorAction, "
      "reason str, *node-name str, *nospace bool", "the image has failed a request" },
    { "X_CLIENT_CONNECTED", "id int, export str, peer str", "a client has entered an export" },
    { "X_CLIENT_DISCONNECTED", "id int, export str, peer str, reason str", "a client has gone" },
    { "X_EXPORT_STATE", "id str, state XExportState, reason XExportStateReason, *error str",
      "an export was added, stopped, let go on, or removed" },
    { "DEVICE_TRAY_MOVED", "device str, id str, tray-open bool",
      "the tray of an export was opened or closed" },
    { "X_EXPORT_RESIZED", "id str, size int", "an export has another size, in bytes" },
    { "BLOCK_JOB_CANCELLED", "type JobType, device str, len int, offset int, speed int",
      "a job was ended before it was done" },
    { "BLOCK_JOB_COMPLETED", "type JobType, device str, len int, offset int, speed int, "
      "*error str", "a job has done what it was for, or has failed" },
    { "BLOCK_JOB_ERROR", "device str, operation IoOperationType, action BlockErrorAction",
      "a request of a job has failed" },
    { "BLOCK_JOB_PENDING", "type JobType, id str", "a job waits for job-finalize" },
    { "BLOCK_JOB_READY", "type JobType, device str, len int, offset int, speed int",
      "a job waits for job-complete" },
    { "JOB_STATUS_CHANGE", "id str, status JobStatus", "a job is in another state" },
    { "X_JOB_PROGRESS", "id str, current-progress int, total-progress int",
      "a job has come on: at most twice a second" },
    { "X_EVENTS_LOST", "count int", "a client has not read that many events before this one" },
};
const size_t n_qmp_events = sizeof(qmp_events) / sizeof(qmp_events[0]);
