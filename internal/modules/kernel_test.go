// SPDX-License-Identifier: MIT

package modules

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckRelease(t *testing.T) {
	for release, ok := range map[string]bool{
		"6.18.44-fc": true, "5.10.0-28-amd64": true, "5.9.16": false, "4.19.0": false,
		"5.4.0-150-generic": false, "strange": true,
	} {
		if err := checkRelease(release); (err == nil) != ok {
			t.Errorf("%s: %v", release, err)
		}
	}
	text := fmt.Sprint(checkRelease("4.19.0"))
	if !strings.Contains(text, "5.10") || !strings.Contains(text, needFor) {
		t.Errorf("the error names no feature and version: %s", text)
	}
}
