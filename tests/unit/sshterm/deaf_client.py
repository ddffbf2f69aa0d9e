#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that pings with 32 KB, again and again, and reads nothing; then it reads, and goes on as if nothing were.

    deaf_client.py PORT USER    says whether it was stopped, answered at last, and served afterwards

(The system's Python: python3-paramiko is a Debian package.)
"""
import os
import sys
import threading
import time

import paramiko

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lab"))
from ssh_message import message

PING, PONG = 192, 193
SIZE, MOST = 32000, 3000
listening = threading.Event()
sent = answered = 0


def on_pong(t, m):
    global answered
    listening.wait()  # in the thread that reads
    assert len(m.get_string()) == SIZE
    answered += 1


def ping(t):
    global sent
    while sent < MOST and not listening.is_set():
        t._send_message(message(PING, b"p" * SIZE))
        sent += 1


def until_it_rests(value, seconds, end=None):
    """Until it is `end`, or does not change for so long."""
    before, since = value(), time.time()
    while time.time() - since < seconds and before != end:
        time.sleep(0.05)
        if value() != before:
            before, since = value(), time.time()


t = paramiko.Transport(("127.0.0.1", int(sys.argv[1])))
t.banner_timeout = t.handshake_timeout = t.auth_timeout = 60
t.start_client(timeout=60)
t.auth_none(sys.argv[2])
t._handler_table = dict(t._handler_table)
t._handler_table[PONG] = on_pong
sender = threading.Thread(target=ping, args=(t,), daemon=True)
sender.start()
until_it_rests(lambda: sent, 2)
print("stopped" if sent < MOST else "never stopped")
listening.set()
sender.join()
until_it_rests(lambda: answered, 60, sent)
print("all answered" if answered == sent else f"{answered} of {sent} answered")
channel = t.open_session(timeout=60)
channel.exec_command("echo goes on")
print(channel.makefile().read().decode().strip())
t.close()
