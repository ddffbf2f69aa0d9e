#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two ends that say to each other what stock OpenSSH never says, to see that it arrives as it was sent.

    strange_ssh.py origin PORT DIRECTORY          a server; DIRECTORY/ssh_host_ed25519_key is its host key; the
                                                  certificates that it was shown go into DIRECTORY/shown-cert.pub
    strange_ssh.py client ADDRESS PORT LOGIN KEY [PART…]
                                                  says all of it; prints "ok WHAT" or "FAIL WHAT: …" a line
    strange_ssh.py swift ADDRESS PORT LOGIN KEY   a client of a stock sshd, with windows and packets of 100 MB

(The system's Python: python3-paramiko is a Debian package.)
"""
import base64
import itertools
import logging
import os
import socket
import sys
import threading
import time

import paramiko
from paramiko import common
from paramiko.message import Message

from ssh_message import message

STRANGE_MESSAGE = 119  # RFC 4250 4.1.2: connection protocol, not assigned
STRANGE_ANSWER = 120
UNKNOWN_MESSAGE = 121  # neither end knows it: UNIMPLEMENTED
PING, PONG = 192, 193  # ping@openssh.com (OpenSSH's PROTOCOL, section 1.10)

logging.getLogger("paramiko").addHandler(logging.NullHandler())

# Windows and packets as small as one likes.
paramiko.Transport._sanitize_window_size = lambda self, size: size or 1 << 20
paramiko.Transport._sanitize_packet_size = lambda self, size: size or 1 << 15


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
    if name in ("poke@example.org", "signal", "exit-signal", "env", "window-change", "pty-req", "break", "xon-xoff",
                "eow@openssh.com"):
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


def hear_disconnect(self, m):
    code, text = m.get_int(), m.get_text()
    seen.put("disconnect", (code, text))
    if heard_by is not None:
        with open(heard_by, "w") as f:
            f.write(f"{code} {text}\n")


def slow_kex_init(self, m):
    """A peer that takes its time: what is sent to it meanwhile waits at the box behind the key exchange."""
    if slow["rekey"]:
        slow["rekey"] = False
        seen.put("rekey", True)
        time.sleep(1)
    kex_init_before(self, m)


heard_by = None  # the file in which the origin notes how its client left
slow = {"rekey": False}
kex_init_before = paramiko.Transport._parse_kex_init
paramiko.Transport._parse_kex_init = slow_kex_init
paramiko.Transport._parse_disconnect = hear_disconnect
for number in (STRANGE_MESSAGE, STRANGE_ANSWER, UNKNOWN_MESSAGE, PING, PONG):
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
        if kind == "no-more-sessions@openssh.com":
            seen.put(kind, b"\x01")
        if kind == "wave@example.org":
            return ("waved", rest_of(m), 7)
        return False

    def check_channel_shell_request(self, channel):
        threading.Thread(target=self.run, args=(channel, "shell"), daemon=True).start()
        return True

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
        elif command == "shell":
            channel.sendall(b"y" * 100)
            channel.send_exit_status(0)
            channel.close()
        elif command == "odd requests":
            t._send_user_message(message(98, channel.remote_chanid, "xon-xoff", False, True))
            t._send_user_message(message(98, channel.remote_chanid, "eow@openssh.com", False))
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
            for name in ("poke@example.org", "signal", "env", "window-change", "pty-req", "break",
                         "no-more-sessions@openssh.com"):
                channel.sendall(f"{name}={(seen.wait(name) or b'').hex()}\n".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "reach back":
            for kind in ("auth-agent@openssh.com", "x11", "forwarded-tcpip"):
                try:
                    address = ("127.0.0.1", 1) if kind != "auth-agent@openssh.com" else None
                    t.open_channel(kind, dest_addr=address, src_addr=address, timeout=30)
                    channel.sendall(f"{kind}: opened\n".encode())
                except paramiko.ChannelException as e:
                    channel.sendall(f"{kind}: {e.code} {e.text}\n".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "slow rekey":
            slow["rekey"] = True
            channel.sendall(b"soon")
            t.renegotiate_keys()
            channel.send_exit_status(0)
            channel.close()
        elif command == "say unknown":
            # Behind the client's key exchange, which is slow.
            numbers = []
            t._handler_table = {**t._handler_table, common.MSG_UNIMPLEMENTED: lambda self, m: numbers.append(m.get_int())}
            sent = []
            for n in range(3):
                sent.append(t.packetizer._Packetizer__sequence_number_out)
                t._send_user_message(message(UNKNOWN_MESSAGE))
                t._send_user_message(message(94, channel.remote_chanid, b"."))
            for _ in range(100):
                if len(numbers) == 3:
                    break
                time.sleep(0.1)
            channel.sendall(b"right" if numbers == sent else f"sent {sent}, heard of {numbers}".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "largest":  # as much as may be, as large as may be, and says what came of the client's
            with channel.lock:
                most = channel.out_max_packet_size
            for code in (0, 1, 0):
                t._send_user_message(largest_of(channel, most, code))
            got = b""
            while data := channel.recv(1 << 20):
                got += data
            channel.sendall(f"{most} {len(got)} {got.count(b'L')}".encode())
            channel.send_exit_status(0)
            channel.close()
        elif command.startswith("leave "):  # hangs up behind so many bytes, once told that its client is ready for that
            open(os.path.join(self.directory, "leaving"), "w").close()
            while not os.path.exists(os.path.join(self.directory, "leave")):
                time.sleep(0.05)
            channel.sendall(b"z" * int(command.split()[1]))
            channel.send_exit_status(0)
            channel.shutdown_write()
            channel.close()
            time.sleep(0.2)
            t.close()
        elif command == "did you hear a ping":
            channel.sendall(repr("ping" in seen.things).encode())
            channel.send_exit_status(0)
            channel.close()
        elif command == "hang up":
            t._send_message(message(1, 10, "the origin says why", "en"))
            time.sleep(0.5)
            t.sock.close()
        elif command == "ask back":
            answer = t.global_request("ask@example.org", (b"who",), wait=True)
            channel.sendall(b"refused" if answer is None else b"granted")
            channel.send_exit_status(0)
            channel.close()


def largest_of(channel, most, code):
    data = b"L" * most
    return message(95, channel.remote_chanid, code, data) if code else message(94, channel.remote_chanid, data)


def pad_much(t):
    """Packets with as much padding as a length of one byte names, nearly (RFC 4253 section 6)."""
    build = t.packetizer._build_packet

    def build_padded(payload):
        packet = build(payload)
        block = t.packetizer._Packetizer__block_size_out
        more = (255 - packet[4]) // block * block
        return (int.from_bytes(packet[:4], "big") + more).to_bytes(4, "big") + bytes([packet[4] + more]) + packet[5:] + bytes(more)

    t.packetizer._build_packet = build_padded


def serve(connection, directory):
    t = paramiko.Transport(connection, default_window_size=100000000, default_max_packet_size=100000000)
    pad_much(t)
    t.add_server_key(paramiko.Ed25519Key.from_private_key_file(os.path.join(directory, "ssh_host_ed25519_key")))
    t.start_server(server=Origin(directory, t))


def origin(port, directory):
    global heard_by
    heard_by = os.path.join(directory, "client-said")
    paramiko.Transport._handler_table[PING] = note("ping")
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
    channel = t.open_session(timeout=30, **how)
    channel.settimeout(30)
    channel.exec_command(command)
    return channel


def everything(channel):
    data = b""
    while more := channel.recv(1000):
        data += more
    return data


def requests(t):
    channel = t.open_session(timeout=30)
    for name, want_reply, parts in (("poke@example.org", True, (b"\x00\xffanything",)), ("signal", False, ("USR1",)),
                                    ("env", False, ("LAB_WORD", "hello")), ("window-change", False, (100, 40, 0, 0)),
                                    ("break", False, (500,)),
                                    ("pty-req", False, ("xterm", 80, 24, 640, 480, b"\x35\x00\x00\x00\x01\x00"))):
        t._send_user_message(message(98, channel.remote_chanid, name, want_reply, *parts))
    t._send_user_message(message(80, "no-more-sessions@openssh.com", False))
    came = dict(line.split("=") for line in everything(run(t, "what came")).decode().split())
    equal("an invented channel request", message(0, b"\x00\xffanything").asbytes()[1:].hex(), came.get("poke@example.org"))
    equal("a signal", message(0, "USR1").asbytes()[1:].hex(), came.get("signal"))
    equal("env", message(0, "LAB_WORD", "hello").asbytes()[1:].hex(), came.get("env"))
    equal("window-change", message(0, 100, 40, 0, 0).asbytes()[1:].hex(), came.get("window-change"))
    equal("pty-req with its modes and pixels", message(0, "xterm", 80, 24, 640, 480, b"\x35\x00\x00\x00\x01\x00").asbytes()[1:].hex(), came.get("pty-req"))
    equal("break", message(0, 500).asbytes()[1:].hex(), came.get("break"))
    equal("no-more-sessions", "01", came.get("no-more-sessions@openssh.com"))
    everything(run(t, "odd requests"))
    equal("xon-xoff", b"\x01", seen.wait("xon-xoff"))
    equal("eow", b"", seen.wait("eow@openssh.com"))
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
        t.open_channel("invented@example.org", timeout=30).close()
        equal("a channel of an invented type", "opened", "opened")
    except paramiko.ChannelException as e:
        equal("a channel of an invented type", "opened", e)
    try:
        t.open_channel("refused@example.org", timeout=30)
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
    for _ in range(100):
        if len(channel.in_buffer) >= 500:
            break
        time.sleep(0.1)
    time.sleep(0.7)
    equal("a window of 500 bytes: so many come and no more", 500, len(channel.in_buffer))
    equal("and the rest as it is taken", 10000, len(everything(channel)))


def largest(t):
    """Both ends allow what the box cannot take: they are told less, and send that."""
    pad_much(t)
    channel = run(t, "largest", window_size=100000000, max_packet_size=100000000)
    most = channel.out_max_packet_size
    for code in (0, 1, 0):
        t._send_user_message(largest_of(channel, most, code))
    channel.shutdown_write()
    data = everything_of(channel.recv, 1 << 20)
    equal("the largest packets that the box takes: down", (2 * most, most), (data.count(b"L"), len(everything_of(channel.recv_stderr, 1 << 20))))
    equal("and up, as large", f"{most} {2 * most} {2 * most}", data.lstrip(b"L").decode())
    equal("which are no larger than it takes, and not smaller than need be", 262144 - 1 - 255 - 13, most)


def swift(address, port, login, key_file):
    """What people give paramiko to make it quick, against a stock sshd."""
    t = paramiko.Transport((address, int(port)), default_window_size=100000000, default_max_packet_size=100000000)
    log_in(t, login, key_file)
    channel = run(t, "head -c 60000000 /dev/zero")
    equal("60 MB with windows and packets of 100 MB", 60000000, len(everything_of(channel.recv, 1 << 20)))
    equal("and its status", 0, channel.recv_exit_status())
    sftp = paramiko.SFTPClient.from_transport(t)
    data = os.urandom(3000000)
    with sftp.open("swift", "wb") as f:
        f.write(data)
    with sftp.open("swift", "rb") as f:
        f.prefetch(len(data))
        equal("sftp there and back", data, f.read())
    t.close()


def transport(t):
    """Messages of the transport end at each leg; what they say of relayed packets is right all the same."""
    t._handler_table = dict(t._handler_table)
    t._handler_table[PONG] = note("pong")
    t._send_user_message(message(PING, b"\x00\xffany bytes"))
    equal("a ping is answered with what it had", message(PONG, b"\x00\xffany bytes").asbytes()[1:], seen.wait("pong"))
    equal("and the origin never hears of it", b"False", everything(run(t, "did you hear a ping")))
    t._send_user_message(message(common.MSG_IGNORE, b"x" * 20000))
    t._send_user_message(message(common.MSG_DEBUG, True, "nobody should see this", ""))
    t._send_user_message(message(200))  # unassigned, not of the connection protocol: this leg's own answer
    numbers = []
    t._handler_table[common.MSG_UNIMPLEMENTED] = lambda self, m: numbers.append(m.get_int())
    # Packets that wait behind the origin's key exchange get their numbers late.
    channel = run(t, "slow rekey")
    equal("a rekey that takes long", b"soon", channel.recv(4))
    time.sleep(0.3)
    sent = []
    for n in range(3):
        sent.append(t.packetizer._Packetizer__sequence_number_out)
        t._send_user_message(message(UNKNOWN_MESSAGE))
        t._send_user_message(message(80, "nothing@example.org", False))
    channel.recv_exit_status()
    for _ in range(100):
        if len([n for n in numbers if n in sent]) == 3:
            break
        time.sleep(0.1)
    equal("UNIMPLEMENTED of what waited behind the origin's key exchange", sent, [n for n in numbers if n in sent])
    # And the other way: the client is the slow one.
    channel = run(t, "say unknown")
    slow["rekey"] = True
    t.renegotiate_keys()
    answer = everything(channel).lstrip(b".")
    equal("and of what waited behind the client's", b"right", answer)
    equal("a rekey of both legs at once, and the session goes on", b"before", everything(both_rekey(t)))
    channel = run(t, "hang up")
    equal("the origin's DISCONNECT arrives with its code and text", (10, "the origin says why"), seen.wait("disconnect"))


def both_rekey(t):
    running = run(t, "slow rekey")
    t.renegotiate_keys()
    running.recv_exit_status()
    channel = run(t, "half close")
    channel.shutdown_write()
    return channel


def plain_packets(s):
    """(number, payload) of each packet before there are keys, until the end."""
    f = s.makefile("rb")
    while not (line := f.readline()).startswith(b"SSH-"):
        if not line:
            return
    while len(head := f.read(5)) == 5:
        length, padding = int.from_bytes(head[:4], "big"), head[4]
        payload = f.read(length - 1)[: length - 1 - padding]
        yield payload[0], payload[1:]


def compression(t):
    """A client that takes nothing but compressed connections is told so; also one that waits for nothing: the box then
    finds that there is no agreement before it had a turn to say anything."""
    lists = ("curve25519-sha256", "ssh-ed25519", *["aes128-ctr"] * 2, *["hmac-sha2-256"] * 2,
             *["zlib@openssh.com"] * 2, "", "")
    m = Message()
    m.add_byte(bytes([common.MSG_KEXINIT]))
    m.add_bytes(os.urandom(16))
    for names in lists:
        m.add_string(names)
    m.add_bytes(bytes(5))
    payload = m.asbytes()
    padding = 8 - (len(payload) + 5) % 8 + 8
    packet = (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)
    insist(t, "first its name", b"SSH-2.0-strange\r\n", packet)
    insist(t, "all at once", b"SSH-2.0-strange\r\n" + packet)


def insist(t, how, hello, rest=b""):
    s = socket.create_connection(t.sock.getpeername()[:2], 30)
    s.settimeout(30)
    s.sendall(hello)
    packets = plain_packets(s)
    offered, said = "", None
    if rest:
        first = next(packets, (None, b""))  # the box's offer, which comes once it has the client's name
        s.sendall(rest)
        packets = itertools.chain([first], packets)
    for number, payload in packets:
        if number == common.MSG_KEXINIT:
            kexinit = Message(payload)
            kexinit.get_bytes(16)
            offered = [kexinit.get_text() for _ in range(10)][6]
        if number == common.MSG_DISCONNECT:
            said = Message(payload).get_int()
    equal(f"{how}: compression is not offered", "none", offered)
    equal(f"{how}: who insists on it is told that there is no agreement (RFC 4253 11.1: 3)", 3, said)


def farewell(t):
    t._send_message(message(1, 14, "the client says why", "en"))
    time.sleep(0.5)


def many(t):
    opened = [run(t, "strange data") for _ in range(100)]
    equal("a hundred channels at once", [b"of the error kind"] * 100, [c.recv_stderr(100) for c in opened])
    equal("each with its end", [0] * 100, [c.recv_exit_status() for c in opened])


def noticed(t):
    """Under a rule with a session_notice: with windows that hold next to nothing."""
    for window, packet in ((1, 80), (5, 67), (16, 100), (3000, 100)):  # paramiko wants 64 bytes more than it sends
        channel = t.open_session(window_size=window, max_packet_size=packet, timeout=30)
        channel.settimeout(30)
        channel.in_window_threshold = 0  # grants are given byte by byte
        t._send_user_message(message(98, channel.remote_chanid, "pty-req", False, "xterm", 80, 24, 0, 0, b""))
        channel.invoke_shell()
        said = []
        reader = threading.Thread(target=lambda: said.append(everything_of(channel.recv_stderr)))
        reader.start()
        equal(f"a shell's 100 bytes through a window of {window}", 100, len(everything(channel)))
        reader.join(30)
        equal("and the whole notice", [b"this is kept\r\n"], said)


def everything_of(receive, piece=1000):
    data = bytearray()
    while more := receive(piece):
        data += more
    return bytes(data)


def narrow(t):
    """Under a rule that permits nothing: an origin that opens channels on its own is refused by the box."""
    asked = []
    before = paramiko.Transport._parse_channel_open
    t._handler_table = dict(t._handler_table)
    t._handler_table[common.MSG_CHANNEL_OPEN] = lambda self, m: (asked.append(m.asbytes()), before(self, m))
    answers = everything(run(t, "reach back")).decode().splitlines()
    equal("an origin that reaches back is refused: administratively prohibited", [1, 1, 1], [int(a.split()[1]) for a in answers])
    equal("and the client never hears of it", [], asked)


def log_in(t, login, key_file):
    t.start_client(timeout=60)
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    key.load_certificate(key_file + "-cert.pub")
    t.auth_publickey(login, key)


def client(address, port, login, key_file, *parts):
    sock = socket.create_connection((address, int(port)), 10)
    t = paramiko.Transport(sock)
    log_in(t, login, key_file)
    for part in [globals()[name] for name in parts] or (requests, messages, channels, ends, windows):
        try:
            part(t)
        except (paramiko.SSHException, OSError, ValueError) as e:
            print(f"FAIL {part.__name__}: broke off: {type(e).__name__} {e}", flush=True)
    t.close()


if sys.argv[1] == "origin":
    origin(int(sys.argv[2]), sys.argv[3])
elif sys.argv[1] == "swift":
    swift(*sys.argv[2:])
else:
    client(*sys.argv[2:])
