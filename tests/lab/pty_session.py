#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: runs a command on a pseudo-terminal and plays a script of steps on it.

Usage: pty_session.py [--size COLUMNSxROWS] CMD...      steps on standard input, one a line:

    expect TEXT     read on until TEXT was printed (after what the step before read); 15 s at most (PTY_STEP_S)
    send TEXT       type TEXT and Enter
    type TEXT       type TEXT without Enter; \\xNN and \\n mean bytes
    resize CxR      change the window, as dragging its corner does
    end             wait until the command ends

What the command prints goes to standard output as it is. Exit status: the command's, or 124 when a step took too
long (which step is said on standard error).
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

STEP_S = float(os.environ.get("PTY_STEP_S", "15"))


def window(fd, size):
    columns, rows = (int(n) for n in size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    def __init__(self, command, size):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            window(0, size)
            os.execvp(command[0], command)
        self.unread = b""
        self.over = False

    def read(self, seconds):
        """Reads what comes within so many seconds into `unread`; False when nothing did."""
        if self.over or not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the command has closed the terminal
            data = b""
        if not data:
            self.over = True
            return False
        os.write(1, data)
        self.unread += data
        return True

    def expect(self, text):
        deadline = time.monotonic() + STEP_S
        while text not in self.unread:
            if self.over or (not self.read(deadline - time.monotonic()) and time.monotonic() >= deadline):
                return False
        self.unread = self.unread.split(text, 1)[1]
        return True

    def end(self):
        deadline = time.monotonic() + STEP_S
        while not self.over and time.monotonic() < deadline:
            self.read(deadline - time.monotonic())
        return self.over

    def status(self):
        """Reaps the command, ending it first where it still runs though nothing is awaited from it any more."""
        deadline = time.monotonic() + (STEP_S if self.over else 1)
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return 124


def step(terminal, line):
    word, _, rest = line.partition(" ")
    if word == "expect":
        return terminal.expect(rest.encode())
    if word == "send":
        os.write(terminal.fd, rest.encode() + b"\r")
    elif word == "type":
        os.write(terminal.fd, rest.encode().decode("unicode_escape").encode("latin-1"))
    elif word == "resize":
        window(terminal.fd, rest)
    elif word == "end":
        return terminal.end()
    else:
        sys.exit(f"pty_session: unknown step '{line}'")
    return True


def main():
    arguments = sys.argv[1:]
    size = "80x24"
    if arguments[:1] == ["--size"]:
        size, arguments = arguments[1], arguments[2:]
    steps = [line.strip("\n") for line in sys.stdin if line.strip() and not line.startswith("#")]
    terminal = Terminal(arguments, size)
    for line in steps:
        if not step(terminal, line):
            sys.stderr.write(f"\npty_session: gave up at the step '{line}'\n")
            terminal.status()
            sys.exit(124)
    sys.exit(terminal.status())


main()
