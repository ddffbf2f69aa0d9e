#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wire_check: do the segments that the box sent keep the rules of TCP?

  wire_check.py CAPTURE client|origin [--missed]     prints each violation; exit status 1 where there was any, and of
                                                     the first ones what was said around them in their connections

The capture (pcap, Ethernet) was made beside one of the box's ports, so that it holds every segment that the box sent
there and every one that came to it, in that order. On the client's side the box speaks as the server (from the
service's port), on the origin's side as the client. --missed: the capture has holes; rules that need all of the peer's
segments are left out. A port below 1024, or of 7000 to 7999, is a service's.

What is checked of each of the box's segments (section of the RFC that it comes from):
  checksums of IPv4 and TCP, lengths, options well formed          791, 9293 3.1
  ACK set, never going back, never of what the peer did not send   9293 3.10.7.4
  the right edge of the window never moves left                    9293 3.8.6 (but for rounding: 7323 2.4)
  nothing sent beyond the peer's window, but a probe of one byte   9293 3.8.6.1
  nothing longer than the peer's MSS less the options              6691
  what is sent again is what was sent before; one FIN, and nothing after it
  TSval never goes back, on every segment or on none; TSecr is a TSval of the peer's    7323 3.2, 4.3
  SACK blocks only as agreed, in order, of what came and is not yet acknowledged, or a duplicate     2018 3, 2883
  RST where the peer expects it: at what it acknowledged or up to the end of what it may get        5961 3
  (but for the one question of a box that meets a connection in its middle)
  no ECN codepoint and no ECN flag, as ECN is negotiated away
"""
import collections
import struct
import sys

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
VIOLATIONS_SHOWN = 20
CONTEXTS_SHOWN, FRAMES_BEFORE, FRAMES_AFTER = 3, 14, 6


def before(a, b):
    """a < b in sequence space"""
    return (a - b) & 0x80000000 != 0


def later(a, b):
    return b if before(a, b) else a


class Segment:
    __slots__ = ("number", "src", "dst", "sport", "dport", "seq", "ack", "flags", "window", "urgent", "data", "ecn",
                 "mss", "scale", "sack_ok", "sack", "ts", "header", "faults")

    def length(self):
        return len(self.data) + (self.flags & SYN != 0) + (self.flags & FIN != 0)


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def parse_options(segment, options):
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        body = options[at + 2:at + size]
        if size < 2 or at + size > len(options):
            segment.faults.append(f"option {kind} of impossible length {size}")
            return
        if kind == 2 and size == 4:
            segment.mss = struct.unpack(">H", body)[0]
        elif kind == 3 and size == 3:
            segment.scale = body[0]
        elif kind == 4 and size == 2:
            segment.sack_ok = True
        elif kind == 5 and size % 8 == 2 and size > 2:
            words = struct.unpack(f">{(size - 2) // 4}I", body)
            segment.sack = list(zip(words[::2], words[1::2]))
        elif kind == 8 and size == 10:
            segment.ts = struct.unpack(">II", body)
        elif kind in (2, 3, 4, 5, 8):
            segment.faults.append(f"option {kind} of wrong length {size}")
        at += size


def parse_tcp(number, addresses, ecn, packet):
    segment = Segment()
    segment.faults = []
    if len(packet) < 20 or (packet[12] >> 4) * 4 < 20 or (packet[12] >> 4) * 4 > len(packet):
        return None
    segment.sport, segment.dport, segment.seq, segment.ack, offset, segment.flags, segment.window, _, segment.urgent = \
        struct.unpack(">HHIIBBHHH", packet[:20])
    pseudo = addresses + struct.pack(">IHBB", len(packet), 0, 0, 6)
    if checksum(pseudo + packet) != 0xffff:
        segment.faults.append("wrong TCP checksum")
    segment.number, segment.ecn = number, ecn
    half = len(addresses) // 2
    segment.src, segment.dst = addresses[:half], addresses[half:]
    segment.header = (offset >> 4) * 4
    segment.data = packet[segment.header:]
    segment.mss = segment.scale = segment.ts = None
    segment.sack_ok, segment.sack = False, []
    parse_options(segment, packet[20:segment.header])
    return segment


def parse_frame(number, frame):
    """A Segment, or None for what is no whole TCP packet."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind, packet = frame[at:at + 2], frame[at + 2:]
    version = packet[0] >> 4 if packet else 0   # by another one (of a damaged frame) no rule applies: it goes on as it is
    if kind == b"\x08\x00" and version == 4 and len(packet) >= 20:
        size, total = (packet[0] & 15) * 4, struct.unpack(">H", packet[2:4])[0]
        if packet[9] != 6 or struct.unpack(">H", packet[6:8])[0] & 0x3fff or total > len(packet) or size < 20:
            return None
        segment = parse_tcp(number, packet[12:20], packet[1] & 3, packet[size:total])
        if segment is not None and checksum(packet[:size]) != 0xffff:
            segment.faults.append("wrong IPv4 header checksum")
        return segment
    if kind == b"\x86\xdd" and version == 6 and len(packet) >= 40 and packet[6] == 6:
        total = 40 + struct.unpack(">H", packet[4:6])[0]
        if total > len(packet):
            return None
        return parse_tcp(number, packet[8:40], packet[1] >> 4 & 3, packet[40:total])
    return None


def frames(path):
    """(number, time in microseconds, bytes) of each whole frame."""
    with open(path, "rb") as file:
        head = file.read(24)
        order = "<" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        if len(head) < 24 or struct.unpack(order + "I", head[20:])[0] & 0xffff != 1:
            raise SystemExit(f"wire_check: {path}: not a pcap file of Ethernet frames")
        number = 0
        while True:
            head = file.read(16)
            if len(head) < 16:
                return
            number += 1
            seconds, fraction, size, whole = struct.unpack(order + "IIII", head)
            frame = file.read(size)
            if len(frame) == size == whole:
                yield number, seconds * 1000000 + fraction, frame


class Violation(str):
    """What is wrong with a segment, in words."""

    def __new__(cls, segment, text):
        self = super().__new__(cls, f"frame {segment.number}, port {segment.sport} to {segment.dport}: {text}")
        self.number, self.connection = segment.number, connection_of(segment)
        return self


class Spans:
    """What came of a stream, as offsets: whole up to `edge`, and pieces beyond."""

    def __init__(self):
        self.edge, self.pieces = 0, []

    def add(self, left, right):
        if left <= self.edge:
            self.edge = max(self.edge, right)
        else:
            self.pieces.append((left, right))
        if self.pieces:
            self.merge()

    def merge(self):
        kept = []
        for left, right in sorted(self.pieces):
            if left <= self.edge:
                self.edge = max(self.edge, right)
            elif kept and left <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(kept[-1][1], right))
            else:
                kept.append((left, right))
        self.pieces = kept

    def size(self):
        return self.edge + sum(right - left for left, right in self.pieces)

    def hold(self, left, right):
        return right <= self.edge or any(a <= left and right <= b for a, b in self.pieces)


class Side:
    """What one side has sent."""

    def __init__(self):
        self.syn = None
        self.base = None           # sequence number of the first byte
        self.ack = self.right = None    # furthest acknowledged, right edge of the window given
        self.acks = set()
        self.tsval = None
        self.tsvals = set()
        self.top = None            # end of what was sent
        self.fin = None            # sequence number of the FIN
        self.bytes = bytearray()   # from base
        self.known = bytearray()   # 1 where bytes are known
        self.spans = Spans()


class Connection:
    def __init__(self, report, missed):
        self.report, self.missed = report, missed
        self.box, self.peer = Side(), Side()

    def agreed(self):
        """Both SYNs were seen: what was agreed is known."""
        return self.box.syn is not None and self.peer.syn is not None

    def shift(self, side):
        both = self.agreed() and self.box.syn.scale is not None and self.peer.syn.scale is not None
        return min(side.syn.scale, 14) if both else 0

    def take_syn(self, side, segment):
        side.syn = segment
        side.base = (segment.seq + 1) & 0xffffffff
        side.top = side.base
        side.tsval = None

    def note(self, side, segment):
        """What either side's segment tells, after it was checked."""
        end = (segment.seq + segment.length()) & 0xffffffff
        side.top = end if side.top is None else later(side.top, end)
        if segment.ts is not None:
            side.tsval = segment.ts[0]
            side.tsvals.add(segment.ts[0])
        if segment.flags & ACK:
            shift = 0 if segment.flags & SYN else self.shift(side)
            right = (segment.ack + (segment.window << shift)) & 0xffffffff
            side.ack = segment.ack if side.ack is None else later(side.ack, segment.ack)
            side.right = right if side.right is None else later(side.right, right)
            side.acks.add(segment.ack)
        if side.base is not None and segment.length() and not segment.flags & SYN:
            left = (segment.seq - side.base) & 0xffffffff
            if left < 0x40000000:
                side.spans.add(left, left + segment.length())

    def from_peer(self, segment):
        if segment.faults or segment.flags & RST:
            return
        if segment.flags & SYN:
            self.take_syn(self.peer, segment)
        self.note(self.peer, segment)

    def is_question(self, segment):
        """A box that does not know the connection (it has just started) asks for the ACK that it answers by RST:
        with a bare ACK half a sequence space away, and no window."""
        return segment.flags == ACK and not segment.data and segment.header == 20 and segment.window == 0 and \
            self.box.top is not None and 0x20000000 < (segment.seq - self.box.top) & 0xffffffff < 0xe0000000

    def from_box(self, segment):
        for fault in segment.faults:
            self.report(segment, fault)
        if self.is_question(segment):
            return
        if segment.flags & SYN:
            self.check_syn(segment)
            self.take_syn(self.box, segment)
        elif segment.flags & RST:
            self.check_reset(segment)
            return
        elif self.agreed():
            self.check(segment)
        if not segment.faults:
            self.note(self.box, segment)

    # -- the rules ---------------------------------------------------------------------------------------------

    def check_syn(self, segment):
        if segment.data:
            self.report(segment, "a SYN with payload")
        if segment.flags & (ECE | CWR):
            self.report(segment, "a SYN that offers ECN")

    def check_reset(self, segment):
        peer = self.peer
        if peer.ack is None or segment.seq in peer.acks:
            return
        if before(segment.seq, peer.ack) or before(peer.right, segment.seq):
            self.report(segment, f"RST at {segment.seq}, outside of the peer's window {peer.ack} to {peer.right}")

    def check(self, segment):
        if not segment.flags & ACK:
            self.report(segment, "no ACK")
        if segment.ecn or segment.flags & (ECE | CWR):
            self.report(segment, "ECN bits are set")
        if segment.urgent and not segment.flags & URG:
            self.report(segment, "an urgent pointer without URG")
        self.check_acknowledgment(segment)
        self.check_sending(segment)
        self.check_timestamps(segment)
        self.check_sack(segment)

    def check_acknowledgment(self, segment):
        box, peer = self.box, self.peer
        shift = self.shift(box)
        right = (segment.ack + (segment.window << shift)) & 0xffffffff
        if box.ack is not None and before(segment.ack, box.ack):
            self.report(segment, f"ACK goes back from {box.ack} to {segment.ack}")
        if box.right is not None and before((right + (1 << shift) - 1) & 0xffffffff, box.right):
            self.report(segment, f"the window's right edge moves left from {box.right} to {right}")
        if not self.missed and (segment.ack - peer.base) & 0xffffffff > peer.spans.edge and segment.ack != peer.syn.seq:
            self.report(segment, f"ACK {segment.ack} of what the peer did not send "
                                 f"(whole up to {(peer.base + peer.spans.edge) & 0xffffffff})")

    def check_sending(self, segment):
        box, peer = self.box, self.peer
        end = (segment.seq + segment.length()) & 0xffffffff
        if segment.length() == 0:
            return
        room = (peer.syn.mss or (536 if len(segment.src) == 4 else 1220)) + 20 - segment.header
        if len(segment.data) > room:
            self.report(segment, f"{len(segment.data)} bytes, more than the peer's MSS less options, {room}")
        last = end if not segment.flags & FIN else (end - 1) & 0xffffffff   # a FIN takes no room in the window
        if not self.missed and peer.right is not None and before(peer.right, last) and \
                not (len(segment.data) == 1 and segment.seq == peer.right):
            self.report(segment, f"sent up to {last}, beyond the peer's window, which ends at {peer.right}")
        if box.fin is not None and before((box.fin + 1) & 0xffffffff, end):
            self.report(segment, "bytes after its own FIN")
        if segment.flags & FIN:
            fin = (end - 1) & 0xffffffff
            if box.fin is not None and box.fin != fin:
                self.report(segment, f"a second FIN, at {fin} after {box.fin}")
            box.fin = fin
            if before(fin, box.top) and box.top != (fin + 1) & 0xffffffff:
                self.report(segment, "a FIN before what was sent already")
        self.check_same(segment)

    def check_same(self, segment):
        box, data = self.box, segment.data
        left = (segment.seq - box.base) & 0xffffffff
        if left == 0xffffffff:      # a keepalive may carry a byte that was acknowledged long ago
            left, data = 0, data[1:]
        right = left + len(data)
        if left >= 0x40000000 or not data:
            return
        if len(box.bytes) < right:
            box.bytes.extend(bytes(right - len(box.bytes)))
            box.known.extend(bytes(right - len(box.known)))
        known = box.known[left:right]
        if known.find(1) >= 0:
            old = box.bytes[left:right]
            if old != data and any(k and a != b for k, a, b in zip(known, old, data)):
                self.report(segment, "sent again with other bytes")
        box.bytes[left:right] = data
        box.known[left:right] = b"\1" * len(data)

    def check_timestamps(self, segment):
        box, peer = self.box, self.peer
        agreed = box.syn.ts is not None and peer.syn.ts is not None
        if agreed != (segment.ts is not None):
            self.report(segment, "no timestamp though agreed" if agreed else "a timestamp that was not agreed")
        if segment.ts is None or not agreed:
            return
        if box.tsval is not None and before(segment.ts[0], box.tsval):
            self.report(segment, f"TSval goes back from {box.tsval} to {segment.ts[0]}")
        if not self.missed and segment.ts[1] not in peer.tsvals:
            self.report(segment, f"TSecr {segment.ts[1]} is no TSval of the peer's")

    def check_sack(self, segment):
        peer = self.peer
        if not segment.sack:
            return
        if not (self.box.syn.sack_ok and peer.syn.sack_ok):
            self.report(segment, "SACK that was not agreed")
        for number, (left, right) in enumerate(segment.sack):
            if not before(left, right):
                self.report(segment, f"an empty SACK block {left} to {right}")
                continue
            if not self.missed and not peer.spans.hold((left - peer.base) & 0xffffffff, (right - peer.base) & 0xffffffff):
                self.report(segment, f"SACK of {left} to {right}, which did not all come")
            duplicate = number == 0 and (not before(segment.ack, right) or any(
                not before(left, a) and not before(b, right) for a, b in segment.sack[1:]))
            if not duplicate and not before(segment.ack, left):
                self.report(segment, f"SACK block {left} to {right} not beyond the ACK {segment.ack}")


def is_service(port):
    return port < 1024 or 7000 <= port < 8000


def to_server(segment):
    return is_service(segment.dport) and not is_service(segment.sport)


def connection_of(segment):
    """Client and server with their ports; the same for both directions."""
    if to_server(segment):
        return segment.src, segment.sport, segment.dst, segment.dport
    return segment.dst, segment.dport, segment.src, segment.sport


def check_capture(segments, side, missed=False):
    """Returns (violations as text, number of the box's segments that were checked, bytes of its streams that they
    carried, each counted once)."""
    connections, every, violations, checked = {}, [], [], 0

    def report(segment, text):
        violations.append(Violation(segment, text))

    for segment in segments:
        key = connection_of(segment)
        opens = segment.flags & (SYN | ACK) == SYN and not segment.faults
        known = connections.get(key)
        if known is None or (opens and known[0] != segment.seq):
            # A port that is used again; a repeated SYN belongs to the connection that it began.
            known = connections[key] = (segment.seq if opens else None, Connection(report, missed))
            every.append(known[1])
        if to_server(segment) == (side == "origin"):
            checked += 1
            known[1].from_box(segment)
        else:
            known[1].from_peer(segment)
    return violations, checked, sum(connection.box.spans.size() for connection in every)


def described(segment, microseconds, side):
    """A segment as a line; no payload."""
    flags = "".join(letter for letter, bit in zip("FSRPAUEC", (FIN, SYN, RST, PSH, ACK, URG, ECE, CWR)) if segment.flags & bit)
    line = f"{microseconds / 1e6:.6f} frame {segment.number} {'box ' if to_server(segment) == (side == 'origin') else 'peer'} {flags} " \
           f"seq {segment.seq} to {(segment.seq + segment.length()) & 0xffffffff} ack {segment.ack} window {segment.window}"
    if segment.ts is not None:
        line += f" TSval {segment.ts[0]} TSecr {segment.ts[1]}"
    if segment.sack:
        line += " SACK " + " ".join(f"{left}-{right}" for left, right in segment.sack)
    return line + "".join(f" ({fault})" for fault in segment.faults)


def contexts(path, side, violations):
    """Of the first violations: the segments of their connections before and after, a line each."""
    wanted = dict(reversed([(v.number, v.connection) for v in violations]))
    numbers = sorted(wanted)[:CONTEXTS_SHOWN]
    recent = {wanted[number]: collections.deque(maxlen=FRAMES_BEFORE) for number in numbers}
    begun, owed = None, dict.fromkeys(recent, 0)
    for number, at, frame in frames(path):
        begun = at if begun is None else begun
        segment = parse_frame(number, frame)
        connection = None if segment is None else connection_of(segment)
        if connection not in recent:
            continue
        line = described(segment, at - begun, side)
        if number in numbers:
            yield from recent[connection]
            recent[connection].clear()
            owed[connection] = FRAMES_AFTER
            yield f"{line}  <== violation"
        elif owed[connection] > 0:
            owed[connection] -= 1
            yield line
        else:
            recent[connection].append(line)
        if number > numbers[-1] and not any(owed.values()):
            return


def main():
    arguments = [a for a in sys.argv[1:] if a != "--missed"]
    if len(arguments) != 2 or arguments[1] not in ("client", "origin"):
        raise SystemExit(__doc__)
    parsed = (parse_frame(number, frame) for number, _, frame in frames(arguments[0]))
    violations, checked, carried = check_capture((s for s in parsed if s is not None), arguments[1], "--missed" in sys.argv)
    for line in violations[:VIOLATIONS_SHOWN]:
        print(line)
    if len(violations) > VIOLATIONS_SHOWN:
        print(f"and {len(violations) - VIOLATIONS_SHOWN} more")
    if violations:
        print(f"around the first {min(len({v.number for v in violations}), CONTEXTS_SHOWN)} in their connections:")
        for line in contexts(arguments[0], arguments[1], violations):
            print(f"  {line}")
    print(f"{checked} segments of the box with {carried} bytes of its streams, {len(violations)} violations")
    raise SystemExit(1 if violations else 0)


if __name__ == "__main__":
    main()
