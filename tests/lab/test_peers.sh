# SPDX-License-Identifier: Apache-2.0
# The box's TCP before Linux's in all its moods: each end sees through the box what it sees through a cable; and streams
# arrive whole with each option of TCP switched off or on at either end.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
export LIMIT=60
wire=off # by cable it is Linux that speaks
lab_up --impair "loss=0%,delay=1ms"

# play NAME HOST: what both ends say of it.
play() {
	rm -f "$STATE/played.err"
	look_at_load
	"$here/lab" exec origin timeout $((60 * patience)) python3 "$here/peers.py" server "$1" >"$STATE/played" 2>"$STATE/played.err" </dev/null &
	local server=$!
	[ "$1" = "a closed port" ] || wait_until 10 grep -qs listens "$STATE/played.err"
	client python3 "$here/peers.py" client "$1" "$2" 2>&1
	wait "$server"
	cat "$STATE/played"
	sed '/^listens$/d' "$STATE/played.err"
}

mapfile -t names < <(python3 "$here/peers.py" names)
declare -A by_cable
lab wire start
for name in "${names[@]}"; do by_cable[$name]=$(play "$name" origin); done
lab wire stop

wire=on
wire_megabytes=160
wire_start
null_worker relay
reeved_start
policy_streams
adopted() { reeve stats --all --json | json 'sum(v.get("tcp.adopted", 0) for v in j.values())' 2>/dev/null; }
for name in "${names[@]}"; do equal "$name" "${by_cable[$name]}" "$(play "$name" origin)"; done
for name in "reset by the client" "half close by the server" "urgent data to the server"; do
	equal "$name, over IPv6" "${by_cable[$name]}" "$(play "$name" origin6)"
done
# A half close brings 256 KB each way, a late reader 160 times as much from the other.
wire_carried $((163 * 262144)) $((163 * 262144))
wire_end

wire_start
"$here/lab" exec origin "$BUILD/tests/lab/stream" serve 7001 >"$STATE/serve.log" 2>&1 </dev/null &
lab remember serve $!
disown
wait_until 10 origin bash -c ': </dev/tcp/127.0.0.1/7001'
stream() { look_at_load; client "$BUILD/tests/lab/stream" send "$@" seconds=$((50 * patience)) 2>&1; }

lab impair 'loss=1%,reorder=3%,dup=1%,delay=1ms,seed=11'
# mood WHERE SYSCTL VALUE: a stream with that set at one end (or both), then what was before.
mood() {
	local ends=$1 end said
	[ "$1" != both ] || ends='client origin'
	for end in $ends; do "$here/lab" exec "$end" sysctl -qw "net.ipv4.$2=$3" || { fail "sysctl $2"; return; }; done
	said=$(stream 198.51.100.2 7001 up=1m down=1m count=2) && said=$(stream 2001:db8::2 7001 up=512k down=512k count=2)
	equal "$2=$3 at $1: streams arrive whole" "0" "$?${said:+$(grep -v '^up' <<<"$said")}"
	wire_carried $((3 * 1048576)) $((3 * 1048576))
	for end in $ends; do "$here/lab" exec "$end" sysctl -qw "net.ipv4.$2=$4"; done
}
for where in client origin both; do mood $where tcp_sack 0 1; done
for where in client origin both; do mood $where tcp_timestamps 0 1; done
for where in client origin both; do mood $where tcp_window_scaling 0 1; done
mood both tcp_ecn 1 2
mood both tcp_fastopen 3 1
mood both tcp_mtu_probing 2 0
at_least "of these connections the box adopted" 50 "$(counter tcp.adopted)"
wire_end
