#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd-ctl top draws in place, fits the terminal whatever its size, and leaves it as it was: after q, an
interrupt, a stop, or the server's end."""

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from ctltest import NBD_CTL
import nbdtest
import qmptest

LONG = "an-export-with-a-name-that-no-terminal-has-room-for-" + "x" * 60 + "-end"
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """top on a terminal of its own."""

    def __init__(self, path, rows, columns):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.proc = subprocess.Popen([NBD_CTL, "-s", path, "top", "-d", "0.1"], stdin=self.slave,
                                     stdout=self.slave, stderr=self.slave, preexec_fn=self.own)
        self.seen = b""

    def own(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def page(self):
        """The lines of the next whole page."""
        return self.until(rb"\x1b\[H(.*?)\x1b\[J").group(1).decode().replace("\x1b[K", "") \
            .replace("\r", "").splitlines()

    def until(self, pattern):
        while True:
            found = re.search(pattern, self.seen, re.DOTALL)
            if found:
                self.seen = self.seen[found.end():]
                return found
            assert select.select([self.master], [], [], 60)[0], (pattern, self.seen)
            self.seen += os.read(self.master, 65536)

    def end(self, status):
        """It has ended so, and the terminal is as it was."""
        self.until(re.escape(LEAVE))
        assert self.proc.wait(60) == status, self.proc.returncode
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        try:
            while True:
                self.seen += os.read(self.master, 65536)
        except OSError as e:
            assert e.errno == errno.EIO, e      # nobody else has the terminal, nor is there more
        os.close(self.master)
        assert ENTER not in self.seen, self.seen
        return self.seen.decode()


exports = ["name=d%d,format=raw,image=%s" % (i, nbdtest.disk(1 << 20, "d%d" % i))
           for i in range(30)]
exports.append("name=%s,format=raw,image=%s" % (LONG, nbdtest.disk(1 << 20, "long")))
with qmptest.Server([a for e in exports for a in ("--export", e)]) as server:
    # As wide and as long as the terminal, and no more; q ends it.
    terminal = Terminal(server.qmp_path, 50, 130)
    page = terminal.page()
    assert len(page) == 31 + 3 and page[0].endswith("31 exports, 0 clients"), page
    assert max(map(len, page)) <= 130 and any("…" in line and "end " in line for line in page), page
    terminal.resize(10, 60)
    os.kill(terminal.proc.pid, signal.SIGWINCH)
    while len(page) != 9:
        page = terminal.page()
    assert max(map(len, page)) <= 60 and "ERR" in page[2], page
    os.write(terminal.master, b" ")
    terminal.page()
    os.write(terminal.master, b"q")
    assert terminal.end(0) == ""

    # An interrupt from the keyboard.
    terminal = Terminal(server.qmp_path, 24, 80)
    terminal.page()
    os.write(terminal.master, b"\x03")
    terminal.end(-signal.SIGINT)

    # Stopped and continued.
    terminal = Terminal(server.qmp_path, 24, 80)
    terminal.page()
    os.write(terminal.master, b"\x1a")
    terminal.until(re.escape(LEAVE))
    os.waitid(os.P_PID, terminal.proc.pid, os.WSTOPPED)
    assert termios.tcgetattr(terminal.slave) == terminal.before
    os.kill(terminal.proc.pid, signal.SIGCONT)
    terminal.until(re.escape(ENTER))
    terminal.page()

    # The server goes: the message is there when the terminal is back.
    server.stop()
    last = terminal.end(1)
    assert "closed the connection" in last, last
