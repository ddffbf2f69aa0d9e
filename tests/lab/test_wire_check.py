#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does wire_check.py find what it is there for? A short exchange that keeps every rule passes; the same with one
segment changed must be reported, with the words of the rule that it breaks."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from wire_check import ACK, CWR, ECE, FIN, PSH, RST, SYN, check_capture, checksum, parse_frame

CLIENT, SERVER = bytes([198, 51, 100, 1]), bytes([198, 51, 100, 2])
NOTHING = object()


def options(values):
    out = b""
    for name, value in values.items():
        if name == "mss":
            out += struct.pack(">BBH", 2, 4, value)
        elif name == "scale":
            out += struct.pack(">BBBB", 1, 3, 3, value)
        elif name == "sack_ok":
            out += bytes([1, 1, 4, 2])
        elif name == "ts":
            out += struct.pack(">BBBBII", 1, 1, 8, 10, *value)
        elif name == "sack":
            out += struct.pack(">BBBB", 1, 1, 5, 2 + 8 * len(value)) + b"".join(
                struct.pack(">II", left & 0xffffffff, right & 0xffffffff) for left, right in value)
        elif name == "raw":
            out += value
    return out + b"\1" * (-len(out) % 4)


def frame(s):
    words = options(s["options"])
    head = struct.pack(">HHIIBBHHH", s["sport"], s["dport"], s["seq"] & 0xffffffff, s["ack"] & 0xffffffff,
                       (20 + len(words)) // 4 << 4, s["flags"], s["window"], 0, s.get("urgent", 0)) + words
    src, dst = (CLIENT, SERVER) if s["dport"] == 22 else (SERVER, CLIENT)
    packet = head + s["data"]
    total = ~checksum(src + dst + struct.pack(">IHBB", len(packet), 0, 0, 6) + packet) & 0xffff
    packet = packet[:16] + struct.pack(">H", total ^ s.get("damage", 0)) + packet[18:]
    ip = struct.pack(">BBHHHBBH", s.get("version", 4) << 4 | 5, s.get("tos", 0), 20 + len(packet), 1, 0x4000, 64, 6, 0) + src + dst
    ip = ip[:10] + struct.pack(">H", ~checksum(ip) & 0xffff ^ s.get("ip_damage", 0)) + ip[12:]
    return b"\2" * 12 + b"\x08\x00" + ip + packet


def segment(who, seq, ack, flags, data=b"", window=1000, **more):
    ports = {"sport": 22, "dport": 40000} if who == "box" else {"sport": 40000, "dport": 22}
    return {**ports, "seq": seq, "ack": ack, "flags": flags, "data": data, "window": window, "options": {}, **more}


# The box is the server here; its ISN is 5000, the client's 0xfffffff0, so that sequence numbers wrap.
C, B = 0xfffffff1, 5001
agreed = {"mss": 1000, "scale": 2, "sack_ok": True}


def ts(value, echo):
    return {"ts": (value, echo)}


def exchange():
    return [
        segment("peer", C - 1, 0, SYN, options={**agreed, **ts(100, 0)}),
        segment("box", B - 1, C, SYN | ACK, options={**agreed, **ts(900, 100)}),
        segment("peer", C, B, ACK, window=125, options=ts(101, 900)),
        segment("peer", C, B, ACK | PSH, b"a" * 100, window=125, options=ts(102, 900)),
        segment("box", B, C + 100, ACK, options=ts(901, 102)),                                     # 4
        segment("box", B, C + 100, ACK | PSH, b"x" * 500, options=ts(902, 102)),                   # 5
        segment("peer", C + 200, B, ACK, b"c" * 100, window=125, options=ts(103, 902)),
        segment("box", B + 500, C + 100, ACK, options={**ts(903, 102), "sack": [(C + 200, C + 300)]}),   # 7
        segment("peer", C + 100, B, ACK, b"b" * 100, window=125, options=ts(104, 902)),
        segment("box", B + 500, C + 300, ACK, options=ts(904, 104)),                               # 9
        segment("peer", C + 100, B, ACK, b"b" * 100, window=125, options=ts(105, 902)),
        segment("box", B + 500, C + 300, ACK, options={**ts(905, 105), "sack": [(C + 100, C + 200)]}),   # 11: duplicate
        segment("box", B, C + 300, ACK | PSH, b"x" * 500, options=ts(906, 104)),                   # 12: sent again
        segment("peer", C + 300, B + 500, ACK, window=50, options=ts(106, 906)),
        segment("box", B + 500, C + 300, ACK, b"y" * 200, options=ts(907, 106)),                   # 14
        segment("peer", C + 300, B + 700, ACK, window=0, options=ts(107, 907)),                    # 15: closed
        segment("box", B + 700, C + 300, ACK, b"z", options=ts(908, 107)),                         # 16: beyond by the edge
        segment("peer", C + 300, B + 701, ACK, options=ts(108, 908)),
        segment("box", B + 701, C + 300, FIN | ACK, options=ts(909, 108)),                         # 18
        segment("box", B + 701, C + 300, FIN | ACK, options=ts(910, 108)),                         # 19: again
        segment("peer", C + 300, B + 702, FIN | ACK, options=ts(109, 910)),
        segment("box", B + 702, C + 301, ACK, options=ts(911, 109)),                               # 21
        segment("box", B + 702, C + 301, RST | ACK),                                               # 22
    ]


def changed(number, **values):
    def change(segments):
        segments[number].update(values)
    return change


def with_options(number, **values):
    def change(segments):
        for name, value in values.items():
            if value is NOTHING:
                segments[number]["options"].pop(name)
            else:
                segments[number]["options"][name] = value
    return change


def without_in_syns(name):
    def change(segments):
        segments[0]["options"].pop(name)
        segments[1]["options"].pop(name)
    return change


# What is changed, and what must be said; None: still nothing wrong.
MUTANTS = [
    ("nothing", lambda segments: None, None),
    ("a wrong TCP checksum", changed(5, damage=0x55), "wrong TCP checksum"),
    ("a wrong checksum of the peer's", changed(3, damage=0x55), "of what the peer did not send"),
    ("a wrong IPv4 checksum", changed(5, ip_damage=1), "wrong IPv4 header checksum"),
    ("what claims to be of no IP version that there is", lambda s: s.insert(10, {**s[4], "version": 12, "ip_damage": 1}), None),
    ("an option that runs beyond the header", with_options(5, raw=b"\x05\x22\x01\x01"), "impossible length"),
    ("an option of wrong length", with_options(5, raw=b"\x08\x04\x01\x01"), "wrong length"),
    ("no ACK flag", changed(9, flags=PSH), "no ACK"),
    ("an ACK that goes back", changed(9, ack=C + 99), "ACK goes back"),
    ("an ACK of what did not come", changed(4, ack=C + 101), "of what the peer did not send"),
    ("a window that shrinks", changed(9, window=900), "right edge moves left"),
    ("a window that closes as data comes", changed(9, window=950), None),
    ("a window rounded down by its scale", lambda s: (s[3].update(data=b"a" * 99), s[4].update(ack=C + 99, window=975),
                                                      s[5].update(ack=C + 99, window=975), s.__delitem__(slice(6, None))), None),
    ("beyond the peer's window", changed(14, data=b"y" * 201), "beyond the peer's window"),
    ("a probe of two bytes", changed(16, data=b"zz"), "beyond the peer's window"),
    ("more than the MSS", lambda s: (s[2].update(window=60000), s[5].update(data=b"x" * 989)), "more than the peer's MSS"),
    ("as much as the MSS", lambda s: (s[3].update(window=250), s[5].update(data=b"x" * 988), s.__delitem__(slice(6, None))), None),
    ("other bytes sent again", changed(12, data=b"x" * 499 + b"w"), "sent again with other bytes"),
    ("a second FIN elsewhere", changed(19, seq=B + 702), "a second FIN"),
    ("data after the FIN", lambda s: s.insert(20, segment("box", B + 701, C + 300, ACK, b"qq", options=ts(910, 108))), "after its own FIN"),
    ("a TSval that goes back", with_options(9, ts=(902, 104)), "TSval goes back"),
    ("a TSval that stays", with_options(9, ts=(903, 104)), None),
    ("a TSecr that the peer never sent", with_options(9, ts=(904, 99)), "no TSval of the peer's"),
    ("a segment without timestamp", with_options(9, ts=NOTHING), "no timestamp though agreed"),
    ("timestamps that were not agreed", without_in_syns("ts"), "a timestamp that was not agreed"),
    ("SACK that was not agreed", without_in_syns("sack_ok"), "SACK that was not agreed"),
    ("SACK of what did not come", with_options(7, sack=[(C + 200, C + 301)]), "did not all come"),
    ("SACK back to front", with_options(7, sack=[(C + 300, C + 200)]), "empty SACK block"),
    ("SACK below the ACK in second place", with_options(11, sack=[(C + 200, C + 300), (C, C + 100)]), "not beyond the ACK"),
    ("an RST below what was acknowledged", changed(22, seq=B + 600), "outside of the peer's window"),
    ("an RST beyond the window", changed(22, seq=B + 702 + 4001), "outside of the peer's window"),
    ("an ECN codepoint", changed(9, tos=2), "ECN bits"),
    ("an ECN flag", changed(9, flags=ACK | ECE), "ECN bits"),
    ("a SYN that offers ECN", changed(1, flags=SYN | ACK | ECE | CWR), "offers ECN"),
    ("a SYN with payload", changed(1, data=b"early"), "a SYN with payload"),
    ("a question in mid-life", lambda s: s.insert(10, segment("box", B + 0xc0000000, C, ACK, window=0)), None),
    ("a question with a window", lambda s: s.insert(10, segment("box", B + 0xc0000000, C, ACK)), "no timestamp though agreed"),
    ("an urgent pointer alone", changed(9, urgent=7), "urgent pointer without URG"),
]


CARRIED = 500 + 200 + 1 + 1     # of exchange(): x, y, z, and the FIN


def judged(change):
    """What wire.sh's wire_judge, which asks tshark, too, says of a capture."""
    segments = exchange()
    change(segments)
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, s in enumerate(segments):
            data = frame(s)
            file.write(struct.pack("<IIII", 0, number, len(data), len(data)) + data)
        file.flush()
        here = os.path.dirname(os.path.abspath(__file__))
        return subprocess.run(["bash", "-c", f'here={here}; . "$here/wire.sh"; wire_judge "$1" client', "-", file.name],
                              stdout=subprocess.PIPE, text=True, check=False).stdout


def check_judge():
    """tshark and wire_check.py, each in its words, of one wrong checksum; nothing of a good exchange."""
    bad, good = judged(changed(5, damage=0x55)), judged(lambda segments: None)
    around = "0.000005 frame 6 box  PA seq 5001 to 5501 ack 85 window 1000 TSval 902 TSecr 102 (wrong TCP checksum)  <== violation" in bad
    if "frame 6: tshark: Bad checksum" in bad and "wrong TCP checksum" in bad and around and good.startswith(f"13 segments of the box with {CARRIED} bytes of its streams, 0 "):
        return 0
    print(f"wire_judge: of a wrong checksum: {bad or 'nothing'}of a good exchange: {good or 'nothing'}")
    return 1


def main():
    failed = 0
    for name, change, expected in MUTANTS:
        segments = exchange()
        change(segments)
        parsed = [s for s in (parse_frame(number, frame(s)) for number, s in enumerate(segments)) if s is not None]
        said, checked, _ = check_capture(parsed, "client")
        good = (not said and checked > 0) if expected is None else any(expected in line for line in said)
        if not good:
            failed += 1
            print(f"{name}: expected {expected or 'nothing'}, got {said or 'nothing'}")
    if shutil.which("tshark"):
        failed += check_judge()
    print(f"{len(MUTANTS) - failed} of {len(MUTANTS)} as expected")
    sys.exit(1 if failed else 0)


main()
