// SPDX-License-Identifier: MIT

package top

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"picket/internal/show"
)

// lines returns the counters, and the tables with at most so many rows.
func (v *View) lines(sources, blocks int) []string {
	var b strings.Builder
	v.counters(&b)
	busiest, latest := v.busiest(), v.latest()
	fmt.Fprintln(&b)
	if len(busiest) > 0 {
		v.sourceTable(busiest[:min(sources, len(busiest))]).Print(&b)
	} else {
		fmt.Fprintln(&b, "nobody has probed yet")
	}
	fmt.Fprintln(&b)
	if len(latest) > 0 {
		v.blockTable(latest[:min(blocks, len(latest))]).Print(&b)
	} else {
		fmt.Fprintln(&b, "nobody is blocked")
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

func (v *View) counters(out io.Writer) {
	s := &v.status
	state := "blocking"
	if s.DryRun {
		state = "dry run, blocks nobody"
		if t := s.Trial; t != nil {
			state = fmt.Sprintf("trial: would have answered %s and kept off %s",
				show.Plural(t.Sources, "source"), t.Share())
		}
	}
	if s.Flooding {
		state += ", in a flood of new sources"
	}
	if v.trouble != nil {
		state = v.trouble.Error()
	}
	fmt.Fprintf(out, "picket %s, up %s, %s   %s\n", s.Version, time.Duration(s.Uptime)*time.Second, state,
		v.at.Local().Format(time.TimeOnly))
	fmt.Fprintf(out, "probes %d", s.Probes)
	if v.before != nil {
		fmt.Fprintf(out, " (%s/s)", cmp.Or(rate(perSecond(s.Probes-min(s.Probes, v.before.status.Probes),
			v.at.Sub(v.before.at))), "0"))
	}
	fmt.Fprintf(out, ", lost %d   sources %d   blocks %d", s.Lost, s.Sources, s.Blocks)
	if i := s.Inline; i != nil && i.Off == "" {
		fmt.Fprintf(out, "   inline %d, %d turned away", i.Held, i.Refused)
	}
	if s.Reaction.Count > 0 {
		fmt.Fprintf(out, "   reaction %s, 99 %% in %s", micro(s.Reaction.P50), micro(s.Reaction.P99))
	}
	fmt.Fprintln(out)
	if fell := v.limits(); fell != "" {
		fmt.Fprintln(out, fell)
	}
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// rate writes a number of events a second, "" for 0.
func rate(n float64) string {
	switch {
	case n == 0:
		return ""
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
