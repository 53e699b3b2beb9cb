// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report holds all measurements.
type report struct {
	began   time.Time
	took    time.Duration
	command string
	order   []string
	results map[string]*result
	life    *lifeResult
	slow    []*finding
	flood   *flood
	host    *realHost
}

// A lifeResult is what picket did about the copies of ordinary life.
type lifeResult struct {
	packets, captured, sources int
	took                       time.Duration
	blocked, darkened, accused map[string]int // events by scene
	examples                   []string
}

// Markers of the table in the README.
const (
	tableBegins = "<!-- evaluate: begin -->"
	tableEnds   = "<!-- evaluate: end -->"
)

// print writes the table as Markdown.
func (r *report) print(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Measured on %s with `%s` (%s, %d CPUs, %s).\n\n", r.began.UTC().Format(time.DateOnly),
		r.command, r.took.Round(time.Second), runtime.NumCPU(), kernel())
	r.summary(&b)
	if r.host != nil {
		r.host.print(&b)
	}
	b.WriteString("\n<details><summary>Each scan</summary>\n\n")
	r.scanTable(&b)
	b.WriteString("</details>\n\n<details><summary>Each part of ordinary life</summary>\n\n")
	r.lifeTable(&b)
	b.WriteString("\n</details>\n")
	_, err := out.Write(b.Bytes())
	return err
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(b))
}

// summary prints the short table.
func (r *report) summary(b *bytes.Buffer) {
	fmt.Fprintf(b, "| live, each in a namespace of its own |%s\n|---|%s\n",
		cells(r.order, func(t string) string { return t }), strings.Repeat("---|", len(r.order)))
	row := func(name string, f func(*result) string) {
		fmt.Fprintf(b, "| %s |%s\n", name, cells(r.order, func(t string) string { return f(r.results[t]) }))
	}
	row("scans seen", func(x *result) string {
		n, _, _, of := x.count()
		return fmt.Sprintf("%d of %d", n, of)
	})
	row("named right", func(x *result) string {
		_, n, _, of := x.count()
		return fmt.Sprintf("%d of %d", n, of)
	})
	row("packets of a scan until then, median", func(x *result) string {
		_, _, after, _ := x.count()
		if len(after) == 0 {
			return "-"
		}
		slices.Sort(after)
		return fmt.Sprint(after[len(after)/2])
	})
	row("packets of a scan until it is answered, median", func(x *result) string {
		var blocks []int
		for _, f := range x.scans {
			if f.blocked {
				blocks = append(blocks, f.blocks)
			}
		}
		if len(blocks) == 0 {
			return "-"
		}
		slices.Sort(blocks)
		return fmt.Sprint(blocks[len(blocks)/2])
	})
	of := len(scenes())
	row("ordinary life: parts in which an innocent was fenced or blocked", func(x *result) string {
		return fmt.Sprintf("%d of %d", len(x.blocked), of)
	})
	row("ordinary life: parts in which one was kept in the dark", func(x *result) string {
		return fmt.Sprintf("%d of %d", len(x.darkened), of)
	})
	row("ordinary life: parts in which one was called a scanner", func(x *result) string {
		return fmt.Sprintf("%d of %d", len(x.accused), of)
	})
	row("forged: gateway, resolver and connected peer blocked", func(x *result) string {
		return fmt.Sprintf("%d of %d%s", len(x.forged), len(protected()), andFenced(x.fenced[0]))
	})
	row("forged: decoys of nmap -D blocked", func(x *result) string {
		return fmt.Sprintf("%d of %d%s", x.decoys, len(decoyList()), andFenced(x.fenced[1]))
	})
	b.WriteString("\nportsentry is Debian's 1.2 in its advanced modes with blocking on; psad and scanlogd " +
		"are as Debian ships them, and block\n" +
		"nobody; fail2ban has a jail for what a firewall logs. psad and fail2ban read a log in the " +
		"kernel's format.\n")
	if r.life != nil {
		fmt.Fprintf(b, "\nIn capture time (`picket replay`): of %d packets of ordinary life, %d captured "+
			"ones copied to %d sources over a day, **%d innocents\n"+
			"were fenced or blocked**, %d kept in the dark.\n",
			r.life.packets, r.life.captured, r.life.sources, sumOf(r.life.blocked), sumOf(r.life.darkened))
	}
	for _, f := range r.slow {
		fmt.Fprintf(b, "%s, IPv%s: %s.\n", f.run.name, f.run.family, f.sentence())
	}
	if pk := r.results["picket"]; pk != nil && pk.flood != nil && r.flood != nil {
		fmt.Fprintf(b, "A flood of forged sources with one true scanner in it: live, of %d packets, %d "+
			"sources were fenced or blocked, %d kept in the\n"+
			"dark before it was known as a flood, and the scanner was %s; in capture time, of %d, %d, %d "+
			"and %s.\n", pk.flood.packets, pk.flood.blocks,
			pk.flood.dark, found(pk.flood.found), r.flood.packets, r.flood.blocks, r.flood.dark,
			found(r.flood.found))
	}
}

// andFenced returns how many others were fenced for ten minutes, in words.
func andFenced(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d fenced", n)
}

// count returns how many scans a tool saw and named right, after how many packets, and out of
// how many.
func (res *result) count() (seen, right int, after []int, of int) {
	for _, f := range res.scans {
		if f.run.err != nil {
			continue
		}
		of++
		if f.told {
			seen++
			after = append(after, f.after)
		}
		if f.right {
			right++
		}
	}
	return seen, right, after, of
}

// scanTable has a row for each scan and a column for each tool.
func (r *report) scanTable(b *bytes.Buffer) {
	b.WriteString("Each cell: the packets of the scan until the tool reported it, with `*` if the name " +
		"was right; for picket then the packets until its\nresponse: dark, fence or block. `no`: not seen. " +
		"`-`: not run. Scans at 50 probes a second unless they say otherwise.\n\n")
	fmt.Fprintf(b, "| scan | IP |%s\n|---|---|%s\n", cells(r.order, func(t string) string { return t }),
		strings.Repeat("---|", len(r.order)))
	for _, sc := range scans() {
		for _, family := range []string{"4", "6"} {
			if sc.only != "" && sc.only != family {
				continue
			}
			fmt.Fprintf(b, "| %s | %s |%s\n", sc.name, family, cells(r.order, func(t string) string {
				return r.results[t].scans[sc.name+"/"+family].cell(t)
			}))
		}
	}
	b.WriteString("\n")
}

func cells(order []string, f func(string) string) string {
	var b strings.Builder
	for _, t := range order {
		fmt.Fprintf(&b, " %s |", f(t))
	}
	return b.String()
}

// cell is the finding in one cell.
func (f *finding) cell(tool string) string {
	if f == nil || f.run.err != nil {
		return "-"
	}
	if !f.told {
		return "no"
	}
	s := fmt.Sprint(f.after)
	if f.right {
		s += "*"
	}
	if tool == "picket" && f.blocked {
		s += fmt.Sprintf(", %d", f.blocks)
	}
	return s
}

// sentence is the finding in words.
func (f *finding) sentence() string {
	if !f.told {
		return "missed"
	}
	s := fmt.Sprintf("seen after %d probes", f.after)
	if f.right {
		s += ", named right"
	}
	if f.blocked {
		s += fmt.Sprintf(", blocked after %d", f.blocks)
	}
	return s
}

// lifeTable has a row for each part of ordinary life.
func (r *report) lifeTable(b *bytes.Buffer) {
	b.WriteString("Ordinary life: `blocked` if one of its addresses was blocked (by portsentry and " +
		"fail2ban: would be, if its action were on),\n`accused` if one was only called a scanner.\n\n")
	replayed := ""
	if r.life != nil {
		replayed = fmt.Sprintf(" picket, %d packets |", r.life.packets)
	}
	fmt.Fprintf(b, "| ordinary life |%s%s\n|---|%s%s\n", replayed,
		cells(r.order, func(t string) string { return t }),
		strings.Repeat("---|", strings.Count(replayed, "|")), strings.Repeat("---|", len(r.order)))
	for _, sc := range scenes() {
		copied := ""
		if r.life != nil {
			copied = " " + state(r.life.blocked[sc.name] > 0, r.life.accused[sc.name] > 0) + " |"
		}
		fmt.Fprintf(b, "| %s |%s%s\n", sc.name, copied, cells(r.order, func(t string) string {
			return state(r.results[t].blocked[sc.name], r.results[t].accused[sc.name])
		}))
	}
}

func found(ok bool) string {
	if ok {
		return "found"
	}
	return "missed"
}

func state(blocked, accused bool) string {
	switch {
	case blocked:
		return "**blocked**"
	case accused:
		return "accused"
	}
	return "ok"
}

// renew puts the table between the markers of a file.
func (r *report) renew(name string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(old, []byte(tableBegins))
	_, after, closed := bytes.Cut(rest, []byte(tableEnds))
	if !ok || !closed {
		return fmt.Errorf("renew %s: it lacks the lines %q and %q", name, tableBegins, tableEnds)
	}
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(tableBegins + "\n\n")
	if err := r.print(&b); err != nil {
		return err
	}
	b.WriteString("\n" + tableEnds)
	b.Write(after)
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), info.Mode())
}

// verdict returns an error that lists picket's mistakes, false positives first.
func (r *report) verdict() error {
	var faults []error
	pk := r.results["picket"]
	if pk == nil {
		return nil
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, sc := range scenes() {
		if pk.blocked[sc.name] {
			fault("blocked an innocent, live: %s", sc.name)
		}
		if r.life != nil && r.life.blocked[sc.name] > 0 {
			fault("blocked innocents, in capture time: %s, %d times", sc.name, r.life.blocked[sc.name])
		}
	}
	for _, who := range pk.forged {
		fault("blocked the %s for what others forged", who)
	}
	if r.life != nil && r.life.packets < wantPackets {
		fault("only %d packets of ordinary life", r.life.packets)
	}
	if r.life != nil {
		for _, x := range r.life.examples {
			fault("  %s", x)
		}
	}
	if h := r.host; h != nil && h.all[0].packets*100 < 80*h.packets {
		fault("of a real host's packets only %d of %d are kept off", h.all[0].packets, h.packets)
	}
	var all []*finding
	for _, f := range pk.scans {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *finding) int {
		return strings.Compare(a.run.name+a.run.family, b.run.name+b.run.family)
	})
	for _, f := range append(all, r.slow...) {
		want := strings.TrimSpace(f.run.pattern + " " + f.run.technique + " " + f.run.tool)
		switch {
		case f.run.err != nil:
			fault("%s, IPv%s, was not run: %w", f.run.name, f.run.family, f.run.err)
		case !f.told:
			fault("missed %s, IPv%s", f.run.name, f.run.family)
		case !f.right:
			fault("misnamed %s, IPv%s: want %q, said %q", f.run.name, f.run.family, want,
				slices.Compact(f.words))
		}
	}
	for _, f := range []*flood{pk.flood, r.flood} {
		switch {
		case f == nil:
		case f.blocks >= 1000:
			fault("flood of %d: %d blocks", f.packets, f.blocks)
		case !f.found:
			fault("flood of %d: the scanner in it was missed", f.packets)
		case !f.named:
			fault("flood of %d: not named", f.packets)
		}
	}
	return errors.Join(faults...)
}
