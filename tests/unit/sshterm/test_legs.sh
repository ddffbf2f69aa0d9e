#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A real reeve-sshterm between stock ssh and a stock sshd, everything else played by fake_box: who gets in, who
# does not and is told why, what strangers on the port meet, and what happens when a neighbour process dies.
#
#   test_legs.sh FAKE_BOX REEVE_SSHTERM
set -u
. "$(dirname "$0")/fake_box.sh"

# -- keys, origin --
for key in enrolled stranger client-ca other-ca hostkey bob eve; do
	ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$key"
done
ssh-keygen -q -s client-ca -I bob -n "$me" bob.pub
ssh-keygen -q -s other-ca -I eve -n "$me" eve.pub
ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
cat >sshd_config <<END
Port $origin
ListenAddress 127.0.0.1
HostKey $dir/hostkey
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
AuthorizedKeysFile none
TrustedUserCAKeys $dir/user-ca.pub
Subsystem sftp internal-sftp
Banner $dir/banner
MaxStartups 200
LoginGraceTime 0
END
echo 'the origin greets' >banner
[ "$(id -u)" = 0 ] && mkdir -p /run/sshd
"$sshd" -D -e -f sshd_config 2>sshd.log &
pids+=($!)
within 60 grep -s listening sshd.log

up --grace 100
# -- what the worker may --
status=$(cat "/proc/$(pgrep -P "$boxpid")/status")
field() { sed -n "s/^$1:[[:space:]]*//p" <<<"$status" | tr -s '\t' ' '; }
is "no capabilities" 0000000000000000 "$(field CapEff)"
is "no new privileges" 1 "$(field NoNewPrivs)"
[ "$(id -u)" = 0 ] && is "nobody's process" "65534 65534 65534 65534" "$(field Uid)"
grep -q 'no system call filter' err || is "system calls are filtered" 2 "$(field Seccomp)"

# -- who gets in --
got=$(client -i enrolled "$me@127.0.0.1" 'echo hello; exit 7' 2>banner.got)
is "exit status comes back" 7 $?
is "an enrolled key gets in" hello "$got"
has "the origin's banner is shown" 'the origin greets' "$(cat banner.got)"
is "a certificate of the client CA gets in" hello "$(client -i bob "$me@127.0.0.1" echo hello 2>/dev/null)"
has "the origin saw the session's certificate" 'ID fake session (serial 1)' "$(cat sshd.log)"
is "a user with two keys, the wrong one first" hello \
	"$(client -i stranger -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"
is "a shell with a terminal" "24 80" "$(timeout 150 script -qec "stty rows 24 cols 80; ssh -F none -tt -o \
UserKnownHostsFile=$dir/known -o IdentitiesOnly=yes -o IdentityAgent=none -p $port -i enrolled $me@127.0.0.1 'stty size'" \
	/dev/null 2>/dev/null | grep -o '24 80')"
head -c 20000000 /dev/urandom >data
is "20 MB down, keys exchanged anew at each MB" "$(sha256sum <data)" \
	"$(client -o RekeyLimit=1M -i enrolled "$me@127.0.0.1" "cat $dir/data" 2>/dev/null | sha256sum)"
is "20 MB up" "$(sha256sum <data)" "$(client -i enrolled "$me@127.0.0.1" sha256sum <data 2>/dev/null)"
for kex in mlkem768x25519-sha256 sntrup761x25519-sha512@openssh.com curve25519-sha256 \
	diffie-hellman-group16-sha512 diffie-hellman-group14-sha256; do
	ssh -Q kex | grep -qx "$kex" || continue
	is "key exchange $kex" hello "$(client -o KexAlgorithms=$kex -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"
done
for cipher in aes256-gcm@openssh.com aes128-gcm@openssh.com chacha20-poly1305@openssh.com aes256-ctr aes128-ctr; do
	is "cipher $cipher" hello "$(client -c $cipher -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"
done

# -- who does not, and what they are told --
has "a stranger's key" 'Permission denied (publickey)' "$(client -i stranger "$me@127.0.0.1" true 2>&1)"
told 'event auth.*gave_up' && ok "control is told that it gave up" || not_ok "control is told that it gave up"
grep -q 'event auth.*auth_failed' out && not_ok "which is not told as if the box had ended it" || ok "which is not told as if the box had ended it"
has "a certificate of another CA" 'Permission denied' "$(client -i eve -o CertificateFile=eve-cert.pub "$me@127.0.0.1" true 2>&1)"
got=$(client -i enrolled refused@127.0.0.1 true 2>&1)
has "refused by policy: the banner" "login 'refused' is not allowed to you on this host" "$got"
has "refused by policy: the disconnect" 'Received disconnect from' "$got"
has "the origin does not let us in" "did not accept Portreeve's certificate for login 'no such \\user'" \
	"$(client -i enrolled 'no such \user@127.0.0.1' true 2>&1)"
has "a password is no way in" 'Permission denied (publickey)' \
	"$(client -o PreferredAuthentications=password "$me@127.0.0.1" true 2>&1)"
for i in 1 2 3 4; do ssh-keygen -q -t ed25519 -N '' -f "wrong$i"; done
has "too many wrong keys" 'portreeve: too many authentication failures' \
	"$(client -i wrong1 -i wrong2 -i wrong3 -i wrong4 "$me@127.0.0.1" true 2>&1)"
told 'event auth.*auth_failed.*too many authentication failures' && ok "that the box ended it is told as such" || not_ok "that the box ended it is told as such"
has "a key whose owner is not known, of type rsa" 'Permission denied' "$(client -i rsa "$me@127.0.0.1" true 2>&1)"

# -- strangers on the port --
talk() { # sends stdin, prints what comes until the other side closes
	timeout 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; cat >&3 2>/dev/null; cat <&3" 2>/dev/null | tr -d '\0'
}
has "HTTP on the port" 'Invalid SSH identification string' "$(printf 'GET / HTTP/1.0\r\n\r\n' | talk)"
told 'event auth.*not_ssh' && ok "which is told" || not_ok "which is told"
before=$(times 'event auth.*not_ssh')
talk < <(printf 'SSH-2.0-'; head -c 1000000 /dev/zero | tr '\0' a) >/dev/null
told_again 'event auth.*not_ssh' "$before" && ok "a banner of 1 MB" || not_ok "a banner of 1 MB"
before=$(times 'event auth.*client_failed')
talk < <(printf 'SSH-2.0-x\r\n'; head -c 100000 /dev/urandom) >/dev/null
told_again 'event auth.*client_failed' "$before" && ok "garbage after the banner" || not_ok "garbage after the banner"
talk < <(printf 'SSH-1.5-old\r\n') >/dev/null
down

# -- who does not log in --
up --grace 10
begun=$SECONDS
talk </dev/null >silent.got &
silent=$!
is "beside one who says nothing others are served" hello "$(client -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"
wait "$silent"
is "one who says nothing is hung up on" 0 $?
took=$((SECONDS - begun))
[ "$took" -le 30 ] && ok "login takes no longer than its grace" || not_ok "login takes no longer than its grace" "<= 30 s" "$took s"
told 'event auth.*login_timeout' && ok "which is told" || not_ok "which is told"
down

# -- neighbours die --
up --grace 100
(client -i enrolled "$me@127.0.0.1" "echo in; until [ -e $dir/go ]; do sleep 0.1; done; echo alive" >lives 2>&1) &
waiting=$!
within 60 grep -x in lives
echo control >&5
is "a new session while control restarts" hello "$(client -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"
echo recorder >&5
touch go
wait $waiting
is "a live one goes on without control and recorder" $'in\nalive' "$(grep -v greets lives)"
told '^resume alice' && ok "the new control is told of it" || not_ok "the new control is told of it"
(client -i enrolled "$me@127.0.0.1" 'echo in; sleep 60' >lost 2>&1) &
within 60 grep -x in lost
echo dataplane >&5
told 'end dataplane_lost' && ok "a lost dataplane ends its sessions" || not_ok "a lost dataplane ends its sessions"
is "the next dataplane is served" hello "$(client -i enrolled "$me@127.0.0.1" echo hello 2>/dev/null)"

# -- ended by others --
(client -i enrolled "$me@127.0.0.1" 'echo in; sleep 60' >killed 2>&1) &
waiting=$!
within 60 grep -x in killed
echo 'kill because the administrator says so' >&5
wait $waiting
has "a killed session's client is told why" 'because the administrator says so' "$(cat killed)"
echo stats >&5
told sessions_logged_in && ok "counters" || not_ok "counters"
(client -i enrolled "$me@127.0.0.1" 'echo in; sleep 60' >stopped 2>&1) &
waiting=$!
within 60 grep -x in stopped
down
is "an orderly stop" 0 $?
wait $waiting
has "sessions are told of it" 'the appliance is shutting down' "$(cat stopped)"

# -- many at once --
# All must come, however slow the machine is: no longer waited for are they only when none came for four
# minutes (they get on together: the first may be done when the last nearly is).
up --grace 600 --no-recording
clients=
for i in $(seq 40); do
	LIMIT=600 client -i enrolled "$me@127.0.0.1" "echo n$i" 2>/dev/null &
	clients+=" $!"
done >many
there() { sort -u many | grep -c '^n'; }
more_than() { [ "$(there)" -gt "$1" ]; }
before=-1
while came=$(there); [ "$came" -lt 40 ]; do
	[ "$came" -gt "$before" ] || break
	before=$came
	within 240 more_than "$came"
done
kill $clients 2>/dev/null
wait $clients 2>/dev/null
is "forty sessions at once" 40 "$(sort -u many | grep -c '^n')"
down
is "and an orderly stop" 0 $?

# -- an origin's lines before its identification: libssh's buffer ends within that, which is not read beyond --
python3 - $((origin + 1)) >talkative 2>&1 <<'END' &
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
connection = listening.accept()[0]
connection.sendall(b"x" * 8189 + b"\nSS")
connection.shutdown(socket.SHUT_WR)
connection.recv(1000)
END
pids+=($!)
within 60 grep -s listening talkative
origin=$((origin + 1)) up --grace 100
has "what an origin says that is no SSH" 'the origin closed the connection; it said: xxx' "$(client -i enrolled "$me@127.0.0.1" true 2>&1)"
down
is "and nothing breaks" 0 $?

# -- a changed origin, a silent control --
up --grace 100 --changed
has "a changed host key stops everything" "the origin's host key has changed" "$(client -i enrolled "$me@127.0.0.1" true 2>&1)"
grep -q '^who' out && not_ok "before anything is asked of the client" || ok "before anything is asked of the client"
down

finish_counting
