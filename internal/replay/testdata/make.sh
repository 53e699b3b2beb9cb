#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make.sh writes the captures beside it anew: two network namespaces, a host with
# tcp/22 and udp/53 open, a scanner, real nmap, and tcpdump on the host's side.
# Needs root, nmap, hping3, tcpdump, nft, socat, ping, dig, traceroute and Wireshark's
# editcap and mergecap. Takes two minutes.
set -eu
dir=$(cd "$(dirname "$0")" && pwd)
h=picket-h$$ s=picket-s$$ w=$(mktemp -d)
clean() {
	for n in $h $s; do
		ip netns pids $n 2>/dev/null | xargs -r kill 2>/dev/null || true
		ip netns del $n 2>/dev/null || true
	done
	rm -rf "$w"
}
trap clean EXIT
trap "exit 1" INT TERM
ip netns add $h
ip netns add $s
ip -n $h link add eth0 type veth peer name eth0 netns $s
for n in $h $s; do
	ip netns exec $n sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
	ip -n $n link set lo up
	ip -n $n link set eth0 up
done
ip -n $h address add 192.0.2.1/24 dev eth0
ip -n $s address add 192.0.2.2/24 dev eth0
ip -n $h address add 2001:db8::1/64 dev eth0 nodad
ip -n $s address add 2001:db8::2/64 dev eth0 nodad
# The kernel answers one closed UDP port a second; let it answer all of them.
ip netns exec $h sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
for f in 4 6; do
	only=
	[ $f = 4 ] || only=,ipv6only=1
	ip netns exec $h socat TCP$f-LISTEN:22,reuseaddr,fork$only SYSTEM:'echo SSH-2.0-none' 2>/dev/null &
	ip netns exec $h socat UDP$f-RECVFROM:53,reuseaddr,fork$only SYSTEM:'cat' 2>/dev/null &
done
sleep 1

# capture NAME TCPDUMP-OPTIONS -- COMMAND... runs the command in the scanner's namespace.
capture() {
	name=$1
	shift
	opts=
	while [ "$1" != -- ]; do
		opts="$opts $1"
		shift
	done
	shift
	ip netns exec $h tcpdump -q -Z root --immediate-mode -U $opts -w "$w/$name" "$filter" 2>"$w/log" &
	pid=$!
	until grep -q listening "$w/log"; do kill -0 $pid || { cat "$w/log"; exit 1; }; sleep 0.1; done
	sleep 0.3
	ip netns exec $s "$@" >/dev/null 2>&1 || true
	sleep 1.5 # the kernel holds mirrored packets back for up to a second
	kill -INT $pid
	wait $pid || true
	cp "$w/$name" "$dir/$name"
}
filter='ip or ip6 and not icmp6[0] >= 130' # no neighbour discovery
scan="nmap -n -Pn --disable-arp-ping --max-retries 0 -T4"
for f in 4 6; do
	host=192.0.2.1
	v=
	[ $f = 4 ] || { host=2001:db8::1 v=-6; }
	capture syn$f.pcap -i eth0 -- $scan $v -sS -p 20-25 $host
	capture connect$f.pcap -i eth0 -- $scan $v -sT -p 20-25 $host
	capture fin$f.pcap -i eth0 -- $scan $v -sF -p 20-25 $host
	capture null$f.pcap -i eth0 -- $scan $v -sN -p 20-25 $host
	capture xmas$f.pcap -i eth0 -- $scan $v -sX -p 20-25 $host
	capture ack$f.pcap -i eth0 -- $scan $v -sA -p 20-25 $host
	capture udp$f.pcap -i eth0 -- $scan $v -sU -p 51-54 --data-string picket $host
	capture sctp-init$f.pcap -i eth0 -- $scan $v -sY -p 20-22 $host
	capture sctp-echo$f.pcap -i eth0 -- $scan $v -sZ -p 20-22 $host
	capture ipproto$f.pcap -i eth0 -- $scan $v -sO -p 2,4,47,50,89,132 $host
	capture ping$f.pcap -i eth0 -- ping -n -c 2 -i 0.2 $host
	capture traceroute$f.pcap -i eth0 -- traceroute -n -m 2 -q 1 $host
	capture dig$f.pcap -i eth0 -- dig +tries=1 +time=1 @$host example.com
done
capture frag4.pcap -i eth0 -- $scan -sS -f -p 20-25 192.0.2.1
# nmap does not fragment IPv6; the kernel does.
capture frag6.pcap -i eth0 -s 128 -- sh -c 'head -c 3000 /dev/zero | socat -u -b 4096 - UDP6:[2001:db8::1]:54'
capture maimon4.pcap -i eth0 -- $scan -sM -p 20-25 192.0.2.1
capture decoy4.pcap -i eth0 -- $scan -sS -D 192.0.2.50,ME -p 21 192.0.2.1
capture timestamp4.pcap -i eth0 -- nmap -n -sn --disable-arp-ping -PP -PM 192.0.2.1
capture hping4.pcap -i eth0 -- hping3 -q -c 3 -S -p 21 -i u10000 192.0.2.1
capture sll.pcap -i any -y LINUX_SLL -- $scan -sS -p 21-23 192.0.2.1
capture sll2.pcap -i any -y LINUX_SLL2 -- $scan -sS -p 21-23 192.0.2.1
capture nano.pcap -i eth0 --time-stamp-precision=nano -- $scan -sS -p 21-23 192.0.2.1
# What the host itself asks for: an open and a closed port of the scanner, and an echo.
ip netns exec $s socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'echo hello' 2>/dev/null &
sleep 0.5
capture own4.pcap -i eth0 -- nsenter --net=/run/netns/$h sh -c \
	'socat -u TCP4:192.0.2.2:80 - ; socat -u TCP4:192.0.2.2:81 - ; ping -n -c 1 192.0.2.2'
# The mirror's own view: picket's prefixes, the NFLOG link type.
ip netns exec $h nft -f - <<-END
	table inet mirror {
		chain input {
			type filter hook input priority filter - 10
			tcp dport 21 log group 5 prefix "stealth" snaplen 128
			tcp dport 23 log group 5 prefix "advanced bulk" snaplen 128
			tcp dport 25 log group 5 prefix "foreign" snaplen 128
		}
	}
END
filter=
capture nflog.pcap -i nflog:5 -- $scan -sS -p 20-25 192.0.2.1
# The same packets as other tools write them.
cd "$dir"
editcap -F pcapng syn6.pcap syn6.pcapng
editcap -F pcap -C 14 -T rawip syn4.pcap raw.pcap
mergecap -F pcapng -w mixed.pcapng syn4.pcap sll2.pcap nflog.pcap raw.pcap
gzip -9nc syn6.pcapng >syn6.pcapng.gz
