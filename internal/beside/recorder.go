// SPDX-License-Identifier: MIT

package beside

import (
	"context"
	"sync"

	"picket/internal/config"
	"picket/internal/history"
	"picket/internal/journal"
	"picket/internal/queue"
)

// A recorder writes the history and the file of blocked sources, in a
// goroutine of its own.
type recorder struct {
	queue *queue.Queue[history.Record]

	mu      sync.Mutex
	history logFile
	blocked logFile
}

// A logFile is a file that is opened as soon as possible.
type logFile struct {
	path    string
	format  history.Format
	empty   bool // each run starts it again, empty
	file    *history.File
	trouble *journal.Trouble
}

// recordQueue is how many records may wait for the disk. Each takes half a kilobyte, whether
// there is a history or not.
const recordQueue = 1024

func newRecorder(j *journal.Writer) *recorder {
	return &recorder{
		queue:   queue.New[history.Record](recordQueue),
		history: logFile{trouble: journal.NewTrouble(j, "history")},
		blocked: logFile{
			trouble: journal.NewTrouble(j, "file of blocked sources"), empty: true,
			format: history.PortSentry1,
		},
	}
}

// configure changes the recorder's files. A file with the same name is opened again: it may
// have been moved.
func (r *recorder) configure(c config.History) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.set(c.File, c.Format)
	r.blocked.set(c.Blocked, history.PortSentry1)
}

// run writes until ctx ends, and then writes the rest of the queue. Records that wait for a name
// come without one when named is closed.
func (r *recorder) run(ctx context.Context, named <-chan struct{}) error {
	r.queue.Each(ctx, r.write)
	<-named
	r.queue.Rest(r.write)
	r.configure(config.History{})
	return nil
}

func (r *recorder) write(rec history.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.write(rec)
	if rec.Event.Event == "block" {
		r.blocked.write(rec)
	}
}

func (l *logFile) set(path string, format history.Format) {
	if l.file != nil && path == l.path && format == l.format {
		l.trouble.Tell(l.file.Reopen())
		return
	}
	if l.file != nil {
		l.trouble.Tell(l.file.Close())
	}
	l.path, l.format, l.file = path, format, nil
	if path != "" {
		l.trouble.Tell(l.open())
	}
}

func (l *logFile) open() (err error) {
	l.file, err = history.Open(l.path, l.format, l.empty)
	return err
}

func (l *logFile) write(rec history.Record) {
	if l.path == "" {
		return
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			l.trouble.Tell(err)
			return
		}
	}
	l.trouble.Tell(l.file.Write(rec))
}
