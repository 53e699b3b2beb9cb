// SPDX-License-Identifier: MIT

package report

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"picket/internal/event"
)

// machine is the id of the machine of a test's journal.
const machine = "0123456789abcdef0123456789abcdef"

// made has systemd write entries into files of a journal below root, a file each list.
func made(t *testing.T, root, compact string, files ...[][]string) {
	t.Helper()
	dir := filepath.Join(root, "var/log/journal", machine)
	for _, d := range []string{dir, filepath.Join(root, "etc")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/machine-id"), []byte(machine+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, entries := range files {
		var export bytes.Buffer
		for _, fields := range entries {
			n++
			fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\n",
				1_800_000_000_000_000+
					n*1_000_000, n, machine)
			for _, f := range fields {
				if name, text, _ := strings.Cut(f, "="); strings.Contains(text, "\n") {
					export.WriteString(name + "\n")
					_ = binary.Write(&export, binary.LittleEndian, uint64(len(text)))
					export.WriteString(text + "\n")
					continue
				}
				export.WriteString(f + "\n")
			}
			export.WriteString("\n")
		}
		cmd := exec.Command("/lib/systemd/systemd-journal-remote", "--split-mode=none", "-o",
			filepath.Join(dir, fmt.Sprintf("system@%d.journal", len(files)-i)), "-")
		cmd.Stdin, cmd.Env = &export, append(os.Environ(), "SYSTEMD_JOURNAL_COMPACT="+compact)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("systemd-journal-remote: %v: %s", err, out)
		}
	}
}

// TestFilesAgree: the journal's own files and journalctl give the same events, in both layouts.
func TestFilesAgree(t *testing.T) {
	ours := []string{"SYSLOG_IDENTIFIER=picket", "_SYSTEMD_UNIT=picket.service", "_UID=64000"}
	entry := func(more ...string) []string { return append(append([]string{}, ours...), more...) }
	var many [][]string
	for i := range 3000 {
		many = append(many, entry("PICKET_EVENT=probe", fmt.Sprintf("PICKET_SOURCE=2001:db8::%x", i%700),
			fmt.Sprintf("PICKET_PROBES=%d", i), "PICKET_PORTS="+strings.Repeat("tcp/65535 udp/7 ", i%17),
			"PICKET_TIME=2027-01-15T08:00:00Z"))
	}
	for _, compact := range []string{"0", "1"} {
		root := t.TempDir()
		made(t, root, compact, [][]string{
			entry("PICKET_EVENT=block", "PICKET_SOURCE=192.0.2.1", "PICKET_PORT=22", "PICKET_ACTION=fence"),
			entry("MESSAGE=/etc/picket/picket.toml: no faults"),
			{"SYSLOG_IDENTIFIER=picket", "_UID=1000", "PICKET_EVENT=block", "PICKET_SOURCE=192.0.2.66"},
			{"SYSLOG_IDENTIFIER=other", "_UID=0", "PICKET_EVENT=block", "PICKET_SOURCE=192.0.2.67"},
			{"SYSLOG_IDENTIFIER=picket", "_UID=0", "PICKET_EVENT=expire", "PICKET_SOURCE=192.0.2.1",
				"PICKET_RESPONSE=fence"},
		}, many, [][]string{
			entry("PICKET_EVENT=notice", "PICKET_REASON=two\nlines", "PICKET_SOURCE=192.0.2.2",
				"PICKET_TOOL=\x1b[31m\n"),
			entry("PICKET_EVENT=banana"),
			entry("PICKET_EVENT=probe", "PICKET_SOURCE=a", "PICKET_SOURCE=b", "PICKET_PORT=banana"),
			entry("PICKET_EVENT=probe", "PICKET_SOURCE=192.0.2.3",
				"PICKET_DATA="+strings.Repeat("long", 5000)),
		})
		from := time.Unix(1_800_000_000, 0)
		read := func(how func(each func(event.Event)) error) (list []event.Event) {
			t.Helper()
			fault := new(Fault)
			if err := how(func(e event.Event) { list = append(list, e) }); !errors.As(err, &fault) ||
				fault.Lines != 1 {
				t.Errorf("compact %s: %v; want the entry that is no event", compact, err)
			}
			return list
		}
		got := read(func(each func(event.Event)) error {
			return journalFiles(context.Background(), root, from, time.Time{}, each)
		})
		own := t.TempDir()
		script := fmt.Sprintf("#!/bin/sh\nexec /usr/bin/journalctl --file '%s/var/log/journal/*/*.journal' "+
			"\"$@\"\n", root)
		if err := os.WriteFile(filepath.Join(own, "journalctl"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", own+":"+os.Getenv("PATH"))
		want := read(func(each func(event.Event)) error {
			return Journal(context.Background(), from, time.Time{}, each)
		})
		t.Setenv("PATH", strings.TrimPrefix(os.Getenv("PATH"), own+":"))
		// Data is compressed, and of no use to a report; journalctl writes no text that is not printable.
		if tool := got[len(got)-3].Tool; tool != "?[31m?" {
			t.Errorf("compact %s: the tool is %q", compact, tool)
		}
		ignore := cmpopts.IgnoreFields(event.Event{}, "Data", "Tool")
		if d := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty(),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("compact %s: journalctl says and the files hold (-want +got):\n%.3000s", compact, d)
		}
		if len(got) != 3005 {
			t.Errorf("compact %s: %d events", compact, len(got))
		}
	}
}

// TestFilesOfAPeriod: the entries of a period are read. Files of another format are left to
// journalctl.
func TestFilesOfAPeriod(t *testing.T) {
	root := t.TempDir()
	var list [][]string
	for i := range 300 {
		list = append(list, []string{"SYSLOG_IDENTIFIER=picket", "_UID=0", "PICKET_EVENT=probe",
			fmt.Sprintf("PICKET_SOURCE=192.0.2.%d", i%250)})
	}
	made(t, root, "1", list[:150], list[150:])
	count := func(from, to int64) (n int, err error) {
		end := time.Time{}
		if to > 0 {
			end = time.Unix(1_800_000_000+to, 0)
		}
		err = journalFiles(context.Background(), root, time.Unix(1_800_000_000+from, 0), end,
			func(event.Event) { n++ })
		return n, err
	}
	for _, x := range []struct {
		from, to int64
		want     int
	}{{0, 0, 300}, {100, 0, 201}, {200, 0, 101}, {301, 0, 0}, {0, 50, 110}, {0, 200, 260}} {
		if n, err := count(x.from, x.to); n != x.want || err != nil {
			t.Errorf("from %d to %d: %d entries, %v; want %d", x.from, x.to, n, err, x.want)
		}
	}
	later := filepath.Join(root, "var/log/journal", machine, "system.journal")
	if err := os.WriteFile(later, append([]byte("LPKSHHRH\x00\x00\x00\x00\xff"), make([]byte, 300)...),
		0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := count(0, 0); n != 0 || !errors.Is(err, errNoFiles) {
		t.Errorf("a file of a later format: %d events, %v", n, err)
	}
	if err := os.Remove(filepath.Join(root, "etc/machine-id")); err != nil {
		t.Fatal(err)
	}
	if n, err := count(0, 0); n != 0 || !errors.Is(err, errNoFiles) {
		t.Errorf("a machine without an id: %d events, %v", n, err)
	}
}

// Without the right to read the journal the result is an error, not an empty report.
func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	made(t, root, "0", [][]string{{"MESSAGE=x"}})
	if err := os.Chmod(filepath.Join(root, "var/log/journal", machine), 0o700); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its user
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			failed <- err
			return
		}
		failed <- journalFiles(t.Context(), root, time.Time{}, time.Time{}, func(event.Event) {})
	}()
	if err := <-failed; !errors.Is(err, errUnreadable) {
		t.Error(err)
	}
}
