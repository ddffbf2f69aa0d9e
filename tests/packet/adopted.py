#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adopted connections through a running reeve-dataplane whose worker turns the bytes round (turner.c): whatever the
peers' frames are wrapped in, the bytes arrive at the other end, in frames that are right by themselves.

  adopted.py REEVE-DATAPLANE TURNER [PART]      exit status 77 where it cannot run here (not root, no such tools)"""
import hashlib, os, random, shutil, socket, struct, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dataplane import *

executable, turner = (os.path.abspath(p) for p in sys.argv[1:3])
log = open(os.environ.get("ADOPTED_LOG", os.devnull), "ab")
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ROUTER_ALERT = b"\x94\x04\0\0\1\1\1\0"
ADDRESSES = {4: ("198.51.100.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8::2")}
AUDIT_ALL = policy(1, [rule("ssh", AUDIT, [match(dport=22)])])


def segment(family, client, sport, dport, seq, ack, flags, payload=b"", options=b"", urgent=0):
    src, dst = ADDRESSES[family] if client else ADDRESSES[family][::-1]
    head = struct.pack(">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, (20 + len(options)) // 4 << 4, flags, 65535, 0, urgent) + options
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    pseudo = socket.inet_pton(kind, src) + socket.inet_pton(kind, dst) + struct.pack(">HH", 6, len(head) + len(payload))
    return head[:16] + struct.pack(">H", checksum(pseudo + head + payload)) + head[18:] + payload


class Shape:
    """How a TCP segment is wrapped: family, VLAN tags, options or extension headers, fragments."""

    def __init__(self, family=4, tags=(), extended=False, fragment=0, order=None):
        self.family, self.tags, self.extended, self.fragment, self.order, self.ident = family, tags, extended, fragment, order, 0

    def datagram4(self, src, dst, payload, fragment=0):
        options = ROUTER_ALERT if self.extended else b""
        head = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), self.ident, fragment, 64, 6, 0,
                           socket.inet_aton(src), socket.inet_aton(dst)) + options
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload

    def datagram6(self, src, dst, payload, fragment=None):
        """Hop-by-hop and routing header stand before the fragment header, destination options behind it."""
        upper = payload if fragment is not None else (b"\6\0\1\4\0\0\0\0" if self.extended else b"") + payload
        behind = 60 if self.extended else 6
        cut = b"" if fragment is None else struct.pack(">BBHI", behind, 0, fragment, self.ident)
        following = 44 if cut else behind
        before = b"\x2b\0\1\4\0\0\0\0" + bytes([following, 0, 253, 0, 0, 0, 0, 0]) if self.extended else b""
        body = before + cut + upper
        return struct.pack(">IHBB", 6 << 28, len(body), 0 if before else following, 64) + socket.inet_pton(socket.AF_INET6, src) + \
            socket.inet_pton(socket.AF_INET6, dst) + body

    def frames(self, client, tcp_bytes):
        src, dst = ADDRESSES[self.family] if client else ADDRESSES[self.family][::-1]
        self.ident += 1
        if not self.fragment:
            whole = (self.datagram4 if self.family == 4 else self.datagram6)(src, dst, tcp_bytes)
            return [self.ethernet(client, whole)]
        if self.family == 6 and self.extended:
            tcp_bytes = b"\6\0\1\4\0\0\0\0" + tcp_bytes
        pieces = []
        for at in range(0, len(tcp_bytes), self.fragment):
            last = at + self.fragment >= len(tcp_bytes)
            start = at - 8 if self.order == "overlapping" and at > 0 else at
            part = tcp_bytes[start:at + self.fragment]
            if self.family == 4:
                pieces.append(self.datagram4(src, dst, part, (0 if last else 0x2000) | start // 8))
            else:
                pieces.append(self.datagram6(src, dst, part, start | (0 if last else 1)))
        if self.order == "backwards":
            pieces.reverse()
        return [self.ethernet(client, p) for p in pieces]

    def ethernet(self, client, payload):
        macs = MACS if client else MACS[6:] + MACS[:6]
        return macs + b"".join(struct.pack(">HH", tpid, vid) for tpid, vid in self.tags) + \
            struct.pack(">H", 0x0800 if self.family == 4 else 0x86dd) + payload


class Got:
    """A TCP segment that the box sent, checked."""

    def __init__(self, frame, shape, unfinished=False):
        """`unfinished`: the other end of the port is the one that sums and cuts; the pseudo-header's sum will do."""
        at = 12
        tags = []
        while frame[at:at + 2] in (b"\x81\0", b"\x88\xa8"):
            tags.append(struct.unpack(">HH", frame[at:at + 4]))
            at += 4
        assert tuple(tags) == tuple(shape.tags), "tags %r, expected %r" % (tags, shape.tags)
        family = {b"\x08\0": 4, b"\x86\xdd": 6}[frame[at:at + 2]]
        ip = frame[at + 2:]
        if family == 4:
            assert ip[0] == 0x45 and checksum(ip[:20]) == 0, "an IPv4 header with options, or its checksum"
            assert ip[6] & 0x3f == 0 and ip[1] & 3 == 0, "a fragment, or ECN"
            self.tcp, addresses = ip[20:struct.unpack(">H", ip[2:4])[0]], ip[12:20]
        else:
            assert ip[6] == 6, "extension headers"
            self.tcp, addresses = ip[40:40 + struct.unpack(">H", ip[4:6])[0]], ip[8:40]
        pseudo = [~checksum(addresses + struct.pack(">HH", 6, n)) & 0xffff for n in (0, len(self.tcp))]
        assert checksum(addresses + struct.pack(">HH", 6, len(self.tcp)) + self.tcp) == 0 or \
            unfinished and struct.unpack(">H", self.tcp[16:18])[0] in pseudo, "TCP checksum"
        self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window, _, self.urgent = struct.unpack(">HHIIBBHHH", self.tcp[:20])
        self.payload = self.tcp[offset >> 2 & 0x3c:]
        self.length = len(frame)


class Connection:
    """Both peers of one connection, by hand; each side's sequence numbers begin at 1000 and 5000."""
    port = 40000

    def __init__(self, wire, shape, mss=None, handshake=None, unfinished=False):
        Connection.port += 1
        self.unfinished = unfinished
        mss = mss or (1460 if shape.family == 4 else 1440)  # of links of 1500 bytes: a wider one is brought down
        self.wire, self.shape, self.port = wire, shape, Connection.port
        self.seq, self.mss = {True: 1000, False: 5000}, mss
        plain = Shape(shape.family, shape.tags)
        option = struct.pack(">BBH", 2, 4, mss)
        for client, flags in ((True, SYN), (False, SYN | ACK)):
            sent = self.send(client, flags, options=option, shape=handshake or plain)
            got = receive(wire.outside if client else wire.inside, count=len(sent))
            assert got == sent, "the %s did not pass as it was: %r" % ("SYN" if client else "SYN-ACK", got)
            self.seq[client] += 1
        self.send(True, ACK, shape=handshake or plain)
        got = self.receive(False)
        assert len(got) == 1 and got[0].flags == ACK, "no last ACK of the handshake: %r" % [g.flags for g in got]

    def send(self, client, flags, payload=b"", options=b"", urgent=0, shape=None):
        sport, dport = (self.port, 22) if client else (22, self.port)
        tcp_bytes = segment(self.shape.family, client, sport, dport, self.seq[client], self.seq[not client] if flags & ACK else 0, flags,
                            payload, options, urgent)
        frames = (shape or self.shape).frames(client, tcp_bytes)
        for frame in frames:
            (self.wire.inside if client else self.wire.outside).send(frame)
        return frames

    def receive(self, client, count=1, seconds=None):
        frames = receive(self.wire.inside if client else self.wire.outside, seconds, count)
        return [Got(f, self.shape, self.unfinished) for f in frames]

    def expect(self, client, payload, what):
        """`payload` comes to the client (or the origin), in segments that fit its MSS (the largest is returned) unless a
        port is to cut them; it is acknowledged."""
        got, largest = b"", 0
        while len(got) < len(payload):
            arrived = self.receive(client)
            assert arrived, "%s: %d of %d bytes arrived" % (what, len(got), len(payload))
            for g in arrived:
                assert not g.flags & (RST | URG) and g.urgent == 0, "%s: flags %x" % (what, g.flags)
                assert len(g.payload) <= self.mss or self.unfinished, "%s: %d bytes in a segment" % (what, len(g.payload))
                if g.payload and g.seq == self.seq[not client]:
                    got += g.payload
                    self.seq[not client] += len(g.payload)
                    largest = max(largest, len(g.payload))
                    self.send(client, ACK, shape=Shape(self.shape.family, self.shape.tags))
        assert got == payload, "%s: other bytes arrived" % what
        return largest

    def carries(self, what, length=1200, urgent=0):
        """One segment each way arrives at the other end; its sender gets an ACK."""
        for client in (True, False):
            payload = random.randbytes(length)
            before = self.seq[client]
            self.send(client, ACK | PSH | (URG if urgent else 0), payload, urgent=urgent)
            self.seq[client] += length
            # What the box sends on has our numbers: each leg goes on as the other end began.
            self.seq[client] = before
            self.expect(not client, payload, "%s, from the %s" % (what, "client" if client else "origin"))

    def carries_nothing(self, what, length=1200):
        self.send(True, ACK | PSH, random.randbytes(length))
        got = [g for g in self.receive(False, None, 0.3) if g.payload]
        assert not got, "%s: arrived" % what

    def close(self):
        self.send(True, RST | ACK, shape=Shape(self.shape.family, self.shape.tags))
        reset = False
        while not reset:
            got = self.receive(False)
            assert got, "the reset does not arrive"
            reset = got[0].flags & RST
        receive(self.wire.inside, 0.02)


VLAN, QINQ = ((0x8100, 12),), ((0x88a8, 42), (0x8100, 7))


def check_wrapped(wire, box):
    """Options, extension headers and tags around segments of adopted flows."""
    for family in (4, 6):
        for tags in ((), VLAN, QINQ):
            for extended in (False, True):
                shape = Shape(family, tags, extended)
                c = Connection(wire, shape, handshake=shape)
                c.carries("IPv%d%s, tags %r" % (family, " extended" if extended else "", tags))
                c.close()


def check_fragments(wire, box):
    for family in (4, 6):
        for tags in ((), VLAN):
            for extended in (False, True):
                for order in (None, "backwards"):
                    c = Connection(wire, Shape(family, tags, extended, 512, order))
                    c.carries("IPv%d fragments, tags %r, extended %r, %s" % (family, tags, extended, order))
                    c.close()
    shape = Shape(6, (), False, 4096)
    c = Connection(wire, shape)
    c.carries("an atomic fragment")
    c.close()
    c = Connection(wire, Shape(4), handshake=Shape(4, fragment=24))  # of segments of 24 and 20 bytes
    c.carries("after a handshake in fragments")
    c.close()


def check_fragments_refused(wire, box):
    before = box.stats()
    for family in (4, 6):
        c = Connection(wire, Shape(family, (), False, 512, "overlapping"))
        c.carries_nothing("IPv%d, overlapping fragments" % family)
        c.shape = Shape(family, (), False, 16)
        c.carries_nothing("IPv%d, a first fragment too small for the TCP header" % family, 100)
        c.shape = Shape(family)
        c.carries("IPv%d, the connection goes on" % family)
        c.close()
    stats = box.stats()
    for name, count in (("overlapping", 2), ("tiny", 2)):
        grown = stats["reassembly." + name] - before["reassembly." + name]
        assert grown >= count, "reassembly.%s grew by %d" % (name, grown)


def check_urgent(wire, box):
    c = Connection(wire, Shape(4))
    c.carries("urgent data in line", 100, urgent=50)
    c.close()


def check_strays(wire, box):
    """What comes for a connection that is over is answered on its own side and never reaches the other."""
    c = Connection(wire, Shape(4))
    c.carries("before the end", 100)
    c.send(True, RST | ACK)
    got = receive(wire.outside, count=1) + receive(wire.outside, 0.1)
    assert len(got) == 1 and got[0][47] & RST, "the reset did not arrive"
    receive(wire.inside, 0.05)
    for client in (True, False):
        for flags, payload in ((ACK | PSH, b"stray"), (FIN | ACK, b""), (ACK, b"")):
            c.send(client, flags, payload)
    to_origin, to_client = receive(wire.outside, 0.3), receive(wire.inside, 0.1)
    for name, frames in (("origin", to_origin), ("client", to_client)):
        for f in frames:
            assert f[47] & RST and b"stray" not in f, "a stray came to the %s: %s" % (name, f.hex())


def check_damaged(wire, box):
    """A wrong checksum is refused, whoever looks at it."""
    before = box.stats()["tcp.bad_checksum"]
    c = Connection(wire, Shape(4))
    good = segment(4, True, c.port, 22, c.seq[True], c.seq[False], ACK | PSH, b"damaged")
    for frame in c.shape.frames(True, good[:-1] + b"D"):
        wire.inside.send(frame)
    got = [g for g in c.receive(False, None, 0.3) if g.payload]
    assert not got, "a damaged segment was taken"
    c.carries("after it")
    grown = box.stats()["tcp.bad_checksum"] - before
    assert grown == 1, "tcp.bad_checksum grew by %d" % grown
    c.close()


def check_jumbo(wire, box):
    for family in (4, 6):
        mss = 8960 if family == 4 else 8940
        c = Connection(wire, Shape(family, VLAN), mss=mss)
        c.carries("IPv%d, %d bytes" % (family, mss), mss)
        payload = random.randbytes(5 * mss)
        for client in (True, False):
            for at in range(0, len(payload), mss):
                c.send(client, ACK, payload[at:at + mss])
                c.seq[client] += mss
            c.seq[client] -= len(payload)
            largest = c.expect(not client, payload, "IPv%d stream" % family)
            assert largest == mss, "IPv%d: the largest segment was %d bytes of %d" % (family, largest, mss)
        c.close()


# -- TSO over virtio, whose other end takes large frames as they are -----------------------------------------------

class VhostWire(Wire):
    """A testpmd joins the veth pairs to vhost-user sockets that offer checksums and TSO."""

    def __init__(self, name, directory):
        super().__init__(name, 16000)
        self.sockets = [os.path.join(directory, "vhost%d" % i) for i in range(2)]
        command = ["ip", "netns", "exec", self.box, "dpdk-testpmd", "-l", "0,1", "--no-huge", "--no-shconf", "-m", "256", "--no-pci",
                   "--no-telemetry", "--file-prefix=" + name]
        for i, device in enumerate(("bi", "bo")):
            command += ["--vdev", "net_vhost%d,iface=%s,tso=1" % (i, self.sockets[i]),
                        "--vdev", "net_af_packet%d,iface=%s,framesz=16384,blocksz=65536" % (i, device)]
        command += ["--", "--forward-mode=io", "--total-num-mbufs=4096", "--mbuf-size=16640", "--nb-cores=1", "-i"]
        self.words = os.path.join(directory, "testpmd")
        with open(self.words, "wb") as words:
            self.testpmd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words)
        self.testpmd.stdin.write(b"set verbose 1\nstart\n")
        self.testpmd.stdin.flush()
        for _ in range(200):
            if all(os.path.exists(path) for path in self.sockets):
                break
            time.sleep(0.1)

    def remove(self):
        if getattr(self, "testpmd", None) is not None:
            self.testpmd.kill()
            self.testpmd.wait()
        super().remove()


def check_super_segments(wire, box):
    for family in (4, 6):
        c = Connection(wire, Shape(family, VLAN), mss=1460 if family == 4 else 1440, unfinished=True)
        payload = random.randbytes(60 * 1400)
        for client in (True, False):
            largest = 0
            for start in range(0, len(payload), 20 * 1400):
                part = payload[start:start + 20 * 1400]
                for at in range(0, len(part), 1400):
                    c.send(client, ACK, part[at:at + 1400])
                    c.seq[client] += 1400
                c.seq[client] -= len(part)
                largest = max(largest, c.expect(not client, part, "IPv%d stream" % family))
            assert largest >= 2 * c.mss and largest % c.mss in (0, len(payload) % c.mss), \
                "IPv%d: the largest frame has %d bytes, no several segments" % (family, largest)
        c.carries("IPv%d, single segments" % family, 700)
        c.close()
    assert box.stats()["tcp.super_segments"] > 0
    # What virtio's other end was told of them.
    words = open(wire.words, "rb").read()
    assert b"RTE_MBUF_F_RX_LRO" in words, "no frame was said to be one that is to be cut"


def vhost_session():
    if shutil.which("dpdk-testpmd") is None:
        print("  skipped: needs dpdk-testpmd")
        return
    with tempfile.TemporaryDirectory(prefix="ad") as directory:
        session(None, [check_super_segments, check_damaged], wire=VhostWire("adv%d" % os.getpid(), directory))


# -- Linux TCP over net_tap, whose driver checks and sets checksums ----------------------------------------------

class Taps:
    """The box's tap interfaces are the ends' own: ei and eo become eth0 of two namespaces."""

    def __init__(self, name):
        self.box, self.ends = name + "-box", {"client": name + "-client", "origin": name + "-origin"}
        self.devices = {"client": "pi%d" % (os.getpid() % 100000), "origin": "po%d" % (os.getpid() % 100000)}
        self.remove()
        run("ip", "netns", "add", self.box)
        for ns in self.ends.values():
            run("ip", "netns", "add", ns)

    def links(self):
        return [("test", "net_tap0,iface=%s" % self.devices["client"], "net_tap1,iface=%s" % self.devices["origin"])]

    def join(self):
        for number, end in enumerate(("client", "origin"), 1):
            ns, device = self.ends[end], self.devices[end]
            run("ip", "-n", self.box, "link", "set", device, "netns", ns)
            run("ip", "-n", ns, "addr", "add", "198.51.100.%d/24" % number, "dev", device)
            run("ip", "-n", ns, "addr", "add", "2001:db8::%d/64" % number, "dev", device, "nodad")
            run("ip", "-n", ns, "link", "set", device, "up")

    def socket(self, end, family):
        enter(self.ends[end])
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        s.settimeout(PATIENCE)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return s

    def remove(self):
        for ns in [self.box, *self.ends.values()]:
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)


def pump(source, target, data):
    """Sends all of `data` from one socket and returns what came out of the other."""
    def sending():
        source.sendall(data)
        source.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=sending)
    thread.start()
    got = b""
    while True:
        part = target.recv(1 << 16)
        if not part:
            break
        got += part
    thread.join()
    return got


def linux_streams(taps, size=3000000):
    for family in (4, 6):
        listener = taps.socket("origin", family)
        listener.bind((ADDRESSES[family][1], 22))
        listener.listen()
        client = taps.socket("client", family)
        client.connect((ADDRESSES[family][1], 22))
        server, _ = listener.accept()
        server.settimeout(PATIENCE)
        data = random.Random(family).randbytes(size)
        for source, target, way in ((client, server, "up"), (server, client, "down")):
            assert hashlib.sha256(pump(source, target, data)).digest() == hashlib.sha256(data).digest(), "IPv%d, %s" % (family, way)
        for s in (client, server, listener):
            s.close()


# -- a router of Linux behind the box, whose next link carries less ------------------------------------------------

class Routed(Taps):
    """client - box - router - origin; the router's link to the origin has an MTU of 1300, and only it knows."""

    def __init__(self, name):
        super().__init__(name)
        self.far = name + "-far"
        run("ip", "netns", "add", self.far)

    def join(self):
        super().join()
        client, router, far = self.ends["client"], self.ends["origin"], self.far
        run("ip", "-n", router, "link", "add", "next", "type", "veth", "peer", "name", "last", "netns", far)
        run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for ns, device, number in ((router, "next", 254), (far, "last", 2)):
            run("ip", "-n", ns, "addr", "add", "203.0.113.%d/24" % number, "dev", device)
            run("ip", "-n", ns, "addr", "add", "2001:db8:1::%d/64" % number, "dev", device, "nodad")
            run("ip", "-n", ns, "link", "set", device, "up")
        run("ip", "-n", router, "link", "set", "next", "mtu", "1300")
        for ns, four, six in ((client, "198.51.100.2", "2001:db8::2"), (far, "203.0.113.254", "2001:db8:1::254")):
            run("ip", "-n", ns, "route", "add", "default", "via", four)
            run("ip", "-n", ns, "-6", "route", "add", "default", "via", six)
        self.ends["far"] = far

    def remove(self):
        super().remove()
        subprocess.run(["ip", "netns", "del", getattr(self, "far", "no-such")], stderr=subprocess.DEVNULL)


    def say_nothing(self):
        """The far end's link drops what is too long, and the far end announces an MSS that is."""
        run("ip", "-n", self.ends["origin"], "link", "set", "next", "mtu", "1500")
        run("ip", "-n", self.far, "link", "set", "last", "mtu", "1300")
        for flag, mss, gateway in (("-4", "1460", "203.0.113.254"), ("-6", "1440", "2001:db8:1::254")):
            run("ip", "-n", self.far, flag, "route", "replace", "default", "via", gateway, "advmss", mss)


def far_streams(taps, box, counter):
    for count, (family, address) in enumerate(((4, "203.0.113.2"), (6, "2001:db8:1::2")), 1):
        listener = taps.socket("far", family)
        listener.bind((address, 22))
        listener.listen()
        client = taps.socket("client", family)
        client.connect((address, 22))
        server, _ = listener.accept()
        server.settimeout(PATIENCE)
        data = random.Random(family).randbytes(400000)
        assert pump(client, server, data) == data, "IPv%d: other bytes arrived" % family
        stats = box.stats()
        assert stats[counter] == count, "IPv%d: %s is %d" % (family, counter, stats[counter])
        for s in (client, server, listener):
            s.close()
    return stats


def router_session():
    taps = Routed("ar%d" % os.getpid())
    box = None
    try:
        box = Dataplane(executable, taps.links(), netns=taps.box, log=log, turner=turner)
        assert box.apply(AUDIT_ALL) == ""
        taps.join()
        box.wait_for_worker()
        stats = far_streams(taps, box, "tcp.path_mtu_lowered")
        assert stats["tcp.black_holes"] == 0 and stats["tcp.icmp_consumed"] >= 2
        heard = subprocess.run(["ip", "netns", "exec", taps.ends["client"], "cat", "/proc/net/snmp"], stdout=subprocess.PIPE, text=True).stdout
        names, values = [l.split() for l in heard.splitlines() if l.startswith("Icmp:")]
        assert dict(zip(names, values))["InDestUnreachs"] == "0", "the client heard of it"
        print("  ok   segments as large as a router behind the box says that it can pass", flush=True)
        taps.say_nothing()
        stats = far_streams(taps, box, "tcp.black_holes")
        assert stats["tcp.path_mtu_lowered"] == 2
        print("  ok   segments as large as a link passes that says nothing", flush=True)
        assert box.stop() == 0, "status at the end"
    finally:
        if box is not None:
            box.kill()
        taps.remove()


def tap_session():
    taps = Taps("ad%d" % os.getpid())
    box = None
    with tempfile.NamedTemporaryFile() as own_log:
        try:
            box = Dataplane(executable, taps.links(), netns=taps.box, log=own_log, turner=turner)
            assert box.apply(AUDIT_ALL) == ""
            words = open(own_log.name).read()
            assert words.count("checks TCP checksums, sets them") == 2, "net_tap offers no checksums:\n%s" % words
            taps.join()
            box.wait_for_worker()
            linux_streams(taps)
            stats = box.stats()
            assert stats["tcp.adopted"] == 2 and stats["tcp.bad_checksum"] == 0, "%r" % {k: v for k, v in stats.items() if k.startswith("tcp.")}
            print("  ok   streams of Linux over ports that check and set checksums", flush=True)
            enter(taps.ends["client"])
            wire = type("wire", (), {})()
            wire.inside = Wire.open(taps.devices["client"])
            enter(taps.ends["origin"])
            wire.outside = Wire.open(taps.devices["origin"])
            for end in taps.ends:  # from here on only we speak
                run("ip", "netns", "exec", taps.ends[end], "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
                run("ip", "-n", taps.ends[end], "addr", "flush", "dev", taps.devices[end])
                run("ip", "-n", taps.ends[end], "link", "set", taps.devices[end], "arp", "off", "promisc", "on")
            for s in (wire.inside, wire.outside):
                receive(s, 0.3)
            for check in (check_wrapped, check_damaged):
                check(wire, box)
                print("  ok   %s" % check.__name__.removeprefix("check_").replace("_", " "), flush=True)
            assert box.stop() == 0, "status at the end"
        finally:
            if box is not None:
                box.kill()
            log.write(open(own_log.name, "rb").read())
            taps.remove()


def session(links, checks, mtu=1500, wire=None, **options):
    wire = wire or Wire("ad%d" % os.getpid(), mtu)
    links = links or [("test", *("net_virtio_user%d,path=%s" % (i, path) for i, path in enumerate(wire.sockets)))]
    box = None
    try:
        box = Dataplane(executable, links, netns=wire.box, mtu=mtu, log=log, turner=turner, **options)
        assert box.apply(AUDIT_ALL) == ""
        box.wait_for_worker()
        for check in checks:
            check(wire, box)
            print("  ok   %s" % check.__name__.removeprefix("check_").replace("_", " "), flush=True)
        assert box.stop() == 0, "status at the end"
    finally:
        if box is not None:
            box.kill()
        wire.remove()


def main():
    if os.geteuid() != 0 or not all(shutil.which(t) for t in ("ip", "ethtool", "sysctl")):
        print("skipped: needs root, ip, ethtool and sysctl")
        return 77
    jumbo = [("test", "net_af_packet0,iface=bi,framesz=16384,blocksz=65536", "net_af_packet1,iface=bo,framesz=16384,blocksz=65536")]
    parts = {
        "af_xdp": lambda: session([("test", "net_af_xdp0,iface=bi", "net_af_xdp1,iface=bo")],
                                  [check_wrapped, check_fragments, check_fragments_refused, check_urgent, check_strays, check_damaged]),
        "af_xdp, two lcores": lambda: session([("test", "net_af_xdp0,iface=bi", "net_af_xdp1,iface=bo")],
                                              [check_wrapped, check_fragments, check_fragments_refused], lcores=(0, 1)),
        "af_packet, jumbo": lambda: session(jumbo, [check_jumbo], mtu=9000, mbufs=4096, eal=("--no-huge", "--no-shconf", "-m", "512")),
        "net_tap, checksums": tap_session,
        "net_tap, path MTU": router_session,
        "net_virtio_user, TSO": vhost_session,
    }
    return run_parts(parts, sys.argv[3] if len(sys.argv) > 3 else "")


if __name__ == "__main__":
    sys.exit(main())
