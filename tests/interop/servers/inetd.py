#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An inetd for one port: each connection becomes standard input and output of the command.

Usage: inetd.py PORT CMD...     prints "ready" once it listens
"""
import os
import signal
import socket
import subprocess
import sys


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("", int(sys.argv[1])), backlog=32)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection, stderr=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_DFL))
        connection.close()


os.chdir("/")
main()
