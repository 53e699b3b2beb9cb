// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestDoubts(t *testing.T) {
	for _, x := range []struct {
		list, connected []string
		session, want   string
	}{
		{[]string{"192.0.2.9/32"}, nil, "198.51.100.7 50000 192.0.2.2 22", ""},
		{[]string{"192.0.2.9/32", "198.51.100.0/24"}, nil, "198.51.100.7 50000 192.0.2.2 22", "198.51.100.7 is where your own SSH session comes from"},
		{[]string{"2001:db8::/32"}, nil, "2001:db8::7%eth0 50000 2001:db8::2 22", "2001:db8::7%eth0 is where"},
		{[]string{"192.0.2.9/32"}, []string{"192.0.2.9"}, "", "this host has connections with 192.0.2.9, and the block ends them"},
		{[]string{"192.0.2.0/24"}, []string{"a", "b", "c", "d", "e"}, "nonsense", "a, b, c, 2 more, and"},
	} {
		got := doubts(x.list, x.connected, x.session)
		if (x.want == "") != (got == "") || !strings.Contains(got, x.want) {
			t.Errorf("%v: %q, want %q", x.list, got, x.want)
		}
	}
}

func TestAsk(t *testing.T) {
	for answer, ok := range map[string]bool{"y\n": true, " Yes \n": true, "n\n": false, "\n": false, "": false, "yess\n": false} {
		var out bytes.Buffer
		if err := ask(strings.NewReader(answer), &out, "it\x1b[31m is you"); (err == nil) != ok || out.String() != "picket: it?[31m is you. Block all the same? [y/N] " {
			t.Errorf("%q: %v, %q", answer, err, &out)
		}
	}
}
