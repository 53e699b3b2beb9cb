// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/control"
)

// refresh is how often "picket top" asks.
const refresh = 2 * time.Second

func topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what happens: counters, busiest sources, blocks",
		Long: "Show what happens, every two seconds until q or Ctrl-C: what the daemon has counted,\n" +
			"the busiest of the sources seen last, and the latest blocks with what they drop.\n" +
			"Where standard output is no terminal it is shown once.",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		var v view
		if err := v.ask(time.Now()); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), v.shown())
		}
		size, ok := terminalSize(cmd.OutOrStdout())
		if !ok {
			return v.printOnce(cmd.OutOrStdout())
		}
		return v.live(size)
	})
	return cmd
}

// A view is what "picket top" shows, and what it needs to tell rates.
type view struct {
	at      time.Time
	status  control.Status
	sources []control.Source
	blocks  []control.Block
	trouble error // the daemon did not answer the last time

	before  *view
	blocked time.Time // when blocks were asked for; reading many takes the kernel a while
	pause   time.Duration
}

// ask gets everything anew. What was known before stays for comparison, and
// on the screen if the daemon does not answer.
func (v *view) ask(now time.Time) error {
	next := view{at: now, blocks: v.blocks, blocked: v.blocked, pause: v.pause}
	err := control.Call(control.Path(), control.Request{Command: "status"}, &next.status)
	if err == nil {
		err = control.Call(control.Path(), control.Request{Command: "sources"}, &next.sources)
	}
	if err == nil && now.Sub(next.blocked) >= next.pause {
		began := time.Now()
		next.blocks = nil
		err = control.Call(control.Path(), control.Request{Command: "blocks"}, &next.blocks)
		next.blocked, next.pause = now, 10*time.Since(began)
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

// A topAnswer is the JSON form.
type topAnswer struct {
	Status  control.Status   `json:"status"`
	Sources []control.Source `json:"sources"` // the busiest first
	Blocks  []control.Block  `json:"blocks"`  // the latest first
}

func (v *view) shown() topAnswer {
	return topAnswer{v.status, v.busiest(), v.latest()}
}

// busiest orders the sources by what they sent since the last time, then by
// what they sent at all.
func (v *view) busiest() []control.Source {
	list := slices.Clone(v.sources)
	slices.SortFunc(list, func(a, b control.Source) int {
		return cmp.Or(cmp.Compare(v.rate(&b), v.rate(&a)), cmp.Compare(b.Probes, a.Probes), strings.Compare(a.Name, b.Name))
	})
	return list
}

func (v *view) latest() []control.Block {
	list := slices.Clone(v.blocks)
	slices.SortFunc(list, func(a, b control.Block) int { return cmp.Or(b.Since.Compare(a.Since), strings.Compare(a.Name, b.Name)) })
	return list
}

// rate is how many probes a second a source sent since the last time.
func (v *view) rate(s *control.Source) float64 {
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

// dropRate is how many packets a second a block dropped since the last time.
func (v *view) dropRate(b *control.Block) float64 {
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

// printOnce shows everything without a terminal's width or height.
func (v *view) printOnce(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, line := range v.lines(10, 10) {
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}

// live shows it until the operator has seen enough.
func (v *view) live(size func() (width, height int)) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	// Stopped, it would leave the terminal as it is now.
	signal.Ignore(syscall.SIGTSTP)
	defer signal.Reset(syscall.SIGTSTP)
	keys, restore := readKeys(os.Stdin)
	defer restore()
	// The other screen, without cursor; and back.
	fmt.Print("\x1b[?1049h\x1b[?25l")
	defer fmt.Print("\x1b[?25h\x1b[?1049l")
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		if err := v.draw(os.Stdout, size); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			if key == 'q' || key == 'Q' {
				return nil
			}
		case <-resized:
		case now := <-tick.C:
			_ = v.ask(now) // the screen tells
		}
	}
}
