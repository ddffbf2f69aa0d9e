#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a typed character takes to come back: keystrokes.py COUNT CMD...   (an ssh -tt that runs `cat`)

Types one character at a time on a pseudo-terminal and waits for its echo by the far terminal. Prints the median, the
99th percentile and the longest in microseconds.
"""
import os
import pty
import select
import sys
import termios
import time
import tty


def read_until(fd, wanted, seconds):
    got, deadline = b"", time.monotonic() + seconds
    while wanted not in got:
        if not select.select([fd], [], [], max(deadline - time.monotonic(), 0))[0]:
            sys.exit(f"keystrokes: no '{wanted.decode()}' within {seconds} s; got {got[-200:]!r}")
        try:
            got += os.read(fd, 4096)
        except OSError:
            sys.exit(f"keystrokes: the command ended; it said {got[-400:]!r}")


def main():
    count = int(sys.argv[1])
    pid, fd = pty.fork()
    if pid == 0:
        tty.setraw(0, termios.TCSANOW)
        os.execvp(sys.argv[2], sys.argv[2:])
    read_until(fd, b"typewriter", 15)
    time.sleep(0.3)
    took = []
    for n in range(count):
        key = b"abcdefghij"[n % 10:n % 10 + 1]
        start = time.perf_counter()
        os.write(fd, key)
        read_until(fd, key, 5)
        took.append(time.perf_counter() - start)
        time.sleep(0.005)
    took.sort()
    print(int(took[len(took) // 2] * 1e6), int(took[len(took) * 99 // 100] * 1e6), int(took[-1] * 1e6))
    os.write(fd, b"\x04")


main()
