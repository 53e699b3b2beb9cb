// SPDX-License-Identifier: MIT

package journal

// A Trouble tells of an error that lasts: once, and when it is over. It is for
// one goroutine.
type Trouble struct {
	journal *Writer
	what    string
	last    string
}

// NewTrouble returns a Trouble with what its words begin with: "routes".
func NewTrouble(w *Writer, what string) *Trouble { return &Trouble{journal: w, what: what} }

// Tell tells of err, nil being that there is none any more.
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
