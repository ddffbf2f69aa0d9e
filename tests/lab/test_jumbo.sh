# SPDX-License-Identifier: Apache-2.0
# Frames up to 9000 bytes over af_packet with room for them, and a session whose segments are as long.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start --pmd af_packet --mtu 9000
frames jumbo 9000
holds "ping with 8972 bytes, unfragmented" client ping -c 2 -i 0.2 -W 10 -M do -s 8972 origin
head -c 3000000 /dev/urandom >"$STATE/client/file"
holds "an upload through an audited session" client bash -c 'cd && scp -q file alice@origin:'
equal "arrived intact" "$(sha256sum <"$STATE/client/file")" "$(sha256sum <"$STATE/origin/home/alice/file")"

# What AF_XDP's memory cannot hold is refused at the start, and not frame by frame.
reeved_stop
sed -i -E 's/net_af_packet([01]),iface=([a-z]+)[^"]*/net_af_xdp\1,iface=\2/' "$STATE/reeved.yaml"
said=$(limited "${reeved_command[@]}" -c "$STATE/reeved.yaml" 2>&1 </dev/null)
holds "9000 bytes over af_xdp are refused" test $? -ne 0
holds "with how many would do" grep -q 'no frames of an MTU of 9000: it is 3[0-9]* at most (dataplane.mtu)' <<<"$said"
