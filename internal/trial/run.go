// SPDX-License-Identifier: MIT

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"picket/internal/config"
	"picket/internal/event"
	"picket/internal/replay"
)

// Options select the output of a trial. The zero Options print a summary for people.
type Options struct {
	JSON    bool // one object a line: every event, then a summary
	Packets bool // every packet, and the reason why it is a probe or not
	Width   int  // of the terminal; 0 for none
}

// Run runs captures through one configuration and prints the outcome. Errors of captures
// do not end the run; the error joins them.
func Run(ctx context.Context, out io.Writer, c *config.Config, rules replay.Rules, sources []replay.Source,
	o Options) error {
	s, err := newSide(c, rules)
	if err != nil {
		return err
	}
	s.width = o.Width
	newLists(c).rules(&rules)
	rules.Behind = c.Forward.Prefixes
	enc := json.NewEncoder(out)
	// An error of writing shows when the buffer is flushed.
	if o.JSON {
		s.tell = func(ev event.Event) { _ = enc.Encode(ev) }
	}
	emit := s.queue
	if o.Packets {
		emit = packetPrinter(out, s, o.JSON)
	}
	began := time.Now()
	sum, faults := replay.Run(ctx, sources, rules, emit)
	s.flush()
	result := s.result(&sum, time.Since(began))
	if o.JSON {
		err = enc.Encode(result)
	} else {
		s.print(out, result)
	}
	return errors.Join(faults, err)
}
