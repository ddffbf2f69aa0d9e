# SPDX-License-Identifier: Apache-2.0
# Sessions over a wire that loses, doubles and reorders frames: slower, but whole.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start --impair loss=1%,reorder=3%,dup=1%,delay=2ms,seed=42
export LIMIT=100
head -c 3000000 /dev/urandom >"$STATE/client/file"
for i in 1 2 3 4 5; do equal "command $i" "$i" "$(ssh_client -q alice@origin echo $i)"; done
holds "an upload" client bash -c 'cd && scp -q file alice@origin:'
equal "arrived intact" "$(sha256sum <"$STATE/client/file")" "$(sha256sum <"$STATE/origin/home/alice/file")"
equal "a download is intact" "$(sha256sum <"$STATE/client/file")" "$(client ssh -q alice@origin cat file | sha256sum)"
equal "over IPv6 too" "$(sha256sum <"$STATE/client/file")" "$(client ssh -q alice@origin6 cat file | sha256sum)"
