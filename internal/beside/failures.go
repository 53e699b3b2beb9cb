// SPDX-License-Identifier: MIT

package beside

import (
	"sync"

	"picket/internal/journal"
)

// failures reports failed commands, the first of each ten seconds with what
// they said and the others by their number: a scan by many sources may have a
// broken command fail for each.
type failures struct {
	journal *journal.Writer
	mu      sync.Mutex
	told    int
	left    int
}

const failuresTold = 10

func (f *failures) tell(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told >= failuresTold {
		f.left++
		return
	}
	f.told++
	f.journal.Notice("", format, args...)
}

func (f *failures) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		f.journal.Notice("", "%d more commands failed", f.left)
	}
	f.told, f.left = 0, 0
}
