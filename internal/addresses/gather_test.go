// SPDX-License-Identifier: MIT

package addresses

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sources come from arguments, files and standard input. All faults are reported at once.
func TestGather(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte("198.51.100.0/24 # a network\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const stdin = "2001:db8::1\n"
	for _, x := range []struct {
		single, files []string
		want, wrong   string
	}{
		{[]string{"192.0.2.9", "-"}, []string{file}, "192.0.2.9/32 198.51.100.0/24 2001:db8::1/128", ""},
		{nil, []string{"-"}, "2001:db8::1/128", ""},
		{[]string{"here", "there"}, []string{file + "?"}, "", "\"here\" is no address or prefix\n" +
			"\"there\" is no address or prefix\nstat " + file + "?"},
		{nil, []string{"/dev/null"}, "", "it is a device"},
	} {
		got, err := Gather(x.single, x.files, strings.NewReader(stdin))
		if err == nil && strings.Join(got, " ") != x.want || (err == nil) != (x.wrong == "") ||
			err != nil && !strings.Contains(err.Error(), x.wrong) {
			t.Errorf("%q %q: %q, %v; want %q, %q", x.single, x.files, got, err, x.want, x.wrong)
		}
	}
	for text, want := range map[string]string{"# nobody\n": "the list is empty",
		"nobody\n": "standard input: line 1"} {
		if _, err := Gather(nil, []string{"-"}, strings.NewReader(text)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
