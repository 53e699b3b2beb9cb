// SPDX-License-Identifier: MIT

package daemon

import (
	"net/netip"
	"slices"
	"time"

	"picket/engine"
)

// doubt puts a block off that rests on what could be forged, if its source had
// a connection with this host a moment ago: the connection may be younger than
// what the engine knows. It reports whether it did; settle decides then.
func (b *blocker) doubt(w *blockWork) bool {
	if w.event.Proven || w.commanded || byHand(&w.event) || !w.doubted.IsZero() || !b.actions.set.Load().Ignore.Connected {
		return false
	}
	if w.source.IsSingleIP() {
		connected, err := b.table.Connected(w.source.Addr())
		if err != nil {
			b.journal.Notice("", "%v", err)
		}
		if !connected && err == nil {
			return false
		}
	}
	if slices.ContainsFunc(b.doubted, func(x *blockWork) bool { return x.source == w.source }) {
		return true // its packets go on arriving
	}
	w.doubted = time.Now()
	b.doubted = append(b.doubted, w) // no more than block.unproven_rate lets come in the time of a look
	select {
	case b.look <- struct{}{}:
	default: // asked for already
	}
	return true
}

// settle makes the blocks put off before a look at who is connected, but for
// those whom it found. Of these it also ends the blocks that were made since the
// look before the last: connection tracking may not have known their connections
// ("notrack"). It returns whom the engine must be told of.
func (b *blocker) settle(peers engine.Prefixes, looked time.Time) (spared []netip.Prefix, err error) {
	var blocks []*blockWork
	b.doubted = slices.DeleteFunc(b.doubted, func(w *blockWork) bool {
		switch {
		case w.doubted.After(looked):
			return false
		case peers.Overlaps(w.source):
			b.spare(w)
			spared = append(spared, w.source)
		default:
			blocks = append(blocks, w)
		}
		return true
	})
	b.commit(blocks, nil)
	b.recent = slices.DeleteFunc(b.recent, func(p netip.Prefix) bool {
		e := b.book[p]
		if e == nil || looked.Sub(e.since) >= 2*peersEvery {
			return true
		}
		if err != nil || !peers.Overlaps(p) {
			return false
		}
		if _, err = b.unblock(p, "this host has a connection with it, and the probes may be forged"); err == nil {
			spared = append(spared, p)
		}
		return err == nil
	})
	return spared, err
}

// spare leaves a connected peer alone, and tells of it as the engine would
// have, had it known.
func (b *blocker) spare(w *blockWork) {
	ev := w.event
	ev.Event, ev.Action, ev.For = "ignore", engine.None.String(), 0
	ev.Reason, ev.Config = engine.IsConnected.String(), "ignore.connected = true"
	b.journal.Event(ev)
	if w.source.IsSingleIP() {
		b.release(w.source.Addr())
	}
}

// undoubt calls off the blocks put off for which which holds, and returns how
// many these are.
func (b *blocker) undoubt(which func(netip.Prefix) bool) int {
	n := len(b.doubted)
	b.doubted = slices.DeleteFunc(b.doubted, func(w *blockWork) bool {
		if !which(w.source) {
			return false
		}
		b.lost(w.source)
		return true
	})
	return n - len(b.doubted)
}
