// SPDX-License-Identifier: MIT

package inline

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A waiting is a packet that the kernel holds.
type waiting struct {
	id    uint32
	since time.Time
	said  Verdict
}

// own sends the kernel the verdicts on the packets, by their answers or their age. It owns the
// list of the packets that wait.
func (q *Queue) own() {
	defer q.ended.Done()
	var held []waiting
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(held) > 0 {
			timer.Reset(time.Until(held[0].since.Add(Age)))
		}
		select {
		case n := <-q.news:
			held = note(held, n)
			for len(q.news) > 0 {
				held = note(held, <-q.news)
			}
		case <-timer.C:
		case <-q.over:
			for i := range held {
				held[i].end()
			}
			q.settle(held)
			return
		}
		q.stats.aged.Add(uint64(age(held, time.Now())))
		held = q.settle(held)
	}
}

// note enters a packet, or the answer for one.
func note(held []waiting, n news) []waiting {
	if !n.since.IsZero() {
		return append(held, waiting(n))
	}
	i := slices.IndexFunc(held, func(w waiting) bool { return w.id == n.id })
	if i >= 0 && (held[i].said == 0 || held[i].said == Doom) {
		held[i].said = n.said
	}
	return held
}

// end ends the wait of a packet that has no final answer. It reports whether nobody has judged
// the packet.
func (w *waiting) end() (unjudged bool) {
	switch w.said {
	case 0:
		w.said = Let
		return true
	case Doom:
		w.said = Refuse
	}
	return false
}

// age ends the wait of packets older than [Age], and returns how many of them nobody has
// judged.
func age(held []waiting, now time.Time) (n int) {
	for i := range held {
		if now.Sub(held[i].since) < Age {
			break
		}
		if held[i].end() {
			n++
		}
	}
	return n
}

// settle sends the kernel the verdicts, and returns the packets that still wait.
func (q *Queue) settle(held []waiting) []waiting { return settled(held, q.tell) }

// settled calls tell for the answered packets, and returns those that still wait. The first
// packets go in batches: one message is the verdict on a packet and on all before it.
func settled(held []waiting, tell func(kind uint16, said Verdict, id uint32, n int)) []waiting {
	for len(held) > 0 && held[0].said.tellable() {
		said, n := held[0].said, 1
		for n < len(held) && held[n].said == said {
			n++
		}
		switch {
		case said == done:
		case n == 1:
			tell(messageVerdict, said, held[0].id, 1)
		default:
			tell(messageBatch, said, held[n-1].id, n)
		}
		held = slices.Delete(held, 0, n) // a few dozen at most follow it
	}
	for i := range held {
		if w := &held[i]; w.said == Let || w.said == Refuse {
			tell(messageVerdict, w.said, w.id, 1)
			w.said = done
		}
	}
	return held
}

// tellable reports whether the verdict is final.
func (v Verdict) tellable() bool { return v != 0 && v != Doom }

// tell sends the kernel the verdict on n packets; id is the last.
func (q *Queue) tell(kind uint16, said Verdict, id uint32, n int) {
	verdict := uint32(accept)
	if said == Refuse {
		verdict = drop
		q.stats.refused.Add(uint64(n))
	} else {
		q.stats.let.Add(uint64(n))
	}
	q.verdict(kind, verdict, id)
}

// verdict sends a verdict. The kernel carries it out during the call: for an accepted SYN, up
// to the SYN's own answer.
func (q *Queue) verdict(kind uint16, verdict, id uint32) {
	var b [verdictLength]byte
	putVerdict(&b, kind, q.number, verdict, id)
	if err := q.send(b[:]); err != nil {
		q.stats.errors.Add(1)
	}
}

func (q *Queue) send(b []byte) error {
	_, err := q.conn.Sendmsg(context.Background(), b, nil, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}, 0)
	return err
}
