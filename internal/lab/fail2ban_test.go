// SPDX-License-Identifier: MIT

package lab

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// upstreamFilter is the filter of PortSentry 2's documentation.
const upstreamFilter = `^[^ ]* Scan from: \[<HOST>\]`

// TestFail2banBans runs Debian's fail2ban, in its own folders, on the history of a running
// picket. Its jail bans the blocked source, and neither an ignored source nor one below the
// trigger. On PortSentry 2's lines it bans all three (B7.4).
func TestFail2banBans(t *testing.T) {
	if _, err := exec.LookPath("fail2ban-server"); err != nil {
		t.Fatal("fail2ban is missing: run \"make test\", which unpacks it")
	}
	l := newLab(t)
	dir := t.TempDir()
	history := filepath.Join(dir, "history")
	d := start(t, l.Target, Options{Config: strings.Replace(longConfig(), "trigger = 0", "trigger = 1", 1) +
		"[ignore]\naddresses = [\"192.0.2.12\"]\n[history]\nfile = \"" + history +
		"\"\nformat = \"portsentry-2\"\n"})
	banned := startFail2ban(t, dir, history)

	for i, src := range []netip.Addr{Source4(1), Source4(2), Source6(1)} {
		dst := l.Target.V4
		if src.Is6() {
			dst = l.Target.V6
		}
		send(t, l.Attacker, probe(src, dst, 11, i), probe(src, dst, 15, i+10))
	}
	send(t, l.Attacker, probe(Source4(3), l.Target.V4, 11, 1)) // below the trigger
	for _, src := range []netip.Addr{Source4(1), Source6(1)} {
		if _, err := d.WaitBlock(src, 3*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 60*time.Second, "two bans", func() bool { return len(banned()) >= 2 })
	got := strings.Join(banned(), " ")
	if want := "192.0.2.11 2001:db8:0:11::1"; got != want && got != "2001:db8:0:11::1 192.0.2.11" {
		t.Errorf("banned %s, want %s; history:\n%s", got, want, read(t, history))
	}
	if lines := read(t, history); strings.Count(lines, "\n") != 2 {
		t.Errorf("history has a line for who was not acted on:\n%s", lines)
	}
}

// startFail2ban starts a server with one jail, which writes its bans to a file and changes no
// firewall. It returns a function that lists the bans so far.
func startFail2ban(t *testing.T, dir, history string) (banned func() []string) {
	t.Helper()
	for name, text := range map[string]string{
		"fail2ban.conf": "[Definition]\nloglevel = INFO\nlogtarget = " + dir +
			"/log\nsyslogsocket = auto\nsocket = " + dir + "/sock\npidfile = " + dir +
			"/pid\ndbfile = None\n",
		"filter.d/picket.conf": "[Definition]\nfailregex = " + upstreamFilter + "\n",
		"action.d/note.conf":   "[Definition]\nactionban = echo <ip> >> " + dir + "/banned\nactionunban =\n",
		"jail.conf": "[picket]\nenabled = true\nmaxretry = 1\nbantime = 1h\nfindtime = 1h\n" +
			"backend = polling\nusedns = no\nfilter = picket\naction = note\n" +
			"ignoreself = false\nlogpath = " + history + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text, 0o644)
	}
	var said bytes.Buffer
	srv := exec.Command("fail2ban-server", "-f", "-x", "-c", dir, "-s", dir+"/sock", "-p", dir+"/pid",
		"start")
	srv.Env = append(os.Environ(), "PYTHONWARNINGS=ignore")
	srv.Stdout, srv.Stderr = &said, &said
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { srv.Wait(); close(ended) }()
	t.Cleanup(func() {
		srv.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("fail2ban said:\n%s%s", said.Bytes(), read(t, dir, "log"))
		}
	})
	eventually(t, 60*time.Second, "the jail", func() bool {
		out, _ := exec.Command("fail2ban-client", "-c", dir, "-s", dir+"/sock", "status").Output()
		return strings.Contains(string(out), "picket")
	})
	return func() []string { return strings.Fields(read(t, dir, "banned")) }
}
