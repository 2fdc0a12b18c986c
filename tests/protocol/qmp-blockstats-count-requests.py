#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""query-blockstats tells what the clients of each export did, query-block what is in it."""
from rawnbd import (EINVAL, EIO, FLUSH, K, M, READ, TRIM, WRITE_ZEROES, connect, eq, grew_less_than,
                    nbdtest, qmptest, rss)

failing = nbdtest.disk(M, 'failing')
args = ['--format=raw', '--throttle=iops-total=100000',
        f'--export=name=d0,image={nbdtest.disk(M, "d0")},discard=unmap,throttle.bps-read=1G,'
        'throttle.bps-read-max=2G,throttle.bps-read-max-length=3,throttle.iops-size=8K',
        f'--export=name=d1,image={nbdtest.disk(M, "d1")},throttle.group=g']
with qmptest.Server(args) as server, server.qmp() as qmp:
    def stats(name):
        found, = (s for s in qmp.cmd('query-blockstats') if s['device'] == name)
        eq(found['qdev'], name, 'qdev')
        return found['stats']

    eq({k: v for k, v in stats('d0').items() if type(v) is int and v}, {}, 'as it begins')
    qmp.cmd('block-latency-histogram-set', id='d0', boundaries=[1, 10**12], boundaries_flush=[5])
    with connect(server, name='d0') as client:
        for i in range(3):
            client.pwrite(i * 8 * K, b'x' * 4 * K)
        client.pread(0, 64 * K)
        client.ok(FLUSH)
        client.ok(TRIM, 512 * K, 8 * K)
        client.ok(WRITE_ZEROES, 600 * K, 4 * K)
        eq(client.call(READ, M, 512).error, EINVAL, 'past the end')
        s = stats('d0')
    want = {'wr_operations': 4, 'wr_bytes': 16 * K, 'rd_operations': 1, 'rd_bytes': 64 * K,
            'flush_operations': 1, 'unmap_operations': 1, 'unmap_bytes': 8 * K,
            'invalid_rd_operations': 1, 'failed_rd_operations': 0, 'invalid_wr_operations': 0,
            'failed_unmap_operations': 0, 'wr_highest_offset': 604 * K,
            'account_invalid': True, 'account_failed': True, 'timed_stats': []}
    eq({k: s[k] for k in want}, want, 'counters')
    for what in ('rd', 'wr', 'flush', 'unmap'):
        eq(s[f'{what}_total_time_ns'] > 0, True, what)
    eq(s['idle_time_ns'] > 0, True, 'idle')
    eq((s['rd_latency_histogram'], s['wr_latency_histogram']),
       ({'boundaries': [1, 10**12], 'bins': [0, 1, 0]},
        {'boundaries': [1, 10**12], 'bins': [0, 4, 0]}), 'histograms')
    eq(s['flush_latency_histogram'], {'boundaries': [5], 'bins': [0, 1]}, 'of flushes')
    eq(stats('d1')['wr_operations'], 0, 'the other export')

    for wrong in ([0], [5, 5], [7, 3]):
        qmp.fails('block-latency-histogram-set', id='d0', boundaries_read=wrong)
    qmp.cmd('block-latency-histogram-set', id='d0', boundaries_read=[])
    eq([k for k in stats('d0') if 'histogram' in k],
       ['wr_latency_histogram', 'flush_latency_histogram'], 'those of reads are gone')
    qmp.cmd('block-latency-histogram-set', id='d0')
    eq([k for k in stats('d0') if 'histogram' in k], [], 'all are gone')

    # Those that were set before are not kept, though a client makes use of them.
    with connect(server, name='d0') as client:
        for i in range(45):
            if i == 5:
                before = rss(server)
            qmp.cmd('block-latency-histogram-set', id='d0', boundaries=list(range(1, 20000)))
            client.pread(0, 4 * K)
        grew_less_than(8 * M, server, before)
        eq(sum(stats('d0')['rd_latency_histogram']['bins']), 1, 'the last of the reads')
    qmp.cmd('block-latency-histogram-set', id='d0')

    nodes = {n['node-name'] for n in qmp.cmd('query-named-block-nodes')}
    eq({n['node-name'] for n in qmp.cmd('query-blockstats', query_nodes=True)}, nodes, 'nodes')

    info = {i['device']: i['inserted'] for i in qmp.cmd('query-block')}
    want = {'iops': 100000, 'bps_rd': 1 << 30, 'bps_rd_max': 2 << 30, 'bps_rd_max_length': 3,
            'iops_size': 8 * K, 'bps': 0, 'group': 'd0'}
    eq({k: info['d0'].get(k) for k in want}, want, 'limits')
    eq(('bps_max' in info['d0'], info['d1']['iops'], info['d1']['group']), (False, 100000, 'g'),
       'limits of the other one')

# What the medium fails is counted, too.
with qmptest.Server(['--export-name=d0', '--image-opts',
                     f'driver=blkdebug,image.driver=file,image.filename={failing},'
                     'inject-error.0.iotype=read']) as server, server.qmp() as qmp:
    with connect(server) as client:
        eq(client.call(READ, 0, 512).error, EIO, 'read')
    stats, = qmp.cmd('query-blockstats')
    eq((stats['stats']['failed_rd_operations'], stats['stats']['rd_operations']), (1, 0), 'failed')
