# SPDX-License-Identifier: Apache-2.0
# User certificates of CAs beside the box's own, by stock ssh: each type of key and CA, security keys among them (their
# tokens played by OpenSSH's own sk-dummy), and the limits of a rule.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
keys=$STATE/client/.ssh
dummy=/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so
[ -e "$dummy" ] || skip "openssh-tests is not installed (sk-dummy.so)"
export SSH_SK_PROVIDER=$dummy

# A CA of each type; a key of each type.
types=(ed25519 ecdsa-256 ecdsa-384 ecdsa-521 rsa ed25519-sk ecdsa-sk)
make() { # TYPE FILE
	local bits=()
	case $1 in ecdsa-[0-9]*) bits=(-b "${1#*-}"); set -- ecdsa "$2" ;; esac
	ssh-keygen -q -t "$1" "${bits[@]}" -N '' -f "$2" || give_up "ssh-keygen -t $1"
}
for type in "${types[@]}"; do
	make "$type" "$STATE/ca-$type"
	make "$type" "$keys/$type"
done
{
	cat <<-'YAML'
		default: allow
		rules:
		  - name: s
		    action: audit_ssh
		    match: {dst_port: 22}
		    ssh:
		      users: {groups: [sre]}
		      logins: [alice]
		      limits: {sessions_per_user: 2}
		      trusted_cas:
	YAML
	for type in "${types[@]}"; do printf '        - {key: "%s"}\n' "$(cat "$STATE/ca-$type.pub")"; done
} | policy

# try KEY: what ssh says when it offers that key and the certificate beside it
try() { client ssh -o SecurityKeyProvider="$dummy" -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" \
	-o StrictHostKeyChecking=accept-new -i "$keys/$1" alice@origin 'echo in as $USER' 2>&1 | grep -v '^Warning: Permanently\|^Confirm user presence\|^User presence'; }
# certify CA KEY OPTIONS…
certify() {
	local ca=$1 key=$2
	shift 2
	rm -f "$keys/$key-cert.pub"
	ssh-keygen -q -s "$STATE/ca-$ca" -I alice -n alice -V -5m:+1h "$@" "$keys/$key.pub" >/dev/null 2>&1 || give_up "ssh-keygen -s ca-$ca $key"
}
for type in "${types[@]}"; do
	certify ed25519 "$type"
	contains "a key of type $type" "in as alice" "$(try "$type")"
done
for type in "${types[@]}"; do
	certify "$type" ed25519
	contains "a CA of type $type" "in as alice" "$(try ed25519)"
done
certify rsa ed25519 -t ssh-rsa
lacks "a CA that signs by SHA-1" "in as" "$(try ed25519)"
certify ed25519 rsa
lacks "a key that signs by SHA-1" "in as" "$(client ssh -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" \
	-o PubkeyAcceptedAlgorithms=ssh-rsa-cert-v01@openssh.com,ssh-rsa -i "$keys/rsa" alice@origin 'echo in as $USER' 2>&1)"

# What the token noticed.
for type in ed25519-sk ecdsa-sk; do
	ssh-keygen -q -t "$type" -N '' -O no-touch-required -f "$keys/untouched-$type" || give_up "ssh-keygen -O no-touch-required"
	certify ed25519 "untouched-$type"
	lacks "$type, not touched" "in as" "$(try "untouched-$type")"
	certify ed25519 "untouched-$type" -O no-touch-required
	contains "$type, not touched, whose certificate asks for no touch" "in as alice" "$(try "untouched-$type")"
	certify ed25519 "$type" -O verify-required
	lacks "$type, touched, whose certificate wants to know by whom" "in as" "$(try "$type")"
	rm "$keys/$type-cert.pub"
	reeve user add "carol$type" --login alice --group sre --key "$keys/$type.pub" >/dev/null || give_up "reeve user add"
	contains "$type, enrolled" "in as alice" "$(try "$type")"
done

# The box's own CA certifies security keys; only by that certificate is dora anybody.
reeve user add dora --login alice --group sre >/dev/null || give_up "reeve user add dora"
for type in ed25519-sk ecdsa-sk; do
	ssh-keygen -q -t "$type" -N '' -f "$keys/dora-$type" || give_up "ssh-keygen -t $type"
	lacks "$type, before it is certified" "in as" "$(try "dora-$type")"
	capture reeve user cert dora --key "$keys/dora-$type.pub" --ttl 1h
	equal "$type: reeve user cert certifies it" "0 " "$status $err"
	contains "$type: ssh-keygen reads the certificate" "user certificate" "$(ssh-keygen -L -f "$keys/dora-$type-cert.pub" 2>&1)"
	contains "$type, certified by the box's own CA" "in as alice" "$(try "dora-$type")"
done

# What such a certificate can say.
recertified() { # KEY OPTION…
	local key=$1
	shift
	reeve user cert dora --key "$keys/$key.pub" --ttl 1h "$@" >/dev/null || fail "reeve user cert $*"
}
ssh-keygen -q -t ed25519-sk -N '' -O no-touch-required -f "$keys/untouched-dora" || give_up "ssh-keygen -O no-touch-required"
recertified untouched-dora
lacks "not touched" "in as" "$(try untouched-dora)"
recertified untouched-dora --no-touch-required
contains "not touched, and --no-touch-required" "in as alice" "$(try untouched-dora)"
recertified dora-ed25519-sk --verify-required
lacks "touched, and --verify-required" "in as" "$(try dora-ed25519-sk)"
recertified dora-ed25519-sk --source-address 203.0.113.0/24
contains "from elsewhere than --source-address says" "may not be used from the address" "$(try dora-ed25519-sk)"
recertified dora-ed25519-sk --source-address 203.0.113.0/24,198.51.100.0/24 --force-command 'echo forced'
equal "from there, --force-command is what runs" forced "$(try dora-ed25519-sk | tail -n 1)"
for wrong in --source-address=web1 --source-address= --force-command=; do
	capture reeve user cert dora --key "$keys/dora-ed25519-sk.pub" "$wrong"
	equal "$wrong is refused" 1 "$status"
done
capture reeve user cert dora --key "$keys/ed25519.pub" -o "$STATE/none-cert.pub" --verify-required
contains "a key that is no security key is asked for nothing" "asked of security keys" "$err"

certify ed25519 ed25519 -I mallory
contains "a key id that nobody has here is told" "not enrolled" "$(try ed25519)"
certify ed25519 ed25519 -V +1h:+2h
contains "clocks that differ are told" "this gateway's clock says" "$(try ed25519)"

# limits: two at once.
certify ed25519 ed25519
holder() { client ssh -n -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -i "$keys/ed25519" alice@origin 'sleep 60' & }
# The holders' ssh itself is not this shell's child: the box ends what it holds.
end_live() {
	local id
	for id in $(reeve sessions --live --json | json '" ".join(r["session_id"] for r in rows)'); do reeve session kill "$id" >/dev/null; done
}
nobody_live() { [ "$(reeve sessions --live --json | json 'len(rows)')" = 0 ]; }
wait_until 10 nobody_live || fail "a session of before is still live"
holder; first=$!
holder; second=$!
two_live() { [ "$(reeve sessions --live --json | json 'len([r for r in rows if r["granted"]])')" = 2 ]; }
eventually 15 "two sessions are there" two_live
contains "a third is one too many" "you have 2 sessions under rule" "$(try ed25519)"
equal "and counted" 1 "$(counter sessions_refused_by_user_limit)"
end_live
wait "$first" "$second" 2>/dev/null || true

# And one from a source: all addresses of an IPv6 /64.
for host in 11 12; do "$here/lab" exec client ip -6 addr add "2001:db8::$host/64" dev "$("$here/lab" exec client ip -o -6 addr show to 2001:db8::1 | awk '{ print $2 }')" nodad; done
policy_ssh ', limits: {sessions_per_source: 1}, identities: [key]'
reeve user add erin --login alice --group sre --key "$keys/ed25519.pub" >/dev/null || give_up "reeve user add erin"
rm "$keys/ed25519-cert.pub"
wait_until 10 nobody_live || fail "a session of before is still live"
from() { client ssh -n -o BatchMode=yes -o IdentitiesOnly=yes -F none -o UserKnownHostsFile="$keys/known" -o StrictHostKeyChecking=accept-new \
	-b "$1" -i "$keys/ed25519" alice@"$2" "$3" 2>&1; }
from 2001:db8::11 2001:db8::2 'sleep 60' >/dev/null & first=$!
one_live() { [ "$(reeve sessions --live --json | json 'len([r for r in rows if r["granted"]])')" = 1 ]; }
eventually 15 "a session from an IPv6 address is there" one_live
contains "one from its neighbour is one too many" "too many connections from your network" "$(from 2001:db8::12 2001:db8::2 true)"
contains "over IPv4 it is another source" "in as alice" "$(from 198.51.100.1 198.51.100.2 'echo in as $USER')"
end_live
wait "$first" 2>/dev/null || true
