# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# wire: every lab test's look at the wire (sourced by session.sh). From lab_up to the end of the test, audited
# connections are captured beside both of the box's ports; then wire_check.py looks at the box's own segments, and
# tshark at what an analyst would find wrong in them. A test that plays with frames itself, or whose box is none,
# sets wire=off before the lab comes up.

wire=${wire:-on}
# Besides 22, the ports whose connections are audited, and no others: of a frame that the bad wire damaged and so sent to
# another port the box knows nothing, and hands it on as it is.
wire_ports=${wire_ports:-7000-7099}
wire_megabytes=40 # a side: what comes later is not looked at
wire_jobs=()

# Where what goes into and comes out of the box's port is seen as it is: beside the relay, if that is on this side.
wire_place() {
	if [ "$(cat "$STATE/side")" = "$1" ]; then printf '%s far\n' "${LAB:+$LAB-}impair"; else printf '%s eth0\n' "${LAB:+$LAB-}$1"; fi
}

wire_start() {
	local side netns device
	[ "$wire" = on ] || return 0
	for side in client origin; do
		read -r netns device < <(wire_place "$side")
		rm -f "$STATE/wire-$side.pcap"
		nsenter --net="/run/netns/$netns" dumpcap -q -P -B 16 -i "$device" -f "tcp port 22 or tcp portrange $wire_ports" -a "filesize:$((wire_megabytes * 1000))" \
			-w "$STATE/wire-$side.pcap" >"$STATE/wire-$side.log" 2>&1 </dev/null &
		wire_jobs+=($!)
		disown # a test that waits for its own does not wait for this
		lab remember "dumpcap-$side" $!
	done
	wire_known=0 wire_least_client=0 wire_least_origin=0
	wait_until 10 test -s "$STATE/wire-client.pcap" -a -s "$STATE/wire-origin.pcap" || give_up "dumpcap does not start: $(cat "$STATE"/wire-*.log)"
}

# wire_carried UP DOWN: so many bytes have just gone to the origin and to the client, in audited connections. The
# captures must hold them: the box sent each of them once at least. (How many segments that takes is nobody's to know:
# ports cut and merge, and acknowledgements are delayed.) What a capture may have had no room for is not asked of it:
# half as much again as the bytes is allowed for headers, acknowledgements and repetitions.
wire_carried() {
	wire_known=$((wire_known + ($1 + $2) * 3 / 2))
	[ "$wire_known" -lt $((wire_megabytes * 1000000)) ] || return 0
	wire_least_origin=$((wire_least_origin + $1))
	wire_least_client=$((wire_least_client + $2))
}

# Ends the captures and judges them; a test calls it where it wants to go on afterwards.
wire_end() {
	local side judges=()
	[ ${#wire_jobs[@]} -gt 0 ] || return 0
	sleep 0.1
	[ "$wire_known" = 0 ] || wire_settle
	kill -INT "${wire_jobs[@]}" 2>/dev/null
	wait_until 10 wire_written
	wire_jobs=()
	for side in client origin; do
		wire_judge "$STATE/wire-$side.pcap" "$side" "$(wire_missed "$side")" >"$STATE/wire-$side.said" 2>&1 &
		judges+=($!)
	done
	wait "${judges[@]}"
	for side in client origin; do wire_tell "$side"; done
	rm -f "$STATE"/wire-*.pcap
}

# dumpcap leaves what it has not read yet, and writes twice a second: where the captures are to be whole, it is waited
# for until it writes no more. On a busy machine it may have no turn for a while.
wire_settle() {
	local size before='' calm=0 until=$((SECONDS + 60))
	look_at_load
	while [ "$calm" -lt $((10 + 3 * slack)) ] && [ "$SECONDS" -lt "$until" ]; do
		size=$(stat -c %s "$STATE"/wire-{client,origin}.pcap | xargs)
		if [ "$size" = "$before" ]; then calm=$((calm + 1)); else calm=0; fi
		before=$size
		sleep 0.1
	done
}

# dumpcap has said its last word: how much it missed.
wire_written() { [ "$(cat "$STATE"/wire-{client,origin}.log | grep -c 'dropped on interface')" = 2 ]; }

# Frames that the capture has not, which dumpcap counts.
wire_holes() { sed -nE 's/.*dropped on interface .*: [0-9]+\/([0-9]+) .*/\1/p' "$STATE/wire-$1.log"; }

# A capture with holes is judged by what can be said of single segments.
wire_missed() { grep -Eq "dropped on interface .*: [0-9]+/0 " "$STATE/wire-$1.log" || echo --missed; }

# What tshark warns of and no rule forbids. Losses, duplicates, full and closed windows, resets and ports used again are
# what these tests are made of. Options that the box does not speak are NOPs on the SYN, which it takes for a router's work.
# Linux, where it fills in a checksum in software, writes 0xffff for 0 in TCP as in UDP; on a handshake that passes it stays.
wire_expected='^(D-SACK Sequence|This frame is a \(suspected\) (out-of-order|retransmission|fast retransmission|spurious retransmission)( segment)?|TCP Zero Window segment|TCP window specified by the receiver is now completely full|Connection reset \(RST\)|Previous segment\(s\) not captured.*|ACKed segment that wasn.t captured.*|A new tcp session is started with the same ports.*|4 NOP in a row.*|TCP Checksum 0xffff instead of 0x0000.*)$'

# CAPTURE SIDE [--missed]: what is wrong in it, a line each; the last says how much was looked at.
wire_judge() {
	local from=tcp.dstport
	[ "$2" = origin ] || from=tcp.srcport
	# What is carried is not SSH, whatever the port: its bytes are not looked into.
	tshark -r "$1" -d tcp.port==22,data -d "tcp.port==$wire_ports,data" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y "($from == 22 || ($from >= ${wire_ports%-*} && $from <= ${wire_ports#*-})) && _ws.expert.severity >= 6291456" \
		-T fields -E aggregator='|' -e frame.number -e _ws.expert.severity -e _ws.expert.message 2>"$1.tshark" |
		python3 -c '
import re, sys
for line in sys.stdin:
    frame, severities, messages = line.rstrip("\n").split("\t")
    for severity, message in zip(severities.split("|"), messages.split("|")):
        if int(severity) >= 6291456 and not re.match(sys.argv[1], message):
            print(f"frame {frame}: tshark: {message}")' "$wire_expected" | head -n 20
	[ "${PIPESTATUS[0]}" = 0 ] || { echo "tshark failed:"; cat "$1.tshark"; }
	rm -f "$1.tshark"
	# shellcheck disable=SC2086 # one word or none
	python3 "$here/wire_check.py" "$1" "$2" $3
}

wire_tell() {
	local said=$STATE/wire-$1.said last least=wire_least_$1 holes
	if [ ! -s "$said" ] || ! [[ $(tail -n 1 "$said") =~ ^[0-9]+\ segments\ of\ the\ box\ with\ ([0-9]+)\  ]]; then
		mismatch "the wire at the $1" "a capture that was judged" "$(cat "$said" 2>&1)"
		return
	fi
	local carried=${BASH_REMATCH[1]}
	last=$(tail -n 1 "$said")
	equal "the wire at the $1: $last" '' "$(sed '$d' "$said")"
	[ "${!least}" -gt 0 ] || return 0
	holes=$(wire_holes "$1")
	[ "${holes:-0}" -gt 0 ] || holes=''
	at_least "bytes of the box's streams in the capture at the $1${holes:+, but for its $holes holes}" \
		$((${!least} - ${holes:-0} * 9600)) "$carried"
}
