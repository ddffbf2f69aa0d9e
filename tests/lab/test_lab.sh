# SPDX-License-Identifier: Apache-2.0
# The lab itself, before anything is blamed on the box: apart without it, joined by a plain wire, gone afterwards.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
wire=off # there is no box on it
lab_up --impair loss=0%,delay=1ms

fails_to "client and origin are apart as long as nothing joins the box's ports" client ping -c 1 -W 1 origin
equal "the box's ports have no address" "" "$(box ip -o address show dev boxc)$(box ip -o address show dev boxo)"

lab wire start
holds "a plain wire carries IPv4" client ping -c 1 -W 10 origin
holds "and IPv6" client ping -c 1 -W 10 origin6
equal "HTTP at the origin" "Hello from the origin." "$(client curl -s http://origin/)"
equal "the echo on 23" "marco" "$(echo marco | client nc -N -w 10 origin 23)"

ssh-keygen -q -t ed25519 -N '' -f "$STATE/ca"
cp "$STATE/ca.pub" "$STATE/origin/user_ca.pub"
ssh-keygen -q -s "$STATE/ca" -I test -n alice -V +5m "$STATE/client/.ssh/id_ed25519.pub"
equal "a certificate of a trusted CA logs in" "alice:/home/alice" "$(ssh_client -q alice@origin 'echo $USER:$HOME')"
fails_to "but not to a login that it does not name" ssh_client -q root@origin true

# A second run of the same name leaves the first one's lab alone.
contains "another run does not take the lab" "in use by another run (process $$)" \
	"$(bash -c '. "$1/session.sh"; lab_up' second "$here")"
equal "which goes on" "Hello from the origin." "$(client curl -s http://origin/)"
fails_to "a name that no lab test has is no success" "$here/run" no-such-test

lab wire stop
lab down
lacks "nothing is left of the namespaces" "$LAB-" "$(ip netns list)"
fails_to "nor of its files" test -e "$STATE"
