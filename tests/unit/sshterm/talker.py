#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that shows what it is asked, or that does not keep to the customs.

    talker.py PORT ask LOGIN ANSWER…     answers questions with these, in order; prints each as it came
    talker.py PORT echo LOGIN            answers prompt "7? " with "7", a long one with as many y
    talker.py PORT pipeline LOGIN        sends everything before it reads anything
    talker.py PORT signatures LOGIN KEY  three signed requests at once: a wrong signature, the right one, a wrong one
    talker.py PORT guess LOGIN KEY       a wrong password, `none`, a key, then another login's name
    talker.py PORT rename | strayed | flood | mute | nones | rekey | farewell

(The system's Python: python3-paramiko is a Debian package.)
"""
import logging
import os
import sys
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
    raw = Raw(t)
    for _ in range(60):
        raw.send(dialogue("silent"))
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


def signatures(t, login, file):
    key = paramiko.Ed25519Key.from_private_key_file(file)
    blob = key.asbytes()

    def signed(other):
        text = Message()
        text.add_string(t.session_id)
        parts = message(REQUEST, login, "ssh-connection", "publickey", True, "ssh-ed25519", blob)
        text.packet.write(parts.asbytes())
        data = text.asbytes()
        signature = key.sign_ssh_data(data + b"x" if other else data)
        parts.add_string(signature.asbytes() if isinstance(signature, Message) else signature)
        return parts

    raw = Raw(t)
    for other in (True, False, True):
        raw.send(signed(other))
    raw.settle(3)


def mute(t):
    raw = Raw(t)
    raw.send(dialogue("someone"))
    raw.end()


try:
    globals()[sys.argv[2]](connect(int(sys.argv[1])), *sys.argv[3:])
except (paramiko.SSHException, OSError, EOFError) as e:
    print(f"{type(e).__name__}: {e}")
