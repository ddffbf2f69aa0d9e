# SPDX-License-Identifier: Apache-2.0
# Which host keys of an origin a rule accepts: first use, imported known_hosts (plain, hashed, by name, with a port,
# revoked), host CAs, strict; and in each mode a changed key stops the session before anything secret is sent.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
keys=$STATE/origin
address=198.51.100.2

mode() { # host_keys
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: [alice], origin_auth: [certificate], host_keys: $1}}
	YAML
}
# What the origin shows: its host keys, by name; certificates beside them.
shows() {
	local key
	lab sshd stop
	grep -Ev '^(HostKey|HostCertificate|LogLevel)' "$keys/sshd_config" >"$keys/sshd_config.new"
	for key in "$@"; do
		echo "HostKey $keys/$key"
		[ ! -e "$keys/$key-cert.pub" ] || echo "HostCertificate $keys/$key-cert.pub"
	done >>"$keys/sshd_config.new"
	echo 'LogLevel DEBUG1' >>"$keys/sshd_config.new"
	mv "$keys/sshd_config.new" "$keys/sshd_config"
	: >"$keys/sshd.log"
	lab sshd start
}
port=22
fresh() { rm -f "$STATE/client/.ssh/known_hosts"; reeve target forget "[$address]:$port" >/dev/null 2>&1; }
login() { rm -f "$STATE/client/.ssh/known_hosts"; capture ssh_client -p "$port" alice@$address echo in; }
let_in() { login; equal "$1" in "$out"; }
kept_out() { # WHAT TEXT
	: >"$keys/sshd.log"
	login
	equal "$1: nobody gets in" "" "$out"
	contains "$1" "$2" "$err"
	lacks "$1: not even a login name was sent" "userauth-request" "$(cat "$keys/sshd.log")"
}
imports() { reeve target import --replace - >"$STATE/imported" 2>&1 <<<"$1" || fail "reeve target import: $(cat "$STATE/imported")"; }
public() { cut -d' ' -f1,2 "$keys/$1.pub"; }
for key in one two; do ssh-keygen -q -t ed25519 -N '' -f "$keys/$key"; done
ssh-keygen -q -t rsa -b 2048 -N '' -f "$keys/rsa"
ssh-keygen -q -t ecdsa -N '' -f "$keys/ecdsa"
ssh-keygen -q -t ed25519 -N '' -f "$keys/host_ca"
ssh-keygen -q -t ed25519 -N '' -f "$keys/other_ca"
certify() { # KEY CA PRINCIPALS [OPTION…]
	rm -f "$keys/$1-cert.pub"
	ssh-keygen -q -s "$keys/$2" -h -I "$1" -n "$3" "${@:4}" "$keys/$1.pub"
}

# -- first use -------------------------------------------------------------------------------------------------------
mode first_use
fresh
shows one
let_in "first use lets in"
shows two
kept_out "first_use: a changed key" "has changed (was SHA256:"
fresh
imports "$address $(public one)"
kept_out "first_use: another key than known_hosts says" "is not the one in the imported known_hosts"
imports ''

# -- known_hosts -----------------------------------------------------------------------------------------------------
mode known_hosts
shows one
kept_out "known_hosts: a key that nobody imported" "is not known, and this rule accepts known ones only"
imports "$address $(public one)"
let_in "known_hosts: by address"
shows two
kept_out "known_hosts: a changed key" "is not the one in the imported known_hosts"
shows one
imports "web1.example.com,web1 $(public one)"
fresh
kept_out "known_hosts: a name that is not this address's" "is not known"
reeve target name $address Web1 >/dev/null
let_in "known_hosts: by a name that the box was told"
printf 'web1 %s\n' "$(public one)" >"$STATE/hashed"
ssh-keygen -q -H -f "$STATE/hashed" 2>/dev/null
contains "(the file is hashed)" '|1|' "$(cat "$STATE/hashed")"
imports "$(cat "$STATE/hashed")"
fresh
let_in "known_hosts: by a hashed name"
imports "web* $(public two)
!web1,* $(public one)"
fresh
kept_out "known_hosts: a negated pattern" "is not the one in the imported known_hosts"
imports "198.51.100.? $(public rsa)"
shows one rsa
fresh
let_in "known_hosts: of several keys of the origin, the known one is asked for"
imports "[$address]:2222 $(public one)"
fresh
shows one
kept_out "known_hosts: another port's key" "is not known"
# At another port than 22, by "[host]:port"; the address's own lines count where there is none of these, and then only
# for whom they vouch.
sed -i 's/^Port 22$/&\nPort 2222/' "$keys/sshd_config"
shows one ecdsa
port=2222
imports "$address $(public ecdsa)
[$address]:2222 $(public one)"
fresh
let_in "port 2222: the key of its own line is asked for"
imports "198.51.100.* $(public ecdsa)"
let_in "port 2222: the address's line vouches, though another key was pinned"
reeve target name $address web9 >/dev/null
imports "[web9]:2222 $(public one)"
fresh
let_in "port 2222: by a name that the address has at every port"
imports "198.51.100.* $(public rsa)"
fresh
kept_out "port 2222: another key than the address's" "is not known"
imports "[$address]:2222 $(public rsa)"
kept_out "port 2222: another key than its own" "is not the one in the imported known_hosts"
port=22
fresh
sed -i '/^Port 2222$/d' "$keys/sshd_config"
shows one
imports "* $(public one)
@revoked * $(public one)"
kept_out "known_hosts: a revoked key" "is revoked"
printf '# a file of two lines\nnonsense\n' >"$STATE/nonsense"
capture reeve target import "$STATE/nonsense"
equal "a file that is none is refused" 1 "$status"
contains "with the line" "line 2 is no line of a known_hosts file" "$err"
equal "and nothing of it is there" 2 "$(reeve target known --json | json 'len(rows)')"

# -- host CA ---------------------------------------------------------------------------------------------------------
imports "@cert-authority web*,198.51.100.* $(public host_ca)"
mode ca
kept_out "ca: a plain key" "certificate of a known host CA only"
certify one host_ca "$address,web1"
shows one
fresh
let_in "ca: a certificate for the address"
certify one host_ca web1
shows one
let_in "ca: a certificate for a name that the box was told"
certify one host_ca '*.example.com,web?'
shows one
let_in "ca: a pattern"
certify two host_ca "$address"
shows two
let_in "ca: another key with a certificate: the machine was set up anew"
contains "(it is told of)" host_key.rotated "$(audit_log)"
rm -f "$keys/two-cert.pub"
certify two other_ca "$address"
shows two
kept_out "ca: by another CA" "is by no host CA that is trusted for this origin"
certify two host_ca web2.example.org
shows two
kept_out "ca: for another name" "is for other names"
certify two host_ca "$address" -V 20200101:20200102
shows two
kept_out "ca: expired" "has expired"
rm -f "$keys/two-cert.pub"
ssh-keygen -q -s "$keys/host_ca" -I user -n "$address" "$keys/two.pub"
shows two
kept_out "ca: a user's certificate" ""
certify two host_ca "$address"
shows two
imports "@cert-authority 198.51.100.* $(public host_ca)
@revoked * $(public host_ca)"
kept_out "ca: a revoked CA" "is revoked"
imports "@cert-authority 198.51.100.* $(public host_ca)"
mode known_hosts
fresh
let_in "known_hosts: a certificate does, too"
rm -f "$keys/two-cert.pub"
shows two
mode ca
kept_out "ca: the plain key of before" "certificate of a known host CA only"

# -- strict ----------------------------------------------------------------------------------------------------------
imports ''
mode strict
fresh
shows one
kept_out "strict: a key that is not known" "is not known"
reeve target add $address --key "$keys/one.pub" >/dev/null || fail "reeve target add"
let_in "strict: a key that was pinned beforehand"
mode known_hosts
let_in "known_hosts: so does one that an administrator pinned"
mode strict
shows two
kept_out "strict: a changed key" "has changed (was SHA256:"
fresh
imports "web1 $(public two)"
let_in "strict: a line of known_hosts makes it known"
