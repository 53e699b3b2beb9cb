// SPDX-License-Identifier: MIT

package daemon

import "picket/internal/task"

// Bells wake tasks that have work only when something happens. An idle picket wakes up for the
// beat of the watchdog alone.
type bells struct {
	peers, services, loss, trap *task.Bell // probes come
	flows                       *task.Bell // a block lets flows live
	drops                       *task.Bell // there are blocks
	state                       *task.Bell // there is something to save
}

func newBells() bells {
	return bells{
		task.NewBell(), task.NewBell(), task.NewBell(), task.NewBell(), task.NewBell(), task.NewBell(),
		task.NewBell(),
	}
}

// probe rings for the tasks that work while probes come.
func (b *bells) probe() {
	b.peers.Ring()
	b.services.Ring()
	b.loss.Ring()
	b.trap.Ring()
	b.state.Ring()
}
