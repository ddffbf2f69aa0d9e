# SPDX-License-Identifier: Apache-2.0
# A stock client and a stock server that do not notice the box: what SSH can do, done through it.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start
policy <<'YAML'
default: allow
rules:
  - name: prod-ssh
    action: audit_ssh
    match: {dst_port: 22}
    ssh:
      users: {groups: [sre]}
      logins: ["{user}", root]
      origin_auth: [certificate]
      permit: [pty, port-forwarding, agent-forwarding, x11-forwarding, user-rc]
      recording: best_effort
YAML

capture ssh_client alice@origin 'echo out; echo err >&2; exit 42'
equal "stdout" out "$out"
contains "stderr" err "$err"
equal "exit status" 42 "$status"
equal "over IPv6" alice "$(ssh_client -q alice@origin6 whoami)"
equal "as root, too" root "$(ssh_client -q root@origin whoami)"
equal "standard input, to its end" "$(seq 100000 | sha256sum)" "$(seq 100000 | client ssh -q alice@origin cat | sha256sum)"
capture ssh_client alice@origin 'kill -TERM $$'
equal "an exit signal" 255 "$status"
equal "environment" hello "$(client env LAB_WORD=hello ssh -q -o SendEnv=LAB_WORD alice@origin 'echo $LAB_WORD')"
equal "the client's address is what sshd sees" "198.51.100.1" "$(ssh_client -q alice@origin 'echo ${SSH_CONNECTION%% *}')"
contains "no password prompt, no warning of a weak key exchange" "Authenticated to origin" "$(client ssh -v alice@origin true 2>&1)"
lacks "no warning" "WARNING" "$(client ssh -v alice@origin true 2>&1)"

modes=$(printf 'expect alice@origin\nsend stty -a | tr ";" "\\n" | grep -E "speed|intr"; echo D"ON"E\nexpect DONE\nsend exit\nend\n' |
	client python3 "$here/pty_session.py" --size 91x37 bash -c "stty intr ^X; exec ssh -q alice@origin")
contains "a terminal mode of the client (intr ^X)" "intr = ^X" "$modes"
contains "the terminal's size" "rows 37" "$(printf 'expect alice@origin\nsend stty -a | head -n 1; echo D"ON"E\nexpect DONE\nsend exit\nend\n' |
	client python3 "$here/pty_session.py" --size 91x37 ssh -q alice@origin)"
# Not before it has the terminal: until then the shell has it, and takes no notice.
interrupted=$(printf 'expect alice@origin\nsend sh -c "echo BE\\\\GUN; exec sleep 100"; echo status=$?\nexpect BEGUN\ntype \\x03\nexpect alice@origin\nsend echo status=$?\nexpect status=130\nsend exit\nend\n' |
	client python3 "$here/pty_session.py" ssh -q alice@origin)
contains "Ctrl-C reaches the foreground process" "status=130" "$interrupted"

head -c 5000000 /dev/urandom >"$STATE/client/file"
holds "scp up (sftp)" client bash -c 'cd && scp -q file alice@origin:one'
holds "scp up (old protocol)" client bash -c 'cd && scp -O -q file alice@origin:two'
holds "scp down" client bash -c 'cd && scp -q alice@origin:one down1 && scp -O -q alice@origin:two down2'
holds "all intact" bash -c "cd '$STATE/client' && cmp file down1 && cmp file down2"
equal "sftp in batch" 5000000 "$(client bash -c 'cd && printf "put file three\nget three down3\n" | sftp -q -b - alice@origin >/dev/null; stat -c %s down3')"

LIMIT=60 client bash -c 'ssh -q -M -S ~/mux -o ControlPersist=20 -fN alice@origin'
equal "several channels in one connection" "1 2 3 4 5 6 7 8" "$(client bash -c '
	for i in 1 2 3 4 5 6 7 8; do ssh -q -S ~/mux alice@origin "sleep 0.2; echo $i" & done; wait' | sort -n | tr '\n' ' ' | sed 's/ $//')"
client ssh -q -S "$STATE/client/mux" -O exit alice@origin 2>/dev/null

client bash -c 'ssh -q -f -N -L 8080:localhost:80 -o ExitOnForwardFailure=yes -S none alice@origin'
equal "-L" "Hello from the origin." "$(client curl -s http://localhost:8080/)"
client bash -c 'cd && mkdir -p www && echo "from the client" >www/index.html && (cd www && exec python3 -m http.server 8000 >/dev/null 2>&1) &'
wait_until 5 client curl -s -m 1 -o /dev/null http://localhost:8000/
client bash -c 'ssh -q -f -N -R 9090:localhost:8000 -o ExitOnForwardFailure=yes -S none alice@origin'
equal "-R" "from the client" "$(origin curl -s http://localhost:9090/)"
contains "-W" "SSH-2.0-" "$(client bash -c 'ssh -q -W localhost:22 alice@origin </dev/null | head -c 8')"
client bash -c 'ssh -q -f -N -L $HOME/web.sock:localhost:80 -o StreamLocalBindUnlink=yes alice@origin'
equal "a Unix socket forwarded" "Hello from the origin." "$(client curl -s --unix-socket "$STATE/client/web.sock" http://x/)"
client bash -c 'ssh -q -f -N -R /tmp/portreeve-lab.sock:localhost:8000 -o StreamLocalBindUnlink=yes alice@origin'
equal "and one the other way" "from the client" "$(ssh_client -q alice@origin 'curl -s --unix-socket /tmp/portreeve-lab.sock http://x/; rm -f /tmp/portreeve-lab.sock')"
equal "a forwarded agent" "$(ssh-keygen -lf "$STATE/client/.ssh/alice.pub" | cut -d' ' -f2)" \
	"$(client bash -c 'eval "$(ssh-agent)" >/dev/null; ssh-add -q ~/.ssh/alice; ssh -q -A alice@origin ssh-add -l; ssh-agent -k >/dev/null' | head -n 1 | cut -d' ' -f2)"
client pkill -u root -f "[h]ttp.server 8000"
equal "a rekey each megabyte of forty" "$(head -c 40000000 /dev/zero | sha256sum)" \
	"$(LIMIT=60 client ssh -q -o RekeyLimit=1M alice@origin 'head -c 40000000 /dev/zero' | sha256sum)"
equal "and up" "$(head -c 40000000 /dev/zero | sha256sum)" \
	"$(head -c 40000000 /dev/zero | LIMIT=60 client ssh -q -o RekeyLimit=1M alice@origin sha256sum)"

policy <<'YAML'
default: allow
rules:
  - name: narrow
    action: audit_ssh
    match: {dst_port: 22}
    ssh: {users: {groups: [sre]}, logins: ["{user}"], origin_auth: [certificate], permit: [pty], recording: best_effort}
YAML
equal "a rule that permits little: commands run" ok "$(ssh_client -q alice@origin echo ok)"
fails_to "port forwarding is refused" client ssh -q -W localhost:80 alice@origin
fails_to "so is a remote one" client timeout 8 ssh -q -N -R 9091:localhost:8000 -o ExitOnForwardFailure=yes alice@origin
equal "so is the agent, and the session goes on" "none" "$(client bash -c 'eval "$(ssh-agent)" >/dev/null; ssh -q -A alice@origin "echo \${SSH_AUTH_SOCK:-none}"; ssh-agent -k >/dev/null')"
