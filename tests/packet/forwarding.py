#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames through a running reeve-dataplane, on veth pairs in network namespaces of its own: what policy does not
touch passes byte for byte and in order, what it touches fares as the rule says, policies are swapped under traffic.

  forwarding.py REEVE-DATAPLANE       exit status 77 where it cannot run here (not root, no such tools)"""
import os, random, shutil, statistics, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dataplane import *

executable = os.path.abspath(sys.argv[1])
log = open(os.environ.get("FORWARDING_LOG", os.devnull), "ab")


def af_xdp(**kw):
    return [("test", "net_af_xdp0,iface=bi", "net_af_xdp1,iface=bo")]


def af_packet(arguments=""):
    return [("test", "net_af_packet0,iface=bi" + arguments, "net_af_packet1,iface=bo" + arguments)]


def short(frame):
    return "%d bytes %s" % (len(frame), frame[12:54].hex())


def expect_through(wire, frames, what, nothing_more=True):
    """Each frame arrives at the other side as it was, in order, and (unless something else is looked for right after)
    nothing else does; both ways."""
    for source, target, way in ((wire.inside, wire.outside, "out"), (wire.outside, wire.inside, "in")):
        for frame in frames:
            source.send(frame)
        got = receive(target, count=len(frames))
        for i, frame in enumerate(frames):
            assert i < len(got), "%s, %s: frame %d did not arrive: %s" % (what, way, i, short(frame))
            assert got[i] == frame, "%s, %s: frame %d: expected %s, got %s" % (what, way, i, short(frame), short(got[i]))
        assert not nothing_more or receive(target, 0.1) == [], "%s, %s: more came than was sent" % (what, way)


def expect_nothing(wire, frame, what):
    wire.inside.send(frame)
    got = passed(wire.inside, wire.outside) + receive(wire.outside, 0.1)
    assert got == [], "%s: passed: %s" % (what, short(got[0]))


def everyday():
    """Frames that no rule concerns."""
    data = bytes(range(200))
    pieces = [ipv4(data[:64], 17, ident=9, fragment=0x2000), ipv4(data[64:128], 17, ident=9, fragment=0x2008), ipv4(data[128:], 17, ident=9, fragment=16)]
    six = struct.pack(">BBHI", 17, 0, 1, 77) + data[:64]
    return {
        "ARP": ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(38), 0x0806),
        "LLDP": ethernet(bytes(60), 0x88cc),
        "STP (802.3 length)": ethernet(b"\x42\x42\x03" + bytes(43), 0x0026),
        "neighbour solicitation": ethernet(ipv6(b"\x87\0\0\0" + bytes(20), 58, hops=255), 0x86dd),
        "UDP": ethernet(ipv4(udp(1, 2, b"x" * 20), 17)),
        "TCP SYN": ethernet(ipv4(tcp(1000, 80, 2), 6)),
        "TCP segment": ethernet(ipv4(tcp(1000, 80, 16, b"data" * 100, ack=1), 6)),
        "full size": ethernet(ipv4(udp(1, 2, bytes(1472)), 17)),
        "IPv6 UDP": ethernet(ipv6(udp(1, 2, b"x" * 20), 17), 0x86dd),
        "IPv6 extension headers": ethernet(ipv6(b"\x3c\0" + bytes(6) + b"\x11\0" + bytes(6) + udp(1, 2, b"xy"), 0), 0x86dd),
        "ESP": ethernet(ipv4(bytes(40), 50)),
        "VLAN": ethernet(ipv4(udp(1, 2, b"x" * 20), 17), tags=[(0x8100, 100)]),
        "VLAN with priority": ethernet(ipv4(udp(1, 2, b"x" * 20), 17), tags=[(0x8100, 0xe000 | 100)]),
        "MPLS": ethernet(bytes(50), 0x8847),
        "IPv4 fragments": [ethernet(p) for p in pieces],
        "IPv4 fragments, last first": [ethernet(p) for p in pieces[::-1]],
        "IPv6 fragment": ethernet(ipv6(six, 44), 0x86dd),
        "a group's MAC": b"\x01\0\x5e\0\0\1" + ethernet(ipv4(udp(1, 2, b"x" * 20), 17, dst="224.0.0.1"))[6:],
    }


def check_everyday(wire, box, more=()):
    for name, frames in list(everyday().items()) + list(more):
        if "fragment" in name and wire.remakes_fragments:
            continue
        # More than was sent would stand in the way of what is looked for next.
        expect_through(wire, frames if isinstance(frames, list) else [frames], name, nothing_more=False)
    for end in (wire.inside, wire.outside):
        assert receive(end, 0.1) == [], "more came than was sent"


def check_order(wire, box):
    """A thousand frames of many kinds and flows stay in the order in which they came."""
    dice = random.Random(7)
    frames = []
    for i in range(1000):
        mark = struct.pack(">I", i)
        frames.append(dice.choice([
            lambda: ethernet(ipv4(udp(dice.randrange(50) + 1, 2, mark), 17)),
            lambda: ethernet(ipv4(tcp(dice.randrange(50) + 1, 80, 16, mark), 6)),
            lambda: ethernet(ipv6(udp(dice.randrange(50) + 1, 2, mark), 17), 0x86dd),
            lambda: ethernet(mark + bytes(50), 0x88cc),
            lambda: ethernet(ipv4(mark * 4, 17, ident=i, fragment=0 if wire.remakes_fragments else 0x2000)),
        ])())
    got = []
    for start in range(0, len(frames), 50):
        for frame in frames[start:start + 50]:
            wire.inside.send(frame)
        got += receive(wire.outside, count=50)
    assert len(got) == len(frames), "order: %d of %d arrived" % (len(got), len(frames))
    assert got == frames, "order: frame %d is out of place" % [a == b for a, b in zip(got, frames)].index(False)


def check_blocks(wire, box):
    error = box.apply(policy(2, [
        rule("drop", BLOCK, [match(protocol=6, dport=23)]),
        rule("refuse", BLOCK, [match(protocol=6, dport=24)], block=RESET),
        rule("prohibit", BLOCK, [match(protocol=17, dport=7)], block=ICMP),
        rule("vlan", BLOCK, [match(vlan=66)]),
        rule("net", BLOCK, [match(src="192.0.2.0/24"), match(dst="2001:db8:bad::/48")]),
    ]))
    assert error == "", error
    expect_nothing(wire, ethernet(ipv4(tcp(1000, 23, 2), 6)), "blocked port")
    expect_nothing(wire, ethernet(ipv4(tcp(1000, 23, 16, b"x"), 6)), "blocked port, established")
    expect_nothing(wire, ethernet(ipv4(udp(5, 5, b"x" * 20), 17), tags=[(0x8100, 66)]), "blocked VLAN")
    expect_nothing(wire, ethernet(ipv4(udp(5, 5, b"x" * 20), 17, src="192.0.2.77")), "blocked network")
    expect_nothing(wire, ethernet(ipv6(udp(5, 5, b"x" * 20), 17, dst="2001:db8:bad::9"), 0x86dd), "blocked IPv6 network")
    expect_nothing(wire, ethernet(ipv4(struct.pack(">HH", 1000, 23) + bytes(20), 6, ident=3, fragment=0x2000)), "first fragment to it")
    settle(wire)
    wire.inside.send(ethernet(ipv4(tcp(1000, 24, 2, seq=5000), 6)))
    got = receive(wire.inside, count=1)
    assert got and got[0][23] == 6 and got[0][47] & 4 and got[0][42:46] == struct.pack(">I", 5001), \
        "refused port: expected an RST that acknowledges 5001, got %s" % [short(f) for f in got]
    assert passed(wire.inside, wire.outside) + receive(wire.outside, 0.1) == [], "refused port: passed"
    wire.inside.send(ethernet(ipv4(udp(1000, 7, b"x" * 20), 17), tags=[(0x8100, 5)]))
    got = receive(wire.inside, count=1)
    assert got and got[0][14:16] == b"\0\5" and got[0][27] == 1 and got[0][38:40] == b"\x03\x0d", \
        "prohibited port: expected ICMP 3/13 in VLAN 5, got %s" % [short(f) for f in got]
    check_everyday(wire, box)
    stats = box.stats()
    assert stats["rule.drop.packets"] == 3 - wire.remakes_fragments and stats["rule.prohibit.packets"] == 1, "hits: %r" % {
        k: v for k, v in stats.items() if k.startswith("rule.")}
    assert stats["frames.answered_reset"] == 1 and stats["frames.answered_icmp"] == 1


def check_default_block(wire, box):
    """With `default: block`, answers to what is allowed pass, the rest does not; the wire's own protocols do."""
    assert box.apply(policy(3, [rule("web", ALLOW, [match(protocol=6, dport=80)]), rule("dns", ALLOW, [match(protocol=17, dport=53)])],
                            default=BLOCK)) == ""
    for sport in (2001, 2002):
        wire.inside.send(ethernet(ipv4(tcp(sport, 80, 2), 6)))
        assert len(receive(wire.outside, count=1)) == 1, "allowed SYN"
        answer = ethernet(ipv4(tcp(80, sport, 18, ack=1, src="198.51.100.2", dst="198.51.100.1"), 6, src="198.51.100.2", dst="198.51.100.1"))
        wire.outside.send(answer)
        assert receive(wire.inside, count=1) == [answer], "answer to what is allowed"
    expect_nothing(wire, ethernet(ipv4(tcp(2001, 81, 2), 6)), "default block")
    expect_nothing(wire, ethernet(ipv4(tcp(80, 2001, 2), 6)), "a SYN from the allowed port begins another flow")
    for name in ("ARP", "LLDP", "STP (802.3 length)", "neighbour solicitation"):
        expect_through(wire, [everyday()[name]], name)


def malformed_frames():
    whole = ethernet(ipv4(tcp(1000, 80, 16, b"payload", ack=1), 6))
    for length in range(14, len(whole)):
        yield whole[:length]
    six = ethernet(ipv6(b"\x3c\0" + bytes(6) + b"\x2c\1" + bytes(14) + b"\x06\0\0\1\0\0\0\1" + tcp(1, 22, 16), 0), 0x86dd)
    for length in range(14, len(six)):
        yield six[:length]
    for at, value in ((14, 0x65), (14, 0x41), (14, 0x4f), (16, 0xff), (17, 3), (46, 0x10), (46, 0xf0), (20, 0x3f)):
        yield whole[:at] + bytes([value]) + whole[at + 1:]
    yield ethernet(ipv4(b"x" * 13, 6, ident=1, fragment=0x2000))
    yield ethernet(ipv4(b"x" * 24, 6, ident=1, fragment=0x1fff))
    yield ethernet(ipv6(b"\x3c\0" + bytes(6) + (b"\x3c\0" + bytes(6)) * 12 + tcp(1, 22, 2), 60), 0x86dd)


def check_malformed(wire, box):
    """Counted, dropped where an audit may concern them, and nothing stops."""
    assert box.apply(policy(4, [rule("ssh", AUDIT, [match(dst="198.51.100.0/24", dport=22)])])) == ""
    before = box.stats()
    count = 0
    for frame in malformed_frames():
        wire.inside.send(frame)
        count += 1
    came = len(passed(wire.inside, wire.outside))
    stats = box.stats()
    counted = sum(v - before[k] for k, v in stats.items() if k.startswith("malformed."))
    assert counted > 100, "only %d of %d counted as malformed" % (counted, count)
    assert stats["frames.malformed_dropped"] > before["frames.malformed_dropped"], "none was dropped"
    box.apply(policy(5))
    for frame in malformed_frames():
        wire.inside.send(frame)
    assert len(passed(wire.inside, wire.outside)) > came, "without rules they pass"
    check_everyday(wire, box)


def fragments_beside_audit(wire, box):
    """TCP to another port between audited addresses, in fragments: passes as it came, once it is whole."""
    segment = tcp(3006, 80, 16, bytes(range(100)), ack=1)
    pieces = [ethernet(ipv4(segment[:64], 6, ident=5, fragment=0x2000)), ethernet(ipv4(segment[64:], 6, ident=5, fragment=8))]
    expect_through(wire, pieces, "fragments of TCP beside an audited port")
    # Behind destination options a later fragment does not show what it is part of.
    hidden = b"\x11\0\1\4\0\0\0\0" + udp(5, 6, bytes(range(96)))
    halves = [ethernet(ipv6(struct.pack(">BBHI", 60, 0, at | (at == 0), 77) + hidden[at:at + 56], 44), 0x86dd) for at in (0, 56)]
    expect_through(wire, halves, "fragments of UDP behind destination options")
    overlapping = [pieces[0], ethernet(ipv4(segment[56:], 6, ident=5, fragment=7))]
    wire.inside.send(overlapping[0])
    expect_nothing(wire, overlapping[1], "overlapping fragments")
    stats = box.stats()
    assert stats["reassembly.overlapping"] == 1 and stats["reassembly.whole"] >= 2, "%r" % {k: v for k, v in stats.items() if "reassembly" in k}


def check_audit(wire, box):
    """Without a worker: SYNs are held, segments without a flow are answered by RST, fragments are put together."""
    assert box.apply(policy(6, [
        rule("pass", AUDIT, [match(dst="198.51.100.3/32", dport=22)], midstream=MIDSTREAM_PASS, unavailable=2),
        rule("quiet", AUDIT, [match(dst="198.51.100.4/32", dport=22)], midstream=MIDSTREAM_DROP, unavailable=1),
        rule("ssh", AUDIT, [match(dport=22)])])) == ""
    expect_nothing(wire, ethernet(ipv4(tcp(3000, 22, 2), 6)), "audited SYN, no worker")
    settle(wire)
    wire.inside.send(ethernet(ipv4(tcp(3001, 22, 16, b"x", seq=70, ack=99), 6)))
    got = receive(wire.inside, count=1)
    assert got and got[0][47] & 4 and got[0][38:42] == struct.pack(">I", 99), "midstream: expected an RST from 99, got %s" % [short(f) for f in got]
    got = receive(wire.outside, count=1)
    assert got and got[0][47] == 16 and len(got[0]) == 54, "midstream: expected a probe of the other end, got %s" % [short(f) for f in got]
    answer = ethernet(ipv4(tcp(22, 3001, 16, b"x", src="198.51.100.2", dst="198.51.100.1"), 6, src="198.51.100.2", dst="198.51.100.1"))
    wire.outside.send(answer)
    assert answer not in passed(wire.outside, wire.inside) + receive(wire.inside, 0.1), "midstream, from the server: passed"
    settle(wire)
    frame = ethernet(ipv4(tcp(3002, 22, 16, b"x", ack=1, dst="198.51.100.3"), 6, dst="198.51.100.3"))
    wire.inside.send(frame)
    assert receive(wire.outside, count=1) == [frame], "midstream: pass"
    expect_nothing(wire, ethernet(ipv4(tcp(3003, 22, 16, b"x", dst="198.51.100.4"), 6, dst="198.51.100.4")), "midstream: drop")
    wire.inside.send(ethernet(ipv4(tcp(3004, 22, 2, dst="198.51.100.3"), 6, dst="198.51.100.3")))
    assert len(receive(wire.outside, count=1)) == 1, "on_unavailable: allow"
    wire.outside.send(ethernet(ipv4(tcp(22, 3004, 18, ack=1001, src="198.51.100.3", dst="198.51.100.1"), 6, src="198.51.100.3", dst="198.51.100.1")))
    assert len(receive(wire.inside, count=1)) == 1, "on_unavailable: allow, the answer"
    settle(wire)
    wire.inside.send(ethernet(ipv4(tcp(3005, 22, 2, dst="198.51.100.4"), 6, dst="198.51.100.4")))
    got = receive(wire.inside, count=1)
    assert got and got[0][47] & 4, "on_unavailable: reset"
    if not wire.remakes_fragments:
        fragments_beside_audit(wire, box)
    check_everyday(wire, box)
    stats = box.stats()
    assert stats["frames.audit_held"] == 1 and stats["frames.audit_let_by"] == 1 and stats["frames.audit_refused"] == 1


def check_policy_change(wire, box):
    """A flow that was forwarded is never adopted: kept, or reset where its new rule says so."""
    assert box.apply(policy(7)) == ""
    flows = [ethernet(ipv4(tcp(port, dport, 16, b"x", ack=1), 6)) for port, dport in ((4000, 22), (4001, 2222))]
    expect_through(wire, flows, "before the change")
    assert box.apply(policy(8, [rule("keep", AUDIT, [match(dport=22)], change=0), rule("cut", AUDIT, [match(dport=2222)], change=1)])) == ""
    wire.inside.send(flows[0])
    assert receive(wire.outside, count=1) == [flows[0]], "on_policy_change: keep"
    settle(wire)
    wire.inside.send(flows[1])
    got = receive(wire.inside, count=1)
    assert got and got[0][47] & 4, "on_policy_change: reset: expected an RST"
    assert passed(wire.inside, wire.outside) + receive(wire.outside, 0.1) == [], "on_policy_change: reset: passed"
    expect_nothing(wire, ethernet(ipv4(tcp(4000, 22, 2), 6)), "a new SYN is audited")


def check_swaps_lose_nothing(wire, box, swaps=8, rules=10000):
    """Policies of 10,000 rules are put in force under traffic: every frame arrives, in order; within a second each."""
    big = [rule("r%d" % i, BLOCK, [match(dst="203.%d.%d.%d/32" % (i >> 16 & 255, i >> 8 & 255, i & 255), dport=i % 60000 + 1)]) for i in range(rules)]
    stop, sent, got = threading.Event(), [0], []

    def traffic():
        """As much as the ports' rings can hold, where the machine leaves the box no time for a while."""
        while not stop.is_set():
            for _ in range(8 if sent[0] - len(got) < 500 else 0):
                wire.inside.send(ethernet(ipv4(udp(sent[0] % 1000 + 1, 9, struct.pack(">I", sent[0])), 17)))
                sent[0] += 1
            got.extend(receive(wire.outside, 0))
            time.sleep(0.002)

    before = box.stats()
    thread = threading.Thread(target=traffic)
    thread.start()
    took = []
    try:
        for n in range(swaps):
            start = time.time()
            error = box.apply(policy(100 + n, big if n % 2 == 0 else ()))
            if n % 2 == 0:
                took.append(time.time() - start)
            assert error == "", error
    finally:
        stop.set()
        thread.join()
    got.extend(passed(wire.inside, wire.outside))
    numbers = [struct.unpack(">I", f[42:46])[0] for f in got]
    stats = box.stats()
    lost = {k: stats[k] - before.get(k, 0) for k in stats if "missed" in k or "dropped" in k and "malformed" not in k}
    assert len(numbers) == sent[0], "swaps: %d of %d arrived; %r" % (len(numbers), sent[0], {k: v for k, v in lost.items() if v})
    assert numbers == sorted(numbers), "swaps: out of order"
    print("    %d swaps of %d rules: %d frames, none lost; in force after %s ms" % (swaps, rules, sent[0], ", ".join("%.0f" % (t * 1000) for t in took)))
    # The machine may have something else to do at one time or another, but not half the time.
    middle = statistics.median(took)
    assert middle < slack(), "in force only after %.2f s" % middle


def check_bad_policy(wire, box):
    """What cannot be read is refused; what was in force stays."""
    assert box.apply(policy(9, [rule("t", BLOCK, [match(protocol=6, dport=23)])])) == ""
    good = policy(10, [rule("x", ALLOW, [match()])])
    for bad in (good[:-1], good + b"\0", good[:4] + bytes(8) + good[12:], b"\0\0\0\2" + good[4:]):
        if bad[4:12] == bytes(8):
            continue
        assert box.apply(bad) != "", "a bad policy is taken"
    expect_nothing(wire, ethernet(ipv4(tcp(1000, 23, 2), 6)), "the old policy is still in force")


def session(links, checks, mtu=1500, **options):
    wire = Wire("dp_fw%d" % os.getpid(), mtu)  # several runs may be under way
    wire.remakes_fragments = "af_packet" in links[0][1]  # the kernel puts them together, or swallows them
    box = None
    try:
        box = Dataplane(executable, links, netns=wire.box, mtu=mtu, log=log, **options)
        wire.inside.send(ethernet(ipv4(udp(1, 2, b"first"), 17)))
        assert receive(wire.outside, 0.3) == [], "before the first policy nothing passes"
        assert box.apply(policy(1)) == ""
        assert len(receive(wire.outside, count=1)) == 1, "what came before the first policy is not lost"
        for check in checks:
            check(wire, box)
            print("  ok   %s" % check.__name__.removeprefix("check_").replace("_", " "), flush=True)
        assert box.stop() == 0, "status at the end"
        assert box.stopped_in < 2 * slack(), "took %.1f s to stop" % box.stopped_in
        left = subprocess.run(["ip", "-n", wire.box, "link", "show"], stdout=subprocess.PIPE, text=True).stdout
        assert "xdp" not in left, "an XDP program is left behind: %s" % left
    finally:
        if box is not None:
            box.kill()
        wire.remove()


def check_qinq(wire, box):
    inner = ipv4(udp(1, 2, b"x" * 20), 17)
    expect_through(wire, [ethernet(inner, tags=[(0x88a8, 10), (0x8100, 20)])], "QinQ")
    expect_through(wire, [ethernet(inner, tags=[(0x8100, 10), (0x8100, 20)])], "two tags 0x8100")
    expect_through(wire, [ethernet(inner, tags=[(0x88a8, 1), (0x8100, 2), (0x8100, 3)])], "three tags")


def check_jumbo(wire, box):
    for size in (2000, 4000, 8972):
        expect_through(wire, [ethernet(ipv4(udp(1, 2, random.Random(size).randbytes(size)), 17))], "%d bytes" % size)


def check_killed_and_back(wire, box):
    """kill -9: the next one has the wire back within two seconds, under a prefix of its own."""
    start = time.time()
    box.kill()
    again = Dataplane(executable, af_xdp(), netns=wire.box, generation=2, log=log)
    try:
        again.apply(policy(1))
        expect_through(wire, [everyday()["UDP"]], "after the restart")
        # Two seconds, or what a start takes here and no second more.
        took = time.time() - start
        assert took < max(2.4 * slack(), box.started_in + 1), "back after %.1f s" % took
    finally:
        again.kill()
    box.__dict__.update(Dataplane(executable, af_xdp(), netns=wire.box, generation=3, log=log).__dict__)


def main():
    if os.geteuid() != 0 or not all(shutil.which(t) for t in ("ip", "ethtool", "sysctl")):
        print("skipped: needs root, ip, ethtool and sysctl")
        return 77
    policies = [check_blocks, check_default_block, check_malformed, check_audit, check_policy_change, check_bad_policy,
                check_swaps_lose_nothing]
    sessions = {
        "af_xdp": lambda: session(af_xdp(), [check_everyday, check_qinq, check_order] + policies + [check_killed_and_back]),
        "af_packet, large frames": lambda: session(af_packet(",framesz=16384,blocksz=65536"), [check_jumbo], mtu=9000, mbufs=4096,
                                                   eal=("--no-huge", "--no-shconf", "-m", "512")),
        "af_packet, idle: poll": lambda: session(af_packet(), [check_order], poll=True),
        "af_packet, two lcores, two queues": lambda: session(af_packet(",qpairs=2"), [check_blocks, check_audit], lcores=(0, 1)),
        "af_xdp, two lcores, one queue": lambda: session(af_xdp(), [check_everyday, check_audit], lcores=(0, 1)),
    }
    return run_parts(sessions, sys.argv[2] if len(sys.argv) > 2 else "")


if __name__ == "__main__":
    sys.exit(main())
