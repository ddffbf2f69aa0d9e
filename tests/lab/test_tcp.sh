# SPDX-License-Identifier: Apache-2.0
# The box's TCP before Linux's, on a wire that loses a frame in twenty: what is sent arrives whole both ways, and a
# capture at both ends holds no malformed segment, no wrong checksum and no protocol violation.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start --impair loss=5%,reorder=5%,dup=1%,delay=5ms,seed=7
export LIMIT=100

for end in client origin; do
	"$here/lab" exec "$end" tshark -q -i any -s 2000 -w "$STATE/$end.pcapng" -f 'tcp port 22' >/dev/null 2>&1 &
done
sleep 2
head -c 1500000 /dev/urandom >"$STATE/client/file"
sum=$(sha256sum <"$STATE/client/file")
holds "an upload" client bash -c 'cd && scp -q file alice@origin:'
equal "the upload is intact" "$sum" "$(sha256sum <"$STATE/origin/home/alice/file")"
equal "a download is intact" "$sum" "$(client ssh -q alice@origin cat file | sha256sum)"
equal "both at once" "$sum" "$(client bash -c 'cd && ssh -q alice@origin cat <file' | sha256sum)"
equal "over IPv6" "$sum" "$(client ssh -q alice@origin6 cat file | sha256sum)"
equal "an exit status after a half-close" 7 "$(client bash -c 'ssh -q alice@origin "cat >/dev/null; exit 7" </dev/null; echo $?')"
sleep 1
kill %1 %2 2>/dev/null
wait %1 %2 2>/dev/null
for end in client origin; do
	found=$(tshark -r "$STATE/$end.pcapng" --disable-protocol ssh -o tcp.desegment_tcp_streams:FALSE -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y '_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0' 2>/dev/null | head -n 5)
	equal "nothing malformed, no wrong checksum at the $end" '' "$found"
	count=$(tshark -r "$STATE/$end.pcapng" -Y tcp 2>/dev/null | wc -l)
	holds "the capture at the $end holds the sessions ($count segments)" test "$count" -gt 1000
done
