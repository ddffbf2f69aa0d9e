#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two ends of goodput's transfers: plain kernel TCP, CUBIC, several connections at once.

  goodput_ends.py serve PORT COUNTER           the origin's end, IPv4 and IPv6; received bytes are counted in the file COUNTER
  goodput_ends.py down|up ADDRESS PORT FLOWS SECONDS COUNTER
                                               the client's end: prints the Mbit/s of payload that the receiver's program got

What is counted is what the receiving program read, from the connections' first SYN to the end of the time."""
import mmap, os, selectors, socket, struct, sys, time

BLOCK = bytes(65536)
TCP_CONGESTION = 13


def counter(path):
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 8)


def serve(port, path):
    with open(path, "wb") as file:
        file.write(bytes(8))
    received, total = counter(path), 0
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"cubic")
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ, "new")
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            s = key.fileobj
            if key.data == "new":
                s = s.accept()[0]
                s.setblocking(False)
                selector.register(s, selectors.EVENT_READ, "first")
                continue
            try:
                if key.data == "send":
                    s.send(BLOCK)
                    continue
                data = s.recv(len(BLOCK) * 4)
                if key.data == "first" and data[:1] == b"d":
                    selector.modify(s, selectors.EVENT_WRITE, "send")
                    continue
                total += len(data)
                received[:8] = struct.pack("=Q", total)
                if key.data == "first" and data:
                    selector.modify(s, selectors.EVENT_READ, "receive")
                if data:
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            selector.unregister(s)
            s.close()


def begin(address, port, direction):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, b"cubic")
    s.settimeout(10)
    s.connect((address, port))
    s.setblocking(False)
    s.send(b"d" if direction == "down" else b"u")
    return s


def transfer(direction, address, port, flows, seconds, path):
    selector, received, total = selectors.DefaultSelector(), counter(path), 0
    start, before = time.monotonic(), struct.unpack("=Q", received[:8])[0]
    event = selectors.EVENT_READ if direction == "down" else selectors.EVENT_WRITE
    connections = [begin(address, port, direction) for _ in range(flows)]
    for s in connections:
        selector.register(s, event)
    while (left := start + seconds - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            try:
                if direction == "up":
                    key.fileobj.send(BLOCK)
                elif data := key.fileobj.recv(len(BLOCK) * 4):
                    total += len(data)
                else:
                    raise SystemExit("a connection ended too early")
            except BlockingIOError:
                pass
    if direction == "up":
        total = struct.unpack("=Q", received[:8])[0] - before
    took = time.monotonic() - start
    for s in connections:  # what is under way is nobody's any more
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    print("%.3f" % (total * 8 / took / 1e6))


if sys.argv[1:2] == ["serve"]:
    serve(int(sys.argv[2]), sys.argv[3])
else:
    transfer(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), sys.argv[6])
