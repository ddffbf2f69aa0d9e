#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that shows what it is asked, or that does not keep to the customs.

    talker.py PORT ask LOGIN ANSWER…     answers questions with these, in order; prints each as it came
    talker.py PORT echo LOGIN            answers prompt "7? " with "7", a long one with as many y
    talker.py PORT pipeline LOGIN        sends everything before it reads anything
    talker.py PORT signatures LOGIN KEY  three signed requests at once: a wrong signature, the right one, a wrong one
    talker.py PORT hasty LOGIN KEY [wrong] | hasty LOGIN password PASSWORD
                                         a request, good or not, and behind it, in one write, a global request, an
                                         open, a request for a program
    talker.py PORT late LOGIN KEY TYPE…  logs in, sends a message of each type where it has no place, runs a program
    talker.py PORT look LOGIN            `none`, a dialogue, a wrong password, then another login's name
    talker.py PORT keyed_later LOGIN KEY `none`, then a signed request
    talker.py PORT guess LOGIN KEY       a wrong password, `none`, a key, then another login's name
    talker.py PORT astray TYPE           sends such a message instead of a request
    talker.py PORT rename | strayed | flood | mute | nones | rekey | farewell | parting

(The system's Python: python3-paramiko is a Debian package.)
"""
import logging
import os
import sys
import threading
import time

import paramiko
from paramiko.message import Message

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lab"))
from ssh_message import message

logging.getLogger("paramiko").addHandler(logging.NullHandler())
REQUEST, FAILURE, SUCCESS, QUESTION, RESPONSE = 50, 51, 52, 60, 61
NAMES = {FAILURE: "failure", SUCCESS: "success", QUESTION: "question", 1: "disconnect", 53: "banner", 3: "unimplemented"}


def connect(port):
    t = paramiko.Transport(("127.0.0.1", port))
    t.banner_timeout = t.auth_timeout = t.handshake_timeout = 60
    t.start_client(timeout=60)
    return t


def run(t):
    channel = t.open_session(timeout=60)
    channel.exec_command("who")
    print(channel.makefile().read().decode().strip())


def ask(t, login, *answers):
    left = list(answers)

    def handler(title, instructions, prompts):
        print(f"{title!r} {instructions!r} {[(p, bool(e)) for p, e in prompts]}")
        return [left.pop(0) for _ in prompts]

    t.auth_interactive(login, handler)
    run(t)


def echo(t, login):
    t.auth_interactive(login, lambda a, b, prompts: [p[:-2] if p.endswith("? ") else "y" * len(p) for p, _ in prompts])
    run(t)


class Raw:
    """Sends what it is told and prints the numbers that come back."""

    def __init__(self, t):
        self.t = t
        self.got = []
        t._handler_table = dict(t._handler_table)
        t._handler_table[6] = lambda tt, m: None
        for number in (FAILURE, SUCCESS, QUESTION, 53):
            t._handler_table[number] = self.note(number)
        self.send(message(5, "ssh-userauth"))

    def note(self, number):
        def handler(t, m):
            text = NAMES[number]
            if number == FAILURE:
                text += f" {m.get_text()} {m.get_boolean()}"
            self.got.append(text)
        return handler

    def send(self, m):
        self.t._send_message(m)

    def wait(self, done, seconds=60, pause=0.05):
        until = time.time() + seconds
        while not done() and time.time() < until and self.t.is_active():
            time.sleep(pause)

    def show(self):
        print(" | ".join(self.got), "" if self.t.is_active() else "(over)")

    def settle(self, n):
        self.wait(lambda: len(self.got) >= n)
        self.show()

    def end(self, seconds=60):
        """The other side is to hang up, whatever it says before."""
        self.wait(lambda: False, seconds)
        self.show()

    def asked(self, times):
        """Waits until as many questions have come: a banner may come before each of them, and in one read with it."""
        self.wait(lambda: self.got.count("question") >= times)


def password(login, word, *more):
    return message(REQUEST, login, "ssh-connection", "password", bool(more), word, *more)


def dialogue(login):
    return message(REQUEST, login, "ssh-connection", "keyboard-interactive", "", "")


def pipeline(t, login):
    raw = Raw(t)
    raw.send(message(REQUEST, login, "ssh-connection", "none"))
    raw.send(password(login, "wrong"))
    raw.send(message(REQUEST, login, "ssh-connection", "hostbased", "", "", "", "", ""))
    raw.send(password(login, "correct horse battery"))
    raw.settle(4)


def rename(t):
    raw = Raw(t)
    raw.send(password("passwords", "wrong"))
    raw.settle(1)
    raw.send(password("someone", "wrong"))
    raw.end()


def guess(t, login, file):
    raw = Raw(t)
    t._handler_table[53] = lambda tt, m: raw.got.append(m.get_text().strip())
    key = paramiko.Ed25519Key.from_private_key_file(file)
    requests = [
        password(login, "wrong"),
        message(REQUEST, login, "ssh-connection", "none"),
        message(REQUEST, login, "ssh-connection", "publickey", False, "ssh-ed25519", key.asbytes()),
        password("another", "wrong"),
    ]
    for n, request in enumerate(requests):
        raw.send(request)
        raw.wait(lambda: len(raw.got) > n)
    raw.end()


def look(t, login):
    """What there is, a dialogue, a wrong password, another login's name."""
    raw = Raw(t)
    t._handler_table[53] = lambda tt, m: raw.got.append(m.get_text().strip())
    for n, request in enumerate((message(REQUEST, login, "ssh-connection", "none"), dialogue(login), password(login, "wrong"),
                                 password("another", "wrong"))):
        raw.send(request)
        raw.wait(lambda: len(raw.got) > n)
    raw.end()


def keyed_later(t, login, file):
    raw = Raw(t)
    raw.send(message(REQUEST, login, "ssh-connection", "none"))
    raw.wait(lambda: raw.got)
    raw.send(signed(t, login, file))
    raw.settle(2)


def strayed(t):
    """Answers nobody asked for, a dialogue left for another."""
    raw = Raw(t)
    raw.send(message(RESPONSE, 1, "nothing"))
    raw.send(dialogue("someone"))
    raw.asked(1)
    raw.send(dialogue("someone"))
    raw.asked(2)
    before = len(raw.got)
    raw.send(message(RESPONSE, 1, "correct horse battery"))
    raw.settle(before + 1)


def flood(t):
    """More than anybody needs, before anything is answered."""
    raw = Raw(t)
    together(t, lambda: [raw.send(dialogue("someone")) for _ in range(250)])
    raw.end()


def nones(t):
    """Never an attempt, always work."""
    raw = Raw(t)
    for n in range(1, 400):
        raw.send(message(REQUEST, "someone", "ssh-connection", "none"))
        raw.wait(lambda: len(raw.got) >= n, pause=0.002)
        if not t.is_active():
            break
    print(len(raw.got) < 300 and "(over)")


def rekey(t):
    """Other keys while a question is open, twice."""
    raw = Raw(t)
    raw.send(dialogue("someone"))
    raw.settle(2)
    t.renegotiate_keys()
    t.renegotiate_keys()
    raw.send(message(RESPONSE, 1, "correct horse battery"))
    raw.settle(3)


def farewell(t):
    raw = Raw(t)
    raw.send(dialogue("someone"))
    raw.settle(2)
    raw.send(message(1, 14, "I have changed my mind", ""))
    time.sleep(1)


def parting(t):
    """Answers what takes the origin for ever, asks anew, and goes."""
    raw = Raw(t)
    together(t, lambda: [raw.send(m) for m in (
        dialogue("silent"), message(RESPONSE, 1, "x"), message(90, "session", 0, 1 << 20, 1 << 15), dialogue("silent"),
        message(1, 14, "this takes too long", ""))])
    time.sleep(1)


def astray(t, number):
    raw = Raw(t)
    t._handler_table[53] = lambda tt, m: raw.got.append(m.get_text().strip())
    raw.send(message(int(number), "x" * 32))
    raw.end()


def signed(t, login, file, other=False):
    """A request by a key, its signature right or that of another text."""
    key = paramiko.Ed25519Key.from_private_key_file(file)
    text = Message()
    text.add_string(t.session_id)
    parts = message(REQUEST, login, "ssh-connection", "publickey", True, "ssh-ed25519", key.asbytes())
    text.packet.write(parts.asbytes())
    data = text.asbytes()
    signature = key.sign_ssh_data(data + b"x" if other else data)
    parts.add_string(signature.asbytes() if isinstance(signature, Message) else signature)
    return parts


def signatures(t, login, file):
    raw = Raw(t)
    for other in (True, False, True):
        raw.send(signed(t, login, file, other))
    raw.settle(3)


class Channel:
    """A program on a channel of one's own, beside Raw: what comes back stands in raw.got."""

    def __init__(self, raw):
        self.raw = raw
        self.t = raw.t
        self.sent = {}  # by sequence number
        for number, name in ((81, "request success"), (82, "request failure"), (91, "opened"), (92, "open failure"),
                             (99, "runs"), (100, "does not run"), (96, "eof"), (97, "close")):
            self.t._handler_table[number] = lambda tt, m, name=name: raw.got.append(name)
        # The origin's own: hostkeys-00, exit-status, windows.
        for number in (80, 93, 98):
            self.t._handler_table[number] = lambda tt, m: None
        self.t._handler_table[94] = self.data
        self.t._handler_table[3] = self.unimplemented

    def data(self, t, m):
        m.get_int()
        self.raw.got.append(repr(m.get_text()))

    def unimplemented(self, t, m):
        number = m.get_int()
        self.raw.got.append(f"unimplemented {self.sent.get(number, 'what was never sent')}")

    def send(self, number, *parts):
        self.sent[self.t.packetizer._Packetizer__sequence_number_out] = number
        self.raw.send(message(number, *parts))

    def open(self):
        self.send(90, "session", 0, 1 << 20, 1 << 15)

    def run(self, command="echo in"):
        """The channel has the peer's first number."""
        self.send(98, 0, "exec", True, command)


def together(t, what):
    """What is sent by it leaves in one write."""
    parts, write = [], t.packetizer.write_all
    t.packetizer.write_all = parts.append
    what()
    t.packetizer.write_all = write
    write(b"".join(parts))


def hasty(t, login, file, word=""):
    raw = Raw(t)
    channel = Channel(raw)

    def all_at_once():
        raw.send(password(login, word) if file == "password" else signed(t, login, file, word == "wrong"))
        channel.send(80, "keepalive@openssh.com", True)
        channel.open()
        channel.run()

    together(t, all_at_once)
    refused = word == "wrong"
    raw.wait(lambda: raw.got.count("unimplemented 98") if refused else "close" in raw.got)
    if refused:
        raw.send(signed(t, login, file))
        raw.wait(lambda: "success" in raw.got)
    raw.show()


def late(t, login, file, *types):
    raw = Raw(t)
    channel = Channel(raw)
    raw.send(signed(t, login, file))
    raw.wait(lambda: "success" in raw.got)
    for number in (int(each) for each in types):
        before = len(raw.got)
        bodies = {
            5: ("ssh-userauth",), 6: ("ssh-userauth",), 50: (login, "ssh-connection", "none"), 51: ("publickey", False),
            53: ("hello", ""), 60: ("", "", "", 0), 61: (1, "x")}
        channel.send(number, *bodies.get(number, ("x" * 32,)))
        channel.send(80, "keepalive@openssh.com", True)
        raw.wait(lambda: len([g for g in raw.got[before:] if g.startswith("request")]) > 0)
        print(" | ".join(raw.got[before:]), "" if t.is_active() else "(over)", flush=True)
    raw.got.clear()
    # And one while keys are exchanged anew, in which paramiko expects nothing but the exchange's next.
    def unimplemented(tt, m):
        channel.unimplemented(tt, m)
        t._expected_packet = (31,)

    t._handler_table[3] = unimplemented
    t._expect_packet = lambda *expected: setattr(t, "_expected_packet", (*expected, 3) if 31 in expected else expected)
    t.completion_event = threading.Event()
    together(t, lambda: (t._send_kex_init(), channel.send(REQUEST, login, "ssh-connection", "none")))
    t.completion_event.wait(60)
    raw.wait(lambda: raw.got)
    raw.show()
    raw.got.clear()
    channel.open()
    raw.wait(lambda: raw.got)
    channel.run()
    raw.wait(lambda: "close" in raw.got)
    raw.show()


def mute(t):
    raw = Raw(t)
    raw.send(dialogue("someone"))
    raw.end()


try:
    globals()[sys.argv[2]](connect(int(sys.argv[1])), *sys.argv[3:])
except (paramiko.SSHException, OSError, EOFError) as e:
    print(f"{type(e).__name__}: {e}")
