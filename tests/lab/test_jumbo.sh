# SPDX-License-Identifier: Apache-2.0
# Frames up to 9000 bytes over af_packet with room for them, and a session whose segments are as long.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start --pmd af_packet --mtu 9000
frames jumbo 9000
holds "ping with 8972 bytes, unfragmented" client ping -c 2 -i 0.2 -W 2 -M do -s 8972 origin
head -c 3000000 /dev/urandom >"$STATE/client/file"
holds "an upload through an audited session" client bash -c 'cd && scp -q file alice@origin:'
equal "arrived intact" "$(sha256sum <"$STATE/client/file")" "$(sha256sum <"$STATE/origin/home/alice/file")"
