#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18.
#
# Adding a limit object that exists, with another rate, is acknowledged and
# changes nothing, and "nft -f" of a whole file that says so succeeds too. A
# quota object and a set's timeout, added again, do take the new value.
#
# Seen: limit l { rate 10/second }, quota q { over 99 mbytes }, timeout 1m39s
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

unshare -n bash -euo pipefail -c '
	nft add table inet t
	nft add limit inet t l { rate 10/second \; }
	nft add set inet t s { type ipv4_addr \; flags timeout \; timeout 10s \; }
	nft add quota inet t q { over 10 mbytes \; }
	nft add quota inet t q { over 99 mbytes \; }
	nft add limit inet t l { rate 99/second \; }
	nft add set inet t s { type ipv4_addr \; flags timeout \; timeout 99s \; }
	nft list ruleset | grep -oE "rate .*|timeout [0-9].*|over .*" | tee got
	printf "over 99 mbytes\nrate 10/second\ntimeout 1m39s\n" | sort | diff - <(sort got) || { echo "this has changed"; exit 1; }
'
echo 'as described'
