# SPDX-License-Identifier: Apache-2.0
# Clients of many makes against two servers: what works past the box works through it (a part of tests/interop/run).
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/../interop/ground.sh"
ground_up
origin_asyncssh
client_side
host_keys openssh asyncssh

# compared CLIENTS SERVERS FEATURES CELLS: no cell may fail, and at least so many must be there to compare.
compared() {
	local said
	capture matrix --jobs 3 --clients "$1" --servers "$2" --features "$3"
	said=$(tail -n 1 <<<"$out")
	equal "$1 at $2" 0 "$status" || true
	[ "$status" = 0 ] || grep '^FAIL' <<<"$out"
	at_least "cells compared of $3" "$4" "${said%% *}"
}

compared openssh,putty,dropbear,paramiko,asyncssh openssh exec,stdin,pty,rekey,local,remote 28
compared curl openssh sftp-put,sftp-get,scp-put,scp-get 4
compared openssh,paramiko,asyncssh asyncssh signal-end,rekey,sftp-tree 7
compared tools openssh rsync 1
at_least "sessions that the box saw" 40 "$(reeve sessions --json | json 'len(rows)')"
