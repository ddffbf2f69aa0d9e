# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# bastion_host: what people use today, in the box's place: an OpenSSH bastion (sshd with ForceCommand ssh); and how CPU
# and memory of it and of the box are counted. To be sourced after session.sh.

# -- counting --------------------------------------------------------------------------------------------------

groups=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
[ -n "$groups" ] || give_up "no cgroup2 file system is mounted (mount -t cgroup2 none /sys/fs/cgroup)"
group=$groups/portreeve-$LAB
mkdir -p "$group"
ours=$(sed -n 's/^0:://p' /proc/self/cgroup)
# What is started between enter_group and leave_group is counted.
enter_group() { echo $$ >"$group/cgroup.procs"; }
leave_group() { echo $$ >"$groups$ours/cgroup.procs"; }
remove_group() { leave_group; rmdir "$group" 2>/dev/null; }
# Microseconds of CPU since the group was made; cpu_us user: of them in user mode.
cpu_us() { awk -v what="${1:-usage}_usec" '$1 == what { print $2 }' "$group/cpu.stat"; }
memory_kb() {
	local pid
	for pid in $(cat "$group/cgroup.procs"); do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done | awk '/^Pss:/ { n += $2 } END { print n + 0 }'
}
per() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

# -- the bastion -------------------------------------------------------------------------------------------------

# A host between the two ports with an address of its own: a kernel bridge, and sshd in the box's place.
bastion_start() {
	local dir=$STATE/bastion
	mkdir -p "$dir"
	box ip link add br0 type bridge || give_up "this kernel has no bridge devices"
	box ip link set boxc arp on promisc off master br0
	box ip link set boxo arp on promisc off master br0
	box ip link set br0 up
	box ip address add 198.51.100.3/24 dev br0
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/ca"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/onward"
	ssh-keygen -q -s "$dir/ca" -I bastion -n alice -V +8h "$dir/onward.pub"
	cat "$dir/ca.pub" >>"$STATE/origin/user_ca.pub"
	chown 20001:20001 "$dir/onward"
	cat >"$dir/force" <<-SH
		#!/bin/sh
		tty=
		[ -z "\$SSH_TTY" ] || tty=-tt
		exec ssh -q \$tty -F $dir/ssh_config alice@198.51.100.2 \${SSH_ORIGINAL_COMMAND:+"\$SSH_ORIGINAL_COMMAND"}
	SH
	chmod 755 "$dir" "$dir/force"
	cat >"$dir/ssh_config" <<-SSH
		IdentityFile $dir/onward
		IdentitiesOnly yes
		StrictHostKeyChecking no
		UserKnownHostsFile /dev/null
		GlobalKnownHostsFile /dev/null
	SSH
	cat >"$dir/sshd_config" <<-SSHD
		ListenAddress 198.51.100.3
		HostKey $dir/host
		PidFile none
		UsePAM no
		UseDNS no
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		AuthorizedKeysFile $dir/authorized
		StrictModes no
		ForceCommand $dir/force
		MaxStartups 2000
		PrintMotd no
		PrintLastLog no
	SSHD
	cat "$STATE/client/.ssh/alice.pub" >"$dir/authorized"
	enter_group
	# The origin's accounts (alice), the box's network.
	nsenter --net=/run/netns/$LAB-box unshare --mount --propagation private bash -c "
		for f in passwd shadow group; do mount --bind $STATE/origin/etc/\$f /etc/\$f; done
		mount --bind $STATE/origin/home /home
		exec /usr/sbin/sshd -D -e -f $dir/sshd_config" >"$dir/log" 2>&1 </dev/null &
	lab remember bastion $!
	disown
	leave_group
	wait_until 10 ssh_client -q alice@198.51.100.3 true || give_up "the bastion does not let alice through: $(tail -n 3 "$dir/log")"
}

# The second row is measured with what OpenSSH does by itself; the first with both legs pinned.
bastion_pin() {
	printf 'KexAlgorithms curve25519-sha256\nCiphers aes256-gcm@openssh.com\n' >>"$STATE/bastion/ssh_config"
}
bastion_unpin() { sed -i '/^KexAlgorithms/d; /^Ciphers/d' "$STATE/bastion/ssh_config"; }

bastion_stop() {
	local pid
	for pid in $(cat "$group/cgroup.procs"); do kill -TERM "$pid" 2>/dev/null; done
	wait_until 10 group_is_empty
	box ip link delete br0
	box ip link set boxc arp off promisc on
	box ip link set boxo arp off promisc on
}
group_is_empty() { [ -z "$(cat "$group/cgroup.procs")" ]; }
