// SPDX-License-Identifier: MIT

package answers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/show"
)

// Responses are the names of what is done to a source.
func Responses() []string { return []string{"dark", "fence", "block"} }

// A Filter lets blocks through. The zero value lets all.
type Filter struct {
	Responses []string
	Patterns  []string
	Countries []string     // two letters each
	Within    netip.Prefix // its addresses and what is inside it
	Proven    *bool
	From      time.Time // blocks made before it do not pass
}

// Passes reports whether the filter lets a block through.
func (f *Filter) Passes(b *control.Block) bool {
	one := func(list []string, is string) bool {
		same := func(s string) bool { return strings.EqualFold(s, is) }
		return len(list) == 0 || slices.ContainsFunc(list, same)
	}
	source, ok := config.ParseSource(b.Name)
	return one(f.Responses, b.Response) && one(f.Patterns, b.Pattern) && one(f.Countries, b.Country) &&
		!b.Since.Before(f.From) && (f.Proven == nil || *f.Proven == b.Proven) &&
		(!f.Within.IsValid() || ok && f.Within.Bits() <= source.Bits() && f.Within.Contains(source.Addr()))
}

// Blocks prints the blocks, or that there are none.
func Blocks(out io.Writer, list []control.Block) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is blocked")
		return err
	}
	t := show.Table{Head: []string{"SOURCE", "REMAINING", "RESPONSE", "SINCE", "DROPS", "WHAT", "WHY"},
		Spare: []string{"SINCE", "WHAT", "DROPS"}}
	for _, b := range list {
		t.Add(b.Name, remaining(b.Remaining), b.Response, show.Stamp(b.Since), fmt.Sprint(b.Drops),
			strings.TrimSpace(b.Pattern+" "+b.Technique), event.Why(b.Reason, b.Evidence, b.Known))
	}
	w := bufio.NewWriter(out)
	t.PrintOn(w, show.Width(out))
	return w.Flush()
}

// Addresses prints each source once: one may have several responses.
func Addresses(out io.Writer, list []control.Block) error {
	w := bufio.NewWriter(out)
	told := map[string]bool{}
	for _, b := range list {
		if !told[b.Name] {
			told[b.Name] = true
			fmt.Fprintln(w, show.Clean(b.Name))
		}
	}
	return w.Flush()
}

// StreamBlocks prints the blocks that pass as each hands them over, one a line, as one
// JSON value. Where each fails before the first, nothing is printed.
func StreamBlocks(
	out io.Writer, passes func(*control.Block) bool, each func(func(json.RawMessage) error) error,
) error {
	w := bufio.NewWriterSize(out, 64<<10)
	before := "[\n"
	err := each(func(item json.RawMessage) error {
		if passes != nil {
			var b control.Block
			if err := json.Unmarshal(item, &b); err != nil || !passes(&b) {
				return err
			}
		}
		_, _ = w.WriteString(before) // Flush returns its error
		before = ",\n"
		_, err := w.Write(item)
		return err
	})
	switch {
	case err != nil && before == "[\n":
		return err
	case before == "[\n":
		_, _ = w.WriteString("[")
	default:
		_, _ = w.WriteString("\n")
	}
	if err == nil {
		_, _ = w.WriteString("]\n")
	}
	return errors.Join(err, w.Flush())
}

// Trial says in a sentence how a dry run goes.
func Trial(t *control.Trial) string {
	return fmt.Sprintf("since %s %s would have been answered, and %d of %d unwanted probes (%s) kept off",
		show.Stamp(t.Since), show.Plural(t.Sources, "source"), t.Kept, t.Unwanted, t.Share())
}

// PrintTrial prints how a dry run goes.
func PrintTrial(out io.Writer, t *control.Trial) error {
	_, err := fmt.Fprintln(out, strings.Join(show.Wrap(Trial(t), show.Width(out)), "\n"))
	return err
}

// Allowed prints the friends by command, or that there are none.
func Allowed(out io.Writer, list []control.Allowed) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nobody is allowed by command")
		return err
	}
	t := show.Table{Head: []string{"SOURCE", "REMAINING", "SINCE", "WHY"}, Spare: []string{"SINCE"}}
	for _, a := range list {
		left := "for good"
		if !a.Expires.IsZero() {
			left = remaining(a.Remaining)
		}
		t.Add(a.Name, left, show.Stamp(a.Since), a.Reason)
	}
	w := bufio.NewWriter(out)
	t.PrintOn(w, show.Width(out))
	return w.Flush()
}

// remaining writes how long something still lasts. What was to be for ever is
// never quite that.
func remaining(seconds int64) string {
	d := config.Duration(time.Duration(seconds) * time.Second)
	if d >= config.Forever/2 {
		d = config.Forever
	}
	return d.String()
}
