/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layout of a new image: header, refcount table, refcount blocks, L1 table,
 * L2 tables, data, each in one piece.
 *
 * Refcount blocks count themselves and the table that names them, so their
 * number is found by trying until it does not grow any more.
 */
#include "drivers/qcow2/qcow2.h"

#include <errno.h>

static uint64_t divide_up(uint64_t n, uint64_t unit)
{
    return n / unit + (n % unit != 0);
}

static void place(Qcow2Layout *layout, uint64_t reftable, uint64_t refblocks, uint64_t l1,
                  uint64_t l2, uint64_t data)
{
    layout->reftable = 1;
    layout->refblocks = layout->reftable + reftable;
    layout->l1 = layout->refblocks + refblocks;
    layout->l2 = layout->l1 + l1;
    layout->data = layout->l2 + l2;
    layout->total = layout->data + data;
}

int qcow2_lay_out(const Qcow2Header *hdr, bool l2_tables, uint64_t data_clusters,
                  Qcow2Layout *layout)
{
    uint64_t cluster = UINT64_C(1) << hdr->cluster_bits;
    uint64_t entry = hdr->incompatible & QCOW2_INCOMPAT_EXTL2 ? 16 : 8;
    uint64_t counts = cluster * 8 >> hdr->refcount_order;   /* of a refcount block */
    uint64_t clusters = divide_up(hdr->size, cluster);
    uint64_t l1, blocks = 0, needed = 1, table = 1;

    layout->l1_entries = divide_up(clusters, cluster / entry);
    if (layout->l1_entries > QCOW2_MAX_L1_BYTES / sizeof(uint64_t)) {
        return -EFBIG;
    }
    l1 = divide_up(layout->l1_entries * sizeof(uint64_t), cluster);
    while (needed > blocks) {
        blocks = needed;
        table = divide_up(blocks * sizeof(uint64_t), cluster);
        place(layout, table, blocks, l1, l2_tables ? layout->l1_entries : 0, data_clusters);
        needed = divide_up(layout->total, counts);
    }
    return 0;
}
