# SPDX-License-Identifier: Apache-2.0
# origin_auth: [agent] with clients other than OpenSSH's: each asks for agent forwarding in its own way, some with a
# reply, some only once they have their terminal. All speak with a stock ssh-agent.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
: >"$STATE/origin/user_ca.pub"
install -d -m 700 -o 20002 -g 20002 "$STATE/origin/home/bob/.ssh"
ssh-keygen -q -t ed25519 -N '' -C bob -f "$STATE/client/.ssh/bob"
install -m 600 -o 20002 -g 20002 "$STATE/client/.ssh/bob.pub" "$STATE/origin/home/bob/.ssh/authorized_keys"
reeve user add bob --login bob --group sre --key "$STATE/client/.ssh/bob.pub" >/dev/null || give_up "bob was not enrolled"
rule() { # PERMIT
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [agent], permit: [$1]}}
	YAML
}
lab remember agent "$(client bash -c 'eval "$(ssh-agent -a ~/agent)" >/dev/null; ssh-add -q ~/.ssh/bob; echo "$SSH_AGENT_PID"')"
client ssh-keyscan -t ed25519 origin >"$STATE/host" 2>/dev/null
host_key=$(ssh-keygen -lf "$STATE/host" | cut -d' ' -f2)
with_agent() { client env "SSH_AUTH_SOCK=$STATE/client/agent" "$@"; }

# Each runs a command at the origin; TERMINAL=yes: on a terminal.
by_dropbear() { with_agent dbclient -y -y ${NO_AGENT--A} ${TERMINAL:+-t} bob@origin "$1"; }
by_putty() { with_agent plink -batch -agent -hostkey "$host_key" ${NO_AGENT--A} ${TERMINAL:+-t} bob@origin "$1"; }
by_paramiko() {
	with_agent /usr/bin/python3 - "$1" "${TERMINAL-}" <<-'PY'
		import paramiko, sys
		client = paramiko.SSHClient()
		client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
		client.connect("origin", username="bob", look_for_keys=False)
		channel = client.get_transport().open_session()
		if sys.argv[2]:
		    channel.get_pty()  # waits for the answer
		paramiko.agent.AgentRequestHandler(channel)
		channel.exec_command(sys.argv[1])
		print(channel.makefile().read().decode(), end="")
	PY
}
by_asyncssh() {
	with_agent /usr/bin/python3 - "$1" "${TERMINAL-}" <<-'PY'
		import asyncio, asyncssh, sys
		async def main():
		    async with asyncssh.connect("origin", username="bob", known_hosts=None, config=None, agent_forwarding=True) as connection:
		        result = await connection.run(sys.argv[1], term_type="xterm" if sys.argv[2] else None)
		        print(result.stdout, end="")
		asyncio.run(main())
	PY
}

fingerprint=$(ssh-keygen -lf "$STATE/client/.ssh/bob.pub" | cut -d' ' -f2)
show='echo $(ssh-add -l | cut -d" " -f2) $(tty | cut -d/ -f1-3)'
rule 'pty, agent-forwarding'
for name in dropbear putty paramiko asyncssh; do
	equal "$name: the box gets in with its agent, and so does the session" "$fingerprint not a tty" "$(by_$name "$show" 2>/dev/null)"
	# dropbear wants a terminal of its own.
	[ "$name" = dropbear ] || equal "$name: on a terminal" "$fingerprint /dev/pts" "$(TERMINAL=yes by_$name "$show" 2>/dev/null | tr -d '\r')"
done
contains "dropbear: on a terminal" "$fingerprint /dev/pts" "$(with_agent script -qec "dbclient -y -y -A -t bob@origin '$show'" /dev/null </dev/null 2>/dev/null)"
rule pty
for name in dropbear putty paramiko asyncssh; do
	equal "$name: where the box alone may have the agent" "none" "$(by_$name 'echo ${SSH_AUTH_SOCK:-none}' 2>/dev/null)"
done
NO_AGENT='' capture by_putty true
contains "putty without -A is told" "with your forwarded agent" "$err"
