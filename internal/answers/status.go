// SPDX-License-Identifier: MIT

package answers

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/internal/control"
	"picket/internal/show"
)

// Status prints what the daemon does and has counted, for a terminal of so many
// columns, 0 for none.
func Status(out io.Writer, s control.Status, width int) error {
	list := show.List{Head: []string{""}}
	row := func(name, format string, args ...any) { list.Add([]string{fmt.Sprintf(format, args...)}, name) }
	state := "blocking"
	if s.DryRun {
		state = "dry run: blocks nobody"
	}
	row("picket", "%s, process %d, up %s, %s", s.Version, s.Pid, time.Duration(s.Uptime)*time.Second, state)
	row("configuration", "%s", s.Config)
	for _, section := range slices.Sorted(maps.Keys(s.Modes)) {
		row("modes "+section, "%s", strings.Join(s.Modes[section], ", "))
	}
	row("kernel", "Linux %s, NFLOG group %d, receive buffer %d MiB", s.Kernel, s.Group, s.Buffer>>20)
	row("probes", "%d, lost %d, no probe %d", s.Probes, s.Lost, s.Garbage)
	digits := len(fmt.Sprint(s.Probes))
	for _, reason := range slices.Sorted(maps.Keys(s.Reasons)) {
		row("", "%*d %s", digits, s.Reasons[reason], reason)
	}
	for _, list := range slices.Sorted(maps.Keys(s.Known)) {
		row("", "%*d from list %s", digits, s.Known[list], list)
	}
	row("sources", "%d known, %d forgotten to make room, traces of %d kept for slow scans", s.Sources,
		s.Evicted, s.Traces)
	if s.Flooding {
		row("flood", "more new sources come than can be real: "+
			"who is not proven is spared, unless it stands out")
	} else {
		row("flood", "none")
	}
	if s.Evidence.Capacity > 0 {
		row("evidence", "%d of %d probes, of %s", s.Evidence.Probes, s.Evidence.Capacity,
			show.Plural(s.Evidence.Sources, "source"))
	} else {
		row("evidence", "none is kept (evidence.memory = \"0\")")
	}
	row("blocks", "%d in force", s.Blocks)
	if led, not := s.Rules["invited"], s.Rules["uninvited"]; led+not > 0 {
		row("invited", "%s to the trap from other ports, %d more were beyond a limit",
			show.Plural(led, "connection"), not)
	}
	if n := s.Rules["kept_forged"]; n > 0 {
		row("forged", "%s dropped that began a flow in the name of a host behind this one, or of this "+
			"one, from where it is not routed to", show.Plural(n, "packet"))
	}
	if fell := control.Grown(s.Rules, nil); len(fell) > 0 {
		row("limits", "of the kernel: %s (unlogged: packets too many to be mirrored; "+
			"full: a set had no room)", strings.Join(fell, ", "))
	}
	if t := s.Trial; t != nil {
		row("trial", "%s; \"picket blocks --trial\" lists them", Trial(t))
	}
	switch i := s.Inline; {
	case i == nil:
	case i.Off != "":
		row("inline", "off, every SYN to a service passes at once: %s", i.Off)
	default:
		row("inline", "NFQUEUE %d (%s): %d SYNs waited, %d let in, %d of them unjudged in time; "+
			"%d turned away", i.Queue, i.By, i.Held, i.Let, i.Aged, i.Refused)
		row("", "passed by: %d sent again, %d above the limit; copies dropped: %d", s.Rules["inline_later"],
			s.Rules["inline_excess"], s.Rules["kept_copies"])
	}
	if s.Reaction.Count > 0 {
		row("reaction", "median %d µs, 99 %% within %d µs, of the last %d blocks", s.Reaction.P50,
			s.Reaction.P99, s.Reaction.Count)
	}
	if s.Untold > 0 {
		row("events", "%d left out to spare the journal", s.Untold)
	}
	w := bufio.NewWriter(out)
	list.Print(w, width)
	return w.Flush()
}
