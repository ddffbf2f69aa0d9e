# SPDX-License-Identifier: Apache-2.0
# Addresses bound to users with `reeve identity`, as a VPN's agent would: the table, its errors, its end.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
session_start

holds "an address is bound" reeve identity bind 198.51.100.1 alice --ttl 1h
contains "and listed" "198.51.100.1" "$(reeve identity ls)"
equal "in JSON, too" alice "$(reeve identity ls --json | json 'rows[0]["user"]')"
holds "saying it again renews it" reeve identity bind 198.51.100.1 alice --ttl 2h
equal "and it stays one" 1 "$(reeve identity ls --json | json 'len(rows)')"
contains "an IPv4-mapped address is its IPv4 address" "198.51.100.7" "$(reeve identity bind ::ffff:198.51.100.7 alice)"
capture reeve identity bind 198.51.100.0/24 alice
contains "a network is no address" "no host's address" "$err"
capture reeve identity bind 198.51.100.1 nobody
contains "nor is somebody who is not enrolled anybody" "there is no user 'nobody'" "$err"
capture reeve identity bind 198.51.100.1 alice --ttl 5s
equal "a ttl of seconds is the words' fault" 2 "$status"
enrol bob bob sre
contains "an address is one user's: it goes over" "it was alice's until now" "$(reeve identity bind 198.51.100.7 bob)"
holds "it is taken back" reeve identity unbind 198.51.100.7
fails_to "once" reeve identity unbind 198.51.100.7
kill -KILL "$(child control)"
eventually 15 "bindings outlive control" reeve identity ls
contains "all of them" "198.51.100.1" "$(reeve identity ls)"
holds "the user goes" reeve user rm alice
lacks "and the binding with it" "198.51.100.1" "$(reeve identity ls)"
