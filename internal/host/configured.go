// SPDX-License-Identifier: MIT

package host

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A source is a kind of file with addresses of the host's servers, and the words
// before them.
type source struct {
	files string // a pattern, see filepath.Match
	words []string
	why   string
}

const (
	resolver   = "resolver"
	timeServer = "time server"
)

// sources are the files of the resolvers and time servers on Linux hosts. If
// resolv.conf names the host itself, the forwarder's own file has its servers. Names
// are skipped: their addresses are not known here.
var sources = []source{
	{"/etc/resolv.conf", resolvConf, resolver},                        // resolv.conf(5)
	{"/run/systemd/resolve/resolv.conf", resolvConf, resolver},        // systemd-resolved.service(8)
	{"/run/NetworkManager/no-stub-resolv.conf", resolvConf, resolver}, // NetworkManager.conf(5), rc-manager
	{"/run/dnsmasq/resolv.conf", resolvConf, resolver},                // Debian's dnsmasq, by resolvconf(8)
	{"/etc/systemd/resolved.conf", resolvedConf, resolver},            // resolved.conf(5)
	{"/etc/systemd/resolved.conf.d/*", resolvedConf, resolver},
	{"/run/systemd/netif/links/*", resolvedConf, resolver}, // systemd-networkd, by DHCP
	{"/etc/dnsmasq.conf", dnsmasqConf, resolver},           // dnsmasq(8)
	{"/etc/dnsmasq.d/*", dnsmasqConf, resolver},            // Pi-hole's too
	{"/etc/NetworkManager/dnsmasq.d/*", dnsmasqConf, resolver},
	{"/etc/unbound/unbound.conf", unboundConf, resolver}, // unbound.conf(5)
	{"/etc/unbound/unbound.conf.d/*", unboundConf, resolver},
	{"/etc/bind/named.conf*", namedConf, resolver}, // BIND 9 Administrator Reference Manual, forwarders
	{"/etc/named.conf", namedConf, resolver},
	{"/etc/systemd/timesyncd.conf", timesyncdConf, timeServer}, // timesyncd.conf(5)
	{"/etc/systemd/timesyncd.conf.d/*", timesyncdConf, timeServer},
	{"/run/systemd/netif/links/*", timesyncdConf, timeServer},
	{"/etc/chrony.conf", ntpConf, timeServer}, // chrony.conf(5)
	{"/etc/chrony/chrony.conf", ntpConf, timeServer},
	{"/etc/chrony/conf.d/*", ntpConf, timeServer},
	{"/etc/chrony/sources.d/*", ntpConf, timeServer},
	{"/run/chrony-dhcp/*", ntpConf, timeServer}, // Debian's hook of dhclient
	{"/etc/ntp.conf", ntpConf, timeServer},      // ntp.conf(5)
	{"/etc/ntpsec/ntp.conf", ntpConf, timeServer},
	{"/run/ntpsec/ntp.conf.dhcp", ntpConf, timeServer},
	{"/etc/ntpd.conf", ntpConf, timeServer}, // OpenNTPD's ntpd.conf(5)
	{"/etc/openntpd/ntpd.conf", ntpConf, timeServer},
}

var (
	resolvConf    = []string{"nameserver"}
	resolvedConf  = []string{"DNS", "FallbackDNS"}
	dnsmasqConf   = []string{"server", "rev-server"}
	unboundConf   = []string{"forward-addr", "stub-addr"}
	namedConf     = []string{"forwarders"}
	timesyncdConf = []string{"NTP", "FallbackNTP"}
	ntpConf       = []string{"server", "servers", "pool", "peer"}
)

// Bounds: files of a pattern, bytes of a file, addresses in all.
const (
	mostFiles      = 64
	mostBytes      = 64 << 10
	mostConfigured = 256
)

// configured returns the addresses in the files, each once.
func configured(list []source) (out []Friend) {
	seen := make(map[netip.Addr]bool)
	for _, s := range list {
		for _, file := range matching(s.files) {
			for _, a := range named(readSome(file), s.words) {
				if len(seen) < mostConfigured && !seen[a] {
					seen[a] = true
					out = append(out, Friend{single(a), s.why})
				}
			}
		}
	}
	return out
}

func matching(pattern string) []string {
	list, _ := filepath.Glob(pattern) // the patterns are ours
	return list[:min(len(list), mostFiles)]
}

// readSome returns the beginning of a regular file, or nothing.
func readSome(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, mostBytes))
	return b
}

// named returns the addresses after one of the words: on its line or, after an
// opening brace, up to the closing one.
func named(conf []byte, words []string) (out []netip.Addr) {
	open := false
	for s := bufio.NewScanner(bytes.NewReader(conf)); s.Scan(); {
		line := braces.Replace(s.Text())
		fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t=,;\"", r) })
		if len(fields) == 0 || strings.ContainsAny(fields[0][:1], "#!/") {
			continue // a comment
		}
		if !open && !slices.Contains(words, strings.TrimSuffix(fields[0], ":")) {
			continue
		}
		for _, f := range fields {
			switch f {
			case "{":
				open = true
			case "}":
				open = false
			default:
				if a := server(f); a.IsValid() {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// braces sets spaces around braces.
var braces = strings.NewReplacer("{", " { ", "}", " } ")

// server reads an address with its decoration: a port (":53", "#53", "@853"), a
// name for TLS ("#name"), a link ("%eth0"), or the domains before it
// ("/example.org/192.0.2.53").
func server(s string) netip.Addr {
	s = s[strings.LastIndexByte(s, '/')+1:]
	if i := strings.IndexAny(s, "#@%"); i >= 0 {
		s = s[:i]
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		p, _ := netip.ParseAddrPort(s)
		a = p.Addr()
	}
	return address(a.AsSlice())
}
