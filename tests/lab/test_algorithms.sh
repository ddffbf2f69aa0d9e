# SPDX-License-Identifier: Apache-2.0
# Algorithms: ssh-audit finds nothing red on what the box offers; old gear on either side works where the rule names
# what it needs, and only there; both legs have post-quantum key exchange. Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

negotiated() { sed -n "s/^debug1: kex: $1: //p" <<<"$err" | head -n 1 | tr -d "\r"; }

# -- the default -----------------------------------------------------------------------------------------------------
policy_ssh ''
if client sh -c 'command -v ssh-audit' >/dev/null; then
	audit=$(client ssh-audit -n -j 198.51.100.2 2>&1)
	client ssh-audit -n 198.51.100.2 >"$STATE/audit.txt" 2>&1
	contains "ssh-audit has seen what the box offers" "mlkem768x25519-sha256" "$audit"
	equal "ssh-audit finds nothing red" "" "$(grep -F '[fail]' "$STATE/audit.txt")"
	contains "strict key exchange is offered" "kex-strict-s-v00@openssh.com" "$audit"
else
	fail "no ssh-audit"
fi
capture ssh_client -v alice@origin echo hello
equal "a stock client gets in" hello "$out"
contains "by a post-quantum key exchange" sntrup761x25519 "$(negotiated algorithm)"
contains "and strict key exchange" 'resetting read seqnr' "$err"
# The newest OpenSSH, where tests/interop has fetched one: it prefers ML-KEM, and warns where there is none.
newest=${XDG_CACHE_HOME:-/var/cache}/portreeve/interop/openssh/bin/ssh
if [ -x "$newest" ]; then
	capture client "$newest" -v -o BatchMode=yes alice@origin echo hello
	equal "the newest OpenSSH gets in" hello "$out"
	equal "by ML-KEM" mlkem768x25519-sha256 "$(negotiated algorithm)"
	lacks "and has nothing to warn of" "post-quantum" "$err"
fi
for old in KexAlgorithms=diffie-hellman-group14-sha1 KexAlgorithms=diffie-hellman-group1-sha1 KexAlgorithms=ecdh-sha2-nistp256 \
	KexAlgorithms=diffie-hellman-group18-sha512 Ciphers=aes128-cbc Ciphers=3des-cbc; do
	capture ssh_client -o "$old" alice@origin echo hello
	contains "no $old by default" "no matching" "$err"
	equal "and nobody gets in by it" "" "$out"
done
capture ssh_client -o Ciphers=aes128-ctr -o MACs=hmac-sha1 alice@origin echo hello
contains "no hmac-sha1 by default" "no matching MAC" "$err"

# -- old clients -----------------------------------------------------------------------------------------------------
policy_ssh ', legacy: {client: [diffie-hellman-group14-sha1, diffie-hellman-group1-sha1, diffie-hellman-group18-sha512, ecdh-sha2-nistp256, aes128-cbc, 3des-cbc, hmac-sha1]}'
for old in KexAlgorithms=diffie-hellman-group14-sha1 KexAlgorithms=diffie-hellman-group1-sha1 KexAlgorithms=ecdh-sha2-nistp256 \
	KexAlgorithms=diffie-hellman-group18-sha512; do
	equal "$old where the rule names it" hello "$(ssh_client -q -o "$old" alice@origin echo hello)"
done
for cipher in aes128-cbc 3des-cbc; do
	equal "$cipher with hmac-sha1 where the rule names them, 5 MB up" "$(head -c 5000000 /dev/zero | sha256sum)" \
		"$(head -c 5000000 /dev/zero | client ssh -q -o "Ciphers=$cipher" -o MACs=hmac-sha1 alice@origin sha256sum)"
done
capture ssh_client -o Ciphers=aes256-cbc alice@origin echo hello
contains "what it does not name is still refused" "no matching cipher" "$err"
capture ssh_client -v alice@origin echo hello
contains "a modern client is offered nothing worse than before" sntrup761x25519 "$(negotiated algorithm)"

# Clients that sign by SHA-1 alone: host key and own key, and only where the rule says so.
ssh-keygen -q -t rsa -b 3072 -N '' -f "$STATE/client/sha1"
reeve user add carol --login alice --group sre --key "$STATE/client/sha1.pub" >/dev/null || fail "carol was not enrolled"
by_sha1=(-i "$STATE/client/sha1" -o IdentitiesOnly=yes -o IdentityAgent=none -o CertificateFile=none -o PubkeyAcceptedAlgorithms=ssh-rsa)
capture ssh_client "${by_sha1[@]}" alice@origin echo hello
equal "nobody gets in by a signature of SHA-1" "" "$out"
contains "and is refused as by a key that is not taken" "Permission denied" "$err"
policy_ssh ', legacy: {client: [ssh-rsa]}'
rm -f "$STATE/client/.ssh/known_hosts"
equal "SHA-1 where the rule names it, of the host key and the client's" hello \
	"$(ssh_client -q "${by_sha1[@]}" -o HostKeyAlgorithms=ssh-rsa alice@origin echo hello)"
capture ssh_client -vvv "${by_sha1[@]/%=ssh-rsa/=rsa-sha2-512,ssh-rsa}" alice@origin echo hello
contains "clients are told of it" ',ssh-rsa' "$(sed -n 's/.*server-sig-algs=//p' <<<"$err")"
equal "one that has better gets in" hello "$out"
contains "and by that" "rsa-sha2-" "$(sed -n 's/.*sign_and_send_pubkey: signing using //p' <<<"$err")"
policy_ssh ''
capture ssh_client "${by_sha1[@]}" alice@origin echo hello
equal "and no longer, once the rule does not" "" "$out"

# -- old origins -----------------------------------------------------------------------------------------------------
ssh-keygen -q -t rsa -b 1024 -N '' -f "$STATE/origin/old_rsa"
old_origin() { # KEX HOSTKEYALG CIPHER MAC
	lab sshd stop
	grep -Ev '^(HostKey|KexAlgorithms|HostKeyAlgorithms|Ciphers|MACs|RequiredRSASize|CASignatureAlgorithms)' "$STATE/origin/sshd_config" >"$STATE/origin/sshd_config.new"
	{
		printf 'KexAlgorithms %s\nHostKeyAlgorithms %s\nCiphers %s\nMACs %s\nRequiredRSASize 1024\n' "$@"
		echo "HostKey $STATE/origin/old_rsa"
		cat "$STATE/origin/sshd_config.new"
	} >"$STATE/origin/sshd_config"
	lab sshd start
	reeve target forget 198.51.100.2 >/dev/null 2>&1
	rm -f "$STATE/client/.ssh/known_hosts"
}
old_origin diffie-hellman-group14-sha1 ssh-rsa aes128-cbc hmac-sha1
policy_ssh ''
capture ssh_client alice@198.51.100.2 echo hello
contains "an old origin is refused by default, and the message says what is missing" "no match" "$err"
equal "nobody gets in" "" "$out"
policy_ssh ', legacy: {origin: [diffie-hellman-group14-sha1, ssh-rsa, aes128-cbc, hmac-sha1]}'
capture ssh_client alice@198.51.100.2 echo hello
equal "its key is too small still" "" "$out"
policy_ssh ', legacy: {origin: [diffie-hellman-group14-sha1, ssh-rsa, aes128-cbc, hmac-sha1, rsa-1024]}'
capture ssh_client alice@198.51.100.2 echo hello
equal "and works where the rule names all that it needs" hello "$out"
equal "again, now that its key is known" hello "$(ssh_client -q alice@198.51.100.2 echo hello)"
equal "5 MB down" "$(head -c 5000000 /dev/zero | sha256sum)" \
	"$(client ssh -q alice@198.51.100.2 'head -c 5000000 /dev/zero' | sha256sum)"
for kex in diffie-hellman-group1-sha1 diffie-hellman-group-exchange-sha1 diffie-hellman-group-exchange-sha256; do
	old_origin "$kex" ssh-rsa 3des-cbc hmac-sha1
	policy_ssh ", legacy: {origin: [$kex, ssh-rsa, 3des-cbc, hmac-sha1, rsa-1024]}"
	equal "an origin that has $kex and 3des-cbc alone" hello "$(ssh_client -q alice@198.51.100.2 echo hello)"
done

# -- long computations: by the helper thread of the worker ------------------------------------------------------------
# What a login hands over, counted: of the client leg's key exchange, of the origin's, and a signature of the origin's
# where its host key is RSA.
computed_in() { # KEX: prints how many, and what the login said
	local before said
	before=$(counter long_computations)
	said=$(ssh_client -q -o "KexAlgorithms=$1" alice@198.51.100.2 echo hello)
	echo "$(($(counter long_computations) - before)) $said"
}
lab sshd stop
sed -i -E '/^(HostKey|KexAlgorithms|HostKeyAlgorithms|Ciphers|MACs|RequiredRSASize) /d' "$STATE/origin/sshd_config"
ssh-keygen -q -t ed25519 -N '' -f "$STATE/origin/new_key"
ssh-keygen -q -t rsa -b 3072 -N '' -f "$STATE/origin/new_rsa"
origin_with() { # KEX KEY
	lab sshd stop
	sed -i -E '/^(HostKey|KexAlgorithms) /d' "$STATE/origin/sshd_config"
	printf 'KexAlgorithms %s\nHostKey %s\n' "$1" "$STATE/origin/$2" | cat - "$STATE/origin/sshd_config" >"$STATE/origin/sshd_config.new"
	mv "$STATE/origin/sshd_config.new" "$STATE/origin/sshd_config"
	lab sshd start
	reeve target forget 198.51.100.2 >/dev/null 2>&1
	rm -f "$STATE/client/.ssh/known_hosts"
}
policy_ssh ''
origin_with curve25519-sha256 new_key
equal "curve25519 on both legs: nothing takes long" "0 hello" "$(computed_in curve25519-sha256)"
equal "nor does a client's sntrup761" "0 hello" "$(computed_in sntrup761x25519-sha512@openssh.com)"
for group in 14-sha256 16-sha512; do
	equal "a client's group ${group%-*}: a key pair, a shared secret" "2 hello" "$(computed_in "diffie-hellman-group$group")"
done
for kex in diffie-hellman-group16-sha512 diffie-hellman-group18-sha512; do
	origin_with "$kex" new_key
	equal "an origin's $kex" "2 hello" "$(computed_in curve25519-sha256)"
done
origin_with sntrup761x25519-sha512@openssh.com new_key
equal "an origin's sntrup761: a key pair" "1 hello" "$(computed_in curve25519-sha256)"
origin_with curve25519-sha256 new_rsa
equal "an origin's RSA key: one verification" "1 hello" "$(computed_in curve25519-sha256)"
origin_with diffie-hellman-group16-sha512 new_rsa
equal "keys exchanged anew amid 10 MB, by group 16 on both legs" "$(head -c 10000000 /dev/zero | sha256sum)" \
	"$(client ssh -q -o KexAlgorithms=diffie-hellman-group16-sha512 -o RekeyLimit=1M alice@198.51.100.2 'head -c 10000000 /dev/zero' | sha256sum)"
at_least "which were computed there, too" 20 "$(counter long_computations)"
nobody_live() { [ "$(reeve sessions --live --json | json 'len(rows)')" = 0 ]; }
# Whoever goes away in the midst of it leaves nothing behind.
origin_with diffie-hellman-group18-sha512 new_key
before=$(counter long_computations)
leaving=()
for n in {1..12}; do
	client timeout -s KILL "$(awk -v n="$n" 'BEGIN { print n / 10 }')" ssh -q -o BatchMode=yes -o KexAlgorithms=diffie-hellman-group16-sha512 alice@198.51.100.2 true 2>/dev/null &
	leaving+=($!)
done
wait "${leaving[@]}" 2>/dev/null
at_least "key exchanges had begun" $((before + 1)) "$(counter long_computations)"
holds "none of their sessions is left" wait_until 20 nobody_live
equal "and the next gets in" hello "$(ssh_client -q -o KexAlgorithms=diffie-hellman-group16-sha512 alice@198.51.100.2 echo hello)"
