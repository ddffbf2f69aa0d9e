#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A ProxyCommand: standard input and output become a TCP connection, and the end of either is the end of the other.

Usage: pipe.py HOST PORT

nc will not do: OpenBSD's keeps its standard output open after the server's FIN, and ssh behind it never learns that
the server has gone.
"""
import os
import socket
import sys
import threading

PIECE = 1 << 16


def to_server(connection):
    try:
        while piece := os.read(0, PIECE):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the server has gone: the other direction notices


def from_server(connection):
    try:
        while piece := connection.recv(PIECE):
            while piece:
                piece = piece[os.write(1, piece):]
    except OSError:
        pass  # reset, or ssh has gone


server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
threading.Thread(target=to_server, args=(server,), daemon=True).start()
from_server(server)
os._exit(0)  # as a process: a thread may still wait for ssh
