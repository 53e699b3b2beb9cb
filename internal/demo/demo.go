// SPDX-License-Identifier: MIT

// Package demo plays "picket demo": a scan seen and blocked, between two hosts in
// network namespaces.
//
// It needs root, iproute2, nftables' nft and nmap.
package demo

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"picket/internal/netns"
)

var (
	scanner  = netip.MustParseAddr("192.0.2.11")
	somebody = netip.MustParseAddr("192.0.2.12")
	target   = netip.MustParseAddr("192.0.2.2")
	web      = netip.AddrPortFrom(target, 80)
)

// A play is the two hosts, and its screen.
type play struct {
	out              io.Writer
	attacker, target *netns.Host
	daemon           *daemon
}

// Run plays the story on out with the program at binary. Nothing of it leaves the
// namespaces, and they are removed at any end.
func Run(out io.Writer, binary string) (err error) {
	if os.Getuid() != 0 {
		return fmt.Errorf("network namespaces need root: use sudo")
	}
	p := play{out: out}
	p.say("Two hosts in network namespaces: an attacker, %s, and a target, %s,", scanner, target)
	p.say("with a web server on port 80 and picket on its embedded default.\n")
	g, err := netns.New()
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := g.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			p.say("\nThe namespaces are removed; nothing is left behind.")
		}
	}()
	if err := p.build(g); err != nil {
		return err
	}
	server, err := p.serve()
	if err != nil {
		return err
	}
	defer server.Close()
	if p.daemon, err = start(p.target, g.Dir(), binary); err != nil {
		return err
	}
	defer p.daemon.stop()
	return p.story()
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// build makes the two hosts and the wire between them.
func (p *play) build(g *netns.Group) (err error) {
	if p.attacker, err = g.Add("attacker"); err != nil {
		return err
	}
	if p.target, err = g.Add("target"); err != nil {
		return err
	}
	if err := netns.Wire(p.attacker, "eth0", p.target, "eth0"); err != nil {
		return err
	}
	err = p.attacker.IP("addr add 192.0.2.1/24 dev eth0", fmt.Sprintf("addr add %s/24 dev eth0", scanner),
		fmt.Sprintf("addr add %s/24 dev eth0", somebody), "link set eth0 up")
	if err != nil {
		return err
	}
	return p.target.IP(fmt.Sprintf("addr add %s/24 dev eth0", target), "link set eth0 up")
}

// serve accepts connections to the target's port 80 until l is closed.
func (p *play) serve() (l net.Listener, err error) {
	err = p.target.Do(func() (err error) {
		l, err = net.Listen("tcp4", web.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l, nil
}

func (p *play) story() error {
	p.say("1. The web server, before the scan:")
	p.reach(scanner)
	began, err := p.scan()
	if err != nil {
		return err
	}
	b, err := p.daemon.waitBlock(scanner, 3*time.Second)
	if err != nil {
		return err
	}
	p.say("    blocked %.0f ms after nmap was started, for %s", b.Since.Sub(began).Seconds()*1000,
		time.Duration(b.Remaining)*time.Second)

	p.say("\n3. The events of picket:")
	for _, e := range p.daemon.events() {
		if strings.HasPrefix(e, "event=pattern") || strings.HasPrefix(e, "event=block") {
			p.say("    %s", fold(e, 96))
		}
	}
	p.say("\n4. The web server now, for the attacker and for somebody else:")
	p.reach(scanner)
	p.reach(somebody)

	for _, c := range [][]string{{"blocks"}, {"unblock", scanner.String()}} {
		out, err := p.daemon.command(c...)
		if err != nil {
			return err
		}
		out = strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n    ")
		p.say("\n# picket %s\n    %s", strings.Join(c, " "), out)
	}
	p.reach(scanner)
	return nil
}

// reach shows whether the web server answers somebody.
func (p *play) reach(who netip.Addr) {
	answer := "an answer"
	if !p.attacker.Reaches(who, web, time.Second) {
		answer = "nothing: the kernel drops it"
	}
	p.say("    %-22s %s", who, answer)
}

// scan runs nmap, shows its findings, and returns the time of its start.
func (p *play) scan() (began time.Time, err error) {
	args := []string{"-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "--min-rate", "500",
		"-S", scanner.String(), "-e", "eth0", "-p1-1000", target.String()}
	p.say("\n2. The scan:  nmap %s", strings.Join(args, " "))
	began = time.Now()
	text, err := p.attacker.Run("nmap", args...)
	if err != nil {
		return began, fmt.Errorf("nmap: %w", err)
	}
	found := regexp.MustCompile(`^(Not shown|All 1000|Nmap done)|/tcp`)
	for line := range strings.Lines(text) {
		if found.MatchString(line) {
			p.say("    %s", strings.TrimSpace(line))
		}
	}
	return began, nil
}

// fold breaks a long line at blanks, for the screen.
func fold(s string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(s, " ") {
		if column > 0 && column+len(word) >= width {
			b.WriteString("\n      ")
			column = 6
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
