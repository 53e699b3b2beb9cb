// SPDX-License-Identifier: MIT

package config

import (
	"strings"
	"testing"
)

func TestEvidence(t *testing.T) {
	for text, want := range map[string]string{"0": "0", "1M": "1M", "2048k": "2M", "1536k": "1536k",
		"1G": "1G"} {
		c, err := Parse("p.toml", []byte("[evidence]\nmemory = \""+text+"\"\n"))
		if err != nil || c.Evidence.Memory.String() != want {
			t.Errorf("%q: %v, want %s; %v", text, c, want, err)
		}
	}
	for text, want := range map[string]string{
		`"8"`: "is no size", `"8 M"`: "is no size", `"-1M"`: "is no size", `""`: "is no size",
		`"99999G"`: "is no size",
		`"2G"`:     "want 0, or 1M to 1G", `"512k"`: "want 0, or 1M to 1G",
		`8`: "is a whole number: want a size in quotes",
	} {
		_, err := Parse("p.toml", []byte("[evidence]\nmemory = "+text+"\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "p.toml:2: evidence.memory: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
