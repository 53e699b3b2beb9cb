#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Linux 6.18 (kernel), nftables 1.0.6 (Debian 12), Python 3.
#
# NFULA_CFG_NLBUFSIZ (nflog_set_nlbufsiz of libnetfilter_log) sets how large the datagrams
# of an NFLOG group get. A size below the default of a page, or above 131072, is
# acknowledged without an error and changes nothing: who asks for a megabyte has 4 KiB. A
# size that is taken is no bound: the kernel fills what its allocator has rounded it up
# to, nearly twice as much, so a read into a buffer of that size cuts the last messages.
#
# Seen: asked -, largest datagram 3668      asked 32768, error 0: 65076
#       asked 1024, error 0: 3668           asked 131072, error 0: 261764
#       asked 131073, error 0: 3668         asked 1048576, error 0: 3668
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

cat >group.py <<'PROGRAM'
import socket, struct
BIND, MODE, NLBUFSIZ, THRESHOLD = 1, 2, 3, 5
def largest(asked):
    """The kernel's answer to the size asked for, and the first datagram's length."""
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    def ask(kind, value):
        body = struct.pack("!BBH", 0, 0, 7) + struct.pack("=HH", 4 + len(value), kind) + value
        body += bytes(-len(body) % 4)
        s.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
        return struct.unpack_from("=i", s.recv(1 << 16), 16)[0]
    settings = (BIND, b"\1"), (MODE, struct.pack("!IBx", 64, 2)), (THRESHOLD, struct.pack("!I", 60000))
    for kind, value in settings:
        if error := ask(kind, value):
            raise OSError(-error, "the group")
    error = ask(NLBUFSIZ, struct.pack("!I", asked)) if asked else 0
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(3000):
        sender.sendto(b"x", ("127.0.0.1", 9))
    return error, len(s.recv(1 << 20))
answers = {asked: largest(asked) for asked in (0, 1024, 32768, 131072, 131073, 1 << 20)}
for asked, (error, length) in answers.items():
    print(f"asked {asked or '-'}, error {error}: {length}")
default = answers[0]
changed = [answers[n] for n in (1024, 131073, 1 << 20)] != [default] * 3
for n in (32768, 131072):
    changed |= answers[n][0] != 0 or answers[n][1] < 1.5 * n
raise SystemExit(changed)
PROGRAM
unshare -n bash -euo pipefail -c '
	ip link set lo up
	nft "add table inet t; add chain inet t c { type filter hook input priority 0; }"
	nft add rule inet t c udp dport 9 log group 7 queue-threshold 60000
	python3 group.py
' || { echo 'this has changed'; exit 1; }
echo 'as described'
