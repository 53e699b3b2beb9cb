// SPDX-License-Identifier: MIT

// Package queue holds work that waits beside the packet path. It is bounded, and a
// sender never waits: a value without room is shed and counted.
package queue

import (
	"context"
	"sync/atomic"
)

// A Queue holds values in the order of their coming. Make one with [New]. Any goroutine
// may use it.
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

// HalfEmpty reports whether at most half of the room is taken.
func (q *Queue[T]) HalfEmpty() bool { return len(q.waiting) <= cap(q.waiting)/2 }

// Each calls do for every value until ctx ends; values that still wait stay. Several
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

// Rest calls do for the waiting values, and returns when there are none.
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
