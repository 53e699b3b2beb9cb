#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18.
#
# One "nft -f" that adds and deletes the same element again and again, as a daemon that
# gathers what happened into one transaction sends, works or fails by the kind of set. Without
# flags 65 pairs pass, and of 66 the last add fails with EBUSY. With intervals the second pair
# fails with ENOENT, and nft points to the add. With a size of 65536 a thousand pairs pass.
#
# Seen: plain: 65 pairs pass, 66: Device or resource busy
#       size 65536: 1000 pairs pass
#       interval: 1 pair passes, 2: No such file or directory
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

unshare -n bash -euo pipefail -c '
	pairs() { # of a set with these properties, this many in one transaction
		nft -f - <<-RULES
		table inet t
		delete table inet t
		table inet t {
			set s { type ipv4_addr; $1 }
		}
		RULES
		for ((i = 0; i < $2; i++)); do
			echo "add element inet t s { 192.0.2.1 }"
			echo "delete element inet t s { 192.0.2.1 }"
		done >both
		nft -f both 2>said
	}
	changed() { echo "this has changed: $*"; cat said; exit 1; }
	pairs "" 65 || changed 65 of a plain set
	! pairs "" 66 || changed 66 of a plain set
	grep -q "both:131:.*Device or resource busy" said || changed the reason
	echo "plain: 65 pairs pass, 66: Device or resource busy"
	pairs "size 65536;" 1000 || changed 1000 of a set with a size
	echo "size 65536: 1000 pairs pass"
	pairs "flags interval;" 1 || changed one of intervals
	! pairs "flags interval;" 2 || changed two of intervals
	grep -q "No such file or directory" said || changed the reason
	echo "interval: 1 pair passes, 2: No such file or directory"
'
echo 'as described'
