// SPDX-License-Identifier: MIT

package beside

import (
	"sync"

	"picket/internal/journal"
)

// failures reports failed commands: in each ten seconds the first one with its output, and the
// number of the others. In a scan from many sources, a broken command may fail for each.
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
