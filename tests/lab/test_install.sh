# SPDX-License-Identifier: Apache-2.0
# tests/install on machines that cannot: one line each, on what is missing. Each is this machine with one thing hidden.
# Runs beside others.
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"
scratch=$(mktemp -d)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"; trap - EXIT; [ "$failures" = 0 ]; exit' EXIT
cp "$root/tests/install" "$scratch/install"

# hidden WHAT TEXT COMMANDS: in a mount namespace of its own, after COMMANDS
hidden() {
	local what=$1 text=$2 said status=0
	said=$(unshare --mount --propagation private bash -c "cd '$scratch'; $3" 2>&1 >/dev/null) || status=$?
	equal "$what: status" 1 "$status"
	equal "$what: one line" 1 "$(grep -c . <<<"$said")"
	contains "$what: which says so" "$text" "$said"
}
holds "this machine is fit" "$scratch/install" --check
hidden "another distribution" "this is Ubuntu 24.04" \
	'printf "ID=ubuntu\nVERSION_ID=24.04\nPRETTY_NAME=\"Ubuntu 24.04\"\n" >os; mount --bind os "$(readlink -f /etc/os-release)"; ./install --check'
hidden "an older Debian" "needs Debian 12" \
	'printf "ID=debian\nVERSION_ID=11\nPRETTY_NAME=\"Debian 11\"\n" >os; mount --bind os "$(readlink -f /etc/os-release)"; ./install --check'
hidden "too little memory" "300 MB are" \
	'printf "MemTotal: 9 kB\nMemAvailable: 307200 kB\n" >mem; mount --bind mem /proc/meminfo; ./install --check'
hidden "not root, and no sudo" "run it as root" \
	'mkdir -p bin; for f in bash id awk readlink uname cat; do ln -sf "$(command -v $f)" bin/; done; setpriv --reuid nobody --regid nogroup --clear-groups env PATH="$PWD/bin" /bin/bash ./install --check'
hidden "no network namespaces" "namespaces" \
	'mkdir -p bin2; printf "#!/bin/sh\nexit 1\n" >bin2/unshare; chmod +x bin2/unshare; PATH="$PWD/bin2:$PATH" ./install --check'
hidden "no veth" "veth" \
	'mkdir -p bin3; printf "#!/bin/sh\nfor a; do [ \"\$a\" = link ] && exit 1; done\nexit 0\n" >bin3/unshare; chmod +x bin3/unshare; PATH="$PWD/bin3:$PATH" ./install --check'
