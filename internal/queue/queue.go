// SPDX-License-Identifier: MIT

// Package queue holds what waits to be done beside the packet path: so much of
// it at most, and whoever puts something in never waits. What does not fit is
// shed and counted.
package queue

import (
	"context"
	"sync/atomic"
)

// A Queue holds values that wait, in the order of their coming. Make one with
// [New]; any goroutine may use it.
type Queue[T any] struct {
	waiting chan T
	shed    atomic.Uint64
}

// New returns a queue with room for so many values.
func New[T any](room int) *Queue[T] { return &Queue[T]{waiting: make(chan T, room)} }

// Put adds a value at the end and reports whether there was room.
func (q *Queue[T]) Put(v T) bool {
	select {
	case q.waiting <- v:
		return true
	default:
		q.shed.Add(1)
		return false
	}
}

// Shed is how many values did not fit.
func (q *Queue[T]) Shed() uint64 { return q.shed.Load() }

// HalfEmpty reports whether there is room for at least as much as waits.
func (q *Queue[T]) HalfEmpty() bool { return len(q.waiting) <= cap(q.waiting)/2 }

// Each calls do for every value until ctx ends; what waits then stays. Several
// goroutines may call it.
func (q *Queue[T]) Each(ctx context.Context, do func(T)) {
	for ctx.Err() == nil {
		select {
		case v := <-q.waiting:
			do(v)
		case <-ctx.Done():
		}
	}
}

// Rest calls do for what waits, and returns when nothing does.
func (q *Queue[T]) Rest(do func(T)) {
	for {
		select {
		case v := <-q.waiting:
			do(v)
		default:
			return
		}
	}
}
