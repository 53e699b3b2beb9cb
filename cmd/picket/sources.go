// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"picket/internal/addresses"
	"picket/internal/config"
	"picket/internal/control"
	"picket/internal/show"
)

// What the commands share that are given sources by hand, many at once: block,
// unblock, allow and unallow.

// takesSources is what their help says of arguments.
const takesSources = "A SOURCE is an address or a prefix; - is a list of them on standard input, one a\n" +
	"line, and --file names one. A comment in a list begins with \"#\"."

// fileFlag adds --file to a command.
func fileFlag(cmd *cobra.Command) (files *[]string) {
	return cmd.Flags().StringArray("file", nil, "take sources from the lines of `file`, \"-\" for standard input; may be repeated")
}

// sources returns what a command was given. All that is wrong is in the error.
func sources(cmd *cobra.Command, args, files []string) (out []string, err error) {
	var wrong []error
	for _, a := range args {
		if a == "-" {
			files = append(files, a)
		} else if p, ok := config.ParseSource(a); ok {
			out = append(out, p.String())
		} else {
			wrong = append(wrong, usage("%q is no address or prefix", a))
		}
	}
	for _, f := range files {
		list, err := readSources(cmd, f)
		if err != nil {
			wrong = append(wrong, usage("%w", err))
		}
		for _, p := range list {
			out = append(out, p.String())
		}
	}
	switch {
	case len(wrong) > 0:
		return nil, errors.Join(wrong...)
	case len(args)+len(files) == 0:
		return nil, usage("SOURCE is missing: want \"%s SOURCE...\", - for standard input, or --file FILE", cmd.CommandPath())
	case len(out) == 0:
		return nil, usage("the list is empty: want an address or a prefix on each line")
	}
	return out, nil
}

func readSources(cmd *cobra.Command, file string) ([]netip.Prefix, error) {
	if file != "-" {
		return addresses.ReadFile(file)
	}
	list, err := addresses.Read(cmd.InOrStdin())
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return list, nil
}

// tellEach is how many sources of one command are told one by one.
const tellEach = 100

// order sends a request about sources and says what became of each: done is what
// was done to it, "blocked", and kept what it is if it was so already and stays so.
func order(cmd *cobra.Command, r control.Request, done, kept string) error {
	var list []control.Outcome
	if err := control.Call(control.Path(), r, &list); err != nil {
		return err
	}
	tail := ""
	switch r.For {
	case "":
	case config.Forever.String():
		tail = " for ever"
	default:
		tail = " for " + r.For
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	var failed []error
	n, stay := 0, 0
	for _, o := range list {
		switch {
		case o.Error != "":
			failed = append(failed, errors.New(o.Error))
		case o.Kept:
			if stay++; stay <= tellEach {
				fmt.Fprintf(out, "%s is %s %s already: that stays\n", show.Clean(o.Name), kept, until(o.Expires))
			}
		default:
			if n++; len(list) <= tellEach {
				fmt.Fprintf(out, "%s %s%s\n", done, show.Clean(o.Name), tail)
			}
		}
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

// remaining writes how long something still lasts. What was to be for ever is
// never quite that.
func remaining(seconds int64) string {
	d := config.Duration(time.Duration(seconds) * time.Second)
	if d >= config.Forever/2 {
		d = config.Forever
	}
	return d.String()
}
