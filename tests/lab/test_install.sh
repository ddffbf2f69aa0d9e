# SPDX-License-Identifier: Apache-2.0
# What `meson install` puts onto a machine works from there, with no more rights than the systemd unit leaves it.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
lab_up
root=$STATE/root
holds "meson install" env DESTDIR="$root" meson install -C "$BUILD" --no-rebuild
prefix=$root$(meson introspect --buildoptions "$BUILD" | python3 -c '
import json, sys
print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
unit=$prefix/lib/systemd/system/reeved.service
for program in dataplane sshterm recorder control keeper; do
	holds "reeve-$program is there" test -x "$prefix/libexec/portreeve/reeve-$program"
done
holds "reeve is there" "$prefix/bin/reeve" --version

equal "the unit starts what was installed" "${prefix#"$root"}/sbin/reeved" "$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")"
if command -v systemd-analyze >/dev/null; then
	mkdir -p "$STATE/unit"
	sed "s|^ExecStart=|&$root|" "$unit" >"$STATE/unit/reeved.service"
	equal "systemd finds nothing wrong with the unit" "" "$(systemd-analyze verify --man=no "$STATE/unit/reeved.service" 2>&1)"
fi

# What the unit says by ProtectSystem, ReadWritePaths, PrivateTmp, CapabilityBoundingSet and NoNewPrivileges.
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
cat >"$STATE/as-a-service" <<-SH
	set -e
	mount --rbind /run /run
	mount -t tmpfs none /tmp
	mount -o remount,bind,ro /
	exec setpriv --no-new-privs --bounding-set=-all,$capabilities -- "\$@"
SH
reeved_command=(unshare --mount --propagation private bash "$STATE/as-a-service" "$prefix/sbin/reeved")
reeved_start
equal "its processes are the installed ones" "$prefix/libexec/portreeve/reeve-dataplane" "$(readlink "/proc/$(child dataplane)/exe")"
make_cas
enrol alice alice,root sre
use_identity alice
equal "a session runs" hello "$(ssh_client -q alice@origin echo hello)"
equal "and is recorded" alice "$(reeve ls --json | json 'rows[0]["Username"]')"

# A second one with files of its own, but the same ports: it must leave the first one's wire alone.
mkdir -p "$STATE/second"
sed "s|$STATE/control.sock|$STATE/second/control.sock|; s|$STATE/state|$STATE/second/state|; s|$STATE/recordings|$STATE/second/recordings|" \
	"$STATE/reeved.yaml" >"$STATE/second/reeved.yaml"
capture timeout 20 "$BUILD/control/reeved" -c "$STATE/second/reeved.yaml"
equal "a second reeved on the same ports is refused" 1 "$status"
contains "and told why" "'boxc' is a port of another reeved" "$err"
holds "the wire is as it was" client ping -c 2 -i 0.2 -W 2 -q origin
capture timeout 20 "$BUILD/control/reeved" -c "$STATE/reeved.yaml"
contains "one on the same files, too" "another reeved runs" "$err"
holds "and the wire is as it was" client ping -c 2 -i 0.2 -W 2 -q origin
