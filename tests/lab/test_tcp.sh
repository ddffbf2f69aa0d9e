# SPDX-License-Identifier: Apache-2.0
# SSH over the box's TCP, before Linux's, on a wire that loses a frame in twenty: what is sent arrives whole both ways.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start --impair loss=5%,reorder=5%,dup=1%,delay=5ms,seed=7
export LIMIT=100

head -c 1500000 /dev/urandom >"$STATE/client/file"
sum=$(sha256sum <"$STATE/client/file")
holds "an upload" client bash -c 'cd && scp -q file alice@origin:'
equal "the upload is intact" "$sum" "$(sha256sum <"$STATE/origin/home/alice/file")"
equal "a download is intact" "$sum" "$(client ssh -q alice@origin cat file | sha256sum)"
equal "both at once" "$sum" "$(client bash -c 'cd && ssh -q alice@origin cat <file' | sha256sum)"
equal "over IPv6" "$sum" "$(client ssh -q alice@origin6 cat file | sha256sum)"
equal "an exit status after a half-close" 7 "$(client bash -c 'ssh -q alice@origin "cat >/dev/null; exit 7" </dev/null; echo $?')"
# Two uploads, three downloads.
wire_carried 3000000 4500000
wire_end
