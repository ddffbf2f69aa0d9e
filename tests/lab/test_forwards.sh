# SPDX-License-Identifier: Apache-2.0
# Forwardings of every kind, by real clients: each is a program of its own with its ends and what it moved, in the
# session log and in control's history; and each by the rule, by kind and by destination, told to the user in words.
# Also the notice that a rule's shells begin with.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
lab sshd stop
printf 'PermitTunnel yes\nStreamLocalBindUnlink yes\n' >>"$STATE/origin/sshd_config"
lab sshd start
client bash -c 'touch ~/.Xauthority'
rule() { # MORE of the ssh mapping
	policy <<-YAML
		default: allow
		rules:
		  - {name: s, action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: [sre]}, logins: ["{user}", root]${1:+, $1}}}
	YAML
}

# A server of one connection after the other at the client or origin: takes a line, says "echo LINE", and ends.
cat >"$STATE/echo.py" <<'PYTHON'
import os, socket, sys
where = sys.argv[1]
if where.startswith("/"):
    if os.path.exists(where): os.unlink(where)
    s = socket.socket(socket.AF_UNIX); s.bind(where); os.chmod(where, 0o777)
else:
    s = socket.create_server(("127.0.0.1", int(where)))
s.listen()
while True:
    c = s.accept()[0]
    with c, c.makefile("rwb") as f:
        f.write(b"echo " + f.readline())
PYTHON
# What a shell at the origin says to a listener and hears back: by port or path.
cat >"$STATE/say.py" <<'PYTHON'
import socket, sys
where = sys.argv[1]
s = socket.socket(socket.AF_UNIX) if where.startswith("/") else socket.socket()
s.settimeout(30)
s.connect(where if where.startswith("/") else ("127.0.0.1", int(where)))
s.sendall(b"hello\n")
print(s.makefile().read(), end="")
PYTHON
# An X client: the cookie that sshd put into the origin's xauth, then whatever the display says.
cat >"$STATE/x_client.py" <<'PYTHON'
import os, socket, struct, subprocess
display = os.environ["DISPLAY"].split(":")[1].split(".")[0]
listed = subprocess.run(["xauth", "list"], capture_output=True, text=True).stdout.splitlines()
cookie = bytes.fromhex(next(l.split()[2] for l in listed if f":{display} " in l.replace("  ", " ")))
s = socket.create_connection(("127.0.0.1", 6000 + int(display)), 10)
name = b"MIT-MAGIC-COOKIE-1"
s.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie)) + name + b"\0\0" + cookie)
print(s.recv(100).decode())
PYTHON
cat >"$STATE/x_display.py" <<'PYTHON'
import socket
s = socket.create_server(("127.0.0.1", 6007))
while True:
    c = s.accept()[0]
    c.recv(100)
    c.sendall(b"the display")
    c.close()
PYTHON
serve() { # client|origin SCRIPT [ARG]: in the background until the lab is gone
	(lab exec "$1" python3 "$STATE/$2" "${@:3}") >/dev/null 2>&1 </dev/null &
	disown
}
serve origin echo.py 7001
serve origin echo.py /home/alice/origin.sock
serve client echo.py 7002
serve client echo.py "$STATE/client/echo.sock"
serve client x_display.py
listens() { [ -n "$(lab exec "$1" ss -Hlntx | grep -F " $2 ")" ]; }
for each in origin:127.0.0.1:7001 "origin:/home/alice/origin.sock" client:127.0.0.1:7002 "client:$STATE/client/echo.sock" client:127.0.0.1:6007; do
	wait_until 10 listens "${each%%:*}" "${each#*:}" || give_up "nobody listens at $each"
done

say() { client python3 "$STATE/say.py" "$1" 2>&1; }
# The programs of the newest session, of that type: EXPRESSION over each, p. Waits until they have ended.
newest_session() { reeve sessions --json | json 'rows[0]["session_id"]'; }
told() { reeve session show "$(newest_session)" --json | json "[$2 for p in j['programs'] if p['type'] == '$1' and p['finished_at']]"; }
told_is() { [ "$(told "$1" "$2")" = "$3" ]; }
# is_program WHAT TYPE EXPRESSION LIST
is_program() { wait_until 8 told_is "$2" "$3" "$4"; equal "$1" "$4" "$(told "$2" "$3")"; }
ends_and_bytes='[p["destination"], p["bytes_from_client"], p["bytes_from_origin"]]'
session_log() { find "$STATE/recordings" -name '*session*log*' -type f -exec cat {} +; }
logged() { session_log | grep "\"ProgramType\": *\"$1\"" | tail -n 1 | json "$2"; }
# A connection with forwardings, and no more of it.
connected() { client ssh -q -f -N -M -S "$STATE/client/mux" -o ExitOnForwardFailure=yes "$@" alice@origin; }
disconnected() { client ssh -q -S "$STATE/client/mux" -O exit alice@origin 2>/dev/null; }

# -- each kind is a program ----------------------------------------------------------------------------------

rule
connected -L 9001:localhost:7001 -L 9002:/home/alice/origin.sock -D 9003 -R 9004:localhost:7002 -R "/home/alice/back.sock:$STATE/client/echo.sock"
equal "-L" "echo hello" "$(say 9001)"
equal "-L to a socket" "echo hello" "$(say 9002)"
equal "-D" "Hello from the origin." "$(client curl -s --socks5-hostname localhost:9003 http://localhost/)"
equal "-R" "echo hello" "$(origin python3 "$STATE/say.py" 9004)"
equal "-R of a socket" "echo hello" "$(origin python3 "$STATE/say.py" "/home/alice/back.sock")"
disconnected
is_program "-L: where to, bytes each way" direct-tcpip "$ends_and_bytes" "[['localhost:7001', 6, 11], ['localhost:80', $(told direct-tcpip 'p["bytes_from_client"]' | grep -o '[0-9]*' | sed -n 2p), $(told direct-tcpip 'p["bytes_from_origin"]' | grep -o '[0-9]*' | sed -n 2p)]]"
is_program "a socket" direct-streamlocal@openssh.com "$ends_and_bytes" "[['/home/alice/origin.sock', 6, 11]]"
is_program "-R: where it was connected to" forwarded-tcpip "$ends_and_bytes" "[['localhost:9004', 11, 6]]"
contains "-R: by whom" "127.0.0.1:" "$(told forwarded-tcpip 'p["originator"]')"
is_program "-R of a socket" forwarded-streamlocal@openssh.com "$ends_and_bytes" "[['/home/alice/back.sock', 11, 6]]"
equal "the session log says the same" "localhost:9004 11 6" "$(logged forwarded-tcpip '"%s %d %d" % (j["destination"], j["bytes_from_client"], j["bytes_from_origin"])')"
shown=$(reeve session show "$(newest_session)")
contains "and the table that a person reads" "localhost:7001" "$shown"

equal "X11" "the display" "$(client env DISPLAY=localhost:7 ssh -q -Y -o XAuthLocation=/bin/true alice@origin "python3 $STATE/x_client.py")"
is_program "X11 is a program with bytes each way" x11 '[p["bytes_from_client"], p["bytes_from_origin"]]' "[[11, 48]]"
contains "and says who connected" "127.0.0.1:" "$(told x11 'p["originator"]')"
equal "the agent" "$(cut -d' ' -f2 "$STATE/client/.ssh/alice.pub")" "$(client bash -c '
	eval "$(ssh-agent)" >/dev/null; ssh-add -q ~/.ssh/alice 2>/dev/null; ssh -q -A alice@origin ssh-add -L | grep -v cert | cut -d" " -f2; ssh-agent -k >/dev/null')"
wait_until 8 told_is auth-agent@openssh.com 'p["bytes_from_origin"]' '[5]'
equal "an agent's channel is a program: the question's bytes" "[5]" "$(told auth-agent@openssh.com 'p["bytes_from_origin"]')"

if client test -c /dev/net/tun && client ip tuntap add dev probe0 mode tun 2>/dev/null; then
	client ip link delete probe0
	client ssh -q -f -N -M -S "$STATE/client/mux" -o Tunnel=point-to-point -w 5:5 root@origin
	eventually 5 "-w: a tunnel device at the origin" origin ip link show tun5
	client ip address add 10.99.0.1 peer 10.99.0.2 dev tun5; client ip link set tun5 up
	origin ip address add 10.99.0.2 peer 10.99.0.1 dev tun5; origin ip link set tun5 up
	holds "-w: packets pass both ways" client ping -q -c 3 -i 0.2 -W 10 10.99.0.2
	client ssh -q -S "$STATE/client/mux" -O exit root@origin 2>/dev/null
	is_program "-w is a program" tun@openssh.com 'p["destination"]' "['tun 5, point-to-point']"
	equal "with bytes each way: three pings and more" True "$(told tun@openssh.com 'min(p["bytes_from_client"], p["bytes_from_origin"]) >= 3 * 84' | tr -d '[]')"
fi

# -- by the rule ---------------------------------------------------------------------------------------------

rule 'forward: {local: ["localhost:7001", "*.example.org:443", "198.51.100.0/24:22"], remote: ["localhost:9004"], unix_local: ["/home/*/origin.sock"], unix_remote: ["/home/*/back.sock"], tun: false}'
connected -L 9001:localhost:7001 -L 9005:localhost:80 -L 9002:/home/alice/origin.sock -L 9006:/run/other.sock -R 9004:localhost:7002
equal "what the rule lists passes: a name" "echo hello" "$(say 9001)"
equal "a socket" "echo hello" "$(say 9002)"
equal "a port to listen on" "echo hello" "$(origin python3 "$STATE/say.py" 9004)"
equal "another port of the same name does not" "" "$(client curl -s -m 5 http://localhost:9005/)"
lacks "nor another socket" "echo" "$(say 9006)"
equal "beside them, the session goes on" ok "$(client ssh -q -S "$STATE/client/mux" alice@origin echo ok)"
disconnected
equal "an address of the network" SSH- "$(client bash -c 'ssh -q -W 198.51.100.2:22 alice@origin </dev/null | head -c 4')"
equal "in IPv6's clothes" SSH- "$(client bash -c 'ssh -q -W "[::ffff:198.51.100.2]:22" alice@origin </dev/null | head -c 4')"
refusal() { client ssh -W "$1" alice@origin 2>&1 </dev/null; }
contains "the user is told which one is not allowed" "administratively prohibited: this rule allows no forwarding to localhost:22" "$(refusal localhost:22)"
for spelling in 0xc6.51.100.2:22 198.51.25602:22 3325256706:22 0306.51.100.2:22 198.51.100.2.:22 origin:22 localhost.:7002; do
	contains "not by $spelling" "this rule allows no forwarding to $spelling" "$(refusal "$spelling")"
done
contains "-R elsewhere: the client is told" "remote port forwarding failed for listen port 9007" "$(client ssh -R 9007:localhost:7002 -o ExitOnForwardFailure=yes alice@origin true 2>&1)"
contains "-R on all addresses" "remote port forwarding failed for listen port 9004" "$(client ssh -R '*:9004:localhost:7002' -o ExitOnForwardFailure=yes alice@origin true 2>&1)"
contains "-R of another socket" "remote port forwarding failed" "$(client ssh -R /tmp/elsewhere:localhost:7002 -o ExitOnForwardFailure=yes alice@origin true 2>&1)"
contains "-w: no tunnel" "this rule allows no such forwarding" "$(client ssh -o Tunnel=point-to-point -o ExitOnForwardFailure=no -w 6:6 root@origin true 2>&1)"
contains "events say what was refused, and where to" "this rule allows no forwarding to localhost:22" "$(audit_log | grep '"event":"refused"')"
rule 'forward: {local: false, remote: false, unix_local: false, unix_remote: false, tun: false}'
lacks "no kind at all: the certificate says so, too" permit-port-forwarding "$(
	ssh_client -q alice@origin 'sed s/^publickey.// $SSH_USER_AUTH' >"$STATE/shown-cert.pub"; ssh-keygen -L -f "$STATE/shown-cert.pub")"
rule 'forward: {local: true, remote: false}'
equal "-L alone" "SSH-" "$(client bash -c 'ssh -q -W localhost:22 alice@origin </dev/null | head -c 4')"
contains "and not -R" "remote port forwarding failed" "$(client ssh -R 9008:localhost:7002 -o ExitOnForwardFailure=yes alice@origin true 2>&1)"

# -- the notice ----------------------------------------------------------------------------------------------

shell() { printf 'exit\n' | client ssh -q -tt alice@origin; }
rule 'session_notice: "Wir zeichnen auf: this session is recorded."'
contains "a shell on a terminal begins with the notice" "this session is recorded." "$(shell 2>&1)"
equal "it is on stderr" 1 "$(shell 2>&1 >/dev/null | grep -c 'Wir zeichnen auf')"
contains "the audit log has what was shown" '"text":"Wir zeichnen auf: this session is recorded.' "$(audit_log | grep '"event":"notice"')"
equal "a command has none" "out" "$(ssh_client -q alice@origin 'echo out' 2>&1)"
equal "nor a command on a terminal" "" "$(client ssh -q -tt alice@origin true </dev/null 2>&1)"
equal "sftp goes on as ever" "megabyte-copied" "$(client bash -c 'cd; head -c 3000000 /dev/urandom >up; echo "put up" | sftp -q -b - alice@origin >/dev/null && ssh -q alice@origin cat up | cmp - up && echo megabyte-copied')"
equal "windows are as they were: a shell that moves more than they hold" "$(head -c 5000000 /dev/zero | sha256sum)" \
	"$(printf 'stty raw -echo; head -c 5000000 /dev/zero; exit\n' | LIMIT=60 client ssh -q -tt -o EscapeChar=none alice@origin 2>/dev/null | tr -cd '\000' | sha256sum)"
