# SPDX-License-Identifier: Apache-2.0
# Sourced by test_bridge (after own_namespaces.sh): a stock sshd, bridge_box before it, and a stock ssh that goes through both.
# Needs: $box (the bridge_box executable). Sets: $dir, $box_port; defines lab_start [permits] [mode], lab_stop, ssh_through.

# lab_port NAME…: gives each a port that nobody has; below those that the kernel gives to whoever connects.
port_at=$((20000 + RANDOM % 10000))
lab_port() {
	local name
	for name; do
		until ! answers "$((++port_at))"; do :; done 2>/dev/null
		printf -v "$name" %d "$port_at"
	done
}

lab_setup() {
	dir=$(mktemp -d /tmp/bridge-lab.XXXXXX)
	chmod 755 "$dir"
	mkdir -p "$dir/out" /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/boxhost"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
	cp "$dir/user.pub" "$dir/authorized"
	chmod 600 "$dir/authorized"
	# the known-answer key pair of tests/unit/recorder would do as well; any 32 bytes are a private key
	head -c 32 /dev/urandom | base64 -w0 >"$dir/auditor"
	"$keygen" "$dir/auditor" >"$dir/auditor.pub"
	lab_port sshd_port
	cat >"$dir/sshd_config" <<-EOF
		Port $sshd_port
		ListenAddress 127.0.0.1
		HostKey $dir/host
		AuthorizedKeysFile $dir/authorized
		PermitRootLogin yes
		StrictModes no
		PidFile $dir/sshd.pid
		Subsystem sftp internal-sftp
		UsePAM no
		LoginGraceTime 0
		X11Forwarding yes
		PermitTunnel yes
		AllowStreamLocalForwarding yes
		StreamLocalBindUnlink yes
		${SSHD_EXTRA:-}
	EOF
	/usr/sbin/sshd -f "$dir/sshd_config" -E "$dir/sshd.log"
	within 60 answers "$sshd_port"
}

answers() { (: <"/dev/tcp/127.0.0.1/$1"); }

lab_box() { # [permits] [mode]
	[ -z "${box_pid:-}" ] || { kill "$box_pid"; wait "$box_pid" 2>/dev/null || true; }
	lab_port box_port
	"$box" "$box_port" "$sshd_port" "$(id -un)" "$dir/user" "$dir/boxhost" "$dir/out" "$dir/auditor.pub" "$@" \
		2>>"$dir/box.log" &
	box_pid=$!
	within 60 answers "$box_port"
}

lab_stop() {
	[ -z "${box_pid:-}" ] || kill "$box_pid" 2>/dev/null || true
	box_pid=
	[ ! -s "$dir/sshd.pid" ] || kill "$(cat "$dir/sshd.pid")" 2>/dev/null || true
	rm -rf "$dir"
}

ssh_options() {
	printf "%s\n" -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "LogLevel=${LOG_LEVEL:-ERROR}" \
		-o BatchMode=yes -o IdentitiesOnly=yes -o "IdentityFile=$dir/user"
}

ssh_through() {
	mapfile -t options < <(ssh_options)
	timeout -k 2 "${LIMIT:-300}" ssh "${options[@]}" -p "$box_port" "$@"
}
