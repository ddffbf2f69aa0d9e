# SPDX-License-Identifier: Apache-2.0
# The host keys that clients see: all types, the same at each visit and after a rekey; certificates of the host CA, for
# which one @cert-authority line serves; what names a certificate. Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

fingerprint() { sed -n 's/^debug1: Server host key: \([^ ]* [^ ]*\).*/\1/p' <<<"$err" | head -n 1; }
known=$STATE/client/.ssh/known_hosts
algorithms=(ssh-ed25519 rsa-sha2-512 rsa-sha2-256)
old=(ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 ssh-rsa)

# -- all types -------------------------------------------------------------------------------------------------------
policy_ssh ', legacy: {client: [ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa]}'
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
policy_ssh ''
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

# -- what clients should know ----------------------------------------------------------------------------------------
strict_client() { ssh_client -o StrictHostKeyChecking=yes -o UserKnownHostsFile=none "$@"; }
reeve known-hosts >"$STATE/client/.ssh/handed_out" || fail "reeve known-hosts"
chmod 644 "$STATE/client/.ssh/handed_out"
contains "the host CA is in it" "@cert-authority 198.51.100.2,origin ssh-ed25519" "$(cat "$STATE/client/.ssh/handed_out")"
contains "a pattern for its hosts is the admin's to say" "@cert-authority *.example.com ssh-ed25519" "$(reeve known-hosts --ca-hosts '*.example.com')"
grep -v '^@' "$STATE/client/.ssh/handed_out" >"$STATE/client/.ssh/plain"
for algorithm in "${algorithms[@]}"; do
	for host in origin 198.51.100.2; do
		capture ssh_client -o StrictHostKeyChecking=yes -o UserKnownHostsFile="~/.ssh/plain" -o HostKeyAlgorithms="$algorithm" "alice@$host" echo hello
		equal "what known-hosts prints is what a client meets: $algorithm at $host" "hello " "$out $err"
	done
done
reeve known-hosts --type ecdsa-sha2-nistp256 origin | grep -v '^@' >"$STATE/client/.ssh/plain"
policy_ssh ', legacy: {client: [ecdsa-sha2-nistp256]}'
equal "and of the types that a rule adds" hello \
	"$(ssh_client -q -o StrictHostKeyChecking=yes -o UserKnownHostsFile="~/.ssh/plain" -o HostKeyAlgorithms=ecdsa-sha2-nistp256 alice@origin echo hello)"
policy_ssh ''
capture reeve known-hosts nowhere
equal "a host that nobody knows is an error" 1 "$status"
equal "types are a list, and may be said again" "ssh-rsa ecdsa-sha2-nistp256 ssh-ed25519" \
	"$(reeve known-hosts --type ssh-rsa,ecdsa-sha2-nistp256 --type ssh-ed25519,ssh-rsa origin | grep -v '^@' | cut -d' ' -f2 | paste -sd' ')"
capture reeve known-hosts --type ssh-ed25519,ssh-dss
equal "a type that is none is a usage error" "2 " "$status $out"
contains "and told" "not 'ssh-dss'" "$err"
for patterns in 'a b' '' '#a' $'a\nb'; do
	capture reeve known-hosts --ca-hosts "$patterns"
	equal "--ca-hosts '${patterns//$'\n'/\\n}' would break the line" "2 " "$status $out"
done
command="$BUILD/control/cli/reeve --socket $STATE/control.sock known-hosts --for %H"
for host in origin 198.51.100.2; do
	capture strict_client -o KnownHostsCommand="$command" "alice@$host" echo hello
	equal "KnownHostsCommand finds $host" "hello " "$out $err"
done
capture client ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=none -o KnownHostsCommand="$command" -o HostKeyAlias=elsewhere alice@origin true
contains "and nothing for a name that is not there" "Host key verification failed" "$err"
lacks "without upsetting ssh" "failed with status" "$err"
# A name without a port holds at each; what is met at another port is known by "[origin]:2222".
lab sshd stop
sed -i 's/^Port 22$/&\nPort 2222/' "$STATE/origin/sshd_config"
lab sshd start
equal "a first visit at port 2222" hello "$(ssh_client -q -p 2222 alice@origin echo hello)"
capture strict_client -p 2222 -o KnownHostsCommand="$command" alice@origin echo hello
equal "KnownHostsCommand finds the name at port 2222" "hello " "$out $err"
contains "its line says the port" "[origin]:2222 ssh-ed25519 " "$(reeve known-hosts --for '[origin]:2222' --type ssh-ed25519)"
reeve target unname 198.51.100.2 origin >/dev/null || fail "reeve target unname"
reeve target name '[198.51.100.2]:22' origin >/dev/null || fail "reeve target name [198.51.100.2]:22"
capture strict_client -p 2222 -o KnownHostsCommand="$command" alice@origin echo hello
contains "a name of port 22 alone is none of port 2222" "Host key verification failed" "$err"
equal "and one of port 22" hello "$(strict_client -q -o KnownHostsCommand="$command" alice@origin echo hello)"
reeve target unname '[198.51.100.2]:22' origin >/dev/null || fail "reeve target unname [198.51.100.2]:22"
reeve target name 198.51.100.2 origin >/dev/null || fail "reeve target name"
reeve target forget '[198.51.100.2]:2222' >/dev/null || fail "reeve target forget"
capture reeve known-hosts --sshfp
equal "SSHFP records are those that ssh-keygen makes of the same keys" \
	"$(for type in ed25519 rsa; do reeve known-hosts --for origin --type "ssh-$type" | grep -v '^@' | cut -d' ' -f2- >"$STATE/sshfp.pub"; ssh-keygen -r origin -f "$STATE/sshfp.pub" | grep ' 2 '; done)" "$out"
equal "as JSON, too" "ssh-ed25519 ssh-rsa" "$(reeve known-hosts --json | json '" ".join(k["type"] for k in j[0]["keys"])' 2>/dev/null || reeve known-hosts --json | python3 -c 'import json,sys; print(*[k["type"] for k in json.load(sys.stdin)[0]["keys"]])')"

# -- rotation --------------------------------------------------------------------------------------------------------
capture reeve host-key commit
equal "nothing to commit without a rotation" 1 "$status"
before=$(reeve known-hosts --for origin --type ssh-ed25519 | grep -v '^@')
reeve host-key rotate >/dev/null || fail "reeve host-key rotate"
reeve known-hosts | grep -v '^@' >"$STATE/client/.ssh/overlap"
equal "during a rotation known-hosts prints both keys of each type" 4 "$(wc -l <"$STATE/client/.ssh/overlap")"
overlap() { ssh_client -o StrictHostKeyChecking=yes -o UserKnownHostsFile="~/.ssh/overlap" "$@"; }
equal "the current key is shown still" hello "$(overlap -q alice@origin echo hello)"
# Sessions that live go on with the key they met, through a rekey, of each kind.
for kind in ssh-ed25519 rsa-sha2-512 ssh-ed25519-cert-v01@openssh.com; do
	mkfifo "$STATE/live-$kind"
	(LIMIT=60 client ssh -q -o HostKeyAlgorithms="$kind" -o StrictHostKeyChecking=yes -o UserKnownHostsFile="~/.ssh/overlap ~/.ssh/fleet" \
		-o RekeyLimit=1M alice@198.51.100.2 'echo started; head -c 5000000 | wc -c' <"$STATE/live-$kind" >"$STATE/live-$kind.out" 2>"$STATE/live-$kind.err"; echo $? >"$STATE/live-$kind.status") &
	exec {fd}>"$STATE/live-$kind"
	eval "live_${kind//[^a-z0-9]/_}=$fd"
	wait_until 10 grep -q started "$STATE/live-$kind.out" || fail "no live session by $kind"
done
reeve host-key commit >/dev/null || fail "reeve host-key commit"
# Keeper and control are replaced meanwhile: what the session began with is known to their successors, too.
kill -9 "$(child keeper)" "$(child control)"
control_back() { reeve sessions --live >/dev/null 2>&1; }
wait_until 10 control_back || fail "control has not come back"
for kind in ssh-ed25519 rsa-sha2-512 ssh-ed25519-cert-v01@openssh.com; do
	name=live_${kind//[^a-z0-9]/_}
	fd=${!name}
	head -c 5000000 /dev/zero >&"$fd"
	exec {fd}>&-
	wait_until 20 test -s "$STATE/live-$kind.status"
	equal "a session by $kind of before the commit exchanges keys anew, after a restart of keeper and control" "5000000 0" "$(sed -n 2p "$STATE/live-$kind.out") $(cat "$STATE/live-$kind.status")"
done
equal "who has both meets the next one without a word" "hello " "$(overlap alice@origin echo hello 2>&1) "
printf '%s\n' "$before" >"$STATE/client/.ssh/plain"
capture ssh_client -o StrictHostKeyChecking=yes -o UserKnownHostsFile="~/.ssh/plain" -o HostKeyAlgorithms=ssh-ed25519 alice@origin true
contains "who has the former one alone is warned" "REMOTE HOST IDENTIFICATION HAS CHANGED" "$err"
equal "and one key of each type is left" 2 "$(reeve known-hosts | grep -vc '^@')"
