// SPDX-License-Identifier: MIT

package queue

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestSheds: a queue that nobody empties takes values up to its size, counts the rest and
// holds nobody up. Its values come out in order.
func TestSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[int](3)
		for i := range 10 {
			if took := q.Put(i); took != (i < 3) {
				t.Errorf("value %d: %v", i, took)
			}
		}
		if q.Shed() != 7 || q.HalfEmpty() {
			t.Errorf("%d shed, half empty %v", q.Shed(), q.HalfEmpty())
		}
		var got []int
		q.Rest(func(i int) { got = append(got, i) })
		if !slices.Equal(got, []int{0, 1, 2}) || !q.HalfEmpty() {
			t.Errorf("the rest is %v", got)
		}
	})
}

// TestEach: it waits for values, ends with its context, and takes none then.
func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[int](4)
		ctx, cancel := context.WithCancel(t.Context())
		var got []int
		ended := false
		go func() {
			q.Each(ctx, func(i int) {
				if got = append(got, i); i == 2 {
					cancel()
				}
			})
			ended = true
		}()
		time.Sleep(time.Hour)
		q.Put(1)
		synctest.Wait()
		if ended || !slices.Equal(got, []int{1}) {
			t.Fatalf("ended %v, got %v", ended, got)
		}
		for _, i := range []int{2, 3, 4} {
			q.Put(i)
		}
		synctest.Wait()
		q.Rest(func(i int) { got = append(got, i) })
		if !ended || !slices.Equal(got, []int{1, 2, 3, 4}) || q.Shed() != 0 {
			t.Errorf("ended %v, got %v, %d shed", ended, got, q.Shed())
		}
	})
}

// TestManyTake: several goroutines share the work, and each value is done once.
func TestManyTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[int](100)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int, 100)
		for range 4 {
			go q.Each(ctx, func(i int) { time.Sleep(time.Second); done <- i })
		}
		began := time.Now()
		for i := range 100 {
			q.Put(i)
		}
		sum := 0
		for range 100 {
			sum += <-done
		}
		if took := time.Since(began); sum != 4950 || took != 25*time.Second {
			t.Errorf("sum %d after %v", sum, took)
		}
		cancel()
	})
}
