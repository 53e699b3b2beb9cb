// SPDX-License-Identifier: MIT

package journal

// A Trouble reports a lasting error once, and its end. It is for one goroutine.
type Trouble struct {
	journal *Writer
	what    string
	last    string
}

// NewTrouble returns a Trouble; its reports begin with what: "routes".
func NewTrouble(w *Writer, what string) *Trouble { return &Trouble{journal: w, what: what} }

// Tell reports err; nil is the end of the trouble.
func (t *Trouble) Tell(err error) {
	switch {
	case err == nil && t.last != "":
		t.journal.Notice("", "%s: in order again", t.what)
		t.last = ""
	case err != nil && err.Error() != t.last:
		t.last = err.Error()
		t.journal.Notice("", "%s: %v", t.what, err)
	}
}
