/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes in three digits. */
#include "tools/tool.h"

#include <stdio.h>

const char *size_str(uint64_t bytes, char buf[SIZE_STR_LEN])
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    double value = (double)bytes;
    unsigned power = 0;

    /* More would be rounded to a fourth digit. */
    while (value >= 999.5 && power < 6) {
        value /= 1024;
        power++;
    }
    snprintf(buf, SIZE_STR_LEN, "%0.3g %sB", value, units[power]);
    return buf;
}
