// SPDX-License-Identifier: MIT

package history

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/event"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// at is the time of the lines in docs/portsentry.md, from a run of Debian's
// PortSentry 1.2 (UTC).
var at = time.Unix(1795391544, 694_900_000)

func eventOf(kind, technique string) event.Event {
	return event.Event{
		Event: kind, Time: at, Source: "10.77.0.2", Protocol: "tcp", Port: 11, Mode: "stealth",
		Technique: technique, Flags: technique, Action: "block",
	}
}

func line(t *testing.T, f Format, r Record) string {
	t.Helper()
	b, err := f.Append(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPortSentryLines(t *testing.T) {
	one := "1795391544 - 11/22/2026 23:52:24 Host: 10.77.0.2/10.77.0.2 Port: 11 TCP Blocked\n"
	two := "2026-11-22T23:52:24.694+0000 Scan from: [10.77.0.2] (10.77.0.2) protocol: [TCP] port: [11] " +
		"type: [TCP SYN/Normal scan] IP opts: [unknown] ignored: [false] triggered: [true] noblock: " +
		"[false] blocked: [true]\n"
	if got := line(t, JSON, Record{Event: eventOf("block", "syn"),
		Name: "scan.example.org"}); !strings.Contains(got, `,"name":"scan.example.org"}`) {
		t.Errorf("no name in %s", got)
	}
	r := Record{Event: eventOf("block", "syn")}
	if d := cmp.Diff(one, line(t, PortSentry1, r)); d != "" {
		t.Errorf("1.2 (-want +got):\n%s", d)
	}
	if d := cmp.Diff(two, line(t, PortSentry2, r)); d != "" {
		t.Errorf("2 (-want +got):\n%s", d)
	}
	r.Name, r.Zone = "scanner.example.net", time.FixedZone("", -(3*3600+1800))
	if got, want := line(t, PortSentry1, r),
		"11/22/2026 20:22:24 Host: scanner.example.net/10.77.0.2 Port"; !strings.Contains(got, want) {
		t.Errorf("1.2 with a name: %q, want %q in it", got, want)
	}
	if got, want := line(t, PortSentry2, r),
		"2026-11-22T20:22:24.694-0330 Scan from: [10.77.0.2] (scanner.example.net) "; !strings.HasPrefix(got,
		want) {
		t.Errorf("2 with a name: %q, want it to begin %q", got, want)
	}
}

func TestAddressOfAPrefix(t *testing.T) {
	r := Record{Event: eventOf("block", "syn")}
	r.Event.Source = "2001:db8:0:1::/64"
	if got := line(t, PortSentry2, r); !strings.Contains(got, "[2001:db8:0:1::] ") {
		t.Errorf("without an address: %q", got)
	}
	r.Address = netip.MustParseAddr("2001:db8:0:1::99")
	if got := line(t, PortSentry1, r); !strings.Contains(got, "Host: 2001:db8:0:1::99/2001:db8:0:1::99 ") {
		t.Errorf("with one: %q", got)
	}
	r = Record{Event: eventOf("block", "syn")}
	r.Event.Source = "nonsense\n"
	if b, err := PortSentry1.Append(nil, r); err == nil || len(b) > 0 {
		t.Errorf("a source that is none: %q, %v", b, err)
	}
}

// TestLabels: the labels are those of ReportPacketType in packet_info.c of
// PortSentry 2, and of its classic mode.
func TestLabels(t *testing.T) {
	for _, c := range []struct{ mode, protocol, technique, flags, want string }{
		{"stealth", "tcp", "syn", "syn", "TCP SYN/Normal scan"},
		{"stealth", "tcp", "syn", "syn-ece-cwr", "TCP SYN/Normal scan"},
		{"stealth", "tcp", "null", "none", "TCP NULL scan"},
		{"stealth", "tcp", "null", "", "TCP NULL scan"},
		{"stealth", "tcp", "fin", "fin", "TCP FIN scan"},
		{"stealth", "tcp", "xmas", "fin-psh-urg", "TCP XMAS scan"},
		{"stealth", "tcp", "xmas", "", "TCP XMAS scan"},
		{"stealth", "tcp", "syn-fin-psh-urg", "syn-fin-psh-urg", "TCP XMAS scan"},
		{"stealth", "tcp", "syn-fin", "syn-fin",
			"Unknown Type: TCP Packet Flags: SYN: 1 FIN: 1 ACK: 0 PSH: 0 URG: 0 RST: 0"},
		{"stealth", "tcp", "maimon", "",
			"Unknown Type: TCP Packet Flags: SYN: 0 FIN: 1 ACK: 1 PSH: 0 URG: 0 RST: 0"},
		{"advanced", "tcp", "ack", "ack",
			"Unknown Type: TCP Packet Flags: SYN: 0 FIN: 0 ACK: 1 PSH: 0 URG: 0 RST: 0"},
		{"classic", "tcp", "connect", "syn", "Connect"},
		{"classic", "udp", "udp", "", "Connect"},
		{"stealth", "udp", "udp", "", "UDP"},
		{"stealth", "sctp", "sctp-init", "", "SCTP"},
	} {
		e := eventOf("block", c.technique)
		e.Mode, e.Protocol, e.Flags = c.mode, c.protocol, c.flags
		if got := line(t, PortSentry2, Record{Event: e}); !strings.Contains(got, " type: ["+c.want+"] ") {
			t.Errorf("%s %s %s: %q, want %q", c.mode, c.technique, c.flags, got, c.want)
		}
	}
}

// TestOnlyWhatWasActedOn is the regression test of defect 4 in docs/portsentry.md.
func TestOnlyWhatWasActedOn(t *testing.T) {
	type lines struct{ JSON, PortSentry int }
	for _, c := range []struct {
		event, action, protocol string
		want                    lines
	}{
		{"block", "block", "tcp", lines{1, 1}},
		{"block", "block", "", lines{1, 0}}, // by hand
		{"probe", "log", "tcp", lines{1, 1}},
		{"probe", "run", "tcp", lines{1, 1}},
		{"pattern", "log", "tcp", lines{1, 1}},
		{"probe", "none", "tcp", lines{}},
		{"probe", "", "tcp", lines{}},
		{"probe", "block", "tcp", lines{}}, // its block has a line
		{"ignore", "none", "tcp", lines{}},
		{"expire", "block", "tcp", lines{1, 0}},
		{"unblock", "", "tcp", lines{1, 0}},
		{"lost", "", "", lines{}},
		{"notice", "", "", lines{}},
	} {
		e := eventOf(c.event, "syn")
		e.Action, e.Protocol = c.action, c.protocol
		for f, want := range map[Format]int{JSON: c.want.JSON, PortSentry1: c.want.PortSentry,
			PortSentry2: c.want.PortSentry} {
			if got := strings.Count(line(t, f, Record{Event: e}), "\n"); got != want {
				t.Errorf("%s, action %q, as %v: %d lines, want %d", c.event, c.action, f, got, want)
			}
		}
	}
	e := eventOf("probe", "syn")
	e.Action = "log"
	if got := line(t, PortSentry2, Record{Event: e}); !strings.Contains(got,
		"noblock: [true] blocked: [false]") {
		t.Errorf("what was logged only says %q", got)
	}
}

func TestJSONIsTheEvent(t *testing.T) {
	want := eventOf("block", "syn")
	want.Time = at.UTC()
	var got event.Event
	s := line(t, JSON, Record{Event: want})
	if err := json.Unmarshal([]byte(s), &got); err != nil || strings.Count(s, "\n") != 1 {
		t.Fatalf("%q: %v", s, err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func write(t *testing.T, h *File) {
	t.Helper()
	if err := h.Write(Record{Event: eventOf("block", "syn")}); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func TestFile(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "history")
	for run := range 3 { // PortSentry 2 empties its history at each start (B7.3)
		h, err := Open(path, PortSentry1, false)
		if err != nil {
			t.Fatal(err)
		}
		write(t, h)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, path); n != run+1 {
			t.Fatalf("run %d left %d lines", run, n)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != mode {
		t.Errorf("mode %v, %v, want %v under umask 077", info.Mode(), err, os.FileMode(mode))
	}
	h, err := Open(path, PortSentry1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if n := count(t, path); n != 0 {
		t.Errorf("the file of this run's blocks begins with %d lines", n)
	}
	write(t, h)
	// logrotate: the file is renamed, the next lines go into a new one.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := h.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, h)
	write(t, h)
	if a, b := count(t, path+".1"), count(t, path); a != 1 || b != 2 {
		t.Errorf("%d and %d lines after the rotation, want 1 and 2", a, b)
	}
	// copytruncate: the file is emptied under us, and has no hole.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, h)
	if b, err := os.ReadFile(path); err != nil || b[0] == 0 {
		t.Errorf("after copytruncate: %q, %v", b, err)
	}
}

func TestFileComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "history")
	h, err := Open(path, JSON, false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if h.Reopen() == nil || h.Write(Record{Event: eventOf("block", "syn")}) == nil {
		t.Error("no error though the directory is gone")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, h)
	if n := count(t, path); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "victim"), []byte("precious"), 0o600),
		os.Symlink("victim", filepath.Join(dir, "link")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Mkdir(filepath.Join(dir, "dir"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"link": "symbolic link", "pipe": "open history", "dir": "open history",
		"none/there": "no such file"}
	if os.Geteuid() == 0 {
		if err := os.WriteFile(other, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(other, 1234, 1234); err != nil {
			t.Fatal(err)
		}
		want["other"] = "belongs to user 1234"
	}
	for name, want := range want {
		h, err := Open(filepath.Join(dir, name), JSON, true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if h != nil {
			h.Close()
		}
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "victim")); string(b) != "precious" {
		t.Error("the link's file was emptied")
	}
}

func TestFullDisk(t *testing.T) {
	h := &File{format: JSON}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.f = f
	defer h.Close()
	if err := h.Write(Record{Event: eventOf("block", "syn")}); err == nil ||
		!strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v", err)
	}
}

func TestEVE(t *testing.T) {
	e := eventOf("block", "syn")
	e.Tool, e.Proven = "nmap", true
	e.Time = e.Time.In(time.FixedZone("CET", 3600))
	var got eveAlert
	text := line(t, EVE, Record{Event: e})
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "alert" || got.Source != "10.77.0.2" || got.DestPort != e.Port ||
		got.Alert.Action != "blocked" || got.Alert.Severity != 1 ||
		got.Timestamp != "2026-11-22T23:52:24.694900+0000" ||
		got.Alert.Metadata["tool"][0] != "nmap" || !strings.HasPrefix(got.Alert.Signature, "picket ") {
		t.Errorf("%s", text)
	}
	if text := line(t, EVE, Record{Event: eventOf("expire", "syn")}); text != "" {
		t.Errorf("the end of a block is no alert: %s", text)
	}
}
