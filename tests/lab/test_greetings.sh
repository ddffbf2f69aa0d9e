# SPDX-License-Identifier: Apache-2.0
# What ends say before key exchange: old OpenSSH's versions, of which clients believe that they verify no RSA
# certificate; SSH-1.99; lines before the identification; long ones; and what is no SSH at all. Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy_ssh ''
LIMIT=200 origin /usr/bin/python3 "$here/greeting_origin.py" 2222 "$STATE/origin" >"$STATE/greeting.out" 2>&1 &
wait_until 10 grep -qs ready "$STATE/greeting.out" || give_up "no fake origin: $(cat "$STATE/greeting.out")"
keys=$STATE/client/.ssh
ssh-keygen -q -t rsa -b 3072 -N '' -f "$keys/rsa"
reeve user cert alice --key "$keys/rsa.pub" --ttl 1h >/dev/null || give_up "no certificate of an RSA key"

greeting() { printf '%b' "$1" >"$STATE/origin/greeting"; }
by() { capture ssh_client -v -p 2222 -o IdentitiesOnly=yes -o IdentityAgent=none -o CertificateFile="$keys/$1-cert.pub" -i "$keys/$1" alice@198.51.100.2 true; }
shown() { sed -n 's/^debug1: Remote protocol version 2.0, remote software version //p' <<<"$err" | tr -d '\r'; }
gets_in() { # WHAT GREETING SHOWN [KEY]
	greeting "$2"
	by "${4:-rsa}"
	equal "$1: gets in" hello "$out"
	equal "$1: what the client is shown" "$3" "$(shown)"
}

# -- versions ----------------------------------------------------------------------------------------------------
gets_in "an RSA certificate at Ubuntu 18.04" 'SSH-2.0-OpenSSH_7.6p1 Ubuntu-4ubuntu0.7' 'OpenSSH_7.8p1 Ubuntu-4ubuntu0.7'
gets_in "at CentOS 7" SSH-2.0-OpenSSH_7.4 OpenSSH_7.8
gets_in "at Ubuntu 14.04" 'SSH-2.0-OpenSSH_6.6.1p1 Ubuntu-2ubuntu2' 'OpenSSH_6.4p1 Ubuntu-2ubuntu2'
gets_in "at one of today" 'SSH-2.0-OpenSSH_9.2p1 Debian-2' 'OpenSSH_9.2p1 Debian-2'
gets_in "at CentOS 6 another type of key" SSH-2.0-OpenSSH_5.3 OpenSSH_5.3 alice
gets_in "at old gear" SSH-1.99-Cisco-1.25 Cisco-1.25
greeting SSH-2.0-OpenSSH_7.4
equal "paramiko, too, at CentOS 7" in "$(client /usr/bin/python3 - "$keys/rsa" <<'PY' 2>&1 | tail -n 1
import socket, sys, paramiko
t = paramiko.Transport(socket.create_connection(("198.51.100.2", 2222), 10))
t.start_client(timeout=60)
key = paramiko.RSAKey.from_private_key_file(sys.argv[1])
key.load_certificate(sys.argv[1] + "-cert.pub")
t.auth_publickey("alice", key)
print("in" if t.is_authenticated() else "out")
t.close()
PY
)"

# -- lines -------------------------------------------------------------------------------------------------------
letters() { head -c "$1" /dev/zero | tr '\0' "${2:-x}"; }
gets_in "an origin with a notice of 8000 letters, and a hundred lines" \
	"$(letters 8000)\n$(for i in {1..100}; do echo "line $i\\n"; done)SSH-2.0-OpenSSH_9.2p1" OpenSSH_9.2p1
greeting "$(letters 8200)\nSSH-2.0-OpenSSH_9.2p1"
by alice
contains "a longer line is nothing that a client would take" "the origin does not speak SSH" "$err"
greeting "$(letters 2200 '#' | sed 's/##/#\\n/g')SSH-2.0-OpenSSH_9.2p1"
by alice
contains "nor are more than 1024 lines" "the origin does not speak SSH; it said: #" "$err"
greeting 'Exceeded MaxStartups\r\n'
by alice
contains "an origin that takes no more connections: its words" "the origin closed the connection; it said: Exceeded MaxStartups" "$err"
eventually 5 "in the audit log, too" grep -q '"event":"auth".*it said: Exceeded MaxStartups' "$STATE/state/audit.jsonl"
greeting '\033[2Jcaf\0351 \0303\0251!\n'
by alice
eventually 5 "cleaned of what is no text" grep -q '"event":"auth".*it said: ?\[2Jcaf? é!' "$STATE/state/audit.jsonl"
greeting ''
by alice
contains "one that says nothing" "the origin closed the connection before it said anything" "$err"
greeting SSH-2.0-OpenSSH_9.2p1
long=SSH-2.0-$(letters 245)
contains "a client's identification of 255 characters, as RFC 4253 has them" "SSH-2.0-OpenSSH_9.2p1 and a key exchange" \
	"$(client python3 - "$long" <<'PY' 2>&1
import socket, sys
s = socket.create_connection(("198.51.100.2", 2222), 10)
s.settimeout(20)
s.sendall(sys.argv[1].encode() + b"\r\n")
came = b""
while len(came) < 200 and (more := s.recv(1000)):
    came += more
print(came.split(b"\r\n")[0].decode(), "and a key exchange" if len(came) >= 200 else f"and {came}")
PY
)"
equal "and the origin is told it" "$long" "$(cat "$STATE/origin/client-is")"

# -- bytes that are no text hide no event --------------------------------------------------------------------------
greeting SSH-2.0-OpenSSH_9.2p1
printf 'not today, \377\303' >"$STATE/origin/parting"
policy <<'YAML'
default: allow
rules:
  - {name: s, action: audit_ssh, match: {dst_port: 2222}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [agent]}}
YAML
# shellcheck disable=SC2016
client bash -c 'eval "$(ssh-agent)"; ssh-add -q ~/.ssh/alice; ssh -A -o BatchMode=yes -p 2222 alice@198.51.100.2 true; kill "$SSH_AGENT_PID"' >/dev/null 2>&1
eventually 5 "what an origin says as it hangs up on a login with an agent is audited" grep -q '"event":"origin.auth".*not today, ??' "$STATE/state/audit.jsonl"
rm "$STATE/origin/parting"
policy_ssh ''
