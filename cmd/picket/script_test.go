// SPDX-License-Identifier: MIT

package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the command under test available to scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"picket": main})
}

// TestScripts runs testdata/*.txtar: output and exit codes of commands. $CAPTURES is the folder
// of package replay's captures.
func TestScripts(t *testing.T) {
	captures, err := filepath.Abs("../../internal/replay/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CAPTURES", captures)
			e.Setenv("RUNTIME_DIRECTORY", e.WorkDir) // no daemon answers there
			// The path of picket, for a script with another $PATH.
			if self, err := exec.LookPath("picket"); err == nil {
				e.Setenv("PICKET", self)
			}
			return databases(e.WorkDir)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"cut": cut, "exits": exits,
			"paths": paths},
	})
}

// databases copies country.mmdb and asn.mmdb, which contain 192.0.2.0/24.
func databases(dir string) error {
	for _, name := range []string{"country.mmdb", "asn.mmdb"} {
		b, err := os.ReadFile(filepath.Join("../../internal/origin/testdata", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// cut FILE SIZE NEW [HEX] writes the first bytes of a file to another one, followed by the
// bytes of HEX.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))[:n]
	for _, text := range args[3:] {
		more, err := hex.DecodeString(text)
		ts.Check(err)
		b = append(b, more...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}

// exits CODE PROGRAM ARGUMENT... runs a program and fails unless it exits with
// that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code, failed := 0, new(exec.ExitError)
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// paths FILE KEY NAME ... appends keys to a configuration, with the full paths of files as
// values.
func paths(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for i := 1; i+1 < len(args); i += 2 {
		text += fmt.Sprintf("%s = %q\n", args[i], ts.MkAbs(args[i+1]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
