// SPDX-License-Identifier: MIT

package daemon

import (
	"context"
	"errors"
)

// An owner is the one goroutine that has a piece of state: the judge, the blocker. Others
// know only its door, docket or orders. The methods of the door are all that can be
// asked.

var errStopping = errors.New("picket is stopping")

// ask has an owner call f, in its turn, and waits for the answer. If ctx ends first, the
// error is errStopping. Ask is for the doors: put hands f in, and reports whether that
// was possible before the end of ctx.
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

// none is the answer where there is nothing to say.
type none = struct{}
