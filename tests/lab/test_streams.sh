# SPDX-License-Identifier: Apache-2.0
# Streams between two Linux ends through the box's TCP, a worker without SSH between its legs: every byte arrives, both
# ways at once, whatever the wire does, and the box's segments keep the rules. A cell is a family, an MTU and a loss.
# FULL=1: the whole matrix, IPv4 and IPv6, MTU 1280 to 9000, 0 to 10 % loss, the bad wire on either side (10 minutes;
# SIDES=client or SIDES=origin: half of it).
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
wire_megabytes=160 # all of what is sent, but for the largest cells of the matrix

# What is worse about the wire, besides its losses.
bad='reorder=3%,dup=1%,corrupt=0.1%,delay=2ms'

start() { # lab up's arguments
	[ ! -e "$STATE" ] || { reeved_stop; lab down; }
	lab_up "$@"
	null_worker relay
	reeved_start
	policy_streams
	(origin_ends_with_lab "$BUILD/tests/lab/stream" serve 7001) >"$STATE/serve.log" 2>&1 </dev/null &
	lab remember serve $!
	wait_until 5 origin bash -c ': </dev/tcp/127.0.0.1/7001' || give_up "the stream server does not answer"
}
origin_ends_with_lab() { exec "$here/lab" exec origin "$@"; }

# How much goes each way of one of four connections: what TCP can carry over such a wire in a few seconds.
megabytes() { case $1 in 0) echo 40m ;; 0.1) echo 12m ;; 1) echo 3m ;; 5) echo 768k ;; *) echo 384k ;; esac; }

# cell FAMILY MTU LOSS [SIZE]: four connections at once, each both ways at once.
cell() {
	local to=198.51.100.2 size=${4:-$(megabytes "$3")} said status=0 start bytes
	[ "$1" = v4 ] || to=2001:db8::2
	for end in client origin; do "$here/lab" exec $end ip link set eth0 mtu "$2"; done
	lab impair "loss=$3%,$bad,seed=$RANDOM$RANDOM"
	look_at_load
	start=$(now_ms)
	said=$(LIMIT=150 client "$BUILD/tests/lab/stream" send "$to" 7001 "up=$size" "down=$size" count=4 seed=$RANDOM seconds=$((140 * patience)) 2>&1) || status=$?
	if [ "$status" = 0 ]; then
		bytes=$((4 * $(numfmt --from=iec "${size^^}")))
		wire_carried "$bytes" "$bytes"
		pass "$1, MTU $2, $3 % loss: $(rate "$(($(now_ms) - start))" <<<"$said")"
	else
		mismatch "$1, MTU $2, $3 % loss, at the $side" "4 streams whole both ways" "$said
$(cat "$STATE/serve.log")"
	fi
}
rate() { awk -v ms="$1" '{ bytes += $2 + $4; gsub(",", ""); for (i = 1; i < NF; i++) if ($i == "retransmitted") again += $(i + 1) }
	END { printf "%.1f MB whole, %.1f Mbit/s, the sender repeated %d segments", bytes / 1e6, bytes * 8 / ms / 1e3, again }'; }

if [ -n "${FULL:-}" ]; then
	for side in ${SIDES:-client origin}; do
		for pmd in af_xdp af_packet; do
			# AF_XDP's chunks of memory hold frames of 1500 bytes and little more.
			mtus='1280 1500'
			[ $pmd = af_xdp ] || mtus='3498 9000'
			for mtu in $mtus; do
				for family in v4 v6; do
					start --pmd $pmd --mtu "${mtus##* }" --impair "loss=0%,side=$side"
					printf '%s, the bad wire at the %s\n' $pmd $side
					for loss in 10 5 1 0.1 0; do cell $family "$mtu" $loss; done
					wire_end # one capture a lab
				done
			done
		done
	done
	exit 0
fi

side=client
start --impair "loss=0%,side=client"
cell v4 1280 10
cell v6 1500 1
wire_end # one capture a lab
side=origin
start --pmd af_packet --mtu 9000 --impair "loss=0%,side=origin"
cell v4 9000 0.1
cell v6 1500 5
wire_end # one capture a lab
