# SPDX-License-Identifier: Apache-2.0
# Each kind that a rule may permit, alone: what it does not name is refused as the client's peer would refuse it,
# everything else goes on, and the certificate that the origin sees says the same.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
client bash -c 'touch ~/.Xauthority; cd && mkdir -p www && echo "from the client" >www/index.html'

rule() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], permit: [$1]}}
	YAML
}
extensions() {
	ssh_client -q alice@origin 'sed s/^publickey.// $SSH_USER_AUTH' >"$STATE/shown-cert.pub"
	ssh-keygen -L -f "$STATE/shown-cert.pub" | sed -n '/Extensions:/,$p' | grep -o 'permit-[a-zA-Z0-9-]*' | sort | tr '\n' ' '
}
# What of all kinds works, in words.
kinds() {
	local works='' said
	[[ $(client ssh -q -tt alice@origin tty </dev/null) = /dev/pts/* ]] && works+="pty "
	[[ $(client bash -c 'ssh -q -W localhost:22 alice@origin </dev/null | head -c 4') = SSH- ]] && works+="local "
	client ssh -q -R 0:localhost:8000 -o ExitOnForwardFailure=yes alice@origin true 2>/dev/null && works+="remote "
	said=$(client bash -c 'eval "$(ssh-agent)" >/dev/null; ssh -q -A alice@origin "echo \${SSH_AUTH_SOCK:+yes}"; ssh-agent -k >/dev/null')
	[ "$said" = yes ] && works+="agent "
	said=$(client env DISPLAY=localhost:7 ssh -q -Y -o XAuthLocation=/bin/true alice@origin 'echo ${DISPLAY:+yes}')
	[ "$said" = yes ] && works+="x11 "
	[ "$(ssh_client -q alice@origin 'echo ok')" = ok ] && works+="exec"
	printf '%s\n' "$works"
}
rule 'pty, port-forwarding, agent-forwarding, x11-forwarding, user-rc'
equal "everything permitted" "pty local remote agent x11 exec" "$(kinds)"
equal "and the certificate says so" "permit-X11-forwarding permit-agent-forwarding permit-port-forwarding permit-pty permit-user-rc " "$(extensions)"
shown=$(ssh-keygen -L -f "$STATE/shown-cert.pub")
equal "its principal is the login" alice "$(sed -n '/Principals:/{n;s/ *//p}' <<<"$shown")"
contains "it is good from the client's address alone" "source-address 198.51.100.1" "$shown"
at_most "and for minutes (s)" 300 "$(python3 -c '
import datetime, re, sys
begin, end = (datetime.datetime.fromisoformat(t) for t in re.search("from (\S+) to (\S+)", sys.argv[1]).groups())
print(int((end - begin).total_seconds()))' "$shown")"
rule ''
equal "nothing permitted: commands alone" "exec" "$(kinds)"
equal "in the certificate, too" "" "$(extensions)"
for one in "pty pty permit-pty" "port-forwarding local,remote permit-port-forwarding" \
	"agent-forwarding agent permit-agent-forwarding" "x11-forwarding x11 permit-X11-forwarding"; do
	read -r kind works extension <<<"$one"
	rule "$kind"
	equal "$kind alone" "${works//,/ } exec" "$(kinds)"
	equal "$kind in the certificate" "$extension " "$(extensions)"
done

# What each refusal looks like; the session and its other channels go on.
rule user-rc
contains "-L: the channel is refused with a reason" "this rule allows no port forwarding" "$(client ssh -W localhost:80 alice@origin 2>&1)"
contains "-t: the client is told" "PTY allocation request failed" "$(client ssh -tt alice@origin true 2>&1)"
contains "-R: the client is told" "remote port forwarding failed" "$(client ssh -R 0:localhost:8000 alice@origin true 2>&1)"
contains "-X: the client is told" "X11 forwarding request failed" "$(client env DISPLAY=localhost:7 ssh -X -o XAuthLocation=/bin/true alice@origin true 2>&1)"
client bash -c 'ssh -q -f -N -L 8081:localhost:80 alice@origin'
equal "-L: nothing comes through" "" "$(client curl -s -m 3 http://localhost:8081/)"
for kind in pty-req tcpip-forward direct-tcpip auth-agent-req@openssh.com x11-req; do
	contains "an event tells of a refused $kind" "\"type\":\"$kind\"" "$(audit_log | grep '"event":"refused"' | tail -n 30)"
done
client bash -c 'ssh -q -M -S ~/mux -o ControlPersist=10 -fN alice@origin'
equal "beside a refusal another channel goes on" "before refused after" "$(client bash -c '
	m() { ssh -q -S ~/mux "$@" alice@origin; }
	ssh -q -S ~/mux alice@origin "echo before; while test ! -e refused; do sleep 0.1; done; echo after" >~/beside &
	until grep -q before ~/beside; do sleep 0.1; done
	ssh -q -S ~/mux -O forward -R 0:localhost:8000 alice@origin >/dev/null 2>&1 || echo refused >~/refusal
	ssh -q -S ~/mux alice@origin "touch refused"
	wait; head -n 1 ~/beside; cat ~/refusal; tail -n 1 ~/beside' | tr '\n' ' ' | sed 's/ $//')"
client ssh -q -S "$STATE/client/mux" -O exit alice@origin 2>/dev/null
