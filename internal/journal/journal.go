// SPDX-License-Identifier: MIT

package journal

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"

	"picket/internal/event"
	"picket/internal/queue"
	"picket/internal/show"
)

// queueLength is the most events that wait.
const queueLength = 4096

// A Writer writes events. Make one with [New]; any goroutine may use it.
type Writer struct {
	queue  *queue.Queue[entry]
	write  func(entry) error
	failed atomic.Uint64 // events that write could not write
	told   uint64        // of the events that were not written
	stop   context.CancelFunc
	done   chan struct{}
}

type entry struct {
	event event.Event
	kind  string
}

// New returns a writer to the journal if standard error is connected to it, as in a
// unit; else of sentences to a terminal, or of lines.
func New() *Writer {
	if connected, err := systemd.StderrIsJournalStream(); err == nil && connected {
		return start(toJournald(socket))
	}
	if _, ok := show.Terminal(os.Stderr); ok {
		return start(func(e entry) error {
			_, err := io.WriteString(os.Stderr, Sentence(e.event)+"\n")
			return err
		})
	}
	return NewLines(os.Stderr)
}

// NewLines returns a writer of lines.
func NewLines(out io.Writer) *Writer {
	return start(func(e entry) error {
		_, err := io.WriteString(out, Line(e.event)+"\n")
		return err
	})
}

func start(write func(entry) error) *Writer {
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{queue: queue.New[entry](queueLength), write: write, stop: stop, done: make(chan struct{})}
	go w.run(ctx)
	return w
}

// Event queues an event. It never blocks.
func (w *Writer) Event(e event.Event) { w.queue.Put(entry{e, e.Event}) }

// Notice queues a notice about picket itself; kind is a constant of this package,
// or "".
func (w *Writer) Notice(kind, format string, args ...any) {
	if kind == "" {
		kind = "notice"
	}
	w.queue.Put(entry{event.Event{Event: "notice", Time: time.Now(), Reason: fmt.Sprintf(format, args...)},
		kind})
}

// Dropped returns the number of events that were not written: they did not fit into the
// queue, or the journal was gone.
func (w *Writer) Dropped() uint64 { return w.queue.Shed() + w.failed.Load() }

// Close writes the queue and ends, within a second: a journal that hangs must not
// keep the daemon from stopping.
func (w *Writer) Close() {
	w.stop()
	select {
	case <-w.done:
	case <-time.After(time.Second):
	}
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	w.queue.Each(ctx, w.one)
	w.queue.Rest(w.one)
}

// one writes an event, and the number of lost ones if there is room again.
func (w *Writer) one(e entry) {
	if w.write(e) != nil { // there is no other place to tell it
		w.failed.Add(1)
		return
	}
	if n := w.Dropped(); n != w.told && w.queue.HalfEmpty() {
		lost := event.Event{Event: "lost", Time: time.Now(),
			Reason: fmt.Sprintf("%d events were not written: the journal was gone, or slower than they come",
				n-w.told)}
		if w.write(entry{lost, "lost"}) == nil {
			w.told = n
		}
	}
}

// toJournald writes events to the journal. It may wait for journald.
func toJournald(path string) func(entry) error {
	j := &journald{path: path}
	return func(e entry) error {
		fields := Fields(e.event)
		fields["MESSAGE"] = Message(e.event)
		fields["PRIORITY"] = strconv.Itoa(int(priority(e.event)))
		fields["MESSAGE_ID"] = MessageID(e.kind)
		fields["SYSLOG_IDENTIFIER"] = "picket"
		return j.send(fields)
	}
}

func priority(e event.Event) systemd.Priority {
	switch e.Event {
	case "lost", "infection":
		return systemd.PriWarning
	case "block", "pattern", "notice":
		return systemd.PriNotice
	}
	return systemd.PriInfo
}
