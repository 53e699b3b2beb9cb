// SPDX-License-Identifier: MIT

package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// sighted collects the lines in which an expression finds a source.
func sighted(lines []stampedLine, re *regexp.Regexp, blocked func(string) bool) (all []sighting) {
	for _, l := range lines {
		m := re.FindStringSubmatch(l.text)
		if m == nil {
			continue
		}
		a, err := netip.ParseAddr(m[1])
		if err != nil {
			continue
		}
		all = append(all, sighting{at: l.at, source: netip.PrefixFrom(a, a.BitLen()),
			blocked: blocked(l.text), words: l.text})
	}
	return all
}

// anyOf reports whether any of the words is in any of the texts.
func anyOf(texts []string, words ...string) bool {
	for _, t := range texts {
		for _, w := range words {
			if strings.Contains(t, w) {
				return true
			}
		}
	}
	return false
}

// portsentry is Debian's 1.2 in its advanced stealth modes, which see most, with BLOCK_TCP and
// BLOCK_UDP on. Its command is /bin/true.
type portsentry struct{ box }

var portsentryLine = regexp.MustCompile(`attackalert: (?:.* from host: [^/]*/|Host )([0-9.]+)`)

func (p *portsentry) settle() time.Duration { return 500 * time.Millisecond }

func (p *portsentry) start(s *site) error {
	shipped, err := os.ReadFile(filepath.Join(p.root, "etc/portsentry/portsentry.conf"))
	if err != nil {
		return err
	}
	var conf strings.Builder
	for line := range strings.Lines(string(shipped)) {
		if key, _, _ := strings.Cut(line, "="); key != "BLOCK_TCP" && key != "BLOCK_UDP" &&
			key != "KILL_ROUTE" && key != "KILL_HOSTS_DENY" && key != "IGNORE_FILE" {
			conf.WriteString(line)
		}
	}
	conf.WriteString("BLOCK_TCP=\"1\"\nBLOCK_UDP=\"1\"\nKILL_ROUTE=\"/bin/true $TARGET$\"\n" +
		"IGNORE_FILE=\"/etc/portsentry/portsentry.ignore\"\n")
	if err := p.open(s, map[string]string{
		"portsentry/portsentry.conf": conf.String(),
		// its own addresses, as Debian's script adds them
		"portsentry/portsentry.ignore": "127.0.0.1/32\n0.0.0.0\n192.0.2.2/32\n",
	}); err != nil {
		return err
	}
	for _, mode := range []string{"-atcp", "-audp"} {
		if err := p.run("/usr/sbin/portsentry", mode); err != nil {
			return err
		}
	}
	return p.wait("portsentry", func() bool {
		return strings.Count(p.said.String(), "now active and listening") == 2
	})
}

func (p *portsentry) sightings() ([]sighting, error) {
	return sighted(p.said.all(), portsentryLine, func(l string) bool {
		return strings.Contains(l, "has been blocked")
	}), nil
}

func (p *portsentry) label(sc *scan, words []string) bool {
	return sc.portsentry != "" && anyOf(words, sc.portsentry)
}

// scanlogd is Debian's, which has no configuration.
type scanlogd struct{ box }

// scanlogd: "198.51.100.1:1234 to 192.0.2.2 ports 1, 2, 3, ..., fSrpauxy, TOS 00, TTL 64 @12:00:00"
var scanlogdLine = regexp.MustCompile(`scanlogd: ([0-9.]+)(?::\d+)? to `)

func (p *scanlogd) settle() time.Duration { return scanlogdQuiet }

func (p *scanlogd) rest() time.Duration { return scanlogdQuiet }

// scanlogdQuiet is the time until scanlogd reports again after five scans within twenty
// seconds.
const scanlogdQuiet = 21 * time.Second

func (p *scanlogd) start(s *site) error {
	if err := p.open(s, map[string]string{}); err != nil {
		return err
	}
	if err := p.run("/usr/sbin/scanlogd"); err != nil {
		return err
	}
	// It prints nothing when it is ready. It is ready when it has forked.
	return p.wait("scanlogd", func() bool {
		out, err := s.Target.Run("sh", "-c",
			"grep -l scanlogd $(ip netns pids "+s.Target.Name+" | sed 's|.*|/proc/&/comm|') 2>/dev/null | "+
				"wc -l")
		return err == nil && strings.TrimSpace(out) == "1" && len(p.sockets()) > 0
	})
}

// sockets lists the server's raw sockets.
func (p *scanlogd) sockets() string {
	out, err := p.site.Target.Run("sh", "-c", "tail -n +2 /proc/net/raw /proc/net/packet | grep -v '^$' | "+
		"grep -v ==")
	if err != nil {
		return ""
	}
	return out
}

func (p *scanlogd) sightings() ([]sighting, error) {
	return sighted(p.said.all(), scanlogdLine, func(string) bool { return false }), nil
}

func (p *scanlogd) label(sc *scan, words []string) bool {
	// Flags of a half-open scan vary between SYN and RST: the scanner's kernel resets the
	// answer of an open port.
	return sc.scanlogd != "" && anyOf(words, sc.scanlogd) || sc.scanlogd == "fSrpau" && anyOf(words, "f??pau")
}

// psad is Debian's with its defaults: it reports, and blocks nobody below danger level 5. Only
// its inputs and its recipients are set.
type psad struct{ box }

var psadLine = regexp.MustCompile(`psad: scan detected(?: \([^)]*\):)? ([0-9a-f.:]+) -> `)

func (p *psad) settle() time.Duration { return 12 * time.Second } // it looks every five seconds

// psadConf returns the configuration of psad that is unpacked in root.
func psadConf(root, home string) (string, error) {
	shipped, err := os.ReadFile(filepath.Join(root, "etc/psad/psad.conf"))
	if err != nil {
		return "", err
	}
	conf := string(shipped)
	for key, value := range map[string]string{
		"HOSTNAME": "server", "HOME_NET": home, "IFCFGTYPE": "iproute2", "AUTO_DETECT_JOURNALCTL": "N",
		"IPT_SYSLOG_FILE": "/var/log/firewall.log", "ALERTING_METHODS": "noemail",
		"ENABLE_WHOIS_LOOKUPS": "N",
		"ENABLE_DNS_LOOKUPS":   "N", "ENABLE_FW_LOGGING_CHECK": "N",
	} {
		conf = regexp.MustCompile(`(?m)^`+key+`(\s+).*$`).ReplaceAllString(conf, key+"${1}"+value+";")
	}
	return conf, nil
}

func (p *psad) start(s *site) error {
	conf, err := psadConf(p.root, "192.0.2.0/24")
	if err != nil {
		return err
	}
	if err := p.open(s, map[string]string{"psad/psad.conf": conf}); err != nil {
		return err
	}
	if err := p.firewall(); err != nil {
		return err
	}
	if err := p.run("/usr/sbin/psad", "-c", "/etc/psad/psad.conf", "--no-ipt-errors"); err != nil {
		return err
	}
	return p.wait("psad", func() bool {
		b, err := os.ReadFile(filepath.Join(p.dir, "run/psad/psad.pid"))
		return err == nil && len(b) > 0
	})
}

func (p *psad) sightings() ([]sighting, error) {
	return sighted(p.said.all(), psadLine, func(l string) bool { return strings.Contains(l, "DL: 5") }), nil
}

func (p *psad) label(sc *scan, words []string) bool {
	return sc.psad != "" && anyOf(words, sc.psad)
}

// fail2ban is Debian's with a jail for the firewall's log, as it ships none: five lines in ten
// minutes, its defaults.
type fail2ban struct{ box }

var fail2banLine = regexp.MustCompile(`\[scan\] Ban ([0-9a-f.:]+)`)

func (p *fail2ban) settle() time.Duration { return 3 * time.Second }

func (p *fail2ban) start(s *site) error {
	if err := p.open(s, map[string]string{
		"fail2ban/filter.d/scan.conf": "[Definition]\nfailregex = DROP \\s*IN=\\S* OUT=\\S* (?:MAC=\\S* " +
			")?SRC=<HOST> .*PROTO=\nignoreregex =\n",
		"fail2ban/jail.local": "[DEFAULT]\nbackend = polling\n[sshd]\nenabled = false\n[scan]\n" +
			"enabled = true\nfilter = scan\nlogpath = /var/log/firewall.log\naction = \n",
	}); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(p.dir, "etc/fail2ban/jail.d")); err != nil {
		return err
	}
	if err := p.firewall(); err != nil {
		return err
	}
	if err := p.run("/usr/bin/fail2ban-server", "-f", "--logtarget", "STDOUT", "-s", "/run/fail2ban/s", "-p",
		"/run/fail2ban/p", "start"); err != nil {
		return err
	}
	return p.wait("fail2ban", func() bool { return p.heard("Jail 'scan' started") })
}

func (p *fail2ban) sightings() ([]sighting, error) {
	return sighted(p.said.all(), fail2banLine, func(string) bool { return true }), nil
}

// label returns false: a line of a log names no scan.
func (p *fail2ban) label(*scan, []string) bool { return false }
