#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Linux 6.18 (kernel), nftables 1.0.6 (Debian 12), Python 3.
#
# Of an interval set whose intervals touch, the kernel may answer the question for the
# interval 10.0.0.0 to 10.0.1.0 with the end of the next one, 10.0.2.0, and says that all
# went well. "nft get element" sees that this is not what it asked for, and reports that
# there is no such element: of an element that "nft list" shows, that packets match, and
# that can be deleted by the same words. Which intervals are hit depends on the shape of
# the tree, so on what else is in the set.
#
# Seen, of 10.0.0.0/24 to 10.0.3.0/24, each of which is there: the second and the fourth
#       are found, "No such file or directory" for the first and the third
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

cat >ask.py <<'PROGRAM'
import socket, struct
def attribute(kind, b): return struct.pack("=HH", 4 + len(b), kind) + b + bytes(-len(b) % 4)
def element(address, end):
    key = attribute(0x8001, attribute(1, socket.inet_aton(address)))
    return attribute(0x8001, key + attribute(3, struct.pack("!I", end)))
both = element("10.0.0.0", 0) + element("10.0.1.0", 1)
body = struct.pack("=BBH", 1, 0, 0) + attribute(1, b"t\0") + attribute(2, b"s\0") + attribute(0x8003, both)
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack("=IHHII", 16 + len(body), 0xa0d, 5, 1, 0) + body)
datagrams = [s.recv(1 << 16) for _ in range(3)]
# Behind the headers, the names and those of the list, the element and the key.
print(*(socket.inet_ntoa(d[52:56]) for d in datagrams[:2]), struct.unpack_from("=i", datagrams[2], 16)[0])
PROGRAM
unshare -n bash -euo pipefail -c '
	nft "add table inet t; add set inet t s { type ipv4_addr; flags interval; }"
	nft "add element inet t s { 10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24 }"
	for i in 0 1 2 3; do
		nft list set inet t s >list
		grep -qF "10.0.$i.0/24" list
		if nft get element inet t s "{ 10.0.$i.0/24 }" &>said
		then echo "found 10.0.$i.0/24"
		else grep -q "No such file or directory" said; echo "missed 10.0.$i.0/24"; fi
	done
	echo "start, end, error of the first: $(python3 ask.py)"
	nft delete element inet t s "{ 10.0.0.0/24 }"
' | tee got
diff - got <<'SAID' || { echo 'this has changed'; exit 1; }
missed 10.0.0.0/24
found 10.0.1.0/24
missed 10.0.2.0/24
found 10.0.3.0/24
start, end, error of the first: 10.0.0.0 10.0.2.0 0
SAID
echo 'as described'
