#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An origin that greets as it is told to, connection by connection.

    greeting_origin.py PORT DIRECTORY

What stands in DIRECTORY/greeting comes first, as it is; where its last line is an identification string an SSH server
follows that lets everybody in, by no key but those that it can verify, and says "hello" to every command. Otherwise the
connection ends there. Who logs in while there is a file DIRECTORY/parting gets that as the text of a DISCONNECT.
DIRECTORY/client-is has what the last client said that it is. (The system's Python: python3-paramiko is a Debian package.)
"""
import logging
import os
import socket
import sys
import threading
import time

import paramiko

from ssh_message import message

logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Origin(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "publickey"

    def __init__(self, transport, directory):
        self.transport, self.parting = transport, os.path.join(directory, "parting")

    def check_auth_publickey(self, username, key):
        if os.path.exists(self.parting):
            with open(self.parting, "rb") as f:
                self.transport._send_message(message(1, 13, f.read(), ""))
            time.sleep(1)
            self.transport.sock.close()
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel,), daemon=True).start()
        return True

    def run(self, channel):
        time.sleep(0.1)  # the request's answer first
        channel.sendall(b"hello\n")
        channel.send_exit_status(0)
        channel.close()


def serve(connection, directory):
    with open(os.path.join(directory, "greeting"), "rb") as f:
        before, _, last = f.read().rstrip(b"\n").rpartition(b"\n")
    if not last.startswith(b"SSH-"):
        connection.sendall(before + b"\n" * bool(before) + last + b"\n" * bool(last))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
        connection.close()
        return
    connection.sendall(before + b"\n" * bool(before))
    t = paramiko.Transport(connection)
    t.local_version = last.decode()
    t.add_server_key(paramiko.Ed25519Key.from_private_key_file(os.path.join(directory, "ssh_host_ed25519_key")))
    try:
        t.start_server(server=Origin(t, directory))
    except (paramiko.SSHException, EOFError):
        pass
    with open(os.path.join(directory, "client-is"), "w") as f:
        f.write(t.remote_version)


listening = socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
held = []
while True:
    held.append(listening.accept()[0])
    threading.Thread(target=serve, args=(held[-1], sys.argv[2]), daemon=True).start()
