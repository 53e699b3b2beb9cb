#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Linux 6.18 (kernel), Python 3, tcpdump 4.99.3 (Debian 12).
#
# tcp(7) has TCP_SYNCNT as the number of SYNs that connect(2) sends again. Set on a
# listener it bounds, too, how often the kernel sends a SYN+ACK that nobody answers, for
# this listener alone and whatever net.ipv4.tcp_synack_retries says.
#
# Seen: as it comes: 3 SYN+ACKs within 4 s; TCP_SYNCNT 1: 2
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq tcpdump=4.99.3-1 libpcap0.8=1.10.3-1 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/bin:$PATH

unshare -n bash -euo pipefail -c '
	ip link set lo up
	ip route add 192.0.2.0/24 dev lo
	tcpdump -Z root -nlp -i lo "tcp[13] == 0x12" >seen 2>listening &
	until grep -q "listening on" listening; do sleep 0.1; done
	python3 - <<-PROGRAM
	import socket, struct, time
	listeners = []
	for port, count in ((7001, None), (7002, 1)):
	    s = socket.socket()
	    if count: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, count)
	    s.bind(("127.0.0.1", port)); s.listen(); listeners.append(s)
	raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
	def checksum(b):
	    t = sum(struct.unpack("!%dH" % (len(b) // 2), b))
	    return ~((t & 0xffff) + (t >> 16)) & 0xffff
	raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
	for port in (7001, 7002):
	    ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("127.0.0.1")
	    tcp = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
	    sum_ = checksum(ends + struct.pack("!HH", 6, 20) + tcp)
	    ip = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, 6, 0) + ends
	    raw.sendto(ip + tcp[:16] + struct.pack("!H", sum_) + tcp[18:], ("127.0.0.1", 0))
	time.sleep(4.5)
	PROGRAM
	kill %1; wait || true
'
count() { grep -c "127.0.0.1.$1 >" seen; }
echo "as it comes: $(count 7001) SYN+ACKs within 4 s; TCP_SYNCNT 1: $(count 7002)"
[ "$(count 7001) $(count 7002)" = '3 2' ] || { echo 'this has changed'; exit 1; }
echo 'as described'
