// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/report"
	"picket/internal/show"
)

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Sum up what happened, from the journal or a file",
		Long: "Sum up what happened over a period: sources, patterns, tools, ports, blocks and\n" +
			"what they dropped, and countries and networks where events tell them.\n\n" +
			"Events are taken from the journal, or with --file from lines of JSON: a history\n" +
			"file, or what \"picket replay --json\" printed.",
		Example: "  picket report --since 1w\n  picket report --file /var/log/picket/history\n" +
			"  picket replay --json scan.pcap | picket report --file -",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	since := cmd.Flags().String("since", "24h", "`duration` up to now; of a file, everything unless this is given")
	file := cmd.Flags().String("file", "", "take events from `file`, \"-\" for standard input")
	top := cmd.Flags().Int("top", 10, "so many lines of each `list`")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		span, err := config.ParseDuration(*since)
		if err != nil {
			return usage("--since: %w", err)
		}
		if *top < 1 || *top > 10000 {
			return usage("--top: %d: want 1 to 10000", *top)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		q := question{from: time.Now().Add(-time.Duration(span)), file: *file, counter: report.New()}
		if *file != "" && !cmd.Flags().Changed("since") {
			q.from = time.Time{}
		}
		faults := q.read(ctx, cmd.InOrStdin())
		if faults != nil && !errors.As(faults, new(*report.Fault)) {
			return faults // half a period would be taken for the whole
		}
		r := q.counter.Report(*top, q.drops())
		out := bufio.NewWriter(cmd.OutOrStdout())
		if *asJSON {
			err = printJSON(out, r)
		} else {
			printReport(out, &r, q.heading(&r))
		}
		return errors.Join(err, out.Flush(), faults)
	})
	return cmd
}

// A question is what a report is to be of.
type question struct {
	from    time.Time // zero for everything
	file    string    // "" for the journal
	counter *report.Counter
}

// read counts the events.
func (q *question) read(ctx context.Context, stdin io.Reader) error {
	add := func(e event.Event) {
		if !e.Time.Before(q.from) {
			q.counter.Add(e)
		}
	}
	switch q.file {
	case "":
		return readJournal(ctx, q.from, add)
	case "-":
		return inFile("standard input", report.Read(stdin, false, add))
	}
	f, err := os.Open(q.file)
	if err != nil {
		return err
	}
	defer f.Close()
	return inFile(q.file, report.Read(f, false, add))
}

func inFile(name string, err error) error {
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}

// readJournal asks journalctl. Anybody may write an entry that looks like
// picket's; the fields that begin with an underscore are journald's own word.
func readJournal(ctx context.Context, from time.Time, add func(event.Event)) error {
	const fields = "PICKET_EVENT,PICKET_TIME,PICKET_SOURCE,PICKET_PROTOCOL,PICKET_PORT,PICKET_TECHNIQUE,PICKET_PATTERN,PICKET_TOOL,PICKET_PROVEN," +
		"PICKET_PROBES,PICKET_PORTS_SEEN,PICKET_PORTS,PICKET_ACTION,PICKET_REASON,PICKET_COUNTRY,PICKET_ASN,PICKET_NETWORK,PICKET_KNOWN"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--no-pager", "--quiet", "--output=json", "--output-fields="+fields,
		fmt.Sprintf("--since=@%d", from.Unix()),
		"SYSLOG_IDENTIFIER=picket", "_SYSTEMD_UNIT=picket.service", "+", "SYSLOG_IDENTIFIER=picket", "_UID=0")
	said := head{most: 1024}
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("ask the journal: %w: use --file with a history file", err)
	}
	bad := report.Read(out, true, add)
	if bad != nil && !errors.As(bad, new(*report.Fault)) {
		cancel() // it would wait for us to read on
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ask the journal: %w: %s", err, show.Clean(strings.TrimSpace(said.String())))
	}
	return inFile("the journal", bad)
}

// A head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer
	most int
}

// Write implements io.Writer.
func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), max(0, h.most-h.Len()))])
	return len(b), nil
}

// drops asks the running daemon what its blocks have dropped. Without one, or
// for a file, that is not known.
func (q *question) drops() map[string]uint64 {
	if q.file != "" {
		return nil
	}
	var list []control.Block
	if control.Call(control.Path(), control.Request{Command: "blocks"}, &list) != nil {
		return nil
	}
	drops := make(map[string]uint64, len(list))
	for _, b := range list {
		drops[b.Name] = b.Drops
	}
	return drops
}

func (q *question) heading(r *report.Report) string {
	where := map[string]string{"": "the journal", "-": "standard input"}[q.file]
	if where == "" {
		where = show.Clean(q.file)
	}
	from, to := q.from, time.Now()
	if from.IsZero() {
		from, to = r.From, r.To
	}
	if from.IsZero() {
		return "nothing in " + where
	}
	return fmt.Sprintf("%s to %s, from %s", from.Local().Format("2006-01-02 15:04"), to.Local().Format("2006-01-02 15:04"), where)
}

// printReport shows a report as tables.
func printReport(out io.Writer, r *report.Report, heading string) {
	fmt.Fprintf(out, "%s\n\n", heading)
	if len(r.Events) == 0 {
		fmt.Fprintln(out, "picket told of nothing in that time")
		return
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	sources := fmt.Sprintf("%d, %d of them blocked", r.Sources, r.Blocked)
	if r.Others > 0 {
		sources += fmt.Sprintf("; %d with few probes are not told apart", r.Others)
	}
	row("sources", "%s", sources)
	blocks := fmt.Sprintf("%d made, %d in force at the end", r.Blocks, r.InForce)
	if r.Drops > 0 {
		blocks += fmt.Sprintf("; those in force now have dropped %s", show.Plural(r.Drops, "packet"))
	}
	row("blocks", "%s", blocks)
	row("events", "%s", kinds(r.Events))
	columns(out, []column{
		{"PATTERNS", r.Patterns}, {"TOOLS", r.Tools}, {"PORTS", r.Ports}, {"COUNTRIES", r.Countries}, {"LISTS", r.Known}, {"NETWORKS", r.Networks}, {"WHY BLOCKED", r.Reasons},
	})
	printBusiest(out, r.Busiest)
}

// kinds lists the events by kind.
func kinds(events map[string]int) string {
	var words []string
	for name, n := range events {
		words = append(words, fmt.Sprintf("%d %s", n, name))
	}
	slices.SortFunc(words, func(a, b string) int {
		_, a, _ = strings.Cut(a, " ")
		_, b, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	return strings.Join(words, ", ")
}

// A column is a list that may stand beside others.
type column struct {
	title string
	list  []report.Count
}

const (
	lineWidth   = 98 // of a line of columns
	columnWidth = 34 // of the widest name in one
)

// columns prints lists side by side, as many as a line takes. Empty ones are
// left out.
func columns(out io.Writer, all []column) {
	all = slices.DeleteFunc(all, func(c column) bool { return len(c.list) == 0 })
	for len(all) > 0 {
		n, width := 0, 0
		for n < len(all) && (n == 0 || width+all[n].width() <= lineWidth) {
			width += all[n].width() + 3
			n++
		}
		fmt.Fprintln(out)
		printColumns(out, all[:n])
		all = all[n:]
	}
}

// name is how wide the column of names is, width the whole.
func (c column) name() (n int) {
	n = len(c.title)
	for _, x := range c.list {
		n = max(n, min(len([]rune(x.Name)), columnWidth))
	}
	return n
}

func (c column) number() (n int) {
	for _, x := range c.list {
		n = max(n, len(fmt.Sprint(x.Count)))
	}
	return n
}

func (c column) width() int { return c.name() + 2 + c.number() }

func printColumns(out io.Writer, cs []column) {
	rows := 0
	for _, c := range cs {
		rows = max(rows, len(c.list))
	}
	for i := -1; i < rows; i++ {
		var line strings.Builder
		for _, c := range cs {
			switch {
			case i < 0:
				fmt.Fprintf(&line, "%-*s", c.width(), c.title)
			case i < len(c.list):
				fmt.Fprintf(&line, "%-*s  %*d", c.name(), show.Cut(c.list[i].Name, columnWidth), c.number(), c.list[i].Count)
			default:
				fmt.Fprintf(&line, "%*s", c.width(), "")
			}
			line.WriteString("   ")
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// printBusiest lists sources. Columns that none of them has anything for are
// left out.
func printBusiest(out io.Writer, list []report.Source) {
	if len(list) == 0 {
		return
	}
	t := show.Table{Head: []string{"SOURCE", "PROBES", "PORTS", "BLOCKS", "DROPS", "PATTERN", "TECHNIQUE", "TOOL", "PROVEN", "LIST", "FROM", "LAST SEEN"}}
	for i := range list {
		s := &list[i]
		t.Add(s.Source, some(uint64(s.Probes)), some(uint64(s.PortsSeen)), some(uint64(s.Blocks)), some(s.Drops), s.Pattern, s.Technique, s.Tool, map[bool]string{true: "yes"}[s.Proven],
			s.Known, show.Cut(show.Origin(s.Country, s.ASN, s.Network), columnWidth), s.Last.Local().Format("01-02 15:04:05"))
	}
	fmt.Fprintln(out)
	t.Print(out)
}

// some writes a number, 0 as nothing.
func some(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
