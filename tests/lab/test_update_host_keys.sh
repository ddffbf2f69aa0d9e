# SPDX-License-Identifier: Apache-2.0
# OpenSSH's UpdateHostKeys through the box: clients learn the box's host keys of all types, and those of the next seed
# before it is committed, and nothing of the origin's own. Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
known=$STATE/client/.ssh/learnt

# A client that keeps its known_hosts up to date, and asks nobody.
learn() { capture ssh_client -v -o HashKnownHosts=no -o UserKnownHostsFile="$known" -o UpdateHostKeys=yes "$@" alice@origin echo hello; }
strict() { learn -o StrictHostKeyChecking=yes "$@"; }
lines() { cut -d' ' -f2,3 "$known" | sort; }
# What `reeve known-hosts` hands out for these types, during a rotation of the next seed, too.
handed_out() {
	local type
	for type; do reeve known-hosts --for origin --type "$type" | grep -v '^@' | cut -d' ' -f2,3; done | sort
}

learn
equal "a client that knows nothing" hello "$out"
reeve target name 198.51.100.2 origin >/dev/null || fail "reeve target name"
strict
contains "the client is told of host keys" "rtype hostkeys-00@openssh.com want_reply 0" "$err"
equal "an RSA key is not searched for because of it" "$(handed_out ssh-ed25519)" "$(lines)"
both=$(handed_out ssh-ed25519 ssh-rsa)
strict
equal "a key that was asked for meanwhile is learnt" "$both" "$(lines)"
strict
lacks "and then there is nothing to learn" "Learned" "$err"
origins=$(cat "$STATE"/origin/ssh_host_*_key.pub | cut -d' ' -f2)
knows_origins() { lines | grep -qF "$origins"; }
fails_to "nothing of the origin's own is" knows_origins
policy_ssh ', legacy: {client: [ecdsa-sha2-nistp256, ecdsa-sha2-nistp521]}'
strict
equal "types that the rule adds are learnt" "$(handed_out ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256 ecdsa-sha2-nistp521)" "$(lines)"

# -- what is gone, is dropped; each type proves itself, whichever the key exchange was by -----------------------------
for algorithm in ssh-ed25519 rsa-sha2-256 rsa-sha2-512 ecdsa-sha2-nistp521; do
	type=${algorithm/rsa-sha2-*/ssh-rsa}
	printf 'origin %s\norigin %s\n' "$(handed_out "$type")" "$(head -n 1 "$STATE/origin/ssh_host_ed25519_key.pub" | cut -d' ' -f1,2)" >"$known"
	strict -o HostKeyAlgorithms="$algorithm,ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ecdsa-sha2-nistp521"
	equal "who met $algorithm" hello "$out"
	equal "knows all of them, and no other" "$(handed_out ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256 ecdsa-sha2-nistp521)" "$(lines)"
done
policy_ssh ''

# -- rotation ---------------------------------------------------------------------------------------------------------
printf 'origin %s\n' "$(handed_out ssh-ed25519)" >"$known"
reeve host-key rotate >/dev/null || fail "reeve host-key rotate"
strict
equal "a client that meets the current key" hello "$out"
contains "learns the next one, unseen" "$(handed_out ssh-ed25519 | grep -vF "$(head -n 1 <<<"$both")" | head -n 1)" "$(lines)"
next=$(handed_out ssh-ed25519)
equal "two of a type, then" 2 "$(lines | grep -c ssh-ed25519)"
reeve host-key commit >/dev/null || fail "reeve host-key commit"
strict
equal "and meets it without a warning" hello "$out"
lacks "not one" "WARNING" "$err"
equal "the former one is forgotten" "$(handed_out ssh-ed25519)" "$(lines)"
equal "which leaves one" 1 "$(wc -l <"$known")"
equal "of the two" 1 "$(grep -cF "$(lines)" <<<"$next")"
reeve host-key rotate >/dev/null || fail "reeve host-key rotate"
strict
equal "the next rotation's is learnt" 2 "$(wc -l <"$known")"
reeve host-key abandon >/dev/null || fail "reeve host-key abandon"
strict
equal "and forgotten where that is abandoned" "$(handed_out ssh-ed25519)" "$(lines)"
kill -9 "$(child keeper)" "$(child control)"
back() { strict; [ "$out" = hello ] && grep -q hostkeys-00 <<<"$err"; }
eventually 15 "told of by their successors, too" back

# -- who asks for what is not the box's, or without end ---------------------------------------------------------------
cat >"$STATE/client/ask.py" <<'PY'
import os, paramiko, sys
home = os.path.dirname(os.path.abspath(__file__)) + "/.ssh/"
key = paramiko.Ed25519Key.from_private_key_file(home + "alice")
key.load_certificate(home + "alice-cert.pub")
t = paramiko.Transport(("198.51.100.2", 22))
t.connect(username="alice", pkey=key)
own = t.get_remote_server_key()
def ask(*blobs):
    answer = t.global_request("hostkeys-prove-00@openssh.com", blobs, wait=True)
    if answer is None:
        return "refused"
    data = paramiko.Message()
    for part in (b"hostkeys-prove-00@openssh.com", t.session_id, blobs[0]):
        data.add_string(part)
    return "proven" if own.verify_ssh_sig(data.asbytes(), paramiko.Message(answer.get_binary())) else "wrong"
# The origin answers what the box does not: each answer is to its own question.
others = [t.global_request("unheard-of@example.org", wait=True) for _ in range(2)]
print(ask(own.asbytes()), ask(own.asbytes(), paramiko.RSAKey.generate(2048).asbytes()), others[0], ask(b""), ask(own.asbytes()))
c = t.open_session()
c.exec_command("echo still here")
print(c.recv(100).decode().strip())
PY
equal "one proof, none of a key that is not the box's, none of nothing, none without end" "proven refused None refused refused
still here" "$(client /usr/bin/python3 "$STATE/client/ask.py" 2>&1)"
