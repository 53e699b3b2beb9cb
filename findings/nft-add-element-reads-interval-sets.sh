#!/bin/bash
# SPDX-License-Identifier: MIT
#
# nftables 1.0.6 (Debian 12), Linux 6.18, Python 3.
#
# "nft add element" of one address to a set without intervals first reads every interval
# set of every table, of other families too, and keeps it in memory. So whoever has a
# large interval set makes each ban of another program dear, though the two share no table.
# A plain set of the same size costs it nothing.
#
# Seen, one "nft add element" to an empty set: alone, and beside a plain set of 50,000
#       addresses: 0.00 s of processor time, at most 18 MiB; beside an interval set of
#       them in a table of another family: 0.29 s, 69 MiB
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 &>/dev/null
for p in *.deb; do dpkg -x "$p" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu PATH=$dir/root/usr/sbin:$PATH

cat >add.py <<'PROGRAM'
import os, resource, subprocess
addresses = ",".join(f"10.{i >> 15}.{i >> 7 & 255}.{i << 1 & 255}" for i in range(50000))
def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)
def add(beside):
    """What one call takes, with beside in the kernel."""
    nft("flush ruleset; table inet mine { set s { type ipv4_addr; }; }\n" + beside)
    child = subprocess.Popen(["nft", "add element inet mine s { 192.0.2.1 }"])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit("nft failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # as of the fork: at least Python's own
def others(flags):
    return "table ip others { set s { type ipv4_addr; %s elements = { %s }; }; }" % (flags, addresses)
alone, plain, interval = add(""), add(others("")), add(others("flags interval;"))
names = "alone", "beside a plain set", "beside an interval set"
for name, (seconds, size) in zip(names, (alone, plain, interval)):
    print(f"{name}: {seconds:.2f} s of processor time, at most {size:.0f} MiB")
raise SystemExit(plain[1] > alone[1] + 10 or interval[1] < alone[1] + 30 or interval[0] < 2 * plain[0])
PROGRAM
unshare -n python3 add.py || { echo 'this has changed'; exit 1; }
echo 'as described'
