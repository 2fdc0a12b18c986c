#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A host that unloads us, as nbdkit does at its end, may still have threads that have used the
# library: what is cleaned up when they end must still be there.
source "$(dirname "$0")/common.sh"

library=$abs_top_builddir/.libs/libblkbackend.so.0
"${preload[@]}" "${PYTHON3:-/usr/bin/python3}" - "$library" <<'END'
import _ctypes, ctypes, sys, threading
used, unloaded = threading.Event(), threading.Event()
library = ctypes.CDLL(sys.argv[1])
def use():
    library.qemu_get_current_aio_context()
    used.set()
    unloaded.wait()
thread = threading.Thread(target=use)
thread.start()
used.wait()
_ctypes.dlclose(library._handle)
unloaded.set()
thread.join()
END
