// SPDX-License-Identifier: MIT

package daemon

import (
	"testing"
	"time"
)

// The event of a block's end says what the block kept off, although the kernel's counter is
// gone by then.
func TestDropsAreTold(t *testing.T) {
	running(t, plain, nil, func(r *run) {
		r.probes("192.0.2.9", 1, 30)
		time.Sleep(2 * dropsEvery)
		r.log.Take()
		time.Sleep(time.Hour)
		r.told(1, " drops=7 ")
	})
}
