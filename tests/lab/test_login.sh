# SPDX-License-Identifier: Apache-2.0
# Every way to log in with real ends: passwords and PAM's questions handed on to a stock sshd, several methods in a
# row, no key at all from a bound address, the notice; stock ssh and plink. And that no password stays on the box.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
password=Tr0ub4dor+3

# policy_login KEYS: the rule of this test with these keys.
policy_login() {
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}", root], $1}}
	YAML
}

# sshd_with 'KEY VALUE'…: the origin's sshd with these settings before its own.
cp "$STATE/origin/sshd_config" "$STATE/origin/sshd_config.own"
sshd_with() {
	(printf '%s\n' "$@"; cat "$STATE/origin/sshd_config.own") >"$STATE/origin/sshd_config"
	lab sshd stop
	lab sshd start || give_up "the origin's sshd does not start"
}

# The origin's own PAM: one password of alice's.
printf 'auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n' >"$STATE/origin/pam"
origin mount --bind "$STATE/origin/pam" /etc/pam.d/sshd
shadow=$(sed "s|^alice:[^:]*:|alice:$(openssl passwd -6 "$password"):|" "$STATE/origin/etc/shadow")
printf '%s\n' "$shadow" >"$STATE/origin/etc/shadow" # in place: it is mounted

stock=(-F none -o UserKnownHostsFile="$STATE/client/.ssh/known" -o StrictHostKeyChecking=accept-new -o GlobalKnownHostsFile=none
	-o IdentitiesOnly=yes -o IdentityFile=none -o NumberOfPasswordPrompts=1)
# login_ssh PASSWORD LOGIN [SSH OPTION…]: a stock ssh that gets PASSWORD whenever it asks.
printf '#!/bin/sh\nprintf "%%s\\n" "$1" >>~/asked\nsleep "$THINK"\ncase $1 in *code*) WORD=$CODE ;; esac\nprintf "%%s\\n" "$WORD"\n' >"$STATE/client/askpass"
chmod +x "$STATE/client/askpass"
login_ssh() {
	local word=$1 login=$2
	shift 2
	client env WORD="$word" CODE="${CODE:-}" THINK="${THINK:-0}" SSH_ASKPASS="$STATE/client/askpass" SSH_ASKPASS_REQUIRE=force setsid -w \
		ssh "$@" "${stock[@]}" "$login@origin" 'echo in as $USER' 2>&1
}
# login_plink PASSWORD LOGIN [OPTION]
login_plink() {
	client plink ${3:-} -batch -ssh -noagent -hostkey "$hostkey" -pw "$1" "$2@origin" 'echo in as $USER' 2>&1
}

# typed COMMAND…: what it says when PASSWORD and CODE are typed at its questions.
typed() {
	look_at_load
	cat >"$STATE/typed.exp" <<-EXP
		set timeout $((25 * patience))
		spawn -noecho $here/lab exec client $*
		expect {
			-re "(?i)code: ?\$" { send "${CODE:-}\r"; exp_continue }
			-re "assword: ?\$" { send "$password\r"; exp_continue }
			-re "Press Return" { send "\r"; exp_continue }
			eof
			timeout { puts TIMEOUT }
		}
	EXP
	limited expect -f "$STATE/typed.exp" 2>&1
}
typed_plink() { typed plink -ssh -noagent -hostkey "$hostkey" alice@origin {echo in as alice}; }
typed_dbclient() { typed dbclient -y -y alice@origin {echo in as alice}; }

# -- what the origin makes of a password tells who somebody is --
sshd_with 'UsePAM yes' 'PasswordAuthentication yes' 'KbdInteractiveAuthentication yes'
policy_login 'identities: [origin], origin_auth: [keyboard-interactive, password], notice: "This session is recorded.\nAsk ops."'
got=$(login_ssh "$password" alice -o PreferredAuthentications=keyboard-interactive)
contains "PAM's question, answered by a stock ssh" "in as alice" "$got"
contains "who has read the notice" "This session is recorded." "$got"
contains "a password" "in as alice" "$(login_ssh "$password" alice -o PreferredAuthentications=password)"
contains "typed at a terminal" "in as alice" "$(client sshpass -p "$password" ssh "${stock[@]}" alice@origin 'echo in as $USER' 2>&1)"
hostkey=$(client ssh-keygen -lf "$STATE/client/.ssh/known" | awk '{ print $2; exit }')
got=$(login_plink "$password" alice)
contains "plink" "in as alice" "$got"
contains "which shows the notice where it is not batch work" "Ask ops." "$(login_plink "$password" alice -v)"
session=$(reeve sessions --json | json 'rows[0]["session_id"]')
equal "the session is hers" alice "$(reeve sessions --json | json 'rows[0]["user"]')"
events=$(reeve session show "$session" --json)
equal "how the origin let her in stands in the log" '[["keyboard-interactive", true]]' \
	"$(json 'json.dumps([[e["detail"]["method"], e["detail"]["success"]] for e in j["events"] if e["event"] == "origin.auth"])' <<<"$events")"
contains "a wrong password" "Permission denied" "$(login_ssh wrong alice)"
contains "somebody who is not enrolled" "Permission denied" "$(login_ssh "$password" mallory)"
lacks "of whom the origin never hears" mallory "$(cat "$STATE/origin/sshd.log")"
contains "a login that is not hers to have" "Permission denied" "$(login_ssh "$password" root)"

# -- a password, and then a question: who begins with a dialogue and is asked nothing there has none later --
sshd_with 'UsePAM yes' 'PasswordAuthentication yes' 'KbdInteractiveAuthentication yes' 'AuthenticationMethods password,keyboard-interactive'
policy_login 'identities: [origin], origin_auth: [password, keyboard-interactive]'
contains "a question after the password: stock ssh" "in as alice" "$(login_ssh "$password" alice)"
contains "plink" "in as alice" "$(typed_plink)"
contains "dropbear's client" "in as alice" "$(typed_dbclient)"
ssh-keygen -q -t ed25519 -N '' -f "$STATE/client/.ssh/stray"
policy_login 'identities: [certificate, key, origin], origin_auth: [password, keyboard-interactive]'
contains "who has a key that nobody knows" "in as alice" "$(login_ssh "$password" alice -o IdentityFile="$STATE/client/.ssh/stray")"

# -- a certificate from us, an answer from her --
sshd_with 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'AuthenticationMethods publickey,keyboard-interactive'
policy_login 'origin_auth: [certificate, keyboard-interactive]'
own=(-o IdentityFile="$STATE/client/.ssh/alice")
contains "an origin that wants both" "in as alice" "$(login_ssh "$password" alice "${own[@]}")"
contains "not with a wrong answer" "Permission denied" "$(login_ssh wrong alice "${own[@]}")"
equal "both are told" '[["certificate", true], ["keyboard-interactive", false]]' "$(reeve session show "$(reeve sessions --json | json 'rows[0]["session_id"]')" --json |
	json 'json.dumps([[e["detail"]["method"], e["detail"]["success"]] for e in j["events"] if e["event"] == "origin.auth"])')"
policy_login 'origin_auth: [certificate]'
contains "nor where the rule has the certificate alone, which is said" "wants a further method for login 'alice' (keyboard-interactive)" \
	"$(login_ssh "$password" alice "${own[@]}")"
sshd_with 'PasswordAuthentication yes' 'AuthenticationMethods publickey,password'
policy_login 'origin_auth: [certificate, password]'
contains "a certificate and a password" "in as alice" "$(login_ssh "$password" alice "${own[@]}")"
sshd_with 'PasswordAuthentication yes' 'PubkeyAuthentication no' 'MaxAuthTries 2'
contains "who is known by a key, at an origin that knows passwords" "in as alice" "$(login_ssh "$password" alice "${own[@]}")"
got=$(login_ssh wrong alice "${own[@]}" -o NumberOfPasswordPrompts=5)
contains "an origin that has had enough says so itself, with its reason" ":2: portreeve: the origin ended the connection: Too many authentication failures" "$got"
sshd_with 'PasswordAuthentication yes' 'PubkeyAuthentication no' 'LoginGraceTime 2'
contains "one that waits no longer, while somebody thinks" "the origin closed the connection during login" \
	"$(THINK=6 login_ssh "$password" alice "${own[@]}")"

# -- no key at all --
sshd_with
policy_login 'identities: [address], origin_auth: [certificate]'
lacks "an address that nobody vouches for" "in as" "$(login_ssh x alice)"
holds "an address is bound to alice" reeve identity bind 198.51.100.1 alice --ttl 1h
contains "a stock ssh without any key" "in as alice" "$(login_ssh x alice -o PubkeyAuthentication=no)"
contains "plink without any, too" "in as alice" "$(login_plink x alice)"
policy_login 'identities: [address], origin_auth: [password]'
sshd_with 'PasswordAuthentication yes' 'PubkeyAuthentication no'
contains "an address, then the origin's password" "in as alice" "$(login_ssh "$password" alice)"
contains "plink, whose first word is taken as half" "in as alice" "$(login_plink "$password" alice)"
lacks "but nobody else" "in as" "$(login_ssh x bob)"

# -- a second factor, once the origin has judged the first: no stranger uses up anybody's codes --
policy_login 'identities: [origin], second_factor: totp, origin_auth: [keyboard-interactive]'
sshd_with 'UsePAM yes' 'KbdInteractiveAuthentication yes'
contains "who has none is told so, once the origin has let them in" "you have none yet" "$(login_ssh "$password" alice)"
lacks "and not before" "none yet" "$(login_ssh wrong alice)"
reeve user totp alice >/dev/null
rm -f "$STATE/client/asked"
contains "a password and no code" "Permission denied" "$(login_ssh "$password" alice)"
contains "is asked for the code" "Verification code: " "$(cat "$STATE/client/asked")"
for login in alice mallory; do
	rm -f "$STATE/client/asked"
	contains "$login with a wrong password" "Permission denied" "$(login_ssh wrong "$login")"
	lacks "is not asked for a code" "Verification code" "$(cat "$STATE/client/asked")"
done

# -- the code where the origin has no dialogue of its own; a session begins with it --
sshd_with 'UsePAM yes' 'PasswordAuthentication yes' 'KbdInteractiveAuthentication no'
policy_login 'identities: [certificate, key, origin], second_factor: totp, origin_auth: [password]'
other_code() { # each is good once
	local secret
	reeve user totp alice --remove >/dev/null
	secret=$(reeve user totp alice --json | json 'j["secret"]')
	CODE=$(oathtool --totp -b "$secret")
}
started() { audit_log | grep -c '"event":"session.start"'; }
before=$(started)
contains "a wrong code after the password" "Permission denied" "$(CODE=000000 login_ssh "$password" alice)"
equal "is no session" "$before false" "$(started) $(reeve sessions --json | json 'rows[0]["granted"]')"
other_code
contains "the right one: stock ssh" "in as alice" "$(login_ssh "$password" alice)"
equal "is one" "$((before + 1)) true" "$(started) $(reeve sessions --json | json 'rows[0]["granted"]')"
other_code
contains "plink, too" "in as alice" "$(typed_plink)"
other_code
contains "and dropbear's client" "in as alice" "$(typed_dbclient)"

# -- nothing stays --
reeved_stop
lacks "no password in the box's files and logs" : "$(grep -rlaF -e "$password" "$STATE/state" "$STATE/recordings" "$REEVED_LOG" 2>/dev/null | sed 's/$/:/')"
at_least "which were looked at" 5 "$(find "$STATE/state" "$STATE/recordings" "$REEVED_LOG" -type f | wc -l)"
