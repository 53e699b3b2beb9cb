// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"errors"
)

// ErrStopping is what an owner answers that has ended, or is about to.
var ErrStopping = errors.New("picket is stopping")

// Ask has the owner of a piece of state, which is one goroutine, call f in its turn, and
// waits for the answer. Put hands f to the owner, and reports whether it took f before
// the end of ctx. If ctx has ended or ends first, the error is [ErrStopping].
func Ask[O, R any](
	ctx context.Context, put func(context.Context, func(O)) bool, f func(O) (R, error),
) (zero R, err error) {
	type answer struct {
		result R
		err    error
	}
	done := make(chan answer, 1)
	if ctx.Err() != nil || !put(ctx, func(o O) {
		r, err := f(o)
		done <- answer{r, err}
	}) {
		return zero, ErrStopping
	}
	select {
	case a := <-done:
		return a.result, a.err
	case <-ctx.Done():
		return zero, ErrStopping
	}
}
