// SPDX-License-Identifier: MIT

package trial

import (
	"fmt"
	"io"
	"strconv"

	"picket/engine"
	"picket/internal/show"
)

// printWorth prints the packets kept off, and those that other means would have kept off.
func (s *side) printWorth(out io.Writer) {
	k := &s.kept
	if k.Unwanted+k.Served == 0 {
		return
	}
	t := show.Table{Head: []string{"PACKETS", "SHARE", "ARE"}}
	row := func(n, of uint64, format string, args ...any) {
		t.Add(strconv.FormatUint(n, 10), share(n, of), fmt.Sprintf(format, args...))
	}
	if k.Unwanted > 0 {
		kept := k.all() - k.Door - k.Inline - k.Before
		row(k.Unwanted, 0, "unwanted: to ports that nobody serves, ordinary life left out")
		row(kept, k.Unwanted, "of these kept off by picket: dark %d, fence %d, block %d", k.Dark,
			k.Fence-k.fencedBefore, k.Block-(k.Before-k.fencedBefore))
		if k.Led > 0 {
			row(k.Led, k.Unwanted, "of these led to the trap: who completes a connection there is proven, "+
				"which only a capture with --trap shows")
		}
		row(k.Limit, k.Unwanted, "if every source were kept off from its second packet on")
		row(k.Unwanted, k.Unwanted, "by a firewall that drops by default; it tells nobody, and guards no "+
			"open port")
	}
	if k.Served > 0 {
		row(k.Served, 0, "beginning something at served ports")
		row(k.Door, k.Served, "of these refused at the door: no client makes such packets")
		if s.inlined() {
			row(k.Waited, k.Served, "of these that wait for the inline verdict, at any rate")
			row(k.Inline, k.Served, "of these refused by it")
		}
		row(k.Before, k.Served, "of these kept off for what their source did before")
	}
	fmt.Fprintln(out)
	t.PrintOn(out, s.width)
	count := func(a engine.Action) (n int) {
		for _, x := range s.order {
			if x.did>>a&1 != 0 {
				n++
			}
		}
		return n
	}
	fmt.Fprintf(out, "\nof all sources %d went dark, %d were fenced, %d blocked\n",
		count(engine.Dark), count(engine.Fence), count(engine.Block))
}

// share writes a part of a whole in percent, "" for a whole of 0.
func share(n, of uint64) string {
	if of == 0 {
		return ""
	}
	return show.Percent(n, of)
}
