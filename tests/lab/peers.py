#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers: two ends of a TCP connection, and what each of them saw.

  peers.py server NAME        listens on NAME's port, plays the server's part once, prints what it saw
  peers.py client NAME HOST   plays the client's part
  peers.py names

What is printed must be the same whether there is a cable between them or the box.
"""
import hashlib
import socket
import struct
import sys
import time

BULK = bytes(range(256)) * 1024      # 256 KB
SLOW = 160                           # of them go to the slow reader: more than any buffer on the way takes


def read_exactly(sock, size):
    got = b""
    while len(got) < size:
        part = sock.recv(size - len(got))
        if not part:
            return got
        got += part
    return got


def until_end(sock):
    """What is received up to its end, and how it ends."""
    total, digest = 0, hashlib.sha256()
    try:
        while part := sock.recv(65536):
            total += len(part)
            digest.update(part)
        end = "end"
    except ConnectionResetError:
        end = "reset"
    return f"{total} bytes {digest.hexdigest()[:12]}, {end}"


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def aborter(sock):
    sock.sendall(b"hello")
    read_exactly(sock, 2)
    abort(sock)
    return "aborted"


def aborted(sock):
    got = read_exactly(sock, 5)
    sock.sendall(b"ok")
    return f"{got} {until_end(sock)}"


def half_closer(sock):
    sock.sendall(BULK)
    sock.shutdown(socket.SHUT_WR)
    return until_end(sock)


def half_closed(sock):
    seen = until_end(sock)
    time.sleep(0.3)      # a while half closed
    sock.sendall(BULK[::-1])
    sock.close()
    return seen


def both_close(sock):
    sock.sendall(b"x")
    got = read_exactly(sock, 1)
    time.sleep(0.3 - time.time() % 0.1)      # both at the same moment, or nearly
    sock.shutdown(socket.SHUT_WR)
    return f"{got} {until_end(sock)}"


def pusher(sock):
    """Sends more than is read: must be held up while the reader sleeps."""
    start = time.monotonic()
    for _ in range(SLOW):
        sock.sendall(BULK)
    held = time.monotonic() - start > 1
    sock.shutdown(socket.SHUT_WR)
    return f"held up: {held}, {until_end(sock)}"


def sleeper(sock):
    read_exactly(sock, 10)
    time.sleep(2)
    return until_end(sock)


def urgent(sock):
    sock.sendall(b"before")
    sock.send(b"!", socket.MSG_OOB)
    sock.sendall(b"after")
    sock.shutdown(socket.SHUT_WR)
    return until_end(sock)


def urgent_in_line(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    got = b""
    while part := sock.recv(100):
        got += part
    return repr(got)


def keep_alive(sock):
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def waker(sock):
    keep_alive(sock)
    sock.sendall(b"one")
    time.sleep(4.5)
    sock.sendall(b"two")
    sock.shutdown(socket.SHUT_WR)
    return until_end(sock)


def woken(sock):
    keep_alive(sock)
    return until_end(sock)


def leaves_unread(sock):
    sock.recv(1, socket.MSG_PEEK)      # some have come
    sock.sendall(b"bye")
    time.sleep(0.3)
    sock.close()      # with bytes unread: Linux resets
    return "left"


def not_read(sock):
    sock.sendall(BULK[:1000])
    try:
        got = read_exactly(sock, 3)
        time.sleep(0.6)
        return f"{got} {until_end(sock)}"
    except ConnectionResetError:
        return "reset"


def single_bytes(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in BULK[:600]:
        sock.send(bytes([byte]))
    sock.shutdown(socket.SHUT_WR)
    return until_end(sock)


def last_words(sock):
    """Data and FIN in one segment."""
    sock.send(b"last", socket.MSG_MORE)
    sock.close()
    return "said"


def nothing(sock):
    sock.close()
    return "closed"


# Name: (client's part, server's part). A part of which the server has none: its port is closed.
PARTS = {
    "reset by the client": (aborter, aborted),
    "reset by the server": (aborted, aborter),
    "half close by the client": (half_closer, half_closed),
    "half close by the server": (half_closed, half_closer),
    "close at the same time": (both_close, both_close),
    "a server that reads late": (pusher, sleeper),
    "a client that reads late": (sleeper, pusher),
    "urgent data to the server": (urgent, urgent_in_line),
    "urgent data to the client": (urgent_in_line, urgent),
    "keepalive": (waker, woken),
    "a server that leaves bytes unread": (not_read, leaves_unread),
    "a client that leaves bytes unread": (leaves_unread, not_read),
    "single bytes": (single_bytes, until_end),
    "data and FIN at once from the client": (last_words, until_end),
    "data and FIN at once from the server": (until_end, last_words),
    "a connection without a word": (nothing, until_end),
    "a closed port": (until_end, None),
}


def port_of(name):
    return 7010 + list(PARTS).index(name)


def serve(name):
    if PARTS[name][1] is None:
        print("none")
        return
    listener = socket.create_server(("", port_of(name)), family=socket.AF_INET6, dualstack_ipv6=True)
    print("listens", file=sys.stderr, flush=True)
    listener.settimeout(60)
    sock = listener.accept()[0]
    sock.settimeout(60)
    print("server:", PARTS[name][1](sock))


def connect(name, host):
    try:
        sock = socket.create_connection((host, port_of(name)), timeout=60)
    except ConnectionRefusedError:
        print("client: refused")
        return
    print("client:", PARTS[name][0](sock))


def main():
    if sys.argv[1:] == ["names"]:
        print("\n".join(PARTS))
    elif sys.argv[1] == "server":
        serve(sys.argv[2])
    else:
        connect(sys.argv[2], sys.argv[3])


main()
