// SPDX-License-Identifier: MIT

package survey

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"picket/internal/config"
	"picket/internal/host"
)

func place(files map[string]string) *Place {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return &Place{
		Root: root, Kernel: func() error { return nil }, Permission: func() error { return nil },
		Tables: func() (names, ahead []string, err error) {
			return []string{"inet picket", "ip filter"}, nil, nil
		},
		Networks: func() ([]host.Network, error) {
			return []host.Network{
				{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Interface: "docker0", Container: true},
				{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Interface: "lan0"},
			}, nil
		},
		Friends: func(host.Wanted) ([]host.Friend, error) {
			return []host.Friend{{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Why: "gateway"}}, nil
		},
	}
}

// TestLook: each case is found, is a problem or not, and has its remedy.
func TestLook(t *testing.T) {
	for _, x := range []struct {
		name    string
		files   map[string]string
		change  func(*Place)
		about   string
		text    string
		problem bool
		remedy  string
	}{
		{"kernel", map[string]string{"proc/sys/kernel/osrelease": "6.18.0\n"}, nil, "kernel",
			"Linux 6.18.0 has", false, ""},
		{"old kernel", nil, func(p *Place) {
			p.Kernel = func() error { return errors.New("kernel 4 is too old") }
		}, "kernel", "too old", true, "newer"},
		{"tables", nil, nil, "nftables", "other tables, which picket never touches: ip filter", false, ""},
		{"ahead", nil, func(p *Place) {
			p.Tables = func() (names, ahead []string, err error) {
				return []string{"inet picket", "ip raw"}, []string{"ip raw first"}, nil
			}
		}, "nftables", "chain ip raw first of another firewall drops packets before", true, "hook input"},
		{"no root", nil, func(p *Place) { p.Permission = func() error { return errors.New("no") } },
			"nftables", "only root sees", false, "sudo"},
		{"ufw", map[string]string{"etc/ufw/ufw.conf": "ENABLED=yes\n"}, nil, "ufw", "prove nobody", true,
			"set trap.port to a free port, then \"ufw allow PORT/tcp\""},
		{"firewalld", map[string]string{"run/firewalld/x": ""}, nil, "firewalld", "prove nobody", true,
			"--add-port=PORT/tcp"},
		{"docker", map[string]string{"run/docker.sock": "",
			"etc/docker/daemon.json": `{ "firewall-backend": "nftables" }`}, nil, "docker", "by nftables",
			false, ""},
		{"docker's tables", nil, func(p *Place) {
			p.Tables = func() (names, ahead []string, err error) {
				return []string{"ip docker-bridges"}, nil, nil
			}
		}, "docker", "by nftables", false, ""},
		{"flush", map[string]string{"run/docker.sock": "", "etc/ufw/ufw.conf": "ENABLED=yes\n",
			"etc/nftables.conf": "flush ruleset\n",
			"etc/systemd/system/sysinit.target.wants/nftables.service": ""}, nil, "/etc/nftables.conf",
			"the rules of ufw, docker until", false, "systemctl restart ufw docker"},
		{"fail2ban", map[string]string{"run/fail2ban/fail2ban.sock": ""}, nil, "fail2ban", "do not hinder",
			false, ""},
		{"include", map[string]string{"etc/nftables.conf": "flush ruleset\ninclude " +
			"\"/etc/picket/ruleset.nft\"\n"}, nil, "/etc/nftables.conf", "by name", true,
			"/etc/picket/*.nft"},
		{"finger", map[string]string{"proc/net/tcp": "  sl  local_address rem_address   st\n" +
			"   0: 00000000:004F 00000000:0000 0A 0\n   1: 00000000:0046 00000000:0000 01 0\n"}, nil,
			"trap ports", "listen at 79:", false, "tcp.classic"},
		{"kubernetes", map[string]string{"var/lib/kubelet/x": ""}, nil, "kubernetes", "externalTrafficPolicy",
			true, "Local"},
		{"containers", nil, nil, "behind this host", "found there: 198.51.100.0/24 (docker0)", false, ""},
		{"LANs", nil, nil, "behind this host", "not judged: 203.0.113.0/24 (lan0)", false,
			"forward.networks"},
		{"behind", nil, nil, "behind this host",
			"published ports are judged; who scans from there is told of",
			false, ""},
		{"no links", nil, func(p *Place) {
			p.Networks = func() ([]host.Network, error) { return nil, errors.New("no links") }
		}, "behind this host", "no links", true, "rtnetlink"},
		{"no conntrack", nil, nil, "connection tracking", "turn it on", false, ""},
		{"full conntrack", map[string]string{"proc/sys/net/netfilter/nf_conntrack_count": "900\n",
			"proc/sys/net/netfilter/nf_conntrack_max": "1000\n"}, nil, "connection tracking", "900 of 1000",
			true, "nf_conntrack_max=4000"},
		{"friends", nil, nil, "friends", "gateway: 192.0.2.1", false, ""},
		{"no resolver", nil, nil, "friends missing", "no resolver", false, "ignore.addresses"},
		{"no login record", nil, nil, "operator", "no record of who is logged in (/run/utmp, " +
			"/run/systemd/sessions)", false, "picket allow ADDRESS"},
		{"utmp", map[string]string{"run/utmp": ""}, nil, "operator", "records who is logged in", false, ""},
		{"logind", map[string]string{"run/systemd/sessions/1": ""}, nil, "operator",
			"records who is logged in", false, ""},
		{"session", nil, func(p *Place) { p.Session = "198.51.100.7 50000 192.0.2.2 22" }, "friends missing",
			"198.51.100.7, where your SSH session", false, "picket allow 198.51.100.7"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := place(x.files)
			if x.change != nil {
				x.change(p)
			}
			for _, f := range p.Look(config.Default()) {
				if f.About == x.about && strings.Contains(f.Text, x.text) {
					if f.Problem != x.problem || (f.Remedy == "") != (x.remedy == "") ||
						!strings.Contains(f.Remedy, x.remedy) {
						t.Errorf("%+v", f)
					}
					return
				}
			}
			t.Errorf("not found in %+v", p.Look(config.Default()))
		})
	}
	for _, f := range place(nil).Look(config.Default()) {
		if f.Problem {
			t.Errorf("a bare host has a problem: %+v", f)
		}
	}
}

// TestHere: the test's own host can be looked at.
func TestHere(t *testing.T) {
	p := Here()
	if found := p.Look(config.Default()); len(found) < 4 {
		t.Errorf("%+v", found)
	}
}

// TestInline: with the inline verdict on, the finding says whether the kernel can queue, by its
// lists of modules.
func TestInline(t *testing.T) {
	wanted, err := config.Parse("x", []byte("[inline]\nports = \"open\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		builtin, dep, want string
		problem            bool
	}{
		{"", "", "only a start tells", false},
		{"kernel/net/netfilter/nfnetlink_queue.ko\n", "kernel/net/netfilter/nft_queue.ko.xz: a.ko.xz\n",
			"can queue", false},
		{"k/nfnetlink_queue.ko\nk/nft_compat.ko\nk/xt_NFQUEUE.ko\n", "", "can queue", false},
		{"k/nfnetlink_queue.ko\nk/xt_NFQUEUE.ko\n", "", "will pass at once", true},
		{"k/nft_queue.ko\n", "", "will pass at once", true},
	} {
		p := place(map[string]string{"proc/sys/kernel/osrelease": "6.1\n",
			"lib/modules/6.1/modules.builtin": x.builtin, "lib/modules/6.1/modules.dep": x.dep})
		found := false
		for _, f := range p.Look(wanted) {
			if f.About == "inline verdict" {
				found = true
				if !strings.Contains(f.Text, x.want) || f.Problem != x.problem {
					t.Errorf("%+v: %+v", x, f)
				}
			}
		}
		if !found {
			t.Errorf("%+v: nothing is said", x)
		}
		for _, f := range p.Look(config.Default()) {
			if f.About == "inline verdict" {
				t.Errorf("nobody wants it: %+v", f)
			}
		}
	}
}

// A trusted link that is not there may be a mistyped one.
func TestInterfaceIsNotThere(t *testing.T) {
	c := config.Default()
	c.Ignore.Interfaces = []string{"wg0", "wg1"}
	var said []string
	for _, f := range place(map[string]string{"sys/class/net/wg0": ""}).Look(c) {
		if strings.Contains(f.Text, "interface") {
			said = append(said, f.Text)
		}
	}
	if want := []string{`there is no interface "wg1" now (ignore.interfaces)`}; !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}
