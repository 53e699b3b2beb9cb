// SPDX-License-Identifier: MIT

// Package ledger has the book of picket's responses to sources: those that the kernel
// has acknowledged, with the reason, the end and the dropped packets of each, and their
// form on disk.
//
// It asks no kernel and reads no clock: the owner of a book tells it both.
package ledger

import (
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
	"unique"

	"picket/engine"
	"picket/internal/beside"
	"picket/internal/control"
	"picket/internal/event"
	"picket/internal/memory"
	"picket/nft"
)

// A Ref names one response to one source: a source may be dark for a day and fenced for ten
// minutes.
type Ref struct {
	Response engine.Action // Dark, Fence or Block
	Source   netip.Prefix
}

// responses are the engine's names of the kernel's responses.
var responses = [nft.Responses]engine.Action{nft.Blocked: engine.Block, nft.Fenced: engine.Fence,
	nft.Dark: engine.Dark}

// InKernel returns the response as the kernel's block, for the time left.
func (r Ref) InKernel(left time.Duration) nft.Block {
	return nft.Block{Response: nft.Response(slices.Index(responses[:], r.Response)), Source: r.Source,
		For: left}
}

// Of returns the response of b.
func Of(b *nft.Block) Ref { return Ref{responses[b.Response], b.Source} }

// Noun is the response as a noun, for sentences.
func (r Ref) Noun() string { return event.Noun(r.Response.String()) }

// Verb is the response as a verb, in the infinitive.
func (r Ref) Verb() string {
	if r.Response == engine.Dark {
		return "darken"
	}
	return r.Response.String()
}

// A Book holds the responses that the kernel has acknowledged, each with its reason. Make one
// with [New]. It is for one goroutine, except [Book.Len].
type Book struct {
	Ceiling memory.Ceiling // of the process; it follows the number of responses

	by      map[Ref]*Entry
	ends    endHeap
	changes uint64
	roll    uint64 // number of the last comparison with the kernel
	count   atomic.Int64
}

// An Entry is one response in the book. Only the book changes its end. It takes 160
// bytes and a third of a place in the book's index; a whole event takes 700.
type Entry struct {
	Source    netip.Prefix
	Response  engine.Action
	Maker     event.Maker
	Commanded bool // the operator's command has run for it
	Spared    bool // flows from before the block go on
	Since     time.Time
	Until     time.Time
	at        int64 // time of the told event, in nanoseconds since 1970
	told      unique.Handle[told]
	evidence  unique.Handle[string]
	index     int    // in the heap
	met       uint64 // number of the last comparison that met it, or in which it was made
	drops     dropCount
}

// told is the reason of a response, in words that many responses share.
type told struct {
	reason, pattern, technique, tool, protocol, mode, config, known, country string

	port   uint16
	proven bool
}

// tell stores the part of an event that its end and "picket blocks" need.
func (e *Entry) tell(ev *event.Event) {
	e.at, e.evidence = ev.Time.UnixNano(), unique.Make(ev.Evidence)
	e.told = unique.Make(told{
		reason: ev.Reason, pattern: ev.Pattern, technique: ev.Technique, tool: ev.Tool, protocol: ev.Protocol,
		mode: ev.Mode, config: ev.Config, known: ev.Known, country: ev.Country, port: ev.Port,
		proven: ev.Proven,
	})
}

// Event returns most of the event of the response.
func (e *Entry) Event() event.Event {
	w := e.told.Value()
	return event.Event{
		Event: "block", Time: time.Unix(0, e.at), Source: event.SourceName(e.Source),
		Action: e.Response.String(), For: event.Seconds(e.Until.Sub(e.Since)),
		Reason: w.reason, Evidence: e.evidence.Value(), Pattern: w.pattern, Technique: w.technique,
		Tool:   w.tool,
		Proven: w.proven, Protocol: w.protocol, Port: w.port, Mode: w.mode, Config: w.config, Known: w.known,
		Country: w.country,
	}
}

// Block returns the response in the form of package beside.
func (e *Entry) Block() beside.Block {
	return beside.Block{Source: e.Source, Event: e.Event(), Maker: e.Maker, Commanded: e.Commanded}
}

// Ref names the response.
func (e *Entry) Ref() Ref { return Ref{e.Response, e.Source} }

// InKernel returns the response as the kernel's block, for the time left.
func (e *Entry) InKernel(left time.Duration) nft.Block {
	b := e.Ref().InKernel(left)
	b.Spare = e.Spared
	return b
}

// Proven reports whether the response rests on evidence that cannot be forged, or on a
// person's order.
func (e *Entry) Proven() bool { return e.told.Value().proven || e.Maker.Ordered() }

// Drops returns how many packets the response has kept off, by the kernel's last count.
func (e *Entry) Drops() uint64 { return e.drops.before + e.drops.counter }

// Row describes the entry as it is now, without the kernel's counters.
func (e *Entry) Row(now time.Time) control.Block {
	ev := e.Event()
	return control.BlockOf(&ev, e.Source, e.Response.String(), e.Since, e.Until).At(now)
}

// New returns an empty book.
func New() *Book { return &Book{by: map[Ref]*Entry{}} }

// Len returns the number of responses. Any goroutine may call it.
func (b *Book) Len() int { return int(b.count.Load()) }

// Changes returns how often the book has changed so far.
func (b *Book) Changes() uint64 { return b.changes }

// Get returns a response to a source, nil for none.
func (b *Book) Get(r Ref) *Entry { return b.by[r] }

// Has reports whether there is a response to a source.
func (b *Book) Has(r Ref) bool { return b.by[r] != nil }

// holds reports whether an entry is still in the book.
func (b *Book) holds(e *Entry) bool { return e.index < len(b.ends) && b.ends[e.index] == e }

// Renews reports whether the book has a response of the kernel's.
func (b *Book) Renews(r nft.Response, p netip.Prefix) bool { return b.Has(Ref{responses[r], p}) }

// Entries returns the responses, in a list of the caller's.
func (b *Book) Entries() []*Entry { return slices.Clone(b.ends) }

// All returns the responses. The loop may strike the current one.
func (b *Book) All() iter.Seq[*Entry] { return maps.Values(b.by) }

// Compare begins a comparison with the kernel: call [Book.Met] for each response that
// the kernel has; [Book.Unmet] then returns the others.
func (b *Book) Compare() { b.roll++ }

// Met notes that the kernel has a response.
func (b *Book) Met(e *Entry) { e.met = b.roll }

// Unmet returns the responses not met. It leaves out those about to end: the kernel may
// have ended them already.
func (b *Book) Unmet(now time.Time) (list []*Entry) {
	for _, e := range b.ends {
		if e.met != b.roll && e.Until.Sub(now) > time.Second {
			list = append(list, e)
		}
	}
	return list
}

// InKernel returns the entries of a list that are still in the book, as the kernel's
// blocks.
func (b *Book) InKernel(list []*Entry) (out []nft.Block) {
	for _, e := range list {
		if b.holds(e) {
			out = append(out, e.InKernel(0))
		}
	}
	return out
}

// Dated is a response with the time it was made, in nanoseconds since 1970: a list of
// them can be sorted while the responses change.
type Dated struct {
	Since int64
	entry *Entry
}

// BySince returns the responses, for sorting.
func (b *Book) BySince() []Dated {
	list := make([]Dated, len(b.ends))
	for i, e := range b.ends {
		list[i] = Dated{e.Since.UnixNano(), e}
	}
	return list
}

// Rows are responses in the form for people, and in the kernel's.
type Rows struct {
	Told   []control.Block
	Kernel []nft.Block
}

// Rows describes the responses of a list that are still in the book, in the room of r.
func (b *Book) Rows(r Rows, list []Dated, now time.Time) Rows {
	r.Told, r.Kernel = slices.Grow(r.Told[:0], len(list)), slices.Grow(r.Kernel[:0], len(list))
	for _, x := range list {
		if e := x.entry; b.holds(e) {
			r.Told, r.Kernel = append(r.Told, e.Row(now)), append(r.Kernel, e.InKernel(0))
		}
	}
	return r
}

// Matching returns the responses to a source, or all of them if it is not valid.
func (b *Book) Matching(p netip.Prefix) (list []*Entry) {
	if !p.IsValid() {
		return b.Entries()
	}
	for _, r := range responses {
		if e := b.Get(Ref{r, p}); e != nil {
			list = append(list, e)
		}
	}
	return list
}

// Enter books a response, or sets the end of one that the source has already.
func (b *Book) Enter(r Ref, since, until time.Time, ev event.Event) *Entry {
	e := b.by[r]
	if e == nil {
		e = &Entry{Source: r.Source, Response: r.Response, Since: since, Until: until}
		b.by[r] = e
		heap.Push(&b.ends, e)
		b.counted()
	}
	e.met = b.roll
	e.tell(&ev)
	b.SetEnd(e, until)
	return e
}

// SetEnd sets the end of a response.
func (b *Book) SetEnd(e *Entry, until time.Time) {
	e.Until = until
	heap.Fix(&b.ends, e.index)
	b.changes++
}

func (b *Book) counted() {
	b.count.Store(int64(len(b.by)))
	b.Ceiling.Fits(len(b.by))
}

// SetClock follows a clock that was set. The times left stay the same, as in the kernel, whose
// clock nobody sets.
func (b *Book) SetClock(now time.Time) {
	for e := range b.All() {
		e.Since, e.Until = now.Add(e.Since.Sub(now)), now.Add(e.Until.Sub(now))
	}
	b.changes++
}

// Strike removes a response.
func (b *Book) Strike(e *Entry) {
	heap.Remove(&b.ends, e.index)
	delete(b.by, e.Ref())
	b.counted()
	b.changes++
}

// Next returns the response that ends first, nil for none.
func (b *Book) Next() *Entry {
	if len(b.ends) == 0 {
		return nil
	}
	return b.ends[0]
}

// Dropped notes the kernel's counters.
func (b *Book) Dropped(list []nft.Block) {
	for i := range list {
		if e := b.Get(Of(&list[i])); e != nil && list[i].For >= 0 {
			e.drops.read(list[i].Drops)
		}
	}
}

// within returns a response to a prefix that contains p, nil for none.
func (b *Book) within(p netip.Prefix) *Entry {
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		if list := b.Matching(netip.PrefixFrom(p.Addr(), bits).Masked()); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// NotBlocked is the error for a source without a response; it names the one around it.
func (b *Book) NotBlocked(p netip.Prefix) error {
	if e := b.within(p); e != nil {
		return fmt.Errorf("%s is blocked as part of %s: \"picket unblock %s\" ends that",
			event.SourceName(p), e.Source, e.Source)
	}
	if !p.IsSingleIP() {
		return fmt.Errorf("%s is not blocked as a whole: \"picket blocks --within %s\" lists who is in it",
			event.SourceName(p), p)
	}
	return fmt.Errorf("%s is not blocked: \"picket blocks\" lists who is", event.SourceName(p))
}

// A dropCount counts the packets that a response has kept off, across restarts of the kernel's
// counter.
type dropCount struct {
	before  uint64 // by earlier counters
	counter uint64 // as read last
}

// read notes the counter's value.
func (t *dropCount) read(counter uint64) {
	if counter < t.counter {
		t.before += t.counter
	}
	t.counter = counter
}

// endHeap orders entries by when they end.
type endHeap []*Entry

func (h endHeap) Len() int           { return len(h) }
func (h endHeap) Less(i, j int) bool { return h[i].Until.Before(h[j].Until) }
func (h endHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *endHeap) Push(x any) {
	e := x.(*Entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *endHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
