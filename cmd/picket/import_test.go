// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/config"
	"picket/internal/portsentry"
	"picket/internal/probe"
)

// FuzzImport: the import of any portsentry.conf is a configuration without faults.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"v1.conf", "v2.conf"} {
		b, err := os.ReadFile(filepath.Join("../../internal/portsentry/testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.ReplaceAll(string(b), "IGNORE_FILE", "#"))
		f.Add(string(b))
	}
	f.Add("TCP_PORTS=\"1,0,65536,http,9-3,70000,65535\"\nSCAN_TRIGGER=\"50\"\nBLOCK_TCP=\"2\"\n" +
		"KILL_RUN_CMD=\"/bin/true $TARGET$ | cat\"")
	f.Add("ADVANCED_PORTS_TCP=\"65536\"\nHISTORY_FILE=\"h\"\nBLOCKED_FILE=\"/var/../b\"\nKILL_ROUTE=\"ip " +
		"route add unreachable $TARGET$\"")
	f.Add("HISTORY_FILE=\"/h\"\nBLOCKED_FILE=\"/h\"\nPORT_BANNER=\"" + strings.Repeat("*", 5000) +
		"\"\nRESOLVE_HOST=\"1\"")
	f.Fuzz(func(t *testing.T, text string) {
		file, _ := portsentry.Parse(strings.NewReader(text))
		for _, modes := range [][]portsentry.Mode{nil, portsentry.Modes()} {
			out := file.TOML(modes...)
			if i := strings.Index(out, "\nfiles = [\""); i >= 0 {
				out = strings.Replace(out, "\nfiles = ", "\n# files = ", 1) // it would be read
			}
			if _, err := config.Parse("p.toml", []byte(out)); err != nil {
				t.Fatalf("%v in\n%s", err, out)
			}
		}
	})
}

// TestImportCommand tests what scripts see: the file on standard output, a warning with its
// line for each fault, and the exit codes.
func TestImportCommand(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "portsentry.conf")
	text := "TCP_PORTS=\"1,http\"\nTYPO=\"1\"\nKILL_ROUTE=\"/usr/local/bin/wall $TARGET$\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"import", "--mode", "stcp,audp", conf})
	said := standardError(t, func() {
		if err := root.Execute(); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []string{"line 1: \"TCP_PORTS\": item 2, \"http\"", "line 2: \"TYPO=",
		"line 3: \"KILL_ROUTE="} {
		if !strings.Contains(said, "picket: warning: "+conf+": "+want) {
			t.Errorf("no warning %q in\n%s", want, said)
		}
	}
	c, err := config.Parse("p.toml", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !c.TCP.Modes.Has(probe.Stealth) || c.TCP.Stealth.String() != "1" || !c.UDP.Modes.Has(probe.Advanced) {
		t.Errorf("tcp %+v, udp %+v", c.TCP, c.UDP)
	}
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"import", "/nonexistent"}, exitFailed}, {[]string{"import", t.TempDir()}, exitFailed},
		{[]string{"import"}, exitUsage}, {[]string{"import", "--mode", "xtcp", conf}, exitUsage},
	} {
		standardError(t, func() {
			if code := run(test.args); code != test.code {
				t.Errorf("%q: exit code %d, want %d", test.args, code, test.code)
			}
		})
	}
}

// standardError returns what f writes to standard error.
func standardError(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	was := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = was }()
	f()
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
