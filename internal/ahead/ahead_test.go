// SPDX-License-Identifier: MIT

package ahead

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"picket/internal/netns/netnstest"
)

// enter gives a test, or a subtest, a network namespace of its own with a link.
func enter(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	run(t, "", "ip", "link", "add", "eth0", "type", "veth", "peer", "eth9")
}

var machine, _ = os.Readlink("/proc/self/ns/net")

// run runs a program on a script in the namespace of the test: never in the machine's own, where
// a subtest that did not enter one would be.
func run(t *testing.T, script string, argv ...string) {
	t.Helper()
	if own, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || own == machine {
		t.Fatalf("not in a namespace of its own: %s, %v", own, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", argv, err, out)
	}
}

// TestLook: chains that drop what strangers send to ports are found; those of firewalld, ufw and
// Docker that drop what is forged or broken, lists of sources, and what comes behind picket
// are not.
func TestLook(t *testing.T) {
	first := func(rules string) string {
		return "table inet x {\n set own { type ipv4_addr; }\n" +
			"set web { type inet_service; elements = { 80, 443 }; }\n" +
			"chain wan {\n tcp dport != 22 counter drop\n }\n chain calm {\n ct state invalid drop\n }\n" +
			"chain first { type filter hook prerouting priority raw;\n" + rules + "\n}\n}\n"
	}
	for _, x := range []struct {
		name, rules string
		want        string // chains
	}{
		{"policy", first("policy drop; iif lo accept; ct state established accept; tcp dport 22 accept"),
			"inet x first"},
		{"last rule", first("iif lo accept; tcp dport @web accept; log counter drop"), "inet x first"},
		{"all ports but one", first("tcp dport != 22 drop"), "inet x first"},
		{"all ports but some", first("udp dport != { 53, 123 } drop"), "inet x first"},
		{"beyond a rate", first("tcp dport 22 accept; limit rate 10/second accept; meta l4proto tcp drop"),
			"inet x first"},
		{"new ones", first("ct state new tcp flags & (fin|syn|rst|ack) == syn tcp dport != @web drop"),
			"inet x first"},
		{"by way of a jump", first("iifname \"eth0\" jump wan"), "inet x first"},
		{"by link", first("iifname != \"lo\" jump calm; iif \"eth0\" goto wan"), "inet x first"},
		{"ingress", "table netdev x { chain in { type filter hook ingress device eth0 priority 0; " +
			"tcp dport != 22 drop; }; }", "netdev x in"},
		{"input, too soon", `table ip x {
			chain in {
				type filter hook input priority mangle; policy drop
			}
		}`, "ip x in"},

		{"input", "table inet x { chain in { type filter hook input priority filter; policy drop; }; }", ""},
		{"accepted before", first("policy drop; accept; drop"), ""},
		{"by link, another", first("iifname \"wg9\" jump wan; iif lo drop"), ""},
		{"one port", first("tcp dport 23 drop; meta l4proto . th dport { tcp . 139, udp . 137 } drop"), ""},
		{"other protocols", first("meta l4proto { icmp, igmp } ip ttl 1 drop; ip protocol icmp drop"), ""},
		{"sources", first("ip saddr @own drop; ip saddr != @own tcp dport 25 drop; " +
			"ip saddr . tcp dport != { 192.0.2.1 . 22 } drop"), ""},
		{"broken ones", first("ct state invalid drop; tcp flags & (fin|syn) == (fin|syn) drop; " +
			"ct state new tcp flags & (fin|syn|rst|ack) != syn drop; jump calm"), ""},
		{"a flood", first("limit rate over 1000/second drop"), ""},
		{"sockets", first("tcp dport != 22 socket transparent 1 drop"), ""},
		{"firewalld", `table inet firewalld {
			chain filter_PREROUTING {
				type filter hook prerouting priority filter + 10
				icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
				meta nfproto ipv6 fib saddr . mark . iif oif missing drop
			}
			chain filter_INPUT {
				type filter hook input priority filter + 10
				ct state { established, related } accept
				iifname lo accept
				ct state invalid drop
				reject with icmpx admin-prohibited
			}
		}`, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			enter(t)
			run(t, x.rules, "nft", "-f", "-")
			look(t, x.want)
		})
	}
	t.Run("ufw and Docker, by iptables", func(t *testing.T) {
		enter(t)
		run(t, `*raw
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
*mangle
-A PREROUTING -m conntrack --ctstate INVALID -j DROP
-A PREROUTING -m rpfilter --invert -j DROP
-A PREROUTING -p tcp ! --syn -m conntrack --ctstate NEW -j DROP
COMMIT
*filter
:INPUT DROP
-A INPUT -m conntrack --ctstate INVALID -j DROP
COMMIT
`, "iptables-restore")
		look(t, "")
		run(t, "*raw\n-A PREROUTING -i lo -j ACCEPT\n-A PREROUTING -p tcp -m tcp --dport 22 -j ACCEPT\n"+
			"-A PREROUTING -m comment --comment \"the rest\" -j DROP\nCOMMIT\n", "iptables-restore")
		look(t, "ip raw PREROUTING")
	})
}

func look(t *testing.T, want string) {
	t.Helper()
	tables, chains, err := Look()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(slices.Sorted(slices.Values(chains)), ", "); got != want || len(tables) == 0 {
		t.Errorf("%q drop first, want %q, of tables %q", got, want, tables)
	}
}

// TestOwn: picket's own table is no other firewall.
func TestOwn(t *testing.T) {
	enter(t)
	run(t, "table inet picket { chain early { type filter hook prerouting priority raw; policy drop; }; }",
		"nft", "-f", "-")
	look(t, "")
}
