#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crafted frames through the box: what policy does not touch goes on unchanged and in order.

Usage: frames.py CLIENT_NETNS ORIGIN_NETNS SUITE [mtu]

    forward     every kind of frame that a wire carries, both ways, each compared byte by byte
    order       numbered frames, both ways at once: none lost, none overtaken
    jumbo       frames up to the MTU given
    malformed   frames cut at each byte of each header, wrong lengths, overlapping fragments; both ways
    quiet       listens for SECONDS (here: mtu) on both ends and prints each frame that arrives

Prints "ok WHAT" or "FAIL WHAT" a line; exit status 1 where one failed.
"""
import ctypes
import os
import socket
import struct
import sys
import time

CLIENT_IP, ORIGIN_IP = "198.51.100.1", "198.51.100.2"
CLIENT_IP6, ORIGIN_IP6 = "2001:db8::1", "2001:db8::2"
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
CLONE_NEWNET = 0x40000000
MARK = b"portreeve-frame-"


class Port:
    """eth0 of a namespace: sends and receives whole frames, VLAN tags included."""

    def __init__(self, netns):
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
        self.sock.bind(("eth0", ETH_P_ALL))
        self.mac = self.sock.getsockname()[4]
        libc.setns(own, CLONE_NEWNET)
        os.close(own)
        os.close(there)

    def send(self, frame):
        self.sock.send(frame)

    def receive(self, seconds):
        """The next frame, or None. The tag that the kernel takes out is put back where it was."""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, 256)
        except (TimeoutError, BlockingIOError):
            return None
        for level, kind, value in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                if status & 0x10:
                    data = data[:12] + struct.pack(">HH", tpid if status & 0x40 else 0x8100, tci) + data[12:]
        return data

    def wait_for(self, frame, seconds=20.0):
        """True where exactly this frame arrives; else the one that resembles it most, or None."""
        deadline = time.monotonic() + seconds
        near = None
        while time.monotonic() < deadline:
            got = self.receive(deadline - time.monotonic())
            if got is None:
                continue
            # An Ethernet driver may leave or add padding to 60 bytes: the padding is not the frame.
            if got == frame or (len(frame) < 60 and got.rstrip(b"\0") == frame.rstrip(b"\0")):
                return True, got
            if MARK in got or got[12:14] == frame[12:14]:
                near = got
        return False, near

    def drain(self):
        while self.receive(0.01) is not None:
            pass


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src, dst, protocol, payload, ident=1, flags=0, offset=0, options=b"", ttl=64, total=None):
    words = 5 + len(options) // 4
    length = total if total is not None else words * 4 + len(payload)
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, length, ident, flags << 13 | offset // 8, ttl, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst)) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, protocol, payload, length=None):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload) if length is None else length, protocol, 64,
                       socket.inet_pton(socket.AF_INET6, src), socket.inet_pton(socket.AF_INET6, dst)) + payload


def udp(sport, dport, payload):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, flags, seq=1000, ack=0, payload=b"", options=b"", offset=None):
    words = offset if offset is not None else 5 + len(options) // 4
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, words << 4, flags, 65535, 0, 0) + options + payload


class Way:
    """One direction: whose frames, and how they are addressed."""

    def __init__(self, name, here, there, src, dst, src6, dst6):
        self.name, self.here, self.there = name, here, there
        self.src, self.dst, self.src6, self.dst6 = src, dst, src6, dst6

    def ether(self, kind, payload, dst=None, tags=()):
        head = (dst or self.there.mac) + self.here.mac
        for tpid, tci in tags:
            head += struct.pack(">HH", tpid, tci)
        return head + struct.pack(">H", kind) + payload


def kinds(way):
    """Every kind of frame, with its name."""
    body = MARK + os.urandom(24)
    datagram = ipv4(way.src, way.dst, 17, udp(4000, 4001, body))
    datagram6 = ipv6(way.src6, way.dst6, 17, udp(4000, 4001, body))
    long_body = MARK + os.urandom(1200)
    whole = udp(4000, 4001, long_body)
    yield "UDP over IPv4", way.ether(0x0800, datagram)
    yield "UDP over IPv6", way.ether(0x86DD, datagram6)
    yield "a frame of 1514 bytes", way.ether(0x0800, ipv4(way.src, way.dst, 17, udp(4000, 4001, MARK + os.urandom(1456))))
    yield "ARP", way.ether(0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, way.here.mac, socket.inet_aton(way.src),
                                              way.there.mac, socket.inet_aton(way.dst)) + b"\0" * 18)
    yield "broadcast ARP", way.ether(0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, way.here.mac,
                                     socket.inet_aton(way.src), b"\0" * 6, socket.inet_aton("198.51.100.77")) + b"\0" * 18,
                                     dst=b"\xff" * 6)
    yield "neighbour solicitation", way.ether(0x86DD, ipv6(way.src6, "ff02::1:ff00:77", 58, struct.pack(">BBHI16s", 135, 0, 0, 0,
                                              socket.inet_pton(socket.AF_INET6, "2001:db8::77")) + MARK), dst=b"\x33\x33\xff\0\0\x77")
    yield "LLDP", way.ether(0x88CC, b"\x02\x07\x04" + way.here.mac + MARK + b"\0" * 30, dst=b"\x01\x80\xc2\0\0\x0e")
    yield "STP (802.3 with LLC)", way.ether(38, b"\x42\x42\x03" + MARK + b"\0" * 19 + b"\0" * 8, dst=b"\x01\x80\xc2\0\0\0")
    yield "pause frame's neighbour (LACP)", way.ether(0x8809, b"\x01\x01" + MARK + b"\0" * 92, dst=b"\x01\x80\xc2\0\0\x02")
    yield "an experimental EtherType", way.ether(0x88B5, MARK + os.urandom(60))
    yield "MPLS", way.ether(0x8847, struct.pack(">I", 16 << 12 | 1 << 8 | 64) + datagram)
    yield "VLAN 7", way.ether(0x0800, datagram, tags=[(0x8100, 7)])
    yield "VLAN 7, priority 5, IPv6", way.ether(0x86DD, datagram6, tags=[(0x8100, 5 << 13 | 7)])
    yield "a priority tag (VLAN 0)", way.ether(0x0800, datagram, tags=[(0x8100, 3 << 13)])
    yield "QinQ (0x88a8, 0x8100)", way.ether(0x0800, datagram, tags=[(0x88A8, 100), (0x8100, 200)])
    yield "two tags of 0x8100", way.ether(0x0800, datagram, tags=[(0x8100, 100), (0x8100, 200)])
    yield "three tags", way.ether(0x0800, datagram, tags=[(0x88A8, 1), (0x8100, 2), (0x8100, 3)])
    yield "IPv4 with options", way.ether(0x0800, ipv4(way.src, way.dst, 17, udp(4000, 4001, body), options=b"\x94\x04\0\0"))
    yield "a wrong IPv4 checksum", way.ether(0x0800, datagram[:10] + b"\xde\xad" + datagram[12:])
    yield "a short frame with padding", way.ether(0x0800, ipv4(way.src, way.dst, 17, udp(4000, 4001, b"x")) + b"\0" * 17)
    yield "ICMP", way.ether(0x0800, ipv4(way.src, way.dst, 1, b"\x0d\0\0\0" + MARK))
    yield "GRE", way.ether(0x0800, ipv4(way.src, way.dst, 47, b"\0\0\x08\0" + MARK + datagram))
    yield "SCTP", way.ether(0x0800, ipv4(way.src, way.dst, 132, struct.pack(">HHII", 4000, 4001, 0, 0) + MARK))
    yield "TCP to a port that no rule names", way.ether(0x0800, ipv4(way.src, way.dst, 6, tcp(4000, 4001, 0x04, payload=MARK)))
    yield "IPv6 hop-by-hop options", way.ether(0x86DD, ipv6(way.src6, way.dst6, 0, b"\x11\0\x05\x02\0\0\x01\0" + udp(4000, 4001, body)))
    yield "IPv6 destination options", way.ether(0x86DD, ipv6(way.src6, way.dst6, 60, b"\x11\0\x01\x04\0\0\0\0" + udp(4000, 4001, body)))
    for ident, order in ((11, (0, 1, 2)), (12, (2, 0, 1))):
        cuts = [(0, 400), (400, 800), (800, len(whole))]
        for i in order:
            start, end = cuts[i]
            yield f"IPv4 fragment {i + 1} of 3{'' if ident == 11 else ', out of order'}", way.ether(
                0x0800, ipv4(way.src, way.dst, 17, MARK + whole[start + len(MARK):end], ident=ident,
                             flags=1 if end < len(whole) else 0, offset=start))
    for i, (start, end) in enumerate(((0, 800), (800, len(whole)))):
        yield f"IPv6 fragment {i + 1} of 2", way.ether(0x86DD, ipv6(way.src6, way.dst6, 44, struct.pack(
            ">BBHI", 17, 0, start | (1 if end < len(whole) else 0), 99) + whole[start:end]))


def suite_forward(ways, _):
    failed = 0
    for way in ways:
        way.there.drain()
        for name, frame in kinds(way):
            way.here.send(frame)
            same, got = way.there.wait_for(frame)
            print(f"{'ok' if same else 'FAIL'} {way.name}: {name}")
            if not same:
                failed += 1
                print(f"     expected: {len(frame)} bytes {frame[:64].hex()}\n     got:      "
                      f"{f'{len(got)} bytes {got[:64].hex()}' if got else 'nothing'}")
    return failed


def take_numbers(way, got, count):
    """Reads until so many numbers have come, for 30 s."""
    deadline = time.monotonic() + 30
    while len(got) < count and time.monotonic() < deadline:
        frame = way.there.receive(deadline - time.monotonic())
        if frame and MARK in frame and frame[12:14] == b"\x08\0" and frame[23] == 17:  # not quoted in ICMP
            at = frame.index(MARK) + len(MARK)
            got.append(struct.unpack(">I", frame[at:at + 4])[0])


def suite_order(ways, _):
    count, under_way, failed = 4000, 512, 0  # no more than any ring on the way holds, however late the machine is
    numbers = {way: [] for way in ways}
    for way in ways:
        way.there.drain()
    for number in range(count):
        for way in ways:
            way.here.send(way.ether(0x0800, ipv4(way.src, way.dst, 17, udp(4000, 4001, MARK + struct.pack(">I", number)))))
        if number % 32 == 31:
            time.sleep(0.002)
            for way in ways:
                take_numbers(way, numbers[way], number - under_way)
    for way, got in numbers.items():
        take_numbers(way, got, count)
        good = got == list(range(count))
        print(f"{'ok' if good else 'FAIL'} {way.name}: {count} numbered frames in order")
        if not good:
            failed += 1
            print(f"     expected: 0 to {count - 1}\n     got:      {len(got)}, in order: {got == sorted(got)}, first missing: "
                  f"{next((n for n in range(count) if n not in set(got)), 'none')}")
    return failed


def suite_jumbo(ways, mtu):
    failed = 0
    for way in ways:
        way.there.drain()
        for size in (1500, 1501, 2000, 3000, 4096, mtu - 1, mtu):
            if size > mtu:
                continue
            frame = way.ether(0x0800, ipv4(way.src, way.dst, 17, udp(4000, 4001, MARK + os.urandom(size - 28 - len(MARK)))))
            way.here.send(frame)
            same, got = way.there.wait_for(frame)
            print(f"{'ok' if same else 'FAIL'} {way.name}: an IP datagram of {size} bytes")
            if not same:
                failed += 1
                print(f"     expected: {len(frame)} bytes, got: {len(got) if got else 'nothing'}")
    return failed


def malformed(way):
    syn = tcp(40000, 22, 0x02, options=b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\7")
    whole = {
        "IPv4 TCP": way.ether(0x0800, ipv4(way.src, way.dst, 6, syn)),
        "IPv6 TCP": way.ether(0x86DD, ipv6(way.src6, way.dst6, 6, syn)),
        "IPv6 TCP after options": way.ether(0x86DD, ipv6(way.src6, way.dst6, 0, b"\x3c\0\x05\x02\0\0\x01\0\x06\0\x01\x04\0\0\0\0" + syn)),
        "VLAN IPv4 TCP": way.ether(0x0800, ipv4(way.src, way.dst, 6, syn), tags=[(0x88A8, 5), (0x8100, 6)]),
        "ICMP error": way.ether(0x0800, ipv4(way.src, way.dst, 1, b"\3\4\0\0\0\0\5\0" + ipv4(way.dst, way.src, 6, syn))),
    }
    for frame in whole.values():
        for cut in range(14, len(frame)):
            yield frame[:cut]
    for length in (0, 1, 19, 20, 21, 39, 1500, 65535):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, syn, total=length))
        yield way.ether(0x86DD, ipv6(way.src6, way.dst6, 6, syn, length=length))
    for words in range(16):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, tcp(40001, 22, 0x02, options=b"\2\4", offset=words)))
        good = ipv4(way.src, way.dst, 6, syn)
        yield way.ether(0x0800, bytes([0x40 | words]) + good[1:])
    for flags in range(256):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, tcp(40002, 22, flags, payload=b"SSH-")))
    for option in (b"\2\0\0\0", b"\2\1\0\0", b"\2\xff\0\0", b"\3\0\0\0", b"\5\xff\0\0", b"\x08\x0a\0\0", b"\xfd\0\0\0", b"\1" * 40):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, tcp(40003, 22, 0x02, options=option)))
    # Overlapping, tiny and endless fragments of a TCP segment to the audited port.
    for offset, more, size in ((0, 1, 8), (8, 1, 8), (0, 1, 24), (8, 0, 40), (16, 0, 16), (65528, 1, 64), (65528, 0, 8), (0, 0, 0)):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, (syn * 3)[:size], ident=77, flags=more, offset=offset))
        yield way.ether(0x86DD, ipv6(way.src6, way.dst6, 44, struct.pack(">BBHI", 6, 0, offset & 0xFFF8 | more, 77) + (syn * 3)[:size]))
    for ident in range(300):
        yield way.ether(0x0800, ipv4(way.src, way.dst, 6, syn[:8], ident=1000 + ident, flags=1))
    for header in (0, 43, 44, 50, 51, 59, 60, 135):
        yield way.ether(0x86DD, ipv6(way.src6, way.dst6, header, bytes([header, 0xFF]) + b"\0" * 30))
        yield way.ether(0x86DD, ipv6(way.src6, way.dst6, header, bytes([header, 0]) * 300))
    yield way.ether(0x8100, b"")
    yield way.ether(0x8100, b"\0")
    yield way.ether(0x88A8, b"\0\5\x81\0")


def suite_malformed(ways, _):
    sent = 0
    for way in ways:
        for frame in malformed(way):
            if len(frame) < 14:
                continue
            way.here.send(frame)
            sent += 1
            if sent % 64 == 0:
                time.sleep(0.002)
    print(f"ok {sent} malformed frames sent")
    return 0


def suite_quiet(ways, seconds):
    heard = 0
    for way in ways:
        way.there.drain()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for way in ways:
            frame = way.there.receive(0.05)
            if frame is not None and frame[6:12] not in (ways[0].here.mac, ways[1].here.mac):
                heard += 1
                print(f"FAIL {way.name}: {len(frame)} bytes from {frame[6:12].hex(':')}: {frame[:64].hex()}")
    if not heard:
        print(f"ok nobody but client and origin was heard for {seconds} s")
    return heard


def main():
    if len(sys.argv) not in (4, 5) or f"suite_{sys.argv[3]}" not in globals():
        sys.exit(__doc__)
    client, origin = Port(sys.argv[1]), Port(sys.argv[2])
    ways = [Way("to the origin", client, origin, CLIENT_IP, ORIGIN_IP, CLIENT_IP6, ORIGIN_IP6),
            Way("to the client", origin, client, ORIGIN_IP, CLIENT_IP, ORIGIN_IP6, CLIENT_IP6)]
    number = int(sys.argv[4]) if len(sys.argv) == 5 else 1500
    sys.exit(1 if globals()[f"suite_{sys.argv[3]}"](ways, number) else 0)


main()
