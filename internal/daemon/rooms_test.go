// SPDX-License-Identifier: MIT

package daemon

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"picket/internal/config"
)

// Only a door hands a function to an owner.
func TestOwnersAreReachedByTheirDoors(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	closure := regexp.MustCompile(`\bfunc\((\w+ )?\*(judge|blocker)\)`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		door := f == "docket.go" || f == "orders.go" || strings.HasSuffix(f, "_test.go")
		if at := closure.FindIndex(text); at != nil && !door {
			t.Errorf("%s reaches into an owner: %s", f, text[at[0]:min(at[1]+60, len(text))])
		}
	}
}

// The page of the house lists the same tasks, in the same order.
func TestTasksAreOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(Options{}, newKernel().machine(), nil)
	d.config = config.Default()
	var listed []string
	_, list, _ := strings.Cut(string(page), "| task | does |\n|---|---|\n")
	for line := range strings.Lines(list) {
		name, ok := strings.CutPrefix(line, "| ")
		if !ok {
			break
		}
		name, _, _ = strings.Cut(name, " |")
		listed = append(listed, name)
	}
	var tasks []string
	for _, task := range d.tasks(nil, nil) {
		tasks = append(tasks, task.String())
	}
	if got, want := strings.Join(tasks, ", "), strings.Join(listed, ", "); got != want {
		t.Errorf("the tasks are %s; the page has %s", got, want)
	}
}
