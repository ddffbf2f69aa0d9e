# SPDX-License-Identifier: Apache-2.0
"""reeve-dataplane without the rest of Portreeve: this module plays supervisor and control (control/rpc/rpc.h)
over socketpairs, makes network namespaces with veth pairs, and encodes policies. For root."""
import array, ctypes, fcntl, ipaddress, os, select, signal, socket, struct, subprocess, sys, time, traceback

SUP_CONFIG_DATAPLANE, SUP_ATTACH_RPC, SUP_ATTACH_SLAB, SUP_ATTACH_BELL = 3, 6, 7, 8
SUP_PEER, SUP_START, SUP_STOP, SUP_READY = 9, 10, 11, 12
DP_POLICY, DP_POLICY_DONE, STATS, STATS_REPLY = 20, 21, 22, 23
CONTROL, SSHTERM, RECORDER = 2, 5, 6
TO_WORKER, TO_DATAPLANE, PRODUCER, CONSUMER = 1, 2, 1, 2
ALLOW, BLOCK, AUDIT = 1, 2, 3
DROP, RESET, ICMP = 0, 1, 2
MIDSTREAM_RESET, MIDSTREAM_PASS, MIDSTREAM_DROP = 0, 1, 2
PATIENCE = 60  # seconds for what must happen, on a machine that has much else to do

libc = ctypes.CDLL(None, use_errno=True)


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


def match(src=None, dst=None, sport=None, dport=None, protocol=0, vlan=None, link=255):
    def network(text):
        if text is None:
            return 0, 0, bytes(16)
        net = ipaddress.ip_network(text)
        return net.version, net.prefixlen, net.network_address.packed.ljust(16, b"\0")

    def span(value, most):
        if value is None:
            return 0, most
        return value if isinstance(value, tuple) else (value, value)

    sf, sp, sa = network(src)
    df, dp, da = network(dst)
    return (struct.pack(">BBHHB", sf or df, protocol, *span(vlan, 4095), link) + struct.pack(">B", sp) + sa +
            struct.pack(">B", dp) + da + struct.pack(">HHHH", *span(sport, 65535), *span(dport, 65535)))


def rule(name, action, matches, block=DROP, unavailable=0, midstream=0, change=0, unsupported=0):
    return (string(name) + struct.pack(">BBBBBBI", action, block, unavailable, midstream, change, unsupported,
                                       len(matches)) + b"".join(matches))


def policy(generation, rules=(), default=ALLOW, default_block=DROP):
    return struct.pack(">IQBBI", 1, generation, default, default_block, len(rules)) + b"".join(rules)


class Dataplane:
    """One running reeve-dataplane."""

    def __init__(self, executable, links, netns="", lcores=(0,), eal=("--no-huge", "--no-shconf", "-m", "256"),
                 poll=False, mtu=1500, mbufs=8192, flows=4096, workers=1, generation=1, log=None, turner=None):
        self.turner = None
        self.id = 0
        begun = time.time()
        self.sup, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ctl, child_ctl = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for s in (self.sup, self.ctl):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            s.settimeout(PATIENCE)
        fd = child.fileno()

        def before():
            if fd != 3:
                os.dup2(fd, 3)
            os.set_inheritable(3, True)

        self.process = subprocess.Popen([executable], close_fds=False, preexec_fn=before, stdin=subprocess.DEVNULL,
                                        stdout=log or None, stderr=log or None)
        child.close()
        config = (string(netns) + string(b"".join(struct.pack(">I", c) for c in lcores)) +
                  string(b"".join(string(a) for a in eal)) +
                  string(b"".join(string(n) + string(i) + string(o) for n, i, o in links)) +
                  struct.pack(">B13IBI", poll, mtu, mbufs, flows, 1024, 1024, workers, generation, *[0] * 6, 0, 7200000))  # 0: as usual
        self.send(self.sup, SUP_CONFIG_DATAPLANE, config)
        self.send(self.sup, SUP_ATTACH_RPC, struct.pack(">BII", CONTROL, 0, 1), [child_ctl.fileno()])
        child_ctl.close()
        if turner is not None:
            self.attach_turner(turner, len(lcores))
        for role in (CONTROL, RECORDER):
            self.send(self.sup, SUP_PEER, struct.pack(">BIB", role, 0, 1))
        self.send(self.sup, SUP_START, b"\0")
        self.expect(self.sup, SUP_READY)
        self.started_in = time.time() - begun

    def attach_turner(self, turner, lcores):
        """A worker that relays the bytes of adopted connections (turner.c)."""
        ours, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def before():
            os.dup2(child.fileno(), 3)
            os.set_inheritable(3, True)

        process = subprocess.Popen([turner, str(lcores)], close_fds=False, preexec_fn=before, stdin=subprocess.DEVNULL)
        child.close()
        for lcore in range(lcores):
            _, fds, _, _ = socket.recv_fds(ours, 1, 4)
            to_worker, to_dataplane, worker_bell, lcore_bell = fds
            self.send(self.sup, SUP_ATTACH_BELL, struct.pack(">I", lcore), [lcore_bell])
            for lane, side, fd in ((TO_WORKER, PRODUCER, to_worker), (TO_DATAPLANE, CONSUMER, to_dataplane)):
                self.send(self.sup, SUP_ATTACH_SLAB, struct.pack(">BIIBBI", SSHTERM, 0, lcore, lane, side, 1), [fd, worker_bell])
            for fd in fds:
                os.close(fd)
        self.turner = (process, ours)
        self.lcores = lcores

    def wait_for_worker(self):
        while self.stats()["handoff.workers_up"] < self.lcores:
            time.sleep(0.01)

    def stop_turner(self):
        if self.turner is not None:
            process, link = self.turner
            link.close()
            process.wait(PATIENCE)
            self.turner = None

    def send(self, to, kind, body=b"", fds=()):
        self.id += 1
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        to.sendmsg([struct.pack(">HHI", kind, 0, self.id) + body], ancillary)

    def expect(self, link, kind):
        data = link.recv(1 << 18)
        if not data:
            raise RuntimeError("reeve-dataplane has ended: status %s" % self.process.wait())
        got = struct.unpack(">HHI", data[:8])
        if got[0] != kind:
            raise RuntimeError("expected message %d, got %d" % (kind, got[0]))
        return data[8:]

    def apply(self, blob):
        """Puts an encoded policy in force; returns the dataplane's complaint, empty if it is."""
        fd = os.memfd_create("policy", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.write(fd, blob)
        fcntl.fcntl(fd, 1033, 1 | 2 | 4 | 8)  # F_ADD_SEALS: all
        self.send(self.ctl, DP_POLICY, struct.pack(">QI", *struct.unpack(">Q", blob[4:12]), len(blob)), [fd])
        os.close(fd)
        reply = self.expect(self.ctl, DP_POLICY_DONE)
        return reply[12:].decode()

    def stats(self):
        self.send(self.ctl, STATS, b"\0")
        lines = self.expect(self.ctl, STATS_REPLY)[4:].decode().splitlines()
        return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def stop(self):
        self.send(self.sup, SUP_STOP, struct.pack(">I", 1000))
        start = time.time()
        status = self.process.wait(PATIENCE)
        self.stopped_in = time.time() - start
        return status

    def kill(self):
        self.stop_turner()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def enter(name):
    """This thread into a network namespace."""
    with open("/run/netns/" + name) as ns:
        if libc.setns(ns.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns " + name)


class Wire:
    """Namespaces NAME-ends and NAME-box; veth `ei` (inside end) to `bi`, `eo` to `bo`. No kernel speaks on them."""

    def __init__(self, name, mtu=1500):
        self.ends, self.box = name + "-ends", name + "-box"
        self.remove()
        for ns in (self.ends, self.box):
            run("ip", "netns", "add", ns)
        for side in ("i", "o"):
            run("ip", "-n", self.ends, "link", "add", "e" + side, "mtu", str(mtu), "type", "veth", "peer", "name", "b" + side,
                "mtu", str(mtu), "netns", self.box)
            for ns, dev in ((self.ends, "e" + side), (self.box, "b" + side)):
                run("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % dev)
                run("ip", "netns", "exec", ns, "ethtool", "-K", dev, "rx", "off", "tx", "off", "tso", "off", "gso", "off",
                    "gro", "off", "txvlan", "off", "rxvlan", "off")
                run("ip", "-n", ns, "link", "set", dev, "arp", "off", "promisc", "on", "up")
        enter(self.ends)
        self.inside, self.outside = self.open("ei"), self.open("eo")

    @staticmethod
    def open(dev):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        s.setsockopt(263, 8, 1)  # PACKET_AUXDATA, so that a tag taken out by the kernel can be put back
        s.bind((dev, 0))
        s.setblocking(False)
        return s

    def remove(self):
        for ns in (self.ends, self.box):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)


def slack():
    """How many times longer than on an idle machine things may take here now: each core has that many to run."""
    with open("/proc/loadavg") as file:
        words = file.read().split()
    return min(16, 1 + int(max(float(words[0]), int(words[3].split("/")[0])) / os.cpu_count()))


def receive(s, seconds=None, count=None):
    """Frames that arrive (not our own): `count` that have to come, or what does until none came for `seconds` of an idle
    machine."""
    frames = []
    # What has to come gets all the time that it may need; what must not come would come soon after it.
    seconds = PATIENCE if count is not None else seconds * min(3, slack())
    while count is None or len(frames) < count:
        ready, _, _ = select.select([s], [], [], seconds)
        if not ready:
            break
        data, ancillary, _, address = s.recvmsg(65536, 256)
        if address[2] == 4:  # PACKET_OUTGOING
            continue
        for level, kind, value in ancillary:
            if (level, kind) == (263, 8):
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                if status & 0x10:
                    data = data[:12] + struct.pack(">HH", tpid if status & 0x40 else 0x8100, tci) + data[12:]
        frames.append(data)
    return frames


def passed(source, target):
    """What came out before a frame that is sent now, which nobody stops: what was sent before is dealt with, by a lcore."""
    mark = ethernet(os.urandom(50), 0x88cc)
    source.send(mark)
    frames = []
    while True:
        got = receive(target, count=1)
        assert got, "a frame that nobody stops does not arrive"
        if got[0] == mark:
            return frames
        frames += got


def settle(wire):
    """What was sent has come through, and is of no interest."""
    passed(wire.inside, wire.outside)
    passed(wire.outside, wire.inside)
    for end in (wire.inside, wire.outside):
        receive(end, 0.05)


# -- frames -----------------------------------------------------------------------------------------
MACS = bytes.fromhex("020000000002" "020000000001")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ethernet(payload, kind=0x0800, tags=()):
    return MACS + b"".join(struct.pack(">HH", tpid, vid) for tpid, vid in tags) + struct.pack(">H", kind) + payload


def ipv4(payload, protocol, src="198.51.100.1", dst="198.51.100.2", ident=1, fragment=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0, socket.inet_aton(src),
                       socket.inet_aton(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(payload, protocol, src="2001:db8::1", dst="2001:db8::2", hops=64):
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, hops) + socket.inet_pton(socket.AF_INET6, src) + \
        socket.inet_pton(socket.AF_INET6, dst) + payload


def udp(sport, dport, payload=b""):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, flags, payload=b"", seq=1000, ack=0, src="198.51.100.1", dst="198.51.100.2"):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0)
    family = socket.AF_INET6 if ":" in src else socket.AF_INET
    pseudo = socket.inet_pton(family, src) + socket.inet_pton(family, dst) + struct.pack(">HH", 6, len(head) + len(payload))
    return head[:16] + struct.pack(">H", checksum(pseudo + head + payload)) + head[18:] + payload


def run_parts(parts, only):
    """Runs each of {name: function} whose name holds `only`. The exit status: 1 where any failed."""
    failures = 0
    for name, part in parts.items():
        if only not in name:
            continue
        print(name, flush=True)
        try:
            part()
        except Exception:
            failures += 1
            print("  FAIL %s" % name)
            traceback.print_exc(file=sys.stdout)
    return 1 if failures else 0
