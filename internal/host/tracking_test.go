// SPDX-License-Identifier: MIT

package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table that fills is reported. A table with room, or a missing one, is not.
func TestTracking(t *testing.T) {
	dir := t.TempDir()
	if err := tracking(dir); err != nil {
		t.Errorf("without connection tracking: %v", err)
	}
	for count, full := range map[string]bool{"0": false, "94000\n": false, "95000\n": true,
		"100000\n": true} {
		for name, text := range map[string]string{"nf_conntrack_count": count,
			"nf_conntrack_max": "100000\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := tracking(dir)
		if (err != nil) != full || full && !strings.Contains(err.Error(), "of 100000 entries") {
			t.Errorf("%s of 100000: %v", strings.TrimSpace(count), err)
		}
	}
}
