#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What stock OpenSSH does, through the bridge alone (bridge_box.c), to a stock sshd: arrives as sent, is recorded.
# test_bridge.sh BRIDGE_BOX PUBLIC_OF. Needs root (sshd); exit status 77: skipped.
. "$(dirname "$0")/own_namespaces.sh"
set -u
box=$1 keygen=$2
[ "$(id -u)" = 0 ] && [ -x /usr/sbin/sshd ] || { echo "needs root and sshd: skipped"; exit 77; }
. "$(dirname "$0")/bridge_lab.sh"

passed=0 failed=0
expect() { # name expected got
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n  expected: %s\n  got:      %s\n' "$1" "$2" "$3"
	fi
}
expect_in() { # name needle haystack
	case $3 in *"$2"*) passed=$((passed + 1)) ;; *)
		failed=$((failed + 1))
		printf 'FAILED: %s\n  expected to hold: %s\n  got: %s\n' "$1" "$2" "$3" ;;
	esac
}
# Waits until the box has closed the last session (its line in control.log).
sessions=0
settled() {
	sessions=$((sessions + ${1:-1}))
	within 60 ended "$sessions" || echo "no end of session seen"
}
ended() { [ "$(grep -c ^session_end "$dir/out/control.log")" -ge "$1" ]; }
fresh() { rm -rf "$dir"/out/*; sessions=0; }
logs() { cat "$dir"/out/*.close.json 2>/dev/null; }
field() { # type key: of the close message of the program of that type
	python3 - "$dir/out" "$1" "$2" <<-'EOF'
		import glob, json, signal, sys
		signal.signal(signal.SIGPIPE, signal.SIG_DFL)
		for path in sorted(glob.glob(sys.argv[1] + "/*.close.json")):
		    o = json.load(open(path))
		    if o["log"]["ProgramType"] == sys.argv[2]:
		        v = o
		        for k in sys.argv[3].split("."): v = v[k]
		        print(json.dumps(v), flush=True)
	EOF
}
opened() { # type: opens its recording; the data are in $file.0 and .1
	file=$dir/out/$(field "$1" log.ProgramID | head -1 | tr -d '"').sshlog
	"$keygen" "$dir/auditor" "$file" >"$file.records" || echo "recording does not open: $?"
}

features() { # permits mode
	local mode=$2
	lab_box "$1" "$mode"
	fresh
	out=$(ssh_through localhost 'cat; echo err >&2; exit 7' <<<hello 2>"$dir/err")
	expect "$mode exec: status" 7 $?
	expect "$mode exec: stdout" hello "$out"
	expect "$mode exec: stderr" err "$(cat "$dir/err")"
	settled
	if [ "$mode" = none ]; then
		expect "none: no file" "" "$(ls "$dir"/out/*.sshlog 2>/dev/null)"
		expect "none: logged" false "$(field exec log.recorded)"
		return
	fi
	opened exec
	expect "$mode exec: from client" hello "$(cat "$file.0")"
	expect "$mode exec: from origin" $'hello\nerr' "$(sort -r "$file.1" | sort -r)"
	expect "$mode exec: stderr marked" 1 "$(grep -c '^1 00000001' "$file.records")"
	expect "$mode exec: exit data" 7 "$(field exec header.exit_data.status)"

	fresh
	mapfile -t options < <(ssh_options) # script gives it a terminal, whose modes it sends
	out=$(printf 'stty -a | head -1; echo T=$TERM; exit 3\n' |
		TERM=vt220 script -qec "ssh ${options[*]} -p $box_port -tt localhost" /dev/null)
	expect "$mode shell: status" 3 $?
	expect_in "$mode shell: terminal" T=vt220 "$out"
	settled
	expect "$mode shell: pty" '"vt220"' "$(field shell header.pty.term)"
	expect_in "$mode shell: modes" '"ECHO", ' "$(field shell header.pty.modes)"
	opened shell
	expect_in "$mode shell: recorded" T=vt220 "$(cat "$file.1")"

	fresh
	out=$(ssh_through localhost 'kill -TERM $$' 2>&1)
	expect "$mode signal: status" 255 $?
	settled
	expect "$mode signal: exit data" '"TERM"' "$(field exec header.exit_data.signal)"

	fresh
	head -c 3000000 /dev/urandom >"$dir/blob"
	mapfile -t options < <(ssh_options)
	scp -q "${options[@]}" -P "$box_port" "$dir/blob" "localhost:$dir/blob.scp"
	expect "$mode sftp upload" "$(sha256sum <"$dir/blob")" "$(sha256sum <"$dir/blob.scp")"
	scp -q "${options[@]}" -P "$box_port" "localhost:$dir/blob.scp" "$dir/blob.back"
	expect "$mode sftp download" "$(sha256sum <"$dir/blob")" "$(sha256sum <"$dir/blob.back")"
	scp -O -q "${options[@]}" -P "$box_port" "$dir/blob" "localhost:$dir/blob.scp2"
	expect "$mode scp upload" "$(sha256sum <"$dir/blob")" "$(sha256sum <"$dir/blob.scp2")"
	settled 3
	expect "$mode sftp: a subsystem" '"sftp"' "$(field subsystem log.command | head -1)"
	expect "$mode nothing lost" "" "$(grep ^program_end "$dir/out/control.log" | grep -v 'lost 0 ')"
}

forwarding() {
	lab_box 0xffffffff best_effort
	fresh
	local web socket
	lab_port web
	mkdir -p "$dir/www" && echo forwarded >"$dir/www/f"
	python3 -m http.server -d "$dir/www" -b 127.0.0.1 "$web" >/dev/null 2>&1 &
	local server=$!
	local l r d
	lab_port l r d
	socket=$dir/sock
	mapfile -t options < <(ssh_options)
	ssh "${options[@]}" -p "$box_port" -N -L "$l:127.0.0.1:$web" -R "$r:127.0.0.1:$web" -R "$socket:127.0.0.1:$web" -D "$d" localhost &
	local client=$!
	within 60 curl -s --max-time 30 "http://127.0.0.1:$l/f"
	within 60 curl -s --max-time 30 "http://127.0.0.1:$r/f"
	within 60 curl -s --max-time 30 --unix-socket "$socket" "http://x/f"
	expect "-L" forwarded "$(curl -s --max-time 30 "http://127.0.0.1:$l/f")"
	expect "-R" forwarded "$(curl -s --max-time 30 "http://127.0.0.1:$r/f")"
	expect "-R of a socket" forwarded "$(curl -s --max-time 30 --unix-socket "$socket" "http://x/f")"
	expect "-D" forwarded "$(curl -s --max-time 30 --socks5-hostname "127.0.0.1:$d" "http://127.0.0.1:$web/f")"
	expect "-W" forwarded "$(printf 'GET /f HTTP/1.0\r\n\r\n' | ssh_through -W "127.0.0.1:$web" localhost | tail -1)"
	kill $client $server
	wait $client $server 2>/dev/null
	settled 2
	expect_in "direct-tcpip: destination" "127.0.0.1:$web" "$(field direct-tcpip log.destination)"
	expect_in "forwarded-tcpip: named" ":$r" "$(field forwarded-tcpip log.destination)"
	expect_in "a streamlocal forwarding: named" "$socket" \
		"$(field forwarded-streamlocal@openssh.com log.destination)"
	expect "forwardings have no content" "" "$(ls "$dir"/out/*.sshlog 2>/dev/null)"
	expect_in "a request to listen is told" '"tcpip-forward"' "$(cat "$dir/out/control.log")"
}

multiplexing() {
	fresh
	mapfile -t options < <(ssh_options)
	ssh "${options[@]}" -p "$box_port" -M -S "$dir/ctl" -fN localhost
	for i in 1 2 3 4 5; do
		ssh -F none -S "$dir/ctl" -p "$box_port" localhost "echo m$i; sleep 0.2; exit $i" >"$dir/m$i" &
		pids[i]=$!
	done
	for i in 1 2 3 4 5; do
		wait "${pids[i]}"
		expect "multiplexed $i: status" $i $?
		expect "multiplexed $i: output" m$i "$(cat "$dir/m$i")"
	done
	ssh -F none -S "$dir/ctl" -O exit localhost 2>/dev/null
	settled
	expect "multiplexed: five programs" 5 "$(field exec log.ProgramID | sort -u | wc -l)"

	fresh
	eval "$(ssh-agent -s)" >/dev/null
	ssh-add -q "$dir/user"
	expect "agent forwarding" "$(ssh-add -l)" "$(ssh_through -A localhost 'ssh-add -l')"
	settled
	expect "the agent's channel is a program" 1 "$(field auth-agent@openssh.com log.ProgramID | wc -l)"
	fresh
	expect "without -A there is none" 2 "$(ssh_through localhost 'ssh-add -l >/dev/null 2>&1; echo $?')"
	settled
}

# What is proven is that keys change under load, in number and in every direction: sixty times each, by a key exchange
# that costs little (what stock programs choose by themselves is in features).
bulk() { # mode
	local kex=(-o KexAlgorithms=curve25519-sha256)
	lab_box 0xffffffff "$1"
	fresh
	[ -s "$dir/big" ] || head -c 60000000 /dev/urandom >"$dir/big"
	local sum
	sum=$(sha256sum <"$dir/big")
	expect "$1: 60 MB down, a key exchange each MB" "$sum" \
		"$(ssh_through "${kex[@]}" -o RekeyLimit=1M localhost "cat $dir/big" | sha256sum)"
	expect "$1: 60 MB up, a key exchange each MB" "$sum" \
		"$(ssh_through "${kex[@]}" -o RekeyLimit=1M localhost sha256sum <"$dir/big")"
	expect "$1: both ways at once" "$sum" \
		"$(ssh_through "${kex[@]}" -o RekeyLimit=4M localhost cat <"$dir/big" | sha256sum)"
	settled 3
	expect "$1: nothing lost" "" "$(grep ^program_end "$dir/out/control.log" | grep -v 'lost 0 ')"
	file=$(ls -S "$dir"/out/*.sshlog | head -1)
	"$keygen" "$dir/auditor" "$file" >/dev/null || echo "recording does not open: $?"
	expect "$1: recorded whole" "$sum" "$(sha256sum <"$file.1")"
	grep -h cpu_ms "$dir/out/control.log" | sed "s/^/  $1: /"
}

refusals() {
	lab_box 0 best_effort # nothing is permitted
	fresh
	local LOG_LEVEL=INFO
	expect_in "no pty: the client says so" "PTY allocation request failed" \
		"$(ssh_through -tt localhost echo on 2>&1)"
	expect_in "no -W" "this rule allows no port forwarding" \
		"$(ssh_through -W 127.0.0.1:1 localhost 2>&1 </dev/null)"
	expect_in "no -R" "remote port forwarding failed" \
		"$(ssh_through -R 0:127.0.0.1:1 localhost true 2>&1)"
	expect_in "no -R, fatal" "remote port forwarding failed" \
		"$(ssh_through -o ExitOnForwardFailure=yes -R "$dir/s:127.0.0.1:1" localhost true 2>&1)"
	expect "no -A" 2 "$(ssh_through -A localhost 'ssh-add -l >/dev/null 2>&1; echo $?')"
	settled 5
	expect_in "refusals are told" 'event refused' "$(cat "$dir/out/control.log")"
	eval "$(ssh-agent -k)" >/dev/null
}

endings() {
	lab_box 0xffffffff best_effort
	fresh
	# The origin's process dies: the client must not hang.
	timeout 300 bash -c "$(declare -f ssh_through ssh_options); dir=$dir box_port=$box_port
		ssh_through localhost 'kill -9 \$PPID; sleep 60'" 2>/dev/null
	expect "the origin dies" 255 $?
	settled
	# The client dies: the program at the origin gets its hangup, the recording is closed.
	mapfile -t options < <(ssh_options)
	ssh "${options[@]}" -p "$box_port" localhost "trap 'touch $dir/hup; exit 0' HUP PIPE TERM; echo x; while :; do sleep 0.2; echo y; done" >"$dir/dies" &
	local client=$!
	within 60 test -s "$dir/dies"
	kill -9 $client
	wait $client 2>/dev/null
	settled
	expect "the client dies: the recording is closed" 2 "$(field exec log.close_reason | wc -l)"
	# A client that stops reading stops the origin, and only delays.
	(ssh_through localhost "head -c 30000000 /dev/zero" | (sleep 2; sha256sum)) >"$dir/slow"
	expect "a slow reader gets all" "$(head -c 30000000 /dev/zero | sha256sum)" "$(cat "$dir/slow")"
	settled
	expect "nothing lost while it slept" "" "$(grep ^program_end "$dir/out/control.log" | grep -v 'lost 0 ')"
	# What was to be computed for a key exchange is not any more: that is why the exchange fails, and not the reason.
	BOX_KILLED=1 lab_box 0xffffffff best_effort
	fresh
	ssh_through -o KexAlgorithms=diffie-hellman-group14-sha256 -o RekeyLimit=1M localhost 'head -c 4000000 /dev/zero; sleep 20' \
		2>"$dir/err" >/dev/null
	settled
	expect "killed in a key exchange: the program's reason" '"idle"' "$(field exec log.close_reason)"
	expect_in "the session's" 'session_end idle ' "$(cat "$dir/out/control.log")"
	expect_in "the client is told" 'enough of this' "$(cat "$dir/err")"
	lab_box 0xffffffff best_effort
}

# An origin that hangs up behind its last word, and a client that takes nothing: it has a minute (of a clock that goes 20
# times as fast), renewed while it takes anything; and what it did not get in the end is told.
unfinished() {
	[ -n "${OWN_NAMESPACES:-}" ] || { echo "no network of its own: nobody is left unfinished"; return; }
	local memory=(net.ipv4.tcp_rmem net.ipv4.tcp_wmem) before seconds
	before=$(sysctl -n net.ipv4.tcp_rmem)/$(sysctl -n net.ipv4.tcp_wmem)
	sysctl -qw "${memory[0]}=4096 16384 16384" "${memory[1]}=4096 16384 16384"
	BOX_HASTE=20 lab_box 0xffffffff none
	mapfile -t options < <(ssh_options)
	for seconds in 1 6; do
		fresh
		rm -f "$dir"/go "$dir"/running
		ssh "${options[@]}" -p "$box_port" localhost \
			"touch $dir/running; until [ -e $dir/go ]; do sleep 0.1; done; head -c 60000 /dev/zero; (sleep 0.3; kill -9 \$PPID) & wait" \
			>"$dir/unfinished" 2>/dev/null &
		local client=$!
		within 60 test -e "$dir/running"
		kill -STOP $client
		touch "$dir/go"
		sleep "$seconds"
		kill -CONT $client
		wait $client
		settled
		if [ "$seconds" = 1 ]; then
			expect "a client that took nothing for less than a minute has it all" 60000 "$(stat -c %s "$dir/unfinished")"
			expect_in "and the session is closed" "session_end closed " "$(cat "$dir/out/control.log")"
		else
			expect_in "for more than a minute: that is told" "session_end undelivered " "$(cat "$dir/out/control.log")"
		fi
	done
	sysctl -qw "${memory[0]}=${before%/*}" "${memory[1]}=${before#*/}"
	lab_box 0xffffffff best_effort
}

# What the box answers by itself waits for a client that does not read: so much, and no more.
deaf() { # what is told of the box
	/usr/bin/python3 -c 'import paramiko' 2>/dev/null || { echo "no python3-paramiko: nobody is deaf"; return; }
	lab_box 0xffffffff best_effort
	fresh
	expect "a client that pings and does not read, $1" $'stopped\nall answered\ngoes on' \
		"$(timeout 300 /usr/bin/python3 "$(dirname "$0")/deaf_client.py" "$box_port" "$(id -un)" 2>&1)"
	settled
	kept=$(sed -n 's/^session_end .* kept_kb //p' "$dir/out/control.log")
	expect "it makes the box keep a few megabytes at most, $1 (${kept:-?} kB)" 1 "$((${kept:-99999} < 4096))"
}

trap lab_stop EXIT
lab_setup
features 0xffffffff best_effort
features 0xffffffff strict
features 0xffffffff none
forwarding
multiplexing
refusals
endings
unfinished
deaf "a quick box"
# What it waits for happens while it looks away.
for i in 1 2 3; do BOX_DAWDLES=1 deaf "a slow box, $i"; done
bulk best_effort
bulk strict
expect "no sanitizer has anything to say" "" "$(grep -A8 Sanitizer "$dir/box.log")"
lab_stop
# The origin asks for key exchanges too.
SSHD_EXTRA='RekeyLimit 2M' lab_setup
bulk best_effort
expect "nor here" "" "$(grep -A8 Sanitizer "$dir/box.log")"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
