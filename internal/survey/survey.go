// SPDX-License-Identifier: MIT

// Package survey looks at the host of a configuration, for "picket check --host":
// its kernel, other firewalls beside picket, ports and traps, connection tracking,
// and friends. Each finding that calls for something has its remedy.
//
// It reads files and asks the kernel, and changes nothing. Without CAP_NET_ADMIN it
// does not see the tables of others, and says so.
package survey

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"picket/internal/ahead"
	"picket/internal/config"
	"picket/internal/host"
	"picket/internal/modules"
	"picket/nft"
)

// A Finding is one fact about the host.
type Finding struct {
	About   string `json:"about"`
	Text    string `json:"text"`
	Problem bool   `json:"problem"` // something does not work
	Remedy  string `json:"remedy"`  // "" for nothing to do
}

// A Place is a host to look at.
type Place struct {
	Root       fs.FS // the files of the host
	Kernel     func() error
	Permission func() error
	Tables     func() (names, ahead []string, err error) // see [ahead.Look]
	Friends    func(host.Wanted) ([]host.Friend, error)
	Networks   func() ([]host.Network, error) // behind it
	Session    string                         // SSH_CONNECTION, sshd(8)
}

// Here is picket's own host.
func Here() Place {
	return Place{
		Root: os.DirFS("/"), Kernel: modules.CheckKernel, Permission: modules.CheckPermission,
		Tables:  ahead.Look,
		Friends: new(host.Host).Friends, Networks: host.Networks, Session: os.Getenv("SSH_CONNECTION"),
	}
}

// Look returns the findings.
func (p *Place) Look(c *config.Config) []Finding {
	s := &surveyor{Place: p, config: c}
	s.kernel()
	s.tables()
	s.firewalls()
	s.nftablesConf()
	s.ports()
	s.kubernetes()
	s.behind()
	s.conntrack()
	s.inline()
	s.friends()
	s.operator()
	return s.found
}

// NoLoginRecord reports whether the system keeps no record of who is logged in, and returns the
// finding.
func (p *Place) NoLoginRecord() (f Finding, missing bool) {
	records := host.LoginRecords()
	for _, name := range records {
		if _, err := fs.Stat(p.Root, strings.TrimPrefix(name, "/")); err == nil {
			return f, false
		}
	}
	return Finding{
		About: "operator",
		Text: "this system has no record of who is logged in (" + strings.Join(records, ", ") +
			"), so its operator is fenced as anybody",
		Remedy: "\"picket allow ADDRESS\" for where you log in from, or run systemd-logind",
	}, true
}

func (s *surveyor) operator() {
	if f, missing := s.NoLoginRecord(); missing {
		s.found = append(s.found, f)
		return
	}
	s.note("operator", "the system records who is logged in, and from where: that address is never fenced",
		"")
}

type surveyor struct {
	*Place
	config *config.Config
	others []string // tables beside picket's
	beside []string // units of other firewalls
	found  []Finding
}

func (s *surveyor) note(about, text, remedy string) {
	s.found = append(s.found, Finding{About: about, Text: text, Remedy: remedy})
}

func (s *surveyor) problem(about, text, remedy string) {
	s.found = append(s.found, Finding{About: about, Text: text, Problem: true, Remedy: remedy})
}

// read returns a file, "" for none.
func (s *surveyor) read(name string) string {
	b, _ := fs.ReadFile(s.Root, name)
	return string(b)
}

func (s *surveyor) there(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, err := fs.Stat(s.Root, n); return err == nil })
}

func (s *surveyor) kernel() {
	release := strings.TrimSpace(s.read("proc/sys/kernel/osrelease"))
	if err := s.Kernel(); err != nil {
		s.problem("kernel", err.Error(), "boot a newer kernel")
		return
	}
	s.note("kernel", "Linux "+release+" has what the rules use", "")
}

func (s *surveyor) tables() {
	if err := s.Permission(); err != nil {
		s.note("nftables", "only root sees the tables of others", "run this with sudo")
		return
	}
	tables, chains, err := s.Tables()
	if err != nil {
		s.problem("nftables", err.Error(), "see that the kernel has nf_tables: modprobe nf_tables")
		return
	}
	s.others = slices.DeleteFunc(tables, func(t string) bool { return t == "inet "+nft.Name })
	if len(s.others) == 0 {
		s.note("nftables", "no other table", "")
		return
	}
	s.note("nftables", "other tables, which picket never touches: "+strings.Join(s.others, ", "), "")
	for _, c := range chains {
		s.problem("nftables", ahead.Says(c), ahead.Remedy)
	}
}

// firewalls reports other firewalls beside picket.
func (s *surveyor) firewalls() {
	trap := s.config.TCP.Modes.Names()
	traps := slices.Contains(trap, "classic") && len(s.config.TCP.Classic) > 0
	refused := func(who, allow string) {
		if !traps {
			s.note(who, "on, with chains of its own beside picket's: it decides about the packets that "+
				"picket does not drop", "")
			return
		}
		port := "PORT"
		fixed := "set trap.port to a free port, then "
		if n := s.config.Trap.Port; n != 0 {
			port, fixed = strconv.Itoa(int(n)), ""
		}
		s.problem(who, "on, and refuses ports that it does not know: picket sees the probes all the same, "+
			"but "+
			"connections to classic ports do not complete, so they prove nobody",
			fixed+strings.ReplaceAll(allow, "PORT", port))
	}
	if strings.Contains(s.read("etc/ufw/ufw.conf"), "ENABLED=yes") {
		s.beside = append(s.beside, "ufw")
		refused("ufw", "\"ufw allow PORT/tcp\"")
	}
	if s.there("run/firewalld", "run/firewalld.pid") {
		s.beside = append(s.beside, "firewalld")
		refused("firewalld", "\"firewall-cmd --permanent --add-port=PORT/tcp && firewall-cmd --reload\"")
	}
	if backend := s.docker(); backend != "" {
		s.beside = append(s.beside, "docker")
		s.note("docker", "on, by "+backend+": who asks for a published port that a container serves does "+
			"not probe, and a blocked source does not reach containers either", "")
	}
	if s.there("run/fail2ban/fail2ban.sock") {
		s.beside = append(s.beside, "fail2ban")
		s.note("fail2ban", "on, with bans in a table of its own: the two do not hinder each other", "")
	}
}

// docker returns Docker's backend, "" for no Docker. That of nftables, an option of dockerd
// or a line of its configuration, shows in its table.
func (s *surveyor) docker() string {
	switch {
	case slices.Contains(s.others, "ip docker-bridges"):
		return "nftables"
	case !s.there("run/docker.sock"):
		return ""
	case strings.Contains(strings.ReplaceAll(s.read("etc/docker/daemon.json"), " ", ""),
		`"firewall-backend":"nftables"`):
		return "nftables"
	}
	return "iptables"
}

func (s *surveyor) nftablesConf() {
	conf := s.read("etc/nftables.conf")
	for line := range strings.Lines(conf) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "include") && strings.Contains(line, "/etc/picket/ruleset.nft") {
			s.problem("/etc/nftables.conf",
				"it includes /etc/picket/ruleset.nft by name: without picket, nftables.service fails "+
					"and the host has no firewall",
				`write include "/etc/picket/*.nft", which may match nothing`)
		}
	}
	if strings.Contains(conf, "flush ruleset") {
		s.note("/etc/nftables.conf", "it flushes the ruleset: after each load picket puts its table and "+
			"blocks back at once", "")
		if len(s.beside) > 0 && s.there("etc/systemd/system/sysinit.target.wants/nftables.service") {
			s.note("/etc/nftables.conf", "each load of it, \"systemctl reload nftables\" too, takes out the "+
				"rules of "+strings.Join(s.beside, ", ")+" until they restart",
				"after a load: systemctl restart "+strings.Join(s.beside, " "))
		}
	}
}

// ports reports services at trap ports.
func (s *surveyor) ports() {
	served := map[uint16]bool{}
	for _, name := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		for line := range bytes.Lines([]byte(s.read(name))) {
			f := strings.Fields(string(line))
			if len(f) < 4 || f[3] != "0A" { // TCP_LISTEN, include/net/tcp_states.h
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if n, err := strconv.ParseUint(hex, 16, 16); err == nil {
				served[uint16(n)] = true
			}
		}
	}
	var both []string
	for _, r := range s.config.TCP.Classic {
		for n := int(r.From); n <= int(r.To); n++ {
			if served[uint16(n)] {
				both = append(both, strconv.Itoa(n))
			}
		}
	}
	if len(both) > 0 {
		s.note("trap ports", "services listen at "+strings.Join(both, ", ")+
			": connections go to them, and not to the trap",
			"take them out of tcp.classic, or end the services")
	}
	if p := s.config.Trap.Port; p != 0 && served[p] {
		s.note("trap.port", fmt.Sprintf("somebody listens at %d: picket if it runs", p),
			"if it does not, set another trap.port")
	}
}

func (s *surveyor) kubernetes() {
	if s.there("var/lib/kubelet", "etc/rancher/k3s", "var/lib/k0s") {
		s.problem("kubernetes", "a service with externalTrafficPolicy: Cluster sees a "+
			"node's address for its clients: a scanner behind it counts as that node",
			"set externalTrafficPolicy: Local, or ignore the nodes and the pod network: ignore.addresses")
	}
}

// inline reports whether the kernel can queue, by the lists of its built-in parts and its
// modules (Documentation/kbuild/kbuild.rst).
func (s *surveyor) inline() {
	if !s.config.Inlined() {
		return
	}
	release := "lib/modules/" + strings.TrimSpace(s.read("proc/sys/kernel/osrelease"))
	lists := s.read(release+"/modules.builtin") + s.read(release+"/modules.dep")
	has := func(module string) bool { return strings.Contains(lists, "/"+module+".ko") }
	switch {
	case lists == "":
		s.note("inline verdict",
			"this kernel has no list of its modules, so only a start tells whether it can queue",
			"\"picket status\" says it then")
	case has("nfnetlink_queue") && (has("nft_queue") || has("xt_NFQUEUE") && has("nft_compat")):
		s.note("inline verdict", "the kernel can queue", "")
	default:
		s.problem("inline verdict", "the kernel has no nfnetlink_queue, or neither nft_queue nor "+
			"xt_NFQUEUE: every SYN to a service will pass at once",
			"boot a kernel that has them, or set inline.ports = \"\"")
	}
}

func (s *surveyor) conntrack() {
	number := func(name string) (n int) {
		n, _ = strconv.Atoi(strings.TrimSpace(s.read("proc/sys/net/netfilter/nf_conntrack_" + name)))
		return n
	}
	switch count, most := number("count"), number("max"); {
	case most == 0:
		s.note("connection tracking", "off, and picket's rules turn it on", "")
	case count*5 >= most*4:
		s.problem("connection tracking",
			fmt.Sprintf("%d of %d entries in use: packets beyond the last are dropped", count, most),
			fmt.Sprintf("sysctl net.netfilter.nf_conntrack_max=%d", 4*most))
	default:
		s.note("connection tracking", fmt.Sprintf("%d of %d entries in use", count, most), "")
	}
}

// behind reports what behind the host is judged and what is not.
func (s *surveyor) behind() {
	found, err := s.Networks()
	if err != nil {
		s.problem("behind this host", err.Error(), "see that rtnetlink can be used here")
		return
	}
	f := &s.config.Forward
	s.note("behind this host", f.Says(), "")
	var judged, left []string
	for _, n := range found {
		name := fmt.Sprintf("%s (%s)", n.Prefix, n.Interface)
		if f.Means(n.Container) || slices.ContainsFunc(f.Prefixes, n.Prefix.Overlaps) {
			judged = append(judged, name)
		} else {
			left = append(left, name)
		}
	}
	if len(judged) > 0 {
		s.note("behind this host", "found there: "+strings.Join(judged, ", "), "")
	}
	if len(left) > 0 {
		s.note("behind this host", "forwarded and not judged: "+strings.Join(left, ", "),
			"if they are yours to guard, name them in forward.networks, or all by the word \"lans\"")
	}
}

// friends reports which addresses picket never blocks, and which may be missing.
func (s *surveyor) friends() {
	i := s.config.Ignore
	list, err := s.Friends(host.Wanted{Own: i.Own, Gateways: i.Gateways, Resolvers: i.Resolvers})
	if err != nil {
		s.problem("friends", err.Error(), "see that rtnetlink can be used here")
		return
	}
	by := map[string][]string{}
	for _, f := range list {
		by[f.Why] = append(by[f.Why], strings.TrimSuffix(strings.TrimSuffix(f.Prefix.String(), "/32"),
			"/128"))
	}
	for _, why := range []string{"own address", "gateway", "resolver", "time server"} {
		if n := len(by[why]); n > 0 {
			s.note("friends", fmt.Sprintf("%s: %s", why, strings.Join(by[why][:min(n, 8)], ", ")), "")
		}
	}
	if n := len(i.Addresses); n > 0 {
		s.note("friends", fmt.Sprintf("[ignore] names %d more", n), "")
	}
	for _, name := range i.Interfaces {
		if !s.there("sys/class/net/" + name) {
			s.note("friends missing", fmt.Sprintf("there is no interface %q now (ignore.interfaces)", name),
				"\"ip link\" has the names")
		}
	}
	if len(by["gateway"]) == 0 {
		s.note("friends missing", "no gateway found", "if there is one, name it in ignore.addresses")
	}
	if len(by["resolver"]) == 0 {
		s.note("friends missing", "no resolver in the usual files",
			"name yours in ignore.addresses")
	}
	s.session(list)
}

// session reports whether the caller's own session is a friend.
func (s *surveyor) session(list []host.Friend) {
	client, _, _ := strings.Cut(s.Session, " ")
	a, err := netip.ParseAddr(client)
	if err != nil {
		return
	}
	a = a.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	if !slices.ContainsFunc(list, func(f host.Friend) bool { return in(f.Prefix) }) &&
		!slices.ContainsFunc(s.config.Ignore.Addresses, in) {
		s.note("friends missing", fmt.Sprintf("%s, where your SSH session comes from, is spared only while "+
			"it is connected", a), fmt.Sprintf("\"picket allow %s\"", a))
	}
}
