// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"sync/atomic"
	"time"
)

// A Bell wakes one task when there is work. An idle program then never wakes up. Make
// one with [NewBell].
type Bell struct {
	rung  atomic.Bool
	heard chan struct{}
}

// NewBell returns a bell that is silent.
func NewBell() *Bell { return &Bell{heard: make(chan struct{}, 1)} }

// Ring makes the task work, soon or once more. Any goroutine may ring, and none waits;
// a second ring before the bell is heard takes a nanosecond.
func (b *Bell) Ring() {
	if !b.rung.Load() && !b.rung.Swap(true) {
		b.heard <- struct{}{}
	}
}

// Heard receives when the bell was rung. The receiver must call Answer before it works.
func (b *Bell) Heard() <-chan struct{} { return b.heard }

// Answer readies the bell for the next ring.
func (b *Bell) Answer() { b.rung.Store(false) }

// Wait waits until the bell is rung, and answers: a later ring is new work. False means
// that ctx has ended.
func (b *Bell) Wait(ctx context.Context) bool {
	select {
	case <-b.heard:
		b.Answer()
		return true
	case <-ctx.Done():
		return false
	}
}

// When returns a task that calls do at once and after each ring of the bell, with the
// pauses of [Every].
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
