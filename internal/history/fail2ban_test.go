// SPDX-License-Identifier: MIT

package history

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// upstreamFilter is the filter of PortSentry 2's users.
const upstreamFilter = `^[^ ]* Scan from: \[<HOST>\]`

// needFail2ban returns the filter for 1.2 in Debian's fail2ban, wherever that is
// unpacked.
func needFail2ban(t *testing.T) (debianFilter string) {
	t.Helper()
	path, err := exec.LookPath("fail2ban-regex")
	if err != nil {
		t.Fatal("fail2ban is missing: run \"make test\", which unpacks it")
	}
	return filepath.Join(filepath.Dir(path), "../../etc/fail2ban/filter.d/portsentry.conf")
}

// records are those of a busy day: 3 records with an action and 4 without.
func records(now time.Time) []Record {
	var list []Record
	for i, c := range []struct{ event, action string }{
		{"block", "block"}, {"probe", "log"}, {"pattern", "run"},
		{"ignore", "none"}, {"probe", "none"}, {"expire", "block"}, {"notice", ""},
	} {
		e := eventOf(c.event, "syn")
		e.Action, e.Time, e.Source = c.action, now, fmt.Sprintf("192.0.2.%d", i+1)
		list = append(list, Record{Event: e, Zone: time.Local})
	}
	list[2].Event.Source = "2001:db8::7"
	return list
}

// TestFail2banRegex: the filters match each line of ours, and a record without an
// action has no line to match (B7.4).
func TestFail2banRegex(t *testing.T) {
	debianFilter := needFail2ban(t)
	for _, c := range []struct {
		format Format
		filter string
	}{{PortSentry1, debianFilter}, {PortSentry2, upstreamFilter}} {
		path := filepath.Join(t.TempDir(), "history")
		h, err := Open(path, c.format, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records(time.Now()) {
			if err := h.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		h.Close()
		cmd := exec.Command("fail2ban-regex", path, c.filter)
		cmd.Env = append(os.Environ(), "PYTHONWARNINGS=ignore", "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("fail2ban-regex: %v\n%s", err, out)
		}
		sum := regexp.MustCompile(`Lines: (\d+) lines, \d+ ignored, (\d+) matched`)
		if m := sum.FindSubmatch(out); m == nil || string(m[1]) != "3" || string(m[2]) != "3" {
			t.Errorf("%v: want 3 lines, all matched:\n%s", c.format, out)
		}
	}
}

// TestFail2banBans runs Debian's fail2ban on our files, in its own directories and
// with its own socket, until both jails have banned.
func TestFail2banBans(t *testing.T) {
	debianFilter := needFail2ban(t)
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	var files []*File
	for path, format := range map[string]Format{one: PortSentry1, two: PortSentry2} {
		h, err := Open(path, format, false)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		files = append(files, h)
	}
	filter, err := os.ReadFile(debianFilter)
	if err != nil {
		t.Fatal(err)
	}
	// The action writes its bans into a file, and touches no firewall.
	for name, text := range map[string]string{
		"fail2ban.conf": "[Definition]\nloglevel = INFO\nlogtarget = " + dir +
			"/log\nsyslogsocket = auto\nsocket = " + dir + "/sock\npidfile = " + dir +
			"/pid\ndbfile = None\n",
		"filter.d/one.conf": string(filter),
		"filter.d/two.conf": "[Definition]\nfailregex = " + upstreamFilter + "\n",
		"action.d/note.conf": "[Definition]\nactionban = echo <ip> >> " + dir +
			"/banned.<name>\nactionunban =\n",
		"jail.conf": "[DEFAULT]\nmaxretry = 1\nbantime = 1h\nfindtime = 1h\nbackend = polling\n" +
			"usedns = no\nfilter = %(__name__)s\naction = note[name=%(__name__)s]\nignoreself = false\n" +
			"[one]\nenabled = true\nlogpath = " + one + "\n[two]\nenabled = true\nlogpath = " + two + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	srv := exec.Command("fail2ban-server", "-f", "-x", "-c", dir, "-s", dir+"/sock", "-p", dir+"/pid",
		"start")
	srv.Env = append(os.Environ(), "PYTHONWARNINGS=ignore")
	srv.Stdout, srv.Stderr = &out, &out
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { srv.Wait(); close(exited) }()
	t.Cleanup(func() { srv.Process.Kill(); <-exited })

	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
			log, _ := os.ReadFile(dir + "/log")
			select {
			case <-exited:
				t.Fatalf("fail2ban-server ended:\n%s\n%s", out.Bytes(), log)
			default:
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: not within a minute\n%s", what, log)
			}
		}
	}
	until("the jails", func() bool {
		b, _ := exec.Command("fail2ban-client", "-c", dir, "-s", dir+"/sock", "status").Output()
		return strings.Contains(string(b), "one, two")
	})
	for _, h := range files {
		for _, r := range records(time.Now()) {
			if err := h.Write(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, jail := range []string{"one", "two"} {
		var banned []string
		until("three bans", func() bool {
			b, _ := os.ReadFile(dir + "/banned." + jail)
			banned = strings.Fields(string(b))
			return len(banned) >= 3
		})
		for _, want := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::7"} {
			if !strings.Contains(strings.Join(banned, " ")+" ", want+" ") {
				t.Errorf("jail %s banned %v, want %s", jail, banned, want)
			}
		}
		if len(banned) != 3 {
			t.Errorf("jail %s banned %v, who was not acted on too", jail, banned)
		}
	}
}
