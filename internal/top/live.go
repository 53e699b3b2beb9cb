// SPDX-License-Identifier: MIT

package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"picket/internal/show"
)

// refresh is how often the daemon is asked.
const refresh = 2 * time.Second

// Live shows it on the terminal of standard output, whose size is asked before
// each look, until q, Ctrl-C or a signal.
func (v *View) Live(size func() (width, height int)) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	// Stopped, it would leave the terminal as it is now.
	signal.Ignore(syscall.SIGTSTP)
	defer signal.Reset(syscall.SIGTSTP)
	keys, restore := show.Keys(os.Stdin)
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
			if key == 'q' || key == 'Q' || key == show.Interrupt {
				return nil
			}
		case <-resized:
		case now := <-tick.C:
			_ = v.Ask(now) // the screen tells
		}
	}
}
