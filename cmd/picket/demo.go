// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/lab"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a scan being seen and blocked, in network namespaces of its own",
		Args:  cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.OutOrStdout())
		}),
	}
}

// demo plays the story on the screen. Nothing of it leaves the namespaces, and
// they are removed at the end, however it ends.
func demo(out io.Writer) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("network namespaces need root: use sudo")
	}
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("Two hosts in network namespaces: an attacker, 192.0.2.11, and a target, 192.0.2.2,")
	say("with a web server on port 80 and picket on its embedded default.\n")
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := l.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			say("\nThe namespaces are removed; nothing is left behind.")
		}
	}()
	web, err := l.Target.Listen("tcp", 80)
	if err != nil {
		return err
	}
	defer web.Close()
	p, err := lab.Start(l.Target, lab.Options{Binary: self})
	if err != nil {
		return err
	}
	defer p.Stop()
	return story(l, p, say)
}

func story(l *lab.Lab, p *lab.Daemon, say func(string, ...any)) error {
	attacker, target := lab.Source4(1), l.Target.V4
	reach := func(who string, ok bool) {
		answer := "an answer"
		if !ok {
			answer = "nothing: the kernel drops it"
		}
		say("    %-22s %s", who, answer)
	}
	web := netip.AddrPortFrom(target, 80)

	say("1. The web server, before the scan:")
	reach(attacker.String(), l.Attacker.Reaches(attacker, web, time.Second))

	args := []string{"-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "--min-rate", "500", "-S", attacker.String(), "-e", l.Attacker.Dev, "-p1-1000", target.String()}
	say("\n2. The scan:  nmap %s", strings.Join(args, " "))
	began := time.Now()
	text, err := l.Attacker.Run("nmap", args...)
	if err != nil {
		return fmt.Errorf("nmap: %w", err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Not shown") || strings.HasPrefix(line, "All 1000") || strings.HasPrefix(line, "Nmap done") || strings.Contains(line, "/tcp") {
			say("    %s", strings.TrimSpace(line))
		}
	}
	b, err := p.WaitBlock(attacker, 3*time.Second)
	if err != nil {
		return err
	}
	say("    blocked %.0f ms after nmap was started, for %s", b.Since.Sub(began).Seconds()*1000, time.Duration(b.Remaining)*time.Second)

	say("\n3. What picket told:")
	for _, e := range p.Events() {
		if strings.HasPrefix(e, "event=pattern") || strings.HasPrefix(e, "event=block") {
			say("    %s", fold(e, 96))
		}
	}
	say("\n4. The web server now, for the attacker and for somebody else:")
	reach(attacker.String(), l.Attacker.Reaches(attacker, web, time.Second))
	other := lab.Source4(2)
	reach(other.String(), l.Attacker.Reaches(other, web, time.Second))

	for _, c := range [][]string{{"blocks"}, {"unblock", attacker.String()}} {
		out, err := p.Cmd(c...)
		if err != nil {
			return err
		}
		say("\n# picket %s\n    %s", strings.Join(c, " "), strings.ReplaceAll(strings.TrimSpace(out), "\n", "\n    "))
	}
	reach(attacker.String(), l.Attacker.Reaches(attacker, web, time.Second))
	return nil
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
