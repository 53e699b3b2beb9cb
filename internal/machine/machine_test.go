// SPDX-License-Identifier: MIT

package machine

import (
	"errors"
	"reflect"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"picket/internal/inline"
	"picket/internal/probe"
	"picket/nflog"
	"picket/nft"
)

// The machine has everything that a run asks for, and what cannot be opened is nil and
// an error: no pointer to nothing hides in an interface.
func TestHere(t *testing.T) {
	m := reflect.ValueOf(Here()).Elem()
	for i := range m.NumField() {
		if m.Field(i).IsNil() {
			t.Errorf("%s is missing", m.Type().Field(i).Name)
		}
	}
	if w, err := open((*nft.Watcher)(nil), errors.New("no"),
		func(w *nft.Watcher) Watcher { return w }); w != nil || err == nil {
		t.Errorf("%v, %v", w, err)
	}
	if err := Here().CheckKernel(); err != nil && err.Error() == "" {
		t.Error("a kernel that will not do says nothing")
	}
	table, err := Here().OpenTable(nft.Config{})
	if (table == nil) != (err != nil) {
		t.Errorf("%v, %v", table, err)
	}
	if table != nil {
		w, err := table.Watch()
		if (w == nil) != (err != nil) {
			t.Errorf("%v, %v", w, err)
		}
		if w != nil {
			w.Close()
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Group and queue are opened, in a network namespace that ends with its thread, or refused
// without the right to them. There is never half of one.
func TestOpen(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()              // and never unlocked: the thread ends here
		_ = unix.Unshare(unix.CLONE_NEWNET) // without the right to, nothing can be opened either
		r, err := Here().OpenReader(nflog.Config{Group: 5}, func(probe.Probe, []byte) {}, nil)
		if (r == nil) != (err != nil) {
			t.Errorf("reader: %v, %v", r, err)
		}
		if r != nil {
			r.Close()
		}
		q, err := Here().OpenQueue(5, func(inline.Held, []byte) bool { return true }, nil)
		if (q == nil) != (err != nil) {
			t.Errorf("queue: %v, %v", q, err)
		}
		if q != nil {
			q.Close()
		}
	}()
	<-done
}
