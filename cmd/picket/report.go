// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
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
		Use:        "report",
		SuggestFor: []string{"log", "stats"},
		Short:      "Sum up what happened, from the journal or a file",
		Long: "Sum up what happened over a period: sources, patterns, tools, ports, blocks and\n" +
			"what they kept off, and countries and networks where events tell them.\n\n" +
			"Events are taken from the journal, or with --file from lines of JSON: a history\n" +
			"file, or what \"picket replay --json\" or \"journalctl -o json\" printed.",
		Example: "  picket report --since 1w\n  picket report --since yesterday --until today\n" +
			"  picket report --since \"2026-11-29 03:00\" --html night.html\n" +
			"  picket report --file /var/log/picket/history\n" +
			"  picket replay --json scan.pcap | picket report --file -",
		Args: takes(),
	}
	asJSON := jsonFlag(cmd)
	since := cmd.Flags().String("since", "24h",
		"from a `time` on, such as 24h ago, yesterday or \"2026-11-29 03:00\"; of a file, everything "+
			"unless this is given")
	until := cmd.Flags().String("until", "", "up to a `time`, now unless this is given")
	html := cmd.Flags().String("html", "",
		"write one page for a browser, which needs nothing else, to `file`, \"-\" for standard output")
	file := cmd.Flags().String("file", "", "take events from `file`, \"-\" for standard input")
	top := cmd.Flags().Int("top", 10, "so many lines of each `list`")
	cmd.MarkFlagsMutuallyExclusive("json", "html")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		q := question{file: *file, counter: report.New()}
		var err error
		if *file == "" || cmd.Flags().Changed("since") {
			if q.from, err = moment("--since", *since, now); err != nil {
				return err
			}
		}
		if *until != "" {
			if q.to, err = moment("--until", *until, now); err != nil {
				return err
			}
			if !q.from.Before(q.to) {
				return usage("--until: %s is not after %s", show.Stamp(q.to), show.Stamp(q.from))
			}
		}
		if *top < 1 || *top > 10000 {
			return usage("--top: %d: want 1 to 10000", *top)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		faults := q.read(ctx, cmd.InOrStdin())
		if faults != nil && !errors.As(faults, new(*report.Fault)) {
			return faults // half a period would be taken for the whole
		}
		r := q.counter.Report(*top, q.now())
		out := bufio.NewWriter(cmd.OutOrStdout())
		switch {
		case *asJSON:
			err = printJSON(out, r)
		case *html == "-":
			err = report.HTML(out, &r, q.heading(&r))
		case *html != "":
			err = writePage(*html, &r, q.heading(&r))
		default:
			report.Print(out, &r, q.heading(&r))
		}
		return errors.Join(err, out.Flush(), faults)
	})
	return cmd
}

// writePage writes the page to a file, which is there as a whole or as it was.
func writePage(name string, r *report.Report, heading string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".picket-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // where it is no more
	out := bufio.NewWriter(f)
	err = errors.Join(report.HTML(out, r, heading), out.Flush(), f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// moment reads a time, or a duration back from now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if length, err := config.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(length)), nil
	}
	at, err := report.When(text, now)
	if err != nil {
		return at, usage("%s: %w", flag, err)
	}
	return at, nil
}

// A question is what a report is to be of.
type question struct {
	from, to time.Time // zero for no bound
	file     string    // "" for the journal
	counter  *report.Counter
}

// read counts the events.
func (q *question) read(ctx context.Context, stdin io.Reader) error {
	p := newProgress(os.Stderr)
	defer p.end()
	add := func(e event.Event) {
		p.event()
		if !e.Time.Before(q.from) && (q.to.IsZero() || e.Time.Before(q.to)) {
			q.counter.Add(e)
		}
	}
	switch q.file {
	case "":
		return report.Journal(ctx, q.from, q.to, add)
	case "-":
		return inFile("standard input", report.Read(stdin, false, add))
	}
	f, err := os.Open(q.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		p.size = info.Size()
	}
	return inFile(q.file, report.Read(p.reader(f), false, add))
}

func inFile(name string, err error) error {
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}

// now asks the running daemon for the responses in force. For a file or an ended
// period, and without a daemon, there is no answer.
func (q *question) now() *report.Now {
	if q.file != "" || !q.to.IsZero() && q.to.Before(time.Now()) {
		return nil
	}
	var list []control.Block
	if control.Call(control.Path(), control.Request{Command: "blocks"}, &list) != nil {
		return nil
	}
	now := &report.Now{Responses: len(list), Drops: make(map[string]uint64, len(list))}
	for _, b := range list {
		now.Drops[b.Name] += b.Drops
	}
	return now
}

func (q *question) heading(r *report.Report) string {
	where := map[string]string{"": "the journal", "-": "standard input"}[q.file]
	if where == "" {
		where = show.Clean(q.file)
	}
	from, to := q.from, cmp.Or(q.to, time.Now())
	if from.IsZero() {
		from, to = r.From, cmp.Or(q.to, r.To)
	}
	if from.IsZero() {
		return "nothing in " + where
	}
	return fmt.Sprintf("%s to %s, from %s", from.Local().Format("2006-01-02 15:04"),
		to.Local().Format("2006-01-02 15:04"), where)
}
