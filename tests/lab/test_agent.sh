# SPDX-License-Identifier: Apache-2.0
# origin_auth: [agent]: the box logs in at the origin with the keys of the agent that a stock client forwards. The
# origin knows the user's own key and no CA.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
: >"$STATE/origin/user_ca.pub"
authorize() { # LOGIN KEY.pub…: these keys alone
	local login=$1 owner
	shift
	owner=$(stat -c %u "$STATE/origin/home/$login")
	install -d -m 700 -o "$owner" -g "$owner" "$STATE/origin/home/$login/.ssh"
	cat "$@" >"$STATE/origin/home/$login/.ssh/authorized_keys"
	chown "$owner:$owner" "$STATE/origin/home/$login/.ssh/authorized_keys"
}
authorize alice "$STATE/client/.ssh/alice.pub"
rule() { # PERMIT [ORIGIN_AUTH [MORE]]
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], permit: [$1], origin_auth: [${2:-agent}]${3:+, $3}}}
	YAML
}
all='pty, port-forwarding, agent-forwarding, x11-forwarding'
fingerprint() { ssh-keygen -lf "$1" | cut -d' ' -f2; }
last_login() { audit_log | grep '"event":"origin.auth"' | tail -n 1 | json "j.get('$1')"; }

# An agent at the client, which lives as long as the test.
printf '#!/bin/sh\ntouch %s/asked\nsleep 5\n' "$STATE/client" >"$STATE/client/askpass"
chmod +x "$STATE/client/askpass"
lab remember agent "$(client bash -c '
	export SSH_ASKPASS=~/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=x
	eval "$(ssh-agent -a ~/agent)" >/dev/null; ssh-add -q ~/.ssh/alice; echo "$SSH_AGENT_PID"')"
with_agent() { client env "SSH_AUTH_SOCK=$STATE/client/agent" "$@"; }
ssh_agent() { with_agent ssh -o BatchMode=yes "$@"; }

# -- it works, and the session has the agent ------------------------------------------------------------------
rule "$all"
capture ssh_agent -A alice@origin 'echo out; echo err >&2; exit 7'
equal "a command with ssh -A: its output" out "$out"
contains "its errors" err "$err"
equal "its exit status" 7 "$status"
equal "the audit log says which key opened the origin" "$(fingerprint "$STATE/client/.ssh/alice.pub")" "$(last_login key)"
equal "and how" "agent true" "$(last_login method) $(last_login success)"
equal "the session may use the agent, too" "$(fingerprint "$STATE/client/.ssh/alice.pub")" \
	"$(ssh_agent -q -A alice@origin ssh-add -l | head -n 1 | cut -d' ' -f2)"
equal "a terminal with its size and modes" "33 77 -echo" "$(with_agent bash -c '
	stty() { command stty "$@" 2>/dev/null; }
	script -qec "stty rows 33 cols 77 -echo; ssh -q -A -tt alice@origin \"stty size; stty -a | grep -o -- -echo\\ \"" /dev/null' </dev/null | tr -d '\r' | tr '\n' ' ' | sed 's/ *$//')"
head -c 3000000 /dev/urandom >"$STATE/client/blob"
with_agent bash -c 'cd && sftp -q -o ForwardAgent=yes -b - alice@origin <<<"put blob
get blob blob.back"' >/dev/null
equal "sftp, both ways" "$(sha256sum <"$STATE/client/blob")" "$(sha256sum <"$STATE/client/blob.back")"
with_agent scp -q -O -o ForwardAgent=yes "$STATE/client/blob" alice@origin:blob.scp
equal "scp of old" "$(sha256sum <"$STATE/client/blob")" "$(sha256sum <"$STATE/origin/home/alice/blob.scp")"
equal "data that come at once, and EOF" "$(sha256sum <"$STATE/client/blob")" "$(with_agent bash -c 'ssh -q -A alice@origin sha256sum <~/blob')"
equal "no window is lost: the same back" "$(sha256sum <"$STATE/client/blob")" "$(with_agent bash -c 'ssh -q -A alice@origin cat <~/blob | sha256sum')"
equal "forwardings that are asked for before the session" "Hello from the origin. remote" "$(with_agent bash -c '
	ssh -q -A -L 8090:localhost:80 -R 8091:localhost:1 alice@origin "exec 3<>/dev/tcp/localhost/8091 && echo remote >~/r; cat" < <(
		until curl -s http://localhost:8090/ >~/forwarded; do sleep 0.1; done)
	cat ~/forwarded' | tr '\n' ' ')$(cat "$STATE/origin/home/alice/r")"
equal "several sessions at once over one connection" "1 2 3 4 5 6 " "$(with_agent bash -c '
	ssh -q -A -M -S ~/mux -o ControlPersist=30 alice@origin "echo 1; sleep 1" >~/m1 &
	until [ -s ~/m1 ]; do sleep 0.05; done
	for i in 2 3 4 5 6; do ssh -q -S ~/mux alice@origin "echo $i" >~/m$i & done
	wait; cat ~/m?; ssh -q -S ~/mux -O exit alice@origin' | sort | tr '\n' ' ')"

equal "what passes is recorded" "exec" "$(reeve ls --json | json 'rows[0]["ProgramType"]')"
equal "under IPv6" "in" "$(ssh_agent -q -A -6 alice@2001:db8::2 'echo in')"

# -- while the user thinks: a second key, which has to be confirmed (it takes 5 s), is the one that is good ---------
ssh-keygen -q -t ed25519 -N '' -C slow -f "$STATE/client/.ssh/slow"
with_agent ssh-add -q -c "$STATE/client/.ssh/slow"
authorize alice "$STATE/client/.ssh/slow.pub"
capture ssh_agent -q -A -o ServerAliveInterval=1 -o ServerAliveCountMax=3 alice@origin 'echo in'
equal "a client that wants signs of life meanwhile" in "$out"
capture ssh_agent -q -A -o ServerAliveInterval=1 -o ServerAliveCountMax=3 -R 8092:localhost:1 alice@origin 'echo in'
equal "also behind a request that has to wait" in "$out"
capture ssh_agent -v -A -o RekeyLimit='default 1' alice@origin 'echo in'
equal "one that exchanges keys meanwhile" in "$out"
at_least "which it did" 3 "$(grep -c 'SSH2_MSG_NEWKEYS received' <<<"$err")"
# As long as its handler does not stand, ssh does not hear of the signal: it is the shell's background job.
with_agent bash -c 'rm -f ~/asked; ssh -A -M -S ~/mux2 -o ControlPersist=30 alice@origin "touch given-up" &
	until [ -e ~/asked ]; do sleep 0.1; done; while kill -INT $!; do sleep 0.1; done; wait $!' 2>/dev/null
capture ssh_agent -q -A alice@origin 'sleep 1; ls given-up 2>/dev/null; echo after'
equal "one that gives up meanwhile has left nothing running" after "$out"
authorize alice "$STATE/client/.ssh/alice.pub"

# -- strict, and forwardings beside it -----------------------------------------------------------------------------
rule "$all" agent 'recording: strict'
equal "strict" "$(sha256sum <"$STATE/client/blob")" "$(with_agent bash -c 'ssh -q -A alice@origin cat <~/blob | sha256sum')"

# -- the rule decides who may use the agent -------------------------------------------------------------------
rule pty
equal "the box may where the session may not" "in none" "$(ssh_agent -q -A alice@origin 'echo in ${SSH_AUTH_SOCK:-none}')"
equal "that is no refusal to be told of" 0 "$(audit_log | grep '"event":"refused"' | grep -c auth-agent-req)"

# -- who cannot is told ----------------------------------------------------------------------------------------
rule "$all"
capture ssh_agent alice@origin true
contains "without -A" "portreeve: this rule logs in at 198.51.100.2 with your forwarded agent: connect with ssh -A" "$err"
equal "the audit log says so" "no_agent" "$(last_login reason)"
capture ssh_client -A alice@origin true
contains "-A without an agent" "an agent that runs" "$err"
start=$(now_ms)
ssh_agent -N -A alice@origin >"$STATE/nothing" 2>&1 &
capture ssh_agent -A -W localhost:80 alice@origin
contains "-W: the channel is refused, with the reason" "open failed: administratively prohibited: this rule logs in with your forwarded agent" "$err"
wait $!
contains "-N" "ssh -N and -W open none" "$(cat "$STATE/nothing")"
within "both after 10 s (ms)" 13000 $(($(now_ms) - start))
authorize alice /dev/null
capture ssh_agent -A alice@origin true
contains "no key is good" "did not accept any of" "$err"
contains "which is the box's word" ": portreeve: " "$err"
contains "the origin's own words are not needed" "authorized_keys" "$err"
with_agent ssh-add -q -D
capture ssh_agent -A alice@origin true
contains "an empty agent" "shows no key" "$err"
