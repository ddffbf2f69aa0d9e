#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A relay that takes what comes from the far end slowly, and keeps next to nothing of it.

    slow_relay.py PORT ADDRESS FAR_PORT RATE    for one connection to PORT; prints "up" when it listens
                                                RATE: bytes a second, once the ends have greeted each other
"""
import socket
import sys
import threading
import time

GREETING = 12000  # a key exchange and a login

port, address, far_port, rate = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
listening = socket.create_server(("127.0.0.1", port))
print("up", flush=True)
near = listening.accept()[0]
far = socket.socket()
far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
far.connect((address, far_port))


def upwards():
    while data := near.recv(65536):
        far.sendall(data)
    far.shutdown(socket.SHUT_WR)


threading.Thread(target=upwards, daemon=True).start()
taken = 0
while data := far.recv(2000):
    near.sendall(data)
    taken += len(data)
    if taken > GREETING:
        time.sleep(len(data) / rate)
near.shutdown(socket.SHUT_WR)
time.sleep(0.5)
