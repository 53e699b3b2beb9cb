#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18.
#
# The limit of a dynamic set's element is the one of the rule that created it.
# A second rule that names the same set and another limit is bound by the first
# rule's for as long as the element lives, though "nft list ruleset" shows each
# rule with its own. A strict rule thus becomes lax, or the other way round, by
# the order in which a host's packets come.
#
# Seen: after a packet to the lax rule, the strict one (burst 1) lets 8 of 8 pass;
#       alone it lets 1 of 8 pass
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

cat >rules <<'RULES'
table inet t {
	set s { type ipv4_addr; flags dynamic,timeout; size 16; timeout 1h; }
	counter passed { }
	chain c {
		type filter hook input priority 0;
		udp dport 1 add @s { ip saddr limit rate over 1/week burst 25 packets } drop
		udp dport 2 add @s { ip saddr limit rate over 1/week burst 1 packets } drop
		udp dport 2 counter name passed
	}
}
RULES
count() { # packets to port 2 that pass, of eight, after what stands before
	unshare -n bash -euo pipefail -c '
		ip link set lo up
		nft -f rules
		for port in '"$*"' 2 2 2 2 2 2 2 2; do echo >/dev/udp/127.0.0.1/$port; done 2>/dev/null || true
		nft list counter inet t passed | grep -oE "packets [0-9]+"
	'
}
# /dev/udp sends one datagram for each; an unreachable port does not matter.
lax=$(count 1) strict=$(count)
echo "after the lax rule: $lax; the strict rule alone: $strict"
[ "$lax" = 'packets 8' ] && [ "$strict" = 'packets 1' ] || { echo 'this has changed'; exit 1; }
echo 'as described'
