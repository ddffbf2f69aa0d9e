#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An SSH agent that does not do as agents do. Usage: strange_agent.py MODE SOCKET KEY.pub

It lists the key, and when it is to sign it says nothing (silent), hangs up (gone), answers with another
algorithm's signature (old) or with what is no answer (babble); or it lists more than there is (long), a
hundred thousand keys (many), or itself (endless: a message of 4 GB, of which it sends 300 KB).
Prints "ready" and its pid once it listens.
"""
import base64
import os
import socket
import socketserver
import struct
import sys
import time


def string(data):
    return struct.pack(">I", len(data)) + data


def listing(count, keys):
    return b"\x0c" + struct.pack(">I", count) + b"".join(string(key) + string(b"strange") for key in keys)


class Agent(socketserver.BaseRequestHandler):
    def receive(self, count):
        data = b""
        while len(data) < count:
            more = self.request.recv(count - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def handle(self):
        try:
            while True:
                message = self.receive(struct.unpack(">I", self.receive(4))[0])
                self.answer(message)
        except OSError:
            pass

    def answer(self, message):
        if message[0] == 11:
            self.list_keys()
        elif message[0] == 13:
            self.sign()
        else:  # session-bind@openssh.com and others
            self.request.sendall(string(b"\x05"))

    def list_keys(self):
        if mode == "endless":
            self.request.sendall(struct.pack(">I", 0xFFFFFFFF) + b"\x0c" + b"x" * 300000)
        elif mode == "many":
            self.request.sendall(string(listing(100000, [b"\x00\x00\x00\x01x"] * 100000)[:200000]))
        else:
            self.request.sendall(string(listing(9 if mode == "long" else 1, [key])))

    def sign(self):
        if mode == "silent":
            time.sleep(600)
        elif mode == "gone":
            self.request.shutdown(socket.SHUT_RDWR)
        elif mode == "old":
            self.request.sendall(string(b"\x0e" + string(string(b"ssh-rsa") + string(b"signature"))))
        else:
            self.request.sendall(b"\x00\x00\x00\x02\x0e\x00 and more")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


mode, path = sys.argv[1:3]
with open(sys.argv[3], encoding="ascii") as file:
    key = base64.b64decode(file.read().split()[1])
if os.path.exists(path):
    os.unlink(path)
with Server(path, Agent) as server:
    print("ready", os.getpid(), flush=True)
    server.serve_forever()
