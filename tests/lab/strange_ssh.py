#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two ends that say to each other what stock OpenSSH never says, to see that it arrives as it was sent.

    strange_ssh.py origin PORT DIRECTORY          a server; DIRECTORY/ssh_host_ed25519_key is its host key; the
                                                  certificates that it was shown go into DIRECTORY/shown-cert.pub
    strange_ssh.py client ADDRESS PORT LOGIN KEY [PART…]
                                                  says all of it; prints "ok WHAT" or "FAIL WHAT: …" a line

(The system's Python: python3-paramiko is a Debian package.)
"""
import base64
import logging
import os
import socket
import sys
import threading
import time

import paramiko
from paramiko import common
from paramiko.message import Message

STRANGE_MESSAGE = 119  # RFC 4250 4.1.2: connection protocol, not assigned
STRANGE_ANSWER = 120
UNKNOWN_MESSAGE = 121  # neither end knows it: UNIMPLEMENTED

logging.getLogger("paramiko").addHandler(logging.NullHandler())

# Windows and packets as small as one likes.
paramiko.Transport._sanitize_window_size = lambda self, size: size or 1 << 20
paramiko.Transport._sanitize_packet_size = lambda self, size: size or 1 << 15


def message(number, *parts):
    m = Message()
    m.add_byte(bytes([number]))
    for part in parts:
        if isinstance(part, bool):
            m.add_boolean(part)
        elif isinstance(part, int):
            m.add_int(part)
        else:
            m.add_string(part)
    return m


def rest_of(m):
    return m.get_remainder()


class Seen:
    """What came at this end, by name; `wait` gives it up to ten seconds."""

    def __init__(self):
        self.changed = threading.Condition()
        self.things = {}

    def put(self, name, what):
        with self.changed:
            self.things[name] = what
            self.changed.notify_all()

    def wait(self, name):
        with self.changed:
            self.changed.wait_for(lambda: name in self.things, 10)
            return self.things.get(name)


seen = Seen()
handled_before = paramiko.Channel._handle_request
extended_before = paramiko.Channel._feed_extended


def handle_request(self, m):
    """Channel requests: the strange ones are noted and answered with success."""
    position = m.packet.tell()
    name = m.get_text()
    if name in ("poke@example.org", "signal", "exit-signal", "env", "window-change", "pty-req"):
        want_reply = m.get_boolean()
        seen.put(name, rest_of(m))
        if want_reply:
            self.transport._send_user_message(message(99, self.remote_chanid))
        return
    m.packet.seek(position)
    handled_before(self, m)


def feed_extended(self, m):
    position = m.packet.tell()
    code, text = m.get_int(), m.get_binary()
    if code != 1:
        seen.put(f"extended {code}", text)
        return
    m.packet.seek(position)
    extended_before(self, m)


def note(name, answer=None):
    def handler(transport, m):
        seen.put(name, rest_of(m))
        if answer is not None:
            transport._send_user_message(answer)
    return handler


for number in (STRANGE_MESSAGE, STRANGE_ANSWER, UNKNOWN_MESSAGE):
    common.MSG_NAMES[number] = "strange"
paramiko.Transport._channel_handler_table[common.MSG_CHANNEL_REQUEST] = handle_request
paramiko.Transport._channel_handler_table[common.MSG_CHANNEL_EXTENDED_DATA] = feed_extended


# -- the origin -----------------------------------------------------------------------------------------------


class Origin(paramiko.ServerInterface):
    def __init__(self, directory, transport):
        self.directory = directory
        self.transport = transport
        self.commands = {}

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        blob = getattr(key, "public_blob", None)
        if blob is not None:
            with open(os.path.join(self.directory, "shown-cert.pub"), "w") as f:
                f.write(f"{blob.key_type} {base64.b64encode(blob.key_blob).decode()}\n")
        # RFC 4252 5.4: a banner at any time before the success, and more than one.
        for n in range(3):
            banner = Message()
            banner.add_byte(bytes([common.MSG_USERAUTH_BANNER]))
            banner.add_string(f"greeting {n}\r\n")
            banner.add_string("")
            self.transport._send_message(banner)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind != "refused@example.org" else 4

    def check_global_request(self, kind, m):
        if kind == "wave@example.org":
            return ("waved", rest_of(m), 7)
        return False

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel, command.decode()), daemon=True).start()
        return True

    def run(self, channel, command):
        time.sleep(0.1)  # the request's answer first
        t = channel.transport
        if command == "dump core":
            channel.sendall(b"about to fall")
            t._send_user_message(message(98, channel.remote_chanid, "exit-signal", False, "SEGV", True, "it fell", "en"))
            channel.close()
        elif command == "flood":
            try:
                for _ in range(100):
                    channel.sendall(b"x" * 100)
            except OSError:
                return
            channel.send_exit_status(0)
            channel.close()
        elif command == "half close":
            channel.sendall(b"before")
            channel.shutdown_write()  # EOF; what comes from the client is still taken
            got = b""
            while data := channel.recv(1000):
                got += data
            t._send_user_message(message(98, channel.remote_chanid, "exit-status", False, 0 if got == b"afterwards" else 1))
            channel.close()
        elif command == "strange data":
            channel.sendall_stderr(b"of the error kind")
            t._send_user_message(message(95, channel.remote_chanid, 7, b"of a seventh kind"))
            channel.send_exit_status(0)
            channel.close()
        elif command == "what came":
            for name in ("poke@example.org", "signal", "env", "window-change", "pty-req"):
                channel.sendall(f"{name}={(seen.wait(name) or b'').hex()}\n".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "reach back":
            for kind in ("auth-agent@openssh.com", "x11", "forwarded-tcpip"):
                try:
                    address = ("127.0.0.1", 1) if kind != "auth-agent@openssh.com" else None
                    t.open_channel(kind, dest_addr=address, src_addr=address, timeout=5)
                    channel.sendall(f"{kind}: opened\n".encode())
                except paramiko.ChannelException as e:
                    channel.sendall(f"{kind}: {e.code} {e.text}\n".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "ask back":
            answer = t.global_request("ask@example.org", (b"who",), wait=True)
            channel.sendall(b"refused" if answer is None else b"granted")
            channel.send_exit_status(0)
            channel.close()


def serve(connection, directory):
    t = paramiko.Transport(connection)
    t.add_server_key(paramiko.Ed25519Key.from_private_key_file(os.path.join(directory, "ssh_host_ed25519_key")))
    t.start_server(server=Origin(directory, t))


def origin(port, directory):
    paramiko.Transport._handler_table[STRANGE_MESSAGE] = note("strange", message(STRANGE_ANSWER, "heard you"))
    listening = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    held = []
    while True:
        connection = listening.accept()[0]
        held.append(connection)
        threading.Thread(target=serve, args=(connection, directory), daemon=True).start()


# -- the client -----------------------------------------------------------------------------------------------


def equal(what, expected, got):
    print(f"ok {what}" if expected == got else f"FAIL {what}: expected {expected!r}, got {got!r}", flush=True)


def run(t, command, **how):
    channel = t.open_session(timeout=10, **how)
    channel.settimeout(10)
    channel.exec_command(command)
    return channel


def everything(channel):
    data = b""
    while more := channel.recv(1000):
        data += more
    return data


def requests(t):
    channel = t.open_session(timeout=10)
    for name, want_reply, parts in (("poke@example.org", True, (b"\x00\xffanything",)), ("signal", False, ("USR1",)),
                                    ("env", False, ("LAB_WORD", "hello")), ("window-change", False, (100, 40, 0, 0)),
                                    ("pty-req", False, ("xterm", 80, 24, 0, 0, b"\x35\x00\x00\x00\x01\x00"))):
        t._send_user_message(message(98, channel.remote_chanid, name, want_reply, *parts))
    came = dict(line.split("=") for line in everything(run(t, "what came")).decode().split())
    equal("an invented channel request", message(0, b"\x00\xffanything").asbytes()[1:].hex(), came.get("poke@example.org"))
    equal("a signal", message(0, "USR1").asbytes()[1:].hex(), came.get("signal"))
    equal("env", message(0, "LAB_WORD", "hello").asbytes()[1:].hex(), came.get("env"))
    equal("window-change", message(0, 100, 40, 0, 0).asbytes()[1:].hex(), came.get("window-change"))
    equal("pty-req with its modes", message(0, "xterm", 80, 24, 0, 0, b"\x35\x00\x00\x00\x01\x00").asbytes()[1:].hex(), came.get("pty-req"))
    channel.close()


def messages(t):
    t._handler_table[STRANGE_ANSWER] = note("answer")
    t._send_user_message(message(STRANGE_MESSAGE, "hello"))
    equal("a message of a number that nobody has heard of, and the answer", message(0, "heard you").asbytes()[1:], seen.wait("answer"))
    t._handler_table[common.MSG_UNIMPLEMENTED] = note("unimplemented")
    sent = t.packetizer._Packetizer__sequence_number_out
    t._send_user_message(message(UNKNOWN_MESSAGE))
    equal("UNIMPLEMENTED names the packet that the client sent", sent, int.from_bytes(seen.wait("unimplemented") or b"", "big"))
    answer = t.global_request("wave@example.org", (b"both hands",), wait=True)
    equal("an invented global request and its answer's data", ("waved", 7),
          (answer.get_text(), (answer.get_string(), answer.get_int())[1]) if answer else None)
    equal("one that the origin does not know", None, t.global_request("keepalive@openssh.com", None, wait=True))
    equal("one from the origin, which the client refuses", b"refused", everything(run(t, "ask back")))


def channels(t):
    try:
        t.open_channel("invented@example.org", timeout=10).close()
        equal("a channel of an invented type", "opened", "opened")
    except paramiko.ChannelException as e:
        equal("a channel of an invented type", "opened", e)
    try:
        t.open_channel("refused@example.org", timeout=10)
        equal("one that the origin refuses", "refused", "opened")
    except paramiko.ChannelException as e:
        equal("one that the origin refuses, with its reason", 4, e.code)


def ends(t):
    channel = run(t, "dump core")
    equal("data before an exit signal", b"about to fall", everything(channel))
    equal("an exit signal with its core flag and text", message(0, "SEGV", True, "it fell", "en").asbytes()[1:], seen.wait("exit-signal"))
    channel = run(t, "half close")
    equal("EOF before close", b"before", everything(channel))
    channel.sendall(b"afterwards")
    channel.shutdown_write()
    equal("data the other way after EOF", 0, channel.recv_exit_status())
    channel = run(t, "strange data")
    equal("stderr", b"of the error kind", channel.recv_stderr(100))
    equal("extended data of another type", b"of a seventh kind", seen.wait("extended 7"))


def windows(t):
    channel = run(t, "flood", window_size=500, max_packet_size=200)
    time.sleep(0.7)
    equal("a window of 500 bytes: so many come and no more", 500, len(channel.in_buffer))
    equal("and the rest as it is taken", 10000, len(everything(channel)))


def narrow(t):
    """Under a rule that permits nothing: an origin that opens channels on its own is refused by the box."""
    asked = []
    before = paramiko.Transport._parse_channel_open
    t._handler_table = dict(t._handler_table)
    t._handler_table[common.MSG_CHANNEL_OPEN] = lambda self, m: (asked.append(m.asbytes()), before(self, m))
    answers = everything(run(t, "reach back")).decode().splitlines()
    equal("an origin that reaches back is refused: administratively prohibited", [1, 1, 1], [int(a.split()[1]) for a in answers])
    equal("and the client never hears of it", [], asked)


def client(address, port, login, key_file, *parts):
    sock = socket.create_connection((address, int(port)), 10)
    t = paramiko.Transport(sock)
    t.start_client(timeout=20)
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    key.load_certificate(key_file + "-cert.pub")
    t.auth_publickey(login, key)
    for part in [globals()[name] for name in parts] or (requests, messages, channels, ends, windows):
        try:
            part(t)
        except (paramiko.SSHException, OSError, ValueError) as e:
            print(f"FAIL {part.__name__}: broke off: {type(e).__name__} {e}", flush=True)
    t.close()


if sys.argv[1] == "origin":
    origin(int(sys.argv[2]), sys.argv[3])
else:
    client(*sys.argv[2:])
