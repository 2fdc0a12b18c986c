#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the storage fails with becomes the protocol's error for it, with a text; errors that the
protocol has no word for are EIO, since EINVAL would blame the client."""
import errno
import os
import tempfile

from rawnbd import EINVAL, EIO, ENOMEM, ENOSPC, EPERM, M, WRITE, eq, every_form, nbdtest

NAMES = [(errno.EIO, EIO), (errno.EPERM, EPERM), (errno.EACCES, EPERM), (errno.EROFS, EPERM),
         (errno.ENOMEM, ENOMEM), (errno.ENOSPC, ENOSPC), (errno.EDQUOT, ENOSPC),
         (errno.EFBIG, ENOSPC), (errno.EINVAL, EINVAL), (errno.ENODEV, EIO), (errno.ENXIO, EIO),
         (errno.EREMOTEIO, EIO), (errno.ESTALE, EIO), (errno.ETIMEDOUT, EIO),
         (errno.ECONNRESET, EIO), (errno.EBADF, EIO), (errno.EAGAIN, EIO)]

with tempfile.TemporaryDirectory() as tmp:
    path = os.path.join(tmp, 'disk.img')
    with open(path, 'wb') as f:
        f.truncate(M)
    rules = [f'inject-error.{i}.iotype=write,inject-error.{i}.sector={8 * i},'
             f'inject-error.{i}.errno={number}' for i, (number, _) in enumerate(NAMES)]
    with nbdtest.Server(['--image-opts', 'driver=blkdebug,image.driver=file,image.filename='
                         + ','.join([path, *rules])]) as server:
        for client in every_form(server):
            for i, (number, name) in enumerate(NAMES):
                reply = client.call(WRITE, 4096 * i, 512, data=bytes(512))
                eq(reply.error, name, errno.errorcode[number])
                if client.structured:
                    assert os.strerror(number) in reply.message, reply.message
            client.disconnect()
