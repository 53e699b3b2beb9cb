// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
)

// An owner is a goroutine that alone has a piece of state: the judge, the
// blocker. Others know the owner by its door, a type of its own whose methods are
// all that can be asked of the owner: docket and orders.

var errStopping = errors.New("picket is stopping")

// ask has an owner do f, behind what came through its door before, and waits for
// the answer. It fails with errStopping when ctx ends first. It is for the doors:
// put hands f in, and reports whether that could be done before ctx ended.
func ask[O, R any](
	ctx context.Context, put func(context.Context, func(O)) bool, f func(O) (R, error),
) (none R, err error) {
	type answer struct {
		result R
		err    error
	}
	done := make(chan answer, 1)
	if !put(ctx, func(o O) {
		r, err := f(o)
		done <- answer{r, err}
	}) {
		return none, errStopping
	}
	select {
	case a := <-done:
		return a.result, a.err
	case <-ctx.Done():
		return none, errStopping
	}
}

// none is the answer of who only does something.
type none = struct{}
