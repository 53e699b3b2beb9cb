// SPDX-License-Identifier: MIT

package report

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"picket/internal/event"
)

// TestPrint: lists stand side by side while there is room; empty columns are left out.
func TestPrint(t *testing.T) {
	c := New()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	c.Add(event.Event{
		Event: "block", Time: at, Source: "192.0.2.1", Protocol: "tcp", Port: 23, Pattern: "portscan",
		Tool: "zmap", Probes: 26, Reason: "by hand", Country: "NL", ASN: 64496,
		Network: strings.Repeat("\u65e5\u672c", 20),
	})
	c.Add(event.Event{Event: "probe", Time: at, Source: "192.0.2.2", Protocol: "udp", Port: 53, Probes: 1})
	r := c.Report(10, &Now{1, map[string]uint64{"192.0.2.1": 4711}})
	var out strings.Builder
	Print(&out, &r, "today", 0)
	const want = `today

sources   2, 1 blocked
blocks    1 made, 1 in force at the end; 4711 packets kept off
events    1 block, 1 probe

PATTERN   SOURCES   TOOL  SOURCES   PORT    SOURCES   COUNTRY  SOURCES
portscan        1   zmap        1   tcp/23        1   NL             1
                                    udp/53        1

NETWORK                             SOURCES   WHY      BLOCKS
AS64496 日本日本日本日本日本日本日        1   by hand       1

SOURCE     PROBES  BLOCKS  DROPS  PATTERN   TOOL  FROM                               LAST SEEN       WHY
192.0.2.1      26       1   4711  portscan  zmap  NL AS64496 日本日本日本日本日本日  11-22 12:00:00  by hand
192.0.2.2       1       -      -  -         -     -                                  11-22 12:00:00  -
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	out.Reset()
	Print(&out, new(Report), "nothing in there", 0)
	if out.String() != "nothing in there\n\npicket reported nothing in that time\n" {
		t.Error(out.String())
	}
}

// TestJournal: journalctl's output is read, its complaints are passed on.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	read := func(script string) (sources []string, err error) {
		if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"+script),
			0o700); err != nil {
			t.Fatal(err)
		}
		err = Journal(context.Background(), time.Unix(1, 0), time.Time{},
			func(e event.Event) { sources = append(sources, e.Source) })
		return sources, err
	}
	if _, err := os.Stat(filepath.Join(dir, "journalctl")); err == nil {
		t.Fatal("it is there already")
	} else if err := Journal(context.Background(), time.Unix(1, 0), time.Time{}, nil); err == nil ||
		!strings.Contains(err.Error(), "use --file") {
		t.Errorf("without journalctl: %v", err)
	}
	const entry = `echo ` +
		`'{"PICKET_EVENT":"probe","PICKET_SOURCE":"192.0.2.1","PICKET_TIME":"2026-11-22T12:00:00Z"}'` + "\n"
	if got, err := read(entry); err != nil || len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := read(entry + "echo nonsense\n" + entry); !errors.As(err, new(*Fault)) ||
		!strings.Contains(err.Error(), `read "the journal": line 2: `) || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := read(`printf 'no\033[31m right' >&2; exit 1`); err == nil ||
		!strings.HasSuffix(err.Error(), "no?[31m right") {
		t.Errorf("%v", err)
	}
}

// TestPrintNarrow: no line of a report is wider than the terminal, down to one of 72 columns.
func TestPrintNarrow(t *testing.T) {
	c := New()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for i := range 40 {
		c.Add(event.Event{
			Event: "block", Time: at.Add(time.Duration(i) * time.Hour),
			Source:   fmt.Sprintf("2001:db8:0:%x::/64", i),
			Protocol: "tcp", Port: uint16(i), Pattern: "portscan", Tool: "nmap", Technique: "syn", Probes: 26,
			PortsSeen: 26, Proven: true, Country: "NL", ASN: 64496, Network: "Example Networks",
			Evidence: "26 different ports inside the window, 25 let pass; looks like nmap", Drops: 7,
			Action: "fence",
		})
	}
	for _, width := range []int{72, 80, 100} {
		r := c.Report(10, nil)
		var out strings.Builder
		Print(&out, &r, "today", width)
		for line := range strings.Lines(out.String()) {
			if n := runewidth.StringWidth(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "25 let pass") {
			t.Errorf("%d columns: the reason is missing", width)
		}
	}
}
