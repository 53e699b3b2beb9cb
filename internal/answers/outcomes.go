// SPDX-License-Identifier: MIT

// Package answers prints the daemon's answers for people: its status, the blocks, the
// friends by command, and the results of orders by hand.
//
// Names and reasons come from outside, and none of them reaches a terminal as it
// is. It asks no daemon: the commands do.
package answers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/show"
)

// tellEach is how many sources of one command are told one by one.
const tellEach = 100

// Outcomes says what became of each source of a request. Done is what was done to
// it, "blocked"; kept is what it was already and stays. What could not be done is the
// error.
func Outcomes(to io.Writer, r control.Request, list []control.Outcome, done, kept string) error {
	tail := ""
	switch r.For {
	case "":
	case config.Forever.String():
		tail = " for ever"
	default:
		tail = " for " + r.For
	}
	out := bufio.NewWriter(to)
	var failed []error
	n, stay := 0, 0
	for _, o := range list {
		switch {
		case o.Error != "":
			failed = append(failed, errors.New(o.Error))
		case o.Kept:
			if stay++; stay <= tellEach {
				fmt.Fprintf(out, "%s is %s %s already: that stays\n", show.Clean(o.Name), kept,
					until(o.Expires))
			}
		default:
			if n++; len(list) <= tellEach {
				fmt.Fprintf(out, "%s %s%s\n", done, show.Clean(o.Name), tail)
			}
		}
	}
	if r.All && len(list) == 0 {
		fmt.Fprintf(out, "there was nobody to %s\n", r.Command)
	}
	if len(list) > tellEach {
		fmt.Fprintf(out, "%s %s%s\n", done, show.Plural(n, "source"), tail)
	}
	if stay > tellEach {
		fmt.Fprintf(out, "%s in all are %s for longer already\n", show.Plural(stay, "source"), kept)
	}
	if len(failed) > tellEach {
		failed = append(failed[:tellEach], fmt.Errorf("and %d more", len(failed)-tellEach))
	}
	return errors.Join(errors.Join(failed...), out.Flush())
}

// until says when something ends.
func until(t time.Time) string {
	if t.IsZero() || remaining(int64(time.Until(t)/time.Second)) == "forever" {
		return "for good"
	}
	return "until " + show.Stamp(t)
}

// Doubts names the sources of a list that a person may not have meant to block: the
// other end of the person's own SSH session, by $SSH_CONNECTION of sshd(8), and
// connected peers. It is empty if there is no doubt.
func Doubts(list, connected []string, session string) string {
	client, _, _ := strings.Cut(session, " ")
	a, err := netip.ParseAddr(client)
	for _, source := range list {
		if p, ok := config.ParseSource(source); ok && err == nil && p.Contains(a.Unmap().WithZone("")) {
			return fmt.Sprintf("%s is where your own SSH session comes from, and the block ends it", a)
		}
	}
	switch n := len(connected); {
	case n == 0:
		return ""
	case n > 3:
		connected = append(connected[:3:3], fmt.Sprintf("%d more", n-3))
	}
	return fmt.Sprintf("this host has connections with %s, and the block ends them",
		strings.Join(connected, ", "))
}

// Confirm asks whether to block all the same. It returns an error unless the answer is
// yes.
func Confirm(in io.Reader, out io.Writer, doubt string) error {
	fmt.Fprintf(out, "picket: %s. Block all the same? [y/N] ", show.Clean(doubt))
	s := bufio.NewScanner(in)
	s.Scan()
	if answer := strings.ToLower(strings.TrimSpace(s.Text())); answer != "y" && answer != "yes" {
		return errors.New("nobody was blocked")
	}
	return nil
}
