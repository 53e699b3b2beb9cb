// SPDX-License-Identifier: MIT

package task

import (
	"context"
	"time"
)

// Every returns a task that calls do at once and after each pause. The pause is longer
// if do is slow: do takes at most one part in share of the time.
func Every(name string, pause time.Duration, share int, do func(ctx context.Context)) Task {
	return New(name, func(ctx context.Context) error {
		for ctx.Err() == nil {
			began := time.Now()
			do(ctx)
			select {
			case <-time.After(max(pause, time.Duration(share)*time.Since(began))):
			case <-ctx.Done():
			}
		}
		return nil
	})
}
