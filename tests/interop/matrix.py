#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Client × server × feature: each cell is run past the box and through it, and compared.

Usage: matrix.py [--json FILE] [--markdown FILE] [--jobs N] --servers a,b --clients a,b [--features a,b]

A feature is a verb that a client's driver (clients/NAME) knows, what it is given, and what it must print for the
feature to have worked. A cell:
    ok      worked past the box and through it, and what came was the same
    n/a     does not work past the box either: the client has no such thing (its driver ends with 77), or the server
    FAIL    worked past the box, not through it; or what came differs
Exit status: 1 where any cell failed.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import time

GROUND, KEY = os.environ["GROUND"], os.environ["KEY"]
HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = {"openssh": 7101, "dropbear": 7102, "asyncssh": 7103, "openssh-new": 7104}
PAST = 1000  # above the audited port: the same server, past the box
LIMIT_S = 60
SIZE = 24 << 20

Feature = collections.namedtuple("Feature", "title verb arguments stdin expect")
Outcome = collections.namedtuple("Outcome", "status stdout stderr seconds")


def said(stdout="", status=0, stderr=None):
    """The outcome must be this: text, or a pattern that all of it matches."""

    def check(outcome, _):
        return (
            outcome.status == status
            and re.fullmatch(stdout, outcome.stdout.replace(b"\r\n", b"\n").decode("latin-1"), re.S) is not None
            and (stderr is None or re.search(stderr, outcome.stderr.decode("latin-1"), re.S) is not None)
        )

    return check


def same_file(which):
    """What was transferred must be the file that the transfer began with."""

    def check(outcome, cell):
        return outcome.status == 0 and digest(cell.path(which)) == digest(cell.path("source"))

    return check


def killed(outcome, _):
    """Clients differ in what they make of an exit signal; none calls it success, and most name it."""
    return outcome.status not in (0, 77) and outcome.stdout == b"alive\n"


def sorted_lines(*lines):
    return lambda outcome, _: outcome.status == 0 and sorted(outcome.stdout.split(b"\n")[:-1]) == sorted(l.encode() for l in lines)


BLOCK = bytes(range(256)) * 256
STREAM = BLOCK * (SIZE // len(BLOCK))
STREAM_SUM = hashlib.sha256(STREAM).hexdigest()


def whole_stream(outcome, _):
    return outcome.status == 0 and hashlib.sha256(outcome.stdout).hexdigest() == STREAM_SUM


MAKE_STREAM = f"python3 -c 'import sys; b = bytes(range(256)) * 256; [sys.stdout.buffer.write(b) for _ in range({SIZE // len(BLOCK)})]'"
# A client may send the key before the size.
SIZES = "stty size; echo first; read -r line; for i in $(seq 30); do [ \"$(stty size)\" = '37 91' ] || break; sleep 0.1; done; stty size"
FEATURES = {
    "exec": Feature("exec, exit status", "run", ["echo out; exit 42"], b"", said("out\n", 42)),
    "stderr": Feature("stderr", "run", ["echo out; echo err >&2; exit 1"], b"", said("out\n", 1, "err")),
    "stdin": Feature("stdin, half-closed", "run", ["sort -r; echo end"], b"a\nb\nc\n", said("c\nb\na\nend\n")),
    "down": Feature("24 MB down", "run", [MAKE_STREAM], b"", whole_stream),
    "up": Feature("24 MB up", "run", ["sha256sum"], STREAM, said(STREAM_SUM + "  -\n")),
    "both": Feature("24 MB both ways at once", "run", ["cat"], STREAM, whole_stream),
    "signal-end": Feature("exit signal", "run", ["echo alive; kill -TERM $$"], b"", killed),
    "shell": Feature("shell", "shell", [], b"echo $((6*7)); exit 3\n", said("42\n", 3)),
    "env": Feature("environment", "env", ["LAB_WORD", "hello", "echo $LAB_WORD"], b"", said("hello\n")),
    "pty": Feature("terminal, its size", "pty", ["91x37", "tty >/dev/null && stty size"], b"", said("(.*\n)?37 91\n")),
    "resize": Feature("window change", "resize", ["91x37", "120x50", SIZES], b"", said("(.*\n)?37 91\nfirst\n\n?50 120\n")),
    "signal": Feature("signal", "signal", ["TERM", "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done"], b"", said("ready\ncaught\n", 5)),
    "break": Feature("break", "break", ["echo ready; read -r -t 2 line; echo $?"], b"", lambda o, _: o.status == 0),
    "rekey": Feature("rekey each 1 MB of 24, both ways", "rekey", ["cat"], STREAM, whole_stream),
    "compress": Feature("compression asked for", "compress", ["echo out"], b"", said("out\n")),
    "keepalive": Feature("keepalives", "keepalive", ["sleep 4; echo alive"], b"", said("alive\n")),
    "many": Feature("8 channels at once", "many", ["8"], b"", sorted_lines(*(f"channel {i}" for i in range(1, 9)))),
    "sftp-put": Feature("sftp put", "sftp-put", ["{source}", "{remote}"], b"", same_file("arrived")),
    "sftp-get": Feature("sftp get", "sftp-get", ["{offered}", "{fetched}"], b"", same_file("fetched")),
    "sftp-tree": Feature("sftp mkdir, rename, chmod, ls, ln, rm", "sftp-tree", ["{source}", "{remote}.tree"], b"", said("interop.[0-9]+.tree/b\n")),
    "scp-put": Feature("scp up", "scp-put", ["{source}", "{remote}"], b"", same_file("arrived")),
    "scp-get": Feature("scp down", "scp-get", ["{offered}", "{fetched}"], b"", same_file("fetched")),
    "local": Feature("-L", "local", [], b"", said("Hello from the origin.\n")),
    "socks": Feature("-D", "socks", [], b"", said("Hello from the origin.\n")),
    "netcat": Feature("-W", "netcat", [], b"there and back\n", said("there and back\n")),
    "remote": Feature("-R", "remote", [], b"", said("from the client\n")),
    "remote-any": Feature("-R, any port", "remote-any", [], b"", said("from the client\n")),
    "local-unix": Feature("-L from a Unix socket", "local-unix", [], b"", said("Hello from the origin.\n")),
    "remote-unix": Feature("-R of a Unix socket", "remote-unix", [], b"", said("from the client\n")),
    "agent": Feature("agent forwarded", "agent", ["ssh-add -l | cut -d' ' -f2"], b"", said("(SHA256:\\S+\n)+")),
    "x11": Feature("X11", "x11", ["python3 display.py look"], b"", said("hello from the display\n")),
    "jump": Feature("-J", "jump", ["{past}", "echo out"], b"", said("out\n")),
    "ciphers": Feature("each cipher and MAC", "ciphers", [], b"", said("(\\S+\n){8,}")),
    "kex": Feature("each key exchange", "kex", [], b"", said("(\\S+\n){4,}")),
    "rsync": Feature("rsync", "rsync", [], b"", said("rsync works\n")),
    "git": Feature("git", "git", [], b"", said("git works\n")),
    "ansible": Feature("ansible", "ansible", [], b"", said("ansible works\n")),
    "sshfs": Feature("sshfs", "sshfs", [], b"", said("sshfs works\n")),
    "autossh": Feature("autossh", "autossh", [], b"", said("autossh works\n")),
    "mosh": Feature("mosh's bootstrap", "mosh", [], b"", said("mosh works\n")),
}
# Key exchanges that the box speaks only where a rule names them (`legacy`): ssh-audit warns of them.
BY_NAME = {f"ecdh-sha2-nistp{bits}".encode() for bits in (256, 384, 521)} | {b"diffie-hellman-group18-sha512"}
# Kept from one cell to the next: numbers of ports and files.
NUMBERS = itertools.count(21000)


def digest(path):
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()
    except OSError:
        return None


class Cell:
    """One run of one thing, with names of its own for whatever it leaves."""

    def __init__(self, client, server, feature, past):
        self.number = next(NUMBERS)
        self.client, self.feature = client, FEATURES[feature]
        self.port = PORTS[server] + (PAST if past else 0)
        self.past = PORTS[server] + PAST
        self.work = f"{GROUND}/cells/{self.number}"
        self.home = os.environ["HOME_OF_ALICE"]
        os.makedirs(self.work)
        if self.feature.verb.startswith(("sftp", "scp")):
            with open(self.path("source"), "wb") as f:
                f.write(os.urandom(64) + STREAM[: 5 << 20] + os.urandom(17))
            if self.feature.verb.endswith("get"):
                subprocess.run(["cp", self.path("source"), f"{self.home}/offered.{self.number}"], check=True)
                os.chmod(f"{self.home}/offered.{self.number}", 0o644)

    def path(self, which):
        return {
            "source": f"{self.work}/source",
            "fetched": f"{self.work}/fetched",
            "arrived": f"{self.home}/interop.{self.number}",
        }[which]

    def environment(self):
        with open(f"{GROUND}/host_keys.{self.port}") as f:
            keys = f.read().strip()
        own = {
            "HOST": "origin", "PORT": str(self.port), "LOGIN": "alice", "KEY": KEY, "WORK": self.work,
            "FREE_PORT": str(self.number), "HOST_KEYS": keys,
        }  # fmt: skip
        if self.client.endswith("-new"):
            own["OPENSSH"] = os.environ["OPENSSH_NEW"]
        if self.port % 1000 == PORTS["dropbear"] % 1000:  # it knows no certificates, and some clients offer nothing else then
            own["CERTIFICATE"] = "0"
        if self.feature.verb == "agent":
            own["SSH_AUTH_SOCK"] = f"{GROUND}/agent"
        return {**os.environ, "HOME": self.work, **own}

    def arguments(self):
        words = {
            "source": self.path("source"), "fetched": self.path("fetched"), "remote": f"interop.{self.number}",
            "offered": f"offered.{self.number}", "past": self.past,
        }  # fmt: skip
        return [re.sub(r"\{(\w+)\}", lambda m: str(words[m[1]]) if m[1] in words else m[0], a) for a in self.feature.arguments]

    def run(self):
        driver = f"{GROUND}/go" if self.client == "go" else f"{HERE}/clients/{self.client.removesuffix('-new')}"
        start = time.monotonic()
        process = subprocess.Popen(
            [driver, self.feature.verb, *self.arguments()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(), cwd=self.work, start_new_session=True,
        )  # fmt: skip
        try:
            out, err = process.communicate(self.feature.stdin, timeout=LIMIT_S)
            status = process.returncode
        except subprocess.TimeoutExpired:
            out, err, status = b"", b"took longer than %d s" % LIMIT_S, 124
        except BrokenPipeError:
            out, err, status = b"", b"broken pipe", 125
        finally:
            try:
                os.killpg(process.pid, 9)
            except ProcessLookupError:
                pass
            process.wait()
        return Outcome(status, out, err, time.monotonic() - start)

    def works(self, outcome):
        return bool(self.feature.expect(outcome, self))

    def clear(self):
        subprocess.run(["rm", "-rf", self.work, self.path("arrived"), f"{self.home}/offered.{self.number}"], check=False)


def show(outcome):
    def text(data):
        if len(data) < 1500 and data.isascii():
            return data.decode()
        return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}"

    return f"status {outcome.status}, stdout: {text(outcome.stdout)!r}, stderr: {text(outcome.stderr[-1400:])!r}"


def try_once(client, server, feature, past):
    cell = Cell(client, server, feature, past)
    try:
        outcome = cell.run()
        return outcome, cell.works(outcome)
    finally:
        cell.clear()


def comparable(outcome):
    """What must be the same both ways: all but the numbers that each run has for itself."""
    return outcome.status, re.sub(rb"interop\.\d+", b"interop.N", outcome.stdout)


def same(feature, direct, through):
    if feature == "many":
        return True  # who comes first is chance; what came was looked at
    if feature in ("ciphers", "kex"):  # the box may know more than the origin, not less
        return set(direct.stdout.split()) - BY_NAME <= set(through.stdout.split())
    return comparable(direct) == comparable(through)


def judge(client, server, feature):
    direct, worked = try_once(client, server, feature, past=True)
    if not worked:
        why = "the client has none" if direct.status == 77 else "not past the box either: " + show(direct)
        return {"result": "n/a", "why": why, "seconds": direct.seconds}
    through, works = try_once(client, server, feature, past=False)
    row = {"seconds": round(through.seconds, 2), "direct_seconds": round(direct.seconds, 2)}
    if works and same(feature, direct, through):
        return {"result": "ok", **row}
    return {"result": "FAIL", "why": f"past the box: {show(direct)}; through it: {show(through)}", **row}


def table(results, servers, clients, features, mark):
    """Rows: features; columns: clients; a letter a server in each cell."""
    lines = [[""] + clients]
    for feature in features:
        lines.append([FEATURES[feature].title] + [" ".join(mark(results[c, s, feature]) for s in servers) for c in clients])
    return lines


def print_text(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def markdown(rows):
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows[1:]]) + "\n"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--json")
    options.add_argument("--markdown")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--servers", required=True)
    options.add_argument("--clients", required=True)
    options.add_argument("--features", default=",".join(FEATURES))
    given = options.parse_args()
    servers, clients, features = given.servers.split(","), given.clients.split(","), given.features.split(",")
    cells = list(itertools.product(clients, servers, features))
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        results = {}
        for cell, result in zip(cells, pool.map(lambda cell: judge(*cell), cells)):
            results[cell] = result
            if result["result"] == "FAIL":
                print("FAIL", *cell, result["why"], flush=True)
            elif os.environ.get("VERBOSE"):
                print(result["result"], *cell, result.get("why", ""), result["seconds"], flush=True)
    features = [f for f in features if any(results[c, s, f]["result"] != "n/a" for c in clients for s in servers)]
    rows = table(results, servers, clients, features, lambda r: {"ok": "ok", "n/a": "-", "FAIL": "FAIL"}[r["result"]])
    print_text(rows)
    count = collections.Counter(r["result"] for r in results.values())
    print(f"{count['ok']} cells as without the box, {count['FAIL']} not, {count['n/a']} not applicable (servers, left to right: {', '.join(servers)})")
    if given.json:
        with open(given.json, "w") as f:
            json.dump([{"client": c, "server": s, "feature": f_, **r} for (c, s, f_), r in results.items()], f, indent=1)
    if given.markdown:
        with open(given.markdown, "w") as f:
            f.write(markdown(rows))
    sys.exit(1 if count["FAIL"] else 0)


main()
