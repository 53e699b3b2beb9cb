#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18, Python 3.
#
# "socket wildcard" matches neither 0 nor 1 for the third packet of a TCP handshake, and
# "socket mark" no mark at all: what the kernel finds for that packet is the half of a
# socket that waits for it, which has neither. "socket transparent 0" matches it as any
# other. So a rule that lets the packets of local sockets pass by "socket wildcard { 0, 1 }"
# lets the SYN and all data pass, and never the ACK that makes a connection of them.
#
# Seen, of ten connections that are reset at once, thirty packets: wildcard 1: 10 (SYN),
#       wildcard 0: 10 (RST), either: 20, any mark: 20, transparent 0: 30
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

cat >rules <<'RULES'
table inet t {
	counter every { }
	counter wildcard1 { }
	counter wildcard0 { }
	counter either { }
	counter marks { }
	counter transparent0 { }
	counter missed { }
	chain c {
		type filter hook prerouting priority -100
		tcp dport != 7000 accept
		counter name every
		socket wildcard 1 counter name wildcard1
		socket wildcard 0 counter name wildcard0
		socket mark >= 0 counter name marks
		socket transparent 0 counter name transparent0
		socket wildcard { 0, 1 } counter name either accept
		tcp flags == ack counter name missed
	}
}
RULES
cat >connect.py <<'PROGRAM'
import socket, struct
listener = socket.create_server(("", 7000))
for _ in range(10):
    client = socket.create_connection(("127.0.0.1", 7000))
    server, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()  # with an RST
    server.close()
PROGRAM
unshare -n bash -euo pipefail -c '
	ip link set lo up
	nft -f rules
	python3 connect.py
	for name in every wildcard1 wildcard0 either marks transparent0 missed; do
		echo "$name $(nft list counter inet t $name | grep -oE "packets [0-9]+")"
	done
' | tee got
diff - got <<'SAID' || { echo 'this has changed'; exit 1; }
every packets 30
wildcard1 packets 10
wildcard0 packets 10
either packets 20
marks packets 20
transparent0 packets 30
missed packets 10
SAID
echo 'as described'
