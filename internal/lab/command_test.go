// SPDX-License-Identifier: MIT

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCommandBeforeAndAfter (B7.14): PortSentry's documentation gives the actions in another
// order than its code. Here "before" is before the block, "after" is after it, and a command
// that hangs delays the block for its own time limit and no longer.
func TestCommandBeforeAndAfter(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "look")
	write(t, script, "#!/bin/sh\nnft get element inet picket blocked4 \"{ $1 }\" >/dev/null 2>&1 && echo "+
		"there >>"+dir+"/$1 || echo absent >>"+dir+"/$1\n", 0o755)
	config := func(when, command string) string {
		return longConfig() + fmt.Sprintf("[run]\ncommand = [%q, \"$TARGET$\"]\nwhen = %q\n"+
			"unproven = true\ntimeout = \"1s\"\n", command, when)
	}
	d := start(t, l.Target, Options{Config: config("before", script)})
	for i, c := range []struct{ when, want string }{{"before", "absent\n"}, {"after", "there\n"}} {
		if i > 0 {
			if err := d.Reload(config(c.when, script)); err != nil {
				t.Fatal(err)
			}
			if _, err := d.WaitEvent(5*time.Second, "read again"); err != nil {
				t.Fatal(err)
			}
		}
		src := Source4(i + 1)
		witness(t, l, d, src, l.Target.V4)
		eventually(t, 3*time.Second, "the command", func() bool { return read(t, dir, src.String()) != "" })
		if got := read(t, dir, src.String()); got != c.want {
			t.Errorf("when = %q: the source was %q", c.when, got)
		}
	}
	slow := filepath.Join(dir, "slow")
	write(t, slow, "#!/bin/sh\nexec sleep 60\n", 0o755)
	n := len(d.Events())
	if err := d.Reload(config("before", slow)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the reload",
		func() bool { return strings.Contains(strings.Join(d.Events()[n:], "\n"), "read again") })
	began := time.Now()
	send(t, l.Attacker, probe(Source4(3), l.Target.V4, 11, 1), probe(Source4(4), l.Target.V4, 11, 1))
	if _, err := d.Cmd("block", "198.51.100.7"); err != nil || time.Since(began) > time.Second {
		t.Errorf("a block by hand waited %v for a command: %v", time.Since(began), err)
	}
	notBlocked := func(src netip.Addr) {
		t.Helper()
		if b, ok, err := d.Blocked(src); ok || err != nil {
			t.Errorf("%s is blocked before its command has ended: %v, %v", src, b, err)
		}
	}
	notBlocked(Source4(3))
	for _, src := range []netip.Addr{Source4(3), Source4(4)} {
		if _, err := d.WaitBlock(src, 4*time.Second); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.WaitEvent(time.Second, "192.0.2.13", "its time was up"); err != nil {
		t.Error(err)
	}
	// A block that waits for its command can be called off.
	send(t, l.Attacker, probe(Source4(5), l.Target.V4, 11, 1))
	eventually(t, time.Second, "called off", func() bool {
		out, err := d.Cmd("unblock", Source4(5).String())
		return err == nil && strings.Contains(out, "unblocked 1")
	})
	if _, err := d.WaitEvent(4*time.Second, "192.0.2.15", "its time was up"); err != nil {
		t.Error(err)
	}
	notBlocked(Source4(5))
}

// TestHostileWords: any text from outside or from the command line reaches a command unchanged,
// as one argument or one value. None of it is executed.
func TestHostileWords(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "note")
	write(t, script, "#!/bin/sh\n{ printf '%s|' \"$#\" \"$@\"; printf 'reason=%s\\n"+
		"' \"$PICKET_REASON\"; } >>"+dir+"/args\ncat >>"+dir+"/json\n", 0o755)
	d := start(t, l.Target, Options{Config: longConfig() + fmt.Sprintf(
		"[run]\ncommand = [%q, \"-x\", \"$TARGET$ $PORT$\", \"$MODE$;$PATTERN$\", \"$PROTOCOL$\"]\n"+
			"[history]\nfile = %q\n", script, dir+"/history")})
	reason := "$(touch " + dir + "/owned) `touch " + dir +
		"/owned`; \"quoted\" 'single' $TARGET$ \x1b[31m\nevent=block source=203.0.113.1"
	if _, err := d.Cmd("block", "192.0.2.77", "--reason", reason); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "the command",
		func() bool { return strings.Contains(read(t, dir, "json"), "\n") })
	if got, want := read(t, dir, "args"), "4|-x|192.0.2.77 0|-;-|-|reason="+reason+"\n"; got != want {
		t.Errorf("arguments and environment\ngot  %q\nwant %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "owned")); err == nil {
		t.Error("a reason was run")
	}
	for _, file := range []string{"json", "history"} {
		if got := read(t, dir, file); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b") ||
			!strings.Contains(got, `\u001b[31m\nevent=block`) {
			t.Errorf("%s: %q", file, got)
		}
	}
	for _, line := range d.Events() {
		if strings.Contains(line, "\x1b") || strings.HasPrefix(line, "event=block source=203.0.113.1") {
			t.Errorf("the journal passes on %q", line)
		}
	}
}

// TestUnproven: an unproven source is blocked. It gets a route or a command only if the
// configuration says so. action = "run" runs a command.
func TestUnproven(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	config := strings.ReplaceAll(longConfig()+beside(dir), "unproven = true\n", "") + "[trap]\nport = 0\n"
	config = strings.Replace(config, `modes = ["stealth", "advanced"]`,
		"modes = [\"classic\", \"stealth\"]\nclassic = \"7\"", 1)
	config = strings.Replace(config, "[udp]\nmodes = [\"stealth\", \"advanced\"]\naction = \"block\"",
		"[udp]\nmodes = [\"stealth\"]\naction = \"run\"", 1)
	d := start(t, l.Target, Options{Config: config})
	witness(t, l, d, Source4(1), l.Target.V4) // one SYN
	send(t, l.Attacker, udp(Source4(2), l.Target.V4, 40000, 9, "x"),
		udp(Source4(2), l.Target.V4, 40001, 7, "x"))
	l.Attacker.Reaches(Source4(3), netip.AddrPortFrom(l.Target.V4, 7), time.Second) // a connection
	if _, err := d.WaitBlock(Source4(3), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the commands",
		func() bool { return strings.Count(read(t, dir, "began"), "\n") >= 2 })
	eventually(t, 5*time.Second, "the route", func() bool {
		out, err := l.Target.Run("ip", "route", "show", "table", "7112")
		return err == nil && strings.Contains(out, "192.0.2.13")
	})
	untouched(t, d, Source4(2))
	began := read(t, dir, "began")
	if strings.Contains(began, `"192.0.2.11"`) || strings.Count(began, `"source":"192.0.2.12"`) != 1 ||
		strings.Count(began, `"source":"192.0.2.13"`) != 1 {
		t.Errorf("commands:\n%s", began)
	}
	if out, _ := l.Target.Run("ip", "route", "show", "table", "7112"); strings.Contains(out, "192.0.2.11") {
		t.Errorf("a route for who may be somebody else:\n%s", out)
	}
	if deny := read(t, dir, "hosts.deny"); !strings.Contains(deny, "192.0.2.11 ") ||
		strings.Contains(deny, "192.0.2.12 ") {
		t.Errorf("hosts.deny:\n%s", deny)
	}
}

// TestEvery: PortSentry 2 without BLOCKED_FILE runs the command at each probe, as its issue 151
// asks. Here run.every decides.
func TestEvery(t *testing.T) {
	for _, test := range []struct {
		every string
		want  int
	}{{"false", 1}, {"true", 5}} {
		l := newLab(t)
		dir := t.TempDir()
		config := "[udp]\nmodes = [\"stealth\"]\naction = \"run\"\ntrigger = 0\nstealth = \"1-100\"\n" +
			fmt.Sprintf("[run]\ncommand = [\"/usr/bin/tee\", \"-a\", \"%s/began\"]\nevery = %s\n", dir,
				test.every)
		d := start(t, l.Target, Options{Config: config})
		for port := uint16(1); port <= 5; port++ {
			send(t, l.Attacker, udp(Source4(1), l.Target.V4, 40000+port, port, "x"))
		}
		send(t, l.Attacker, udp(Source4(2), l.Target.V4, 40000, 1, "x")) // the last
		eventually(t, 5*time.Second, "the commands",
			func() bool { return strings.Contains(read(t, dir, "began"), `"192.0.2.12"`) })
		eventually(t, time.Second, fmt.Sprintf("every = %s: %d commands", test.every, test.want),
			func() bool {
				return strings.Count(read(t, dir, "began"), `"source":"192.0.2.11"`) == test.want
			})
		untouched(t, d, Source4(1))
	}
}
