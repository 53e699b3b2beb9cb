// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"sync/atomic"
	"time"
)

// A Bell wakes one task that has nothing to do until something happens: a program
// that is idle then wakes up for nothing. Make one with [NewBell].
type Bell struct {
	rung  atomic.Bool
	heard chan struct{}
}

// NewBell returns a bell that is silent.
func NewBell() *Bell { return &Bell{heard: make(chan struct{}, 1)} }

// Ring has the task work, soon or once more. Any goroutine may ring; nobody waits,
// and ringing a bell that nobody has heard yet takes a nanosecond.
func (b *Bell) Ring() {
	if !b.rung.Load() && !b.rung.Swap(true) {
		b.heard <- struct{}{}
	}
}

// Heard receives when the bell was rung. Whoever receives answers before working.
func (b *Bell) Heard() <-chan struct{} { return b.heard }

// Answer has the bell be rung anew.
func (b *Bell) Answer() { b.rung.Store(false) }

// Wait waits until the bell is rung, and answers: what it is rung for from then on is
// work of its own. False means that ctx has ended.
func (b *Bell) Wait(ctx context.Context) bool {
	select {
	case <-b.heard:
		b.Answer()
		return true
	case <-ctx.Done():
		return false
	}
}

// When returns a task that calls do at once and again whenever the bell was rung,
// with pauses as [Every] makes them.
func When(name string, b *Bell, pause time.Duration, share int, do func(ctx context.Context)) Task {
	return New(name, func(ctx context.Context) error {
		for ctx.Err() == nil {
			began := time.Now()
			do(ctx)
			next := time.Now().Add(max(pause, time.Duration(share)*time.Since(began)))
			select {
			case <-b.heard:
			case <-ctx.Done():
				return nil
			}
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done():
			}
			b.Answer()
		}
		return nil
	})
}
