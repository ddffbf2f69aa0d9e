# SPDX-License-Identifier: Apache-2.0
# Two cables through one box, two lcores, two workers: what is one link's stays on it, rules may name a link or a VLAN,
# and every lcore-worker pair carries sessions.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
# The second cable: eth1 at either end, other networks.
add_cable() { # end netns device-of-the-box IPv4 IPv6
	local dev
	ip link add eth1 netns "$LAB-$1" type veth peer name "$2" netns "$LAB-box"
	for dev in "$LAB-$1 eth1" "$LAB-box $2"; do
		nsenter --net="/run/netns/${dev% *}" ethtool -K "${dev#* }" rx off tx off sg off tso off gso off gro off >/dev/null 2>&1
	done
	box ip link set "$2" arp off promisc on up
	ip -n "$LAB-$1" link set eth1 up
	ip -n "$LAB-$1" address add "$3" dev eth1
	ip -n "$LAB-$1" address add "$4" dev eth1 nodad
}
add_cable client boxc2 203.0.113.1/24 2001:db8:2::1/64
add_cable origin boxo2 203.0.113.2/24 2001:db8:2::2/64
sed -i -e 's/lcores: \[0\]/lcores: [0, 1]/' -e '/^sshterm:/s/cores: \[[0-9]*\]/cores: [0, 1]/' \
	-e 's/^\( *\)- {name: lab, .*/&\n\1- {name: second, inside: "net_af_xdp2,iface=boxc2", outside: "net_af_xdp3,iface=boxo2"}/' "$STATE/reeved.yaml"
reeved_start
make_cas
enrol alice alice,root sre
use_identity alice
contains "two links, two lcores, two workers" "2 links, 2 lcores, 2 workers" "$(cat "$REEVED_LOG")"
policy <<'YAML'
default: allow
rules:
  - {name: no-web-there, action: block, block_with: reset, match: {protocol: tcp, dst_port: 80, link: second}}
  - {name: tagged, action: block, match: {protocol: udp, dst_port: 7, vlan: 7}}
  - {name: ssh, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"]}}
YAML
for address in 198.51.100.2 2001:db8::2 203.0.113.2 2001:db8:2::2; do
	holds "ping $address" client ping -c 1 -W 10 "$address"
	equal "ssh $address" "$address" "$(ssh_client -q "alice@$address" "set -- \$SSH_CONNECTION; echo \$3")"
done
equal "a rule for one link blocks there" "" "$(client curl -s -m 2 http://203.0.113.2/)"
equal "and not on the other" "Hello from the origin." "$(client curl -s http://198.51.100.2/)"
# many at once: each lcore owns some, each worker serves some
for i in $(seq 24); do ssh_client -q "alice@$([ $((i % 2)) = 0 ] && echo 198.51.100.2 || echo 203.0.113.2)" "head -c 300000 /dev/zero | sha256sum; sleep 1" >"$STATE/many.$i" & done
wait
equal "two dozen at once over both" 24 "$(cat "$STATE"/many.* | grep -c "$(head -c 300000 /dev/zero | sha256sum | cut -c1-64)")"
reeve stats --all --json >"$STATE/stats.json"
equal "both workers had sessions" True "$(python3 -c '
import json, sys
def walk(v, path=""):
    if isinstance(v, dict):
        for k, x in v.items(): yield from walk(x, path + "/" + k)
    else: yield path, v
counts = [int(v) for k, v in walk(json.load(open(sys.argv[1]))) if k.endswith("/sessions_logged_in")]
print(len(counts) >= 2 and min(counts) > 0 or counts)' "$STATE/stats.json")"

# A VLAN's rule, by crafted frames: the same datagram with the tag, with another, and without.
python3 - "$here" "$LAB-client" "$LAB-origin" <<'PY' >"$STATE/vlan"
import struct, sys, time
sys.argv = ["frames.py", *sys.argv[1:]]
sys.path.insert(0, sys.argv[1])
source = open(sys.argv[1] + "/frames.py").read().rsplit("\nmain()", 1)[0]
frames = {"__name__": "frames"}
exec(compile(source, "frames.py", "exec"), frames)
near, far = frames["Port"](sys.argv[2]), frames["Port"](sys.argv[3])
udp = struct.pack(">HHHH", 1000, 7, 8 + 9, 0) + b"vlan-rule"
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes([198, 51, 100, 1]), bytes([198, 51, 100, 9]))
total = sum(struct.unpack(">10H", ip))
total = (total & 0xffff) + (total >> 16)
ip = ip[:10] + struct.pack(">H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + ip[12:]
# In this order: where the last one has come, what has not come before it does not.
tags = {"tagged 7": b"\x81\x00\x00\x07", "tagged 8": b"\x81\x00\x00\x08", "untagged": b""}
for tag in tags.values():
    near.send(far.mac + near.mac + tag + b"\x08\x00" + ip + udp)
came, end = set(), time.monotonic() + 20
while "untagged" not in came and time.monotonic() < end:
    frame = far.receive(1)
    if frame and b"vlan-rule" in frame:
        came.add(next(name for name, tag in tags.items() if frame[12:].startswith(tag + b"\x08\x00")))
for name in tags:
    print(name, "arrived" if name in came else "nothing")
PY
equal "a rule for one VLAN" "tagged 7 nothing, tagged 8 arrived, untagged arrived" "$(paste -sd, "$STATE/vlan" | sed 's/,/, /g')"
