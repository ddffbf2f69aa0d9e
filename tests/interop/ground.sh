# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# ground: the lab in which one client after the other does one thing after the other at one origin after the other,
# each thing twice: through the box, and past it (the same server, on a port that no rule audits). To be sourced.
#
# Origins, by audited port; the port 1000 above it is not audited:
#   7101 OpenSSH   7102 dropbear   7103 asyncssh   7104 a newer OpenSSH
# The user is alice at both ends, with an enrolled key and a certificate over it. Past the box an origin knows her by the
# key itself and by the client CA; on the audited port it trusts the box's user CA alone (dropbear: the vault's key).
wire_ports=7101-7109
. "$(dirname "${BASH_SOURCE[0]}")/../lab/session.sh"
interop=$root/tests/interop
ground=$STATE/interop
# shellcheck disable=SC2034
declare -A origin_port=([openssh]=7101 [dropbear]=7102 [asyncssh]=7103 [openssh-new]=7104)

ground_up() { # lab up's arguments
	session_start "$@"
	mkdir -p "$ground/cells"
	chmod 755 "$ground"
	reeve user rm alice >/dev/null
	reeve user add alice --login alice,root --key "$STATE/client/.ssh/alice.pub" --group sre >/dev/null || give_up "alice is not enrolled"
	reeve user cert alice --key "$STATE/client/.ssh/alice.pub" --ttl 8h >/dev/null 2>&1 || give_up "alice has no certificate"
	reeve ca show --type client >"$ground/client_ca.pub" || give_up "reeve ca show failed"
	ground_policy
	ground_keys
	cp "$interop/display.py" "$STATE/origin/home/alice/"
	origin_openssh openssh /usr/sbin
}

ground_policy() {
	policy <<-'YAML'
		default: allow
		rules:
		  - name: interop
		    action: audit_ssh
		    match: {protocol: tcp, dst_port: 7101-7109}
		    ssh:
		      users: {groups: [sre]}
		      logins: ["{user}", root]
		      origin_auth: [certificate, vault]
		      permit: [pty, port-forwarding, agent-forwarding, x11-forwarding, user-rc]
		      recording: best_effort
	YAML
}

# Alice's key, as every client wants it; who may log in past the box.
ground_keys() {
	local key=$STATE/client/.ssh/alice ssh=$STATE/origin/home/alice/.ssh
	! command -v puttygen >/dev/null || puttygen "$key" -O private -o "$key.ppk" || give_up "puttygen does not take the key"
	! command -v dropbearconvert >/dev/null || dropbearconvert openssh dropbear "$key" "$key.dropbear" >/dev/null 2>&1 || give_up "dropbearconvert does not take the key"
	mkdir -p "$ssh"
	cp "$key.pub" "$ssh/past_the_box"
	cp "$key.pub" "$ssh/authorized_keys" # dropbear's
	chown -R 20001:20001 "$ssh"
	chmod 700 "$ssh"
	{
		cat "$key.pub"
		sed 's/^/cert-authority /' "$ground/client_ca.pub"
	} >"$ground/authorized_past"
	sed 's/^/cert-authority /' "$STATE/origin/user_ca.pub" >"$ground/authorized_audited"
	chmod 644 "$ground"/authorized_*
}

# An OpenSSH server of its own, on both ports of NAME; SBIN holds sshd.
origin_openssh() { # name sbin [sshd's further settings]
	local name=$1 sbin=$2 audited=${origin_port[$1]}
	{
		printf 'Port %d\nPort %d\n' "$audited" $((audited + 1000))
		sed -e '/^Port /d' -e '/^AuthorizedKeysFile/d' "$STATE/origin/sshd_config"
		printf 'AuthorizedKeysFile none\n%s\n' "${3:-}"
		printf 'Match LocalPort %d\n\tAuthorizedKeysFile .ssh/past_the_box\n\tTrustedUserCAKeys %s\n' $((audited + 1000)) "$ground/client_ca.pub"
	} >"$ground/$name.sshd_config"
	(lab exec origin "$sbin/sshd" -D -e -f "$ground/$name.sshd_config") >"$ground/$name.log" 2>&1 </dev/null &
	lab remember "$name" $!
	origin_listens "$name"
}

origin_dropbear() {
	local audited=${origin_port[dropbear]}
	dropbearkey -t ed25519 -f "$ground/dropbear_host" >/dev/null 2>&1 || give_up "dropbearkey failed"
	(lab exec origin /usr/sbin/dropbear -F -E -s -P "$ground/dropbear.pid" -r "$ground/dropbear_host" -p "$audited" -p $((audited + 1000))) >"$ground/dropbear.log" 2>&1 </dev/null &
	lab remember dropbear $!
	origin_listens dropbear
	# It knows no certificates: the box logs in with a key of its vault.
	ssh-keygen -q -t ed25519 -N '' -C vault -f "$ground/vault_key"
	cat "$ground/vault_key.pub" >>"$STATE/origin/home/alice/.ssh/authorized_keys"
	client ssh-keyscan -t ed25519 -p "$audited" origin >/dev/null 2>&1 # the first use
	reeve vault put --target "[198.51.100.2]:$audited" --login alice --key "$ground/vault_key" >/dev/null || give_up "the vault takes no key"
}

origin_asyncssh() {
	local audited=${origin_port[asyncssh]}
	install -o 20001 -m 600 "$STATE/origin/ssh_host_ed25519_key" "$ground/asyncssh_host"
	cp "$interop/servers/asyncssh_server.py" "$ground/"
	(lab exec origin env HOME=/home/alice USER=alice setpriv --reuid 20001 --regid 20001 --clear-groups bash -c "cd; exec /usr/bin/python3 $ground/asyncssh_server.py $ground/asyncssh_host \
		$audited $ground/authorized_audited $((audited + 1000)) $ground/authorized_past") >"$ground/asyncssh.log" 2>&1 </dev/null &
	lab remember asyncssh $!
	origin_listens asyncssh
}

origin_listens() {
	wait_until 15 origin bash -c ": </dev/tcp/127.0.0.1/$((origin_port[$1] + 1000))" 2>/dev/null || give_up "$1 does not listen: $(tail -n 3 "$ground/$1.log")"
}

# What is at the client: a page for -R, a display for X11, an agent that holds alice's key.
client_side() {
	(lab exec client python3 "$interop/page.py" 8000) >"$ground/page.log" 2>&1 </dev/null &
	lab remember page $!
	(lab exec client python3 "$interop/display.py" serve 6077) >"$ground/display.log" 2>&1 </dev/null &
	lab remember display $!
	(lab exec client ssh-agent -D -a "$ground/agent") >/dev/null 2>&1 </dev/null &
	lab remember agent $!
	wait_until 5 test -S "$ground/agent" || give_up "no ssh-agent"
	SSH_AUTH_SOCK=$ground/agent ssh-add -q "$STATE/client/.ssh/alice" 2>/dev/null || give_up "the agent takes no key"
	XAUTHORITY=$ground/xauthority client xauth -q add localhost:77 . 00112233445566778899aabbccddeeff 2>/dev/null
	wait_until 5 client curl -s -m 1 -o /dev/null http://localhost:8000/ || give_up "the client's page is not there"
}

# Go's client is built here, from Debian's packages alone.
go_client() {
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=${XDG_CACHE_HOME:-/var/cache}/portreeve/go go build -o "$ground/go" "$interop/clients/go/main.go" || give_up "the Go client does not build"
}

# What host keys are good: of each origin, through the box and past it.
host_keys() {
	local name port
	for name in "$@"; do
		for port in "${origin_port[$name]}" $((origin_port[$name] + 1000)); do
			client ssh-keyscan -p "$port" origin 2>/dev/null | ssh-keygen -lf - | awk '{ print $2 }' | sort -u | paste -sd, >"$ground/host_keys.$port"
			[ -s "$ground/host_keys.$port" ] || give_up "$name shows no host key on port $port"
		done
	done
}

# Runs matrix.py at the client.
matrix() {
	LIMIT=${LIMIT:-3600} client env -u SSH_AUTH_SOCK GROUND="$ground" KEY="$STATE/client/.ssh/alice" HOME_OF_ALICE="$STATE/origin/home/alice" \
		NODE_MODULES="${NODE_MODULES:-}" OPENSSH_NEW="${openssh_new:-}" XAUTHORITY="$ground/xauthority" python3 "$interop/matrix.py" "$@"
}
