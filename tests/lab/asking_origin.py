#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An origin that asks: passwords, dialogues of every shape, several methods in a row. The login says which.

    asking_origin.py PORT HOST_KEY [ADDRESS]    prints "ready", then "LOGIN: WHAT CAME" a line for each step

(The system's Python: python3-paramiko is a Debian package.)
"""
import socket
import sys
import threading
import time

import paramiko
from paramiko import common
from paramiko.auth_handler import AuthHandler

from ssh_message import message

PASSWORD = "correct horse battery"
QUESTION, RESPONSE, BANNER, DISCONNECT = 60, 61, 53, 1
said_lock = threading.Lock()

for number, name in ((60, "auth question"), (61, "auth response")):
    common.MSG_NAMES.setdefault(number, name)


def say(login, what):
    with said_lock:
        print(f"{login}: {what}", flush=True)


class Asking:
    """One login: a generator that is sent what came and yields what to say. Subclassed by method."""

    # login -> what its first failure offers
    METHODS = {
        "change": "password", "passwords": "password", "bye": "password", "pwkb": "password",
        "two": "publickey", "pkpw": "publickey", "three": "publickey", "keyed": "publickey", "late": "publickey", "open": "none", "both": "password,keyboard-interactive",
        "picky": "password,keyboard-interactive", "stern": "password,keyboard-interactive",
    }

    def __init__(self, login, send):
        self.login = login
        self.send = send
        self.methods = self.METHODS.get(login, "keyboard-interactive")
        self.done = []

    def result(self, ok, partial=False):
        if ok and not partial:
            self.send(message(52))
            return True
        self.send(message(51, self.methods, partial))
        return False

    def next_method(self, methods):
        self.methods = methods
        return self.result(True, partial=True)

    def request(self, method, m):
        """True: logged in."""
        if method == "none":
            return self.result(self.login == "open")
        if method not in self.methods.split(","):
            say(self.login, f"not offered: {method}")
            return self.result(False)
        return {"password": self.password, "publickey": self.publickey, "keyboard-interactive": self.begin}[method](m)

    def publickey(self, m):
        say(self.login, "key")
        if self.login in ("keyed", "late"):
            return self.result(True)
        return self.next_method({"two": "keyboard-interactive", "three": "password", "pkpw": "password,hostbased"}[self.login])

    def password(self, m):
        changing, password = m.get_boolean(), m.get_text()
        if self.login == "bye":
            self.send(message(DISCONNECT, 13, "this account sleeps until Monday", ""))
            return False
        if self.login == "change" and not changing:
            say(self.login, "old password")
            self.send(message(QUESTION, "Your password has expired\r\nchoose another one", ""))
            return False
        if changing:
            new = m.get_text()
            say(self.login, f"change {password == PASSWORD} {new == 'a new one'}")
            return self.result(password == PASSWORD and new == "a new one")
        right = password == PASSWORD and self.login not in ("picky", "stern")
        say(self.login, f"password {'right' if right else 'wrong'}")
        if right and self.login in ("three", "pwkb"):
            return self.next_method("keyboard-interactive")
        return self.result(right)

    # -- dialogues: generators of questions (name, instruction, prompts); their value is the result

    def begin(self, m):
        self.send(message(BANNER, "the origin is about to ask\r\n", ""))
        if self.login == "rekeys":
            self.dialogue = self.ask_password()
            threading.Thread(target=self.ask_with_other_keys, daemon=True).start()
            return False
        self.dialogue = getattr(self, f"ask_{self.login}", self.ask_password)()
        return self.turn(None)

    def ask_with_other_keys(self):
        self.send.__self__.renegotiate_keys()
        say(self.login, "other keys")
        self.turn(None)

    def turn(self, answers):
        try:
            name, instruction, prompts = self.dialogue.send(answers)
        except StopIteration as end:
            return self.result(end.value)
        m = message(QUESTION, name, instruction, "", len(prompts))
        for prompt, echo in prompts:
            m.add_string(prompt)
            m.add_boolean(echo)
        self.send(m)
        return False

    def response(self, m):
        answers = [m.get_text() for _ in range(m.get_int())]
        return self.turn(answers)

    def ask_password(self):
        answers = yield "", "", [("Password: ", False)]
        say(self.login, f"answer {'right' if answers == [PASSWORD] else 'wrong'}")
        return answers == [PASSWORD]

    def ask_stern(self):
        answers = yield "", "", [("Password: ", False), ("Token: ", False)]
        return answers == [PASSWORD, "1"]

    def ask_rounds(self):
        first = yield "Round one", "Answer both\nof these", [("Your colour? ", True), ("Your secret: ", False)]
        second = yield "", "", []
        third = yield "Röund three", "", [("Once more: ", False)]
        say(self.login, f"{first} {second} {third}")
        return (first, second, third) == (["blue", "s1"], [], ["s2"])

    def ask_many(self):
        answers = yield "", "", [(f"{n}? ", n % 2 == 0) for n in range(2000)]
        say(self.login, f"{len(answers)} answers")
        return answers == [str(n) for n in range(2000)]

    def ask_huge(self):
        answers = yield "", "", [("x" * 30000, False)]
        say(self.login, f"answer of {len(answers[0])}")
        return answers == ["y" * 30000]

    def ask_endless(self):
        while True:
            yield "", "", []

    def ask_silent(self):
        yield "", "", [("Say something: ", True)]
        time.sleep(1000)

    def ask_rude(self):
        self.send(message(QUESTION, "", "", "", 0))
        yield "", "", []


class Server(paramiko.ServerInterface):
    def __init__(self):
        self.transport = None

    def get_allowed_auths(self, username):
        return "none"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def speak_late(self):
        """Messages that have no place any more, each in its turn."""
        t = self.transport
        answered = threading.Event()

        def unimplemented(tt, m):
            say("late", f"unimplemented {sent.get(m.get_int())}")
            answered.set()

        sent = {}
        t._handler_table = {**t._handler_table, 3: unimplemented}
        for number in (6, 21, 30, 31, 33, 50, 51, 52, 53, 60, 61, 66):
            answered.clear()
            sent[t.packetizer._Packetizer__sequence_number_out] = number
            t._send_message(message(number, "x" * 32))
            answered.wait(60)

    def check_channel_exec_request(self, channel, command):
        def run():
            time.sleep(0.1)
            if self.transport.auth_handler.auth_username == "late":
                self.speak_late()
            channel.sendall(f"in as {self.transport.auth_handler.auth_username}\n".encode())
            channel.send_exit_status(0)
            channel.close()
        threading.Thread(target=run, daemon=True).start()
        return True


def asking_of(handler):
    if not hasattr(handler, "asking"):
        handler.asking = Asking(handler.auth_username, handler.transport._send_message)
    return handler.asking


def finish(handler, logged_in):
    if logged_in:
        handler.authenticated = True
        handler.transport._auth_trigger()


def on_request(handler, m):
    login, service, method = m.get_text(), m.get_text(), m.get_text()
    if handler.authenticated:
        return
    handler.auth_username = login
    finish(handler, asking_of(handler).request(method, m))


def on_response(handler, m):
    finish(handler, asking_of(handler).response(m))


AuthHandler._server_handler_table = dict(AuthHandler._server_handler_table)
AuthHandler._server_handler_table[common.MSG_USERAUTH_REQUEST] = on_request
AuthHandler._server_handler_table[common.MSG_USERAUTH_INFO_RESPONSE] = on_response


before = paramiko.Transport._parse_disconnect


def parse_disconnect(transport, m):
    position = m.packet.tell()
    say("farewell", f"{m.get_int()} {m.get_text()}")
    m.packet.seek(position)
    before(transport, m)


paramiko.Transport._parse_disconnect = parse_disconnect


def serve(connection, key):
    t = paramiko.Transport(connection)
    t.banner_timeout = t.handshake_timeout = 60
    t.add_server_key(key)
    server = Server()
    server.transport = t
    try:
        t.start_server(server=server)
    except (paramiko.SSHException, EOFError):
        pass


def main():
    address = sys.argv[3] if len(sys.argv) > 3 else ""
    listening = socket.create_server((address, int(sys.argv[1])), backlog=64)
    key = paramiko.Ed25519Key.from_private_key_file(sys.argv[2])
    print("ready", flush=True)
    held = []
    while True:
        connection = listening.accept()[0]
        held.append(connection)
        threading.Thread(target=serve, args=(connection, key), daemon=True).start()


main()
