# SPDX-License-Identifier: Apache-2.0
# What policy does not touch goes on as on a cable; what it blocks does not, in the way the rule says.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

holds "ping over IPv4" client ping -c 3 -i 0.2 -W 10 origin
holds "ping over IPv6" client ping -c 3 -i 0.2 -W 10 origin6
equal "HTTP" "Hello from the origin." "$(client curl -s http://origin/)"
equal "HTTP over IPv6" "Hello from the origin." "$(client curl -s http://origin6/)"
equal "ten megabytes, intact" "$(for i in 1 2 3 4 5 6 7 8 9 10; do cat "$STATE/origin/www/megabyte"; done | sha256sum)" \
	"$(client bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do curl -s http://origin/megabyte; done' | sha256sum)"
equal "UDP, a datagram in four fragments" 5000 "$(client python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
s.sendto(b"x" * 5000, ("198.51.100.2", 7)); print(len(s.recv(65536)))')"
equal "IPv6, the same" 5000 "$(client python3 -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(20)
s.sendto(b"x" * 5000, ("2001:db8::2", 7)); print(len(s.recv(65536)))')"

start=$(now_ms)
capture client nc -w 2 -z origin 23
equal "the blocked port does not answer" 1 "$status"
at_least "and is silent, not refused (ms)" 1500 $(($(now_ms) - start))

policy <<'YAML'
default: allow
rules:
  - {name: refuse, action: block, block_with: reset, match: {protocol: tcp, dst_port: 23}}
  - {name: prohibit, action: block, block_with: icmp, match: {protocol: tcp, dst_port: 7}}
  - {name: no-udp, action: block, block_with: icmp, match: {protocol: udp, dst_port: 7}}
  - {name: one-host, action: block, match: {protocol: tcp, src_ip: 198.51.100.1/32, dst_port: 80}}
YAML
attempt() { client python3 -c '
import socket, sys, time
start = time.time()
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print("connected")
except OSError as e: print(type(e).__name__ if not isinstance(e, TimeoutError) else "timeout", e.errno)
' "$@"; }
equal "block_with reset: refused at once" "ConnectionRefusedError 111" "$(attempt origin 23)"
equal "over IPv6 as well" "ConnectionRefusedError 111" "$(attempt origin6 23)"
contains "block_with icmp: administratively prohibited (EHOSTUNREACH or EACCES)" "113" "$(attempt origin 7 | sed 's/ 13$/ 113/')"
contains "over IPv6 as well" "13" "$(attempt origin6 7)"
capture client python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(("198.51.100.2", 7)); s.send(b"x")
try: print(s.recv(10))
except TimeoutError: print("silence")
except OSError as e: print("told", e.errno)'
contains "UDP is told by ICMP" "told" "$out"
equal "a rule with a source address" "timeout None" "$(attempt origin 80)"
equal "the other family is not its business" "connected" "$(attempt origin6 80)"

policy <<'YAML'
default: block
rules:
  - {name: web, action: allow, match: {protocol: tcp, dst_port: 80}}
  - {name: arp-and-ping, action: allow, match: {protocol: icmp}}
YAML
equal "default block, web allowed" "Hello from the origin." "$(client curl -s http://198.51.100.2/)"
equal "the rest is not" "timeout None" "$(attempt origin 7)"
