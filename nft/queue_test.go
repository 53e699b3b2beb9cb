// SPDX-License-Identifier: MIT

package nft

import (
	"errors"
	"strings"
	"testing"
)

// The queue's table is made and removed separately, with either expression of the kernel. The
// main table does not need it, and takes it along when it is removed.
func TestQueue(t *testing.T) {
	inNetns(t)
	tab := open(t)
	install(t, tab)
	there := func(want bool) {
		t.Helper()
		if got, err := tab.Queued(); got != want || err != nil {
			t.Errorf("queued: %v, %v; want %v", got, err, want)
		}
	}
	there(false)
	if err := tab.Unqueue(); err != nil {
		t.Errorf("taking away what is not there: %v", err)
	}
	for _, number := range []uint16{5, 7425, 7425} {
		kind, err := tab.Queue(number)
		if err != nil || kind != QueueNative && kind != QueueCompat {
			t.Fatalf("%q, %v", kind, err)
		}
		there(true)
	}
	rules := run(t, "", "nft", "list", "table", "inet", QueueName)
	if strings.Count(rules, "queue") != 1 || !strings.Contains(rules, "7425") ||
		!strings.Contains(rules, "bypass") {
		t.Errorf("one rule with bypass is wanted:\n%s", rules)
	}
	if whole, err := tab.Verify(); !whole || err != nil {
		t.Errorf("the main table: %v, %v", whole, err)
	}
	if err := tab.Unqueue(); err != nil {
		t.Error(err)
	}
	there(false)
	if _, err := tab.Queue(5); err != nil {
		t.Fatal(err)
	}
	if removed, err := tab.Remove(); !removed || err != nil {
		t.Errorf("%v, %v", removed, err)
	}
	there(false)
}

// A table of that name that somebody else made is not changed.
func TestForeignQueue(t *testing.T) {
	inNetns(t)
	tab := open(t)
	run(t, "table inet "+QueueName+" { chain c { counter; }\n}", "nft", "-f", "-")
	before := run(t, "", "nft", "list", "ruleset")
	if _, err := tab.Queue(5); !errors.Is(err, ErrForeignQueue) {
		t.Errorf("%v, want %v", err, ErrForeignQueue)
	}
	if err := tab.Unqueue(); !errors.Is(err, ErrForeignQueue) {
		t.Errorf("%v, want %v", err, ErrForeignQueue)
	}
	if _, err := tab.Remove(); err != nil {
		t.Error(err)
	}
	if after := run(t, "", "nft", "list", "ruleset"); after != before {
		t.Errorf("it was\n%sand is\n%s", before, after)
	}
}
