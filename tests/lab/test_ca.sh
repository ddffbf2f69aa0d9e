# SPDX-License-Identifier: Apache-2.0
# Certificate authorities as an admin has them: shown, and used by stock OpenSSH.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

# -- host certificates for origins ------------------------------------------------------------------------------
holds "a host CA is made" reeve ca create --type host
for type in ed25519 ecdsa rsa; do
	ssh-keygen -q -t "$type" -N '' -f "$STATE/origin_$type" </dev/null
	capture reeve ca sign-host "$STATE/origin_$type.pub" --names origin,198.51.100.2 --ttl 52w
	contains "sign-host: an origin's $type key is certified" "HostCertificate" "$out$err"
	said=$(ssh-keygen -L -f "$STATE/origin_$type-cert.pub")
	contains "  as a host certificate" "host certificate" "$said"
	contains "  for its names" "198.51.100.2" "$said"
	contains "  without options" "Critical Options: (none)" "$said"
done
line=$(reeve ca show --type host --known-hosts 'origin,198.51.100.*' 2>/dev/null)
contains "ca show --known-hosts: a line of known_hosts" "@cert-authority origin,198.51.100.* ssh-ed25519 AAAA" "$line"

# A stock client beside the box meets a stock sshd that shows the certificate: nothing to ask, nothing to learn.
printf '%s\n' "$line" >"$STATE/client/certified_hosts"
mkdir -p /run/sshd
certified() { # TYPE NAME ALGORITHM: the client logs in at port 2222, which no rule audits, trusting the host CA alone
	local log=$STATE/certified_sshd.log pid
	"$here/lab" exec origin "$(command -v sshd)" -D -e -f /dev/null -p 2222 -h "$STATE/origin_$1" \
		-o HostCertificate="$STATE/origin_$1-cert.pub" -o PidFile=none -o UsePAM=no >"$log" 2>&1 </dev/null &
	pid=$!
	wait_until 5 grep -q listening "$log" || echo "no sshd"
	client ssh -F none -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none \
		-o UserKnownHostsFile="$STATE/client/certified_hosts" -o HostKeyAlias="$2" -o HostKeyAlgorithms="$3" -o PreferredAuthentications=none \
		alice@origin true 2>&1
	kill "$pid"
	wait "$pid" 2>/dev/null
}
for each in ed25519:ssh-ed25519 ecdsa:ecdsa-sha2-nistp256 rsa:rsa-sha2-512; do
	# The host is believed once authentication is what fails.
	contains "a client trusts the origin's ${each%:*} certificate" "Permission denied" \
		"$(certified "${each%:*}" origin "${each#*:}-cert-v01@openssh.com")"
done
contains "and not under another name" "Host key verification failed" "$(certified ed25519 198.51.100.3 ssh-ed25519-cert-v01@openssh.com)"
