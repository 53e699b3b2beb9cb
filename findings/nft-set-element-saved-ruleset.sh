#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18.
#
# A rule with "update @set { ... timeout 1h }" sets the time that an element of
# a shorter timeout has left, and leaves the element's timeout as it was. "nft
# list" then prints "timeout 10s expires 59m59s", which "nft -f" refuses to load:
# what nft saved cannot be restored.
#
# Seen: elements = { 127.0.0.1 timeout 10s expires 59m59s... }
#       Error: Could not process rule: Numerical result out of range
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

unshare -n bash -euo pipefail -c '
	ip link set lo up
	nft -f - <<-RULES
	table ip t {
		set s { type ipv4_addr; flags dynamic,timeout; size 16; timeout 1h; elements = { 127.0.0.1 timeout 10s }; }
		chain c { type filter hook input priority 0; update @s { ip saddr timeout 1h }; }
	}
	RULES
	ping -qc1 127.0.0.1 >/dev/null
	nft list ruleset >saved
	grep elements saved
	nft flush ruleset
	! nft -f saved 2>said || { echo "the saved ruleset loads: this has changed"; exit 1; }
	head -n1 said
	grep -q "Numerical result out of range" said
'
echo 'as described'
