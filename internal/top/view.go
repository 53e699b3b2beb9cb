// SPDX-License-Identifier: MIT

// Package top shows a daemon's counters, the busiest of its latest sources and
// its latest blocks, live.
package top

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"picket/internal/control"
)

// A View has the last answer, and the one before for rates. It is for one
// goroutine; make one with [New].
type View struct {
	call    func(command string, answer any) error
	at      time.Time
	status  control.Status
	sources []control.Source
	blocks  []control.Block
	trouble error // of the last attempt

	before  *View
	blocked time.Time // of the blocks; many take the kernel a while
	pause   time.Duration
}

// New returns a view that asks the daemon by call. Call gets the command and fills
// the answer.
func New(call func(command string, answer any) error) *View { return &View{call: call} }

// Ask asks for everything again. The previous answer stays for comparison and, if
// the daemon gives none, on the screen.
func (v *View) Ask(now time.Time) error {
	next := View{call: v.call, at: now, blocks: v.blocks, blocked: v.blocked, pause: v.pause}
	err := v.call("status", &next.status)
	if err == nil {
		err = v.call("sources", &next.sources)
	}
	if err == nil && now.Sub(next.blocked) >= next.pause {
		began := time.Now()
		next.blocks = nil
		err = v.call("blocks", &next.blocks)
		next.blocked, next.pause = now, 50*time.Since(began)
	}
	if err != nil {
		v.trouble = err
		return err
	}
	if v.status.Pid == next.status.Pid {
		old := *v
		old.before = nil
		next.before = &old
	}
	*v = next
	return nil
}

// An Answer is the JSON form.
type Answer struct {
	Status  control.Status   `json:"status"`
	Sources []control.Source `json:"sources"` // the busiest first
	Blocks  []control.Block  `json:"blocks"`  // the latest first
}

// Answer returns the last answer, in the order of the screen.
func (v *View) Answer() Answer {
	return Answer{v.status, v.busiest(), v.latest()}
}

// busiest orders the sources by their recent rate, then by all their probes.
func (v *View) busiest() []control.Source {
	list, rates := slices.Clone(v.sources), make(map[string]float64, len(v.sources))
	for i := range list {
		rates[list[i].Name] = v.rate(&list[i])
	}
	slices.SortFunc(list, func(a, b control.Source) int {
		return cmp.Or(cmp.Compare(rates[b.Name], rates[a.Name]), cmp.Compare(b.Probes, a.Probes),
			strings.Compare(a.Name, b.Name))
	})
	return list
}

func (v *View) latest() []control.Block {
	list := slices.Clone(v.blocks)
	slices.SortFunc(list, func(a, b control.Block) int {
		return cmp.Or(b.Since.Compare(a.Since), strings.Compare(a.Name, b.Name))
	})
	return list
}

// rate is a source's probes a second since the last look.
func (v *View) rate(s *control.Source) float64 {
	if v.before == nil {
		return 0
	}
	for i := range v.before.sources {
		if b := &v.before.sources[i]; b.Name == s.Name && b.Probes <= s.Probes {
			return perSecond(uint64(s.Probes-b.Probes), v.at.Sub(v.before.at))
		}
	}
	return perSecond(uint64(s.Probes), v.at.Sub(v.before.at))
}

// dropRate is a block's drops a second since the last look.
func (v *View) dropRate(b *control.Block) float64 {
	if v.before == nil || !v.blocked.After(v.before.blocked) {
		return 0
	}
	for i := range v.before.blocks {
		if o := &v.before.blocks[i]; o.Name == b.Name && o.Drops <= b.Drops {
			return perSecond(b.Drops-o.Drops, v.blocked.Sub(v.before.blocked))
		}
	}
	return 0
}

func perSecond(n uint64, d time.Duration) float64 { return float64(n) / max(d.Seconds(), 0.001) }

// limits names the counters of packets beyond the kernel's limits, "" for none: the
// growing ones first, then the largest.
func (v *View) limits() string {
	type counter struct {
		name string
		n    uint64
		rate float64
	}
	var list []counter
	for name, n := range v.status.Rules {
		if !control.Limit(name) || n == 0 {
			continue
		}
		c := counter{name: name, n: n}
		if v.before != nil && n > v.before.status.Rules[name] {
			c.rate = perSecond(n-v.before.status.Rules[name], v.at.Sub(v.before.at))
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b counter) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(b.n, a.n), strings.Compare(a.name, b.name))
	})
	var words []string
	for _, c := range list {
		word := fmt.Sprintf("%s %d", c.name, c.n)
		if c.rate > 0 {
			word += " (" + rate(c.rate) + "/s)"
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return ""
	}
	return "limits of the kernel: " + strings.Join(words, ", ")
}

// Print shows ten rows of each table, for no terminal in particular.
func (v *View) Print(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, line := range v.lines(10, 10) {
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}
