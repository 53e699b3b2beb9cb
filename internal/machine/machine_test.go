// SPDX-License-Identifier: MIT

package machine

import (
	"reflect"
	"testing"

	"picket/nft"
)

// The machine has everything that a run asks for, and what cannot be opened is nil and
// an error: no pointer to nothing hides in an interface.
func TestHere(t *testing.T) {
	m := reflect.ValueOf(Here()).Elem()
	for i := range m.NumField() {
		if m.Field(i).IsNil() {
			t.Errorf("%s is missing", m.Type().Field(i).Name)
		}
	}
	table, err := Here().OpenTable(nft.Config{})
	if (table == nil) != (err != nil) {
		t.Errorf("%v, %v", table, err)
	}
	if table != nil {
		w, err := table.Watch()
		if (w == nil) != (err != nil) {
			t.Errorf("%v, %v", w, err)
		}
		if w != nil {
			w.Close()
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}
