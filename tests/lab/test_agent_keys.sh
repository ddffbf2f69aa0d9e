# SPDX-License-Identifier: Apache-2.0
# origin_auth: [agent]: which of an agent's keys open the origin, and agents and origins that make it difficult.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
: >"$STATE/origin/user_ca.pub"
authorize() { # KEY.pub…: these keys of alice's alone
	install -d -m 700 -o 20001 -g 20001 "$STATE/origin/home/alice/.ssh"
	cat "$@" >"$STATE/origin/home/alice/.ssh/authorized_keys"
	chown 20001:20001 "$STATE/origin/home/alice/.ssh/authorized_keys"
}
rule() { # ORIGIN_AUTH [MORE]
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: [22, 2222]}, ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [$1]${2:+, $2}}}
	YAML
}
# What the origin's sshd is told besides, before everything else.
origin_sshd() {
	[ -e "$STATE/origin/sshd_config.plain" ] || cp "$STATE/origin/sshd_config" "$STATE/origin/sshd_config.plain"
	{ printf '%s\n' "$@"; cat "$STATE/origin/sshd_config.plain"; } >"$STATE/origin/sshd_config"
	lab sshd stop
	lab sshd start
}
fingerprint() { ssh-keygen -lf "$1" | cut -d' ' -f2; }
last_login() { audit_log | grep '"event":"origin.auth"' | tail -n 1 | json "j.get('$1')"; }

# An agent at the client, whose user confirms signatures while ~/yes is there. Its keys are not those that ssh itself
# logs in with (the certificate's, IdentitiesOnly).
printf '#!/bin/sh\n[ -e %s/yes ] && sleep 1 && exit 0\nexit 1\n' "$STATE/client" >"$STATE/client/askpass"
chmod +x "$STATE/client/askpass"
lab remember agent "$(client bash -c '
	export SSH_ASKPASS=~/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=x
	eval "$(ssh-agent -P "*" -a ~/agent)" >/dev/null; echo "$SSH_AGENT_PID"')"
with_agent() { client env "SSH_AUTH_SOCK=$STATE/client/agent" "$@"; }
ssh_agent() { with_agent ssh -A -o BatchMode=yes "$@"; }
keys() { with_agent ssh-add -q -D 2>/dev/null; with_agent ssh-add -q "$@"; } # these, in this order
make_key() { # NAME TYPE [BITS]
	ssh-keygen -q -t "$2" ${3:+-b "$3"} -N '' -C "$1" -f "$STATE/client/.ssh/$1"
}
rule agent
for key in "ed ed25519" "ec ecdsa 384" "rsa rsa 3072"; do
	read -r name type bits <<<"$key"
	make_key "$name" "$type" $bits
	authorize "$STATE/client/.ssh/$name.pub"
	keys "$STATE/client/.ssh/$name"
	equal "a key of type $type" "in" "$(ssh_agent -q alice@origin 'echo in')"
	equal "the audit log names it" "$(fingerprint "$STATE/client/.ssh/$name.pub")" "$(last_login key)"
done
equal "RSA signs with SHA-2" "rsa-sha2-512" "$(last_login algorithm)"
dummy=/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so # a security key that is none, of openssh-tests
ssh-keygen -q -t ecdsa-sk -w "$dummy" -N '' -C sk -f "$STATE/client/.ssh/sk"
authorize "$STATE/client/.ssh/sk.pub"
keys -S "$dummy" "$STATE/client/.ssh/sk"
equal "a security key" "in sk-ecdsa-sha2-nistp256@openssh.com" "$(ssh_agent -q alice@origin 'echo in') $(last_login algorithm)"

# -- which first ------------------------------------------------------------------------------------------------
for i in 1 2 3 4 5 6; do make_key e$i ed25519; done
authorize "$STATE/client/.ssh/e6.pub"
keys "$STATE"/client/.ssh/e{1,2,3,4,5,6}
capture ssh_agent alice@origin true
contains "after five refusals no more is tried" "did not accept any of 5 keys" "$err"
contains "with the number that there are" "the agent has 6" "$err"
authorize "$STATE/client/.ssh/alice.pub"
keys "$STATE"/client/.ssh/e{1,2,3,4,5,6} "$STATE/client/.ssh/alice"
equal "what the client came with is tried first, and then the key below the certificate" "in" "$(ssh_agent -q alice@origin 'echo in')"
ssh-keygen -q -t ed25519 -N '' -C ca -f "$STATE/client/ca"
ssh-keygen -q -s "$STATE/client/ca" -I cert -n alice -V -1h:+1h "$STATE/client/.ssh/ed.pub"
cp "$STATE/client/ca.pub" "$STATE/origin/user_ca.pub"
authorize /dev/null
keys "$STATE"/client/.ssh/e{1,2,3,4,5,6} "$STATE/client/.ssh/ed"
equal "certificates come before keys" "in ssh-ed25519-cert-v01@openssh.com" "$(ssh_agent -q alice@origin 'echo in') $(last_login algorithm)"
ssh-keygen -q -s "$STATE/client/ca" -I cert -n alice -V -2h:-1h "$STATE/client/.ssh/ed.pub"
authorize "$STATE/client/.ssh/e5.pub"
keys "$STATE/client/.ssh/ed" "$STATE"/client/.ssh/e{1,2,3,4,5,6}
capture ssh_agent -q alice@origin 'echo in'
lacks "one that is over is not offered" "expired" "$(tail -n 15 "$STATE/origin/sshd.log")"

# -- an origin of another make: dropbear verifies rsa-sha2-256 alone, and takes smaller packets than OpenSSH ------
dropbearkey -t ed25519 -f "$STATE/origin/dropbear_host" >/dev/null 2>&1
(lab exec origin /usr/sbin/dropbear -F -E -s -P "$STATE/dropbear.pid" -r "$STATE/origin/dropbear_host" -p 2222) >"$STATE/dropbear.log" 2>&1 </dev/null &
wait_until 10 test -s "$STATE/dropbear.pid" || give_up "dropbear does not start: $(cat "$STATE/dropbear.log")"
lab remember dropbear "$(cat "$STATE/dropbear.pid")"
authorize "$STATE/client/.ssh/rsa.pub"
keys "$STATE/client/.ssh/rsa"
equal "dropbear: RSA signs as it verifies" "in rsa-sha2-256" "$(ssh_agent -q -p 2222 alice@origin 'echo in') $(last_login algorithm)"
head -c 2000000 /dev/urandom >"$STATE/client/blob"
equal "data are cut to its packets" "$(sha256sum <"$STATE/client/blob")" "$(with_agent bash -c 'ssh -q -A -p 2222 alice@origin sha256sum <~/blob')"

# -- agents that ask, refuse, go ----------------------------------------------------------------------------------
authorize "$STATE/client/.ssh/ec.pub" "$STATE/client/.ssh/rsa.pub"
keys -c "$STATE/client/.ssh/ec"
capture ssh_agent alice@origin true
contains "a signature that its user refuses" "did not sign" "$err"
touch "$STATE/client/yes"
equal "one that they confirm" "in" "$(ssh_agent -q alice@origin 'echo in')"
rm "$STATE/client/yes"
with_agent ssh-add -q "$STATE/client/.ssh/rsa"
equal "one that they refuse, and another key" "in $(fingerprint "$STATE/client/.ssh/rsa.pub")" "$(ssh_agent -q alice@origin 'echo in') $(last_login key)"
client ssh -q -o BatchMode=yes alice@origin true
keys -h origin "$STATE/client/.ssh/rsa"
capture ssh_agent alice@origin true
contains "keys that are bound to hosts" "ssh-add -h" "$err"

# strange MODE: what a client with such an agent hears ($err), and in how long ($took, ms).
strange() {
	local start
	client rm -f "$STATE/client/strange" "$STATE/strange.log"
	("$here/lab" exec client "$here/strange_agent.py" "$1" "$STATE/client/strange" "$STATE/client/.ssh/rsa.pub") >"$STATE/strange.log" 2>&1 </dev/null &
	wait_until 10 grep -qs ready "$STATE/strange.log" || give_up "strange_agent.py: $(cat "$STATE/strange.log")"
	start=$(now_ms)
	lab remember strange "$(awk '{ print $2 }' "$STATE/strange.log")"
	capture client env "SSH_AUTH_SOCK=$STATE/client/strange" ssh -A -o BatchMode=yes alice@origin true
	took=$(($(now_ms) - start))
	kill "$(awk '{ print $2 }' "$STATE/strange.log")"
}
rule agent 'login_grace: 10s'
for mode in gone:"went away" old:"did not sign" babble:"gave an answer that is not one" long:"did not list" many:"did not list" endless:"gave an answer that is not one"; do
	strange "${mode%%:*}"
	contains "an agent that is ${mode%%:*}" "your agent ${mode#*:}" "$err"
	within "is found out at once (ms)" 5000 "$took"
done
strange silent
contains "an agent that is silent" "took too long: the agent did not sign" "$err"
within "has the time of a login (ms)" 13000 "$took"
at_least "all of it (ms)" 9000 "$took"
keys "$STATE/client/.ssh/rsa"
equal "and all is well again" "in" "$(ssh_agent -q alice@origin 'echo in')"

# -- origins that want more ---------------------------------------------------------------------------------------
rule agent
origin_sshd 'AuthenticationMethods publickey,publickey'
keys "$STATE/client/.ssh/ec" "$STATE/client/.ssh/rsa"
rm -f "$STATE/client/.ssh/ec-cert.pub"
equal "two keys" "in" "$(ssh_agent -q alice@origin 'echo in')"
origin_sshd 'AuthenticationMethods publickey,password' 'PasswordAuthentication yes'
capture ssh_agent alice@origin true
contains "a password after the key: nobody can be asked" "wants password as well" "$err"
origin_sshd 'MaxAuthTries 2'
keys "$STATE"/client/.ssh/e{1,2,3}
capture ssh_agent alice@origin true
contains "an origin that cuts the line" "Too many authentication failures" "$err"
origin_sshd 'AuthenticationMethods password' 'PasswordAuthentication yes'
capture ssh_agent alice@origin true
contains "an origin that takes no keys: told before the client is in" "only these methods: password" "$err"
origin_sshd

# -- beside the box's certificate ------------------------------------------------------------------------------------
rule 'certificate, agent'
keys "$STATE/client/.ssh/rsa"
: >"$STATE/origin/user_ca.pub"
equal "where the certificate is refused, the agent" "in agent" "$(ssh_agent -q alice@origin 'echo in') $(last_login method)"
reeve ca show --type user >"$STATE/origin/user_ca.pub" 2>/dev/null
equal "where it is not, nobody asks the agent" "in certificate" "$(ssh_agent -q alice@origin 'echo in') $(last_login method)"
equal "and -A is not needed" "in" "$(client ssh -q -o BatchMode=yes alice@origin 'echo in')"
