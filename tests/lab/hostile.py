#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that are none, against the audited port. Usage: hostile.py KIND [COUNT]; prints how long each was borne.

Kinds: http, silent, banner (1 MB of it), garbage (after the banner), kexinit (a huge first packet), slow (a byte a
second), half (FIN right after the handshake), binary (random bytes).
"""
import os
import socket
import struct
import sys
import threading
import time

LIMIT_S = 60.0
BANNER = b"SSH-2.0-hostile\r\n"


def chunks(kind):
    if kind == "http":
        yield b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n"
    elif kind == "banner":
        for _ in range(1024):
            yield b"SSH-2.0-" + b"A" * 1016
    elif kind == "garbage":
        yield BANNER + os.urandom(65536)
    elif kind == "kexinit":
        yield BANNER + struct.pack(">IB", 0x7FFFFFFF, 4) + b"\x14" + b"\0" * 65536
    elif kind == "slow":
        for byte in BANNER * 100:
            yield bytes([byte])
            time.sleep(1)
    elif kind == "binary":
        yield os.urandom(200000)


def one(kind, borne):
    start = time.monotonic()
    try:
        with socket.create_connection(("198.51.100.2", 22), 10) as s:
            s.settimeout(LIMIT_S)
            if kind == "half":
                s.shutdown(socket.SHUT_WR)
            reader = threading.Thread(target=drain, args=(s,), daemon=True)
            reader.start()
            for chunk in chunks(kind):
                s.sendall(chunk)
                if not reader.is_alive():
                    break
            reader.join(LIMIT_S)
    except OSError:
        pass
    borne.append(time.monotonic() - start)


def drain(s):
    try:
        while s.recv(65536):
            pass
    except OSError:
        pass


def main():
    kind, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    borne = []
    threads = [threading.Thread(target=one, args=(kind, borne)) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(int(max(borne) * 1000))


main()
