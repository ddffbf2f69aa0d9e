# SPDX-License-Identifier: Apache-2.0
# The host keys that clients see: all types, the same at each visit and after a rekey; certificates of the host CA, for
# which one @cert-authority line serves; what names a certificate. Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

rule() { # SSH-SETTINGS
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate]$1}}
	YAML
}
fingerprint() { sed -n 's/^debug1: Server host key: \([^ ]* [^ ]*\).*/\1/p' <<<"$err" | head -n 1; }
known=$STATE/client/.ssh/known_hosts
algorithms=(ssh-ed25519 rsa-sha2-512 rsa-sha2-256)
old=(ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 ssh-rsa)

# -- all types -------------------------------------------------------------------------------------------------------
rule ', legacy: {client: [ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa]}'
for algorithm in "${algorithms[@]}" "${old[@]}"; do
	rm -f "$known"
	capture ssh_client -v -o HostKeyAlgorithms="$algorithm" alice@origin echo hello
	equal "a client that has $algorithm alone" hello "$out"
	first=$(fingerprint)
	capture ssh_client -v -o HostKeyAlgorithms="$algorithm" -o StrictHostKeyChecking=yes alice@origin echo again
	equal "meets the same key the next time" "again $first" "$out $(fingerprint)"
done
rm -f "$known"
equal "a rekey in each of 12 MB by an RSA key" "$(head -c 12000000 /dev/zero | sha256sum)" \
	"$(head -c 12000000 /dev/zero | client ssh -q -o HostKeyAlgorithms=rsa-sha2-512 -o RekeyLimit=1M alice@origin sha256sum)"
rule ''
for algorithm in "${old[@]}"; do
	capture ssh_client -o HostKeyAlgorithms="$algorithm" alice@origin echo hello
	contains "$algorithm is for rules that name it" "no matching host key type" "$err"
done

# -- certificates ----------------------------------------------------------------------------------------------------
rm -f "$known"
capture ssh_client -v -o HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com alice@origin echo hello
contains "without a host CA there are no host certificates" "no matching host key type" "$err"
reeve ca create --type host >"$STATE/host_ca.pub" 2>/dev/null || fail "reeve ca create --type host"
printf '@cert-authority 198.51.100.*,origin %s\n' "$(cat "$STATE/host_ca.pub")" >"$STATE/client/.ssh/fleet"
certified() { ssh_client -v -o UserKnownHostsFile="~/.ssh/fleet" -o StrictHostKeyChecking=yes "$@"; }
reached() { certified alice@198.51.100.2 true 2>/dev/null; }
wait_until 15 reached
for algorithm in ssh-ed25519 rsa-sha2-512 rsa-sha2-256; do
	capture certified -o HostKeyAlgorithms="$algorithm-cert-v01@openssh.com" alice@198.51.100.2 echo hello
	equal "one line for the fleet: $algorithm" hello "$out"
	contains "by the host CA's certificate" "Host '198.51.100.2' is known and matches the" "$err"
done
capture certified alice@198.51.100.2 echo hello
equal "and without a wish" hello "$out"
contains "a certificate is what the client chose" "ssh-ed25519-cert-v01@openssh.com" "$(grep 'Server host certificate' <<<"$err")"
contains "hostbound authentication names the certificate" "publickey-hostbound" "$(certified -vvv alice@198.51.100.2 true 2>&1)"
equal "a rekey in each of 12 MB by a certificate" "$(head -c 12000000 /dev/zero | sha256sum)" \
	"$(head -c 12000000 /dev/zero | client ssh -q -o UserKnownHostsFile="~/.ssh/fleet" -o StrictHostKeyChecking=yes -o RekeyLimit=1M alice@198.51.100.2 sha256sum)"
capture certified alice@origin echo hello
contains "a name that the box does not know is not in the certificate" "Host key verification failed" "$err"
reeve target name 198.51.100.2 origin >/dev/null || fail "reeve target name"
equal "a name that it was told is" hello "$(certified alice@origin echo hello 2>/dev/null)"
equal "who knows nothing of the CA meets the plain key" hello "$(ssh_client -q alice@origin echo hello)"
