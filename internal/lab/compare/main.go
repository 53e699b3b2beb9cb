// SPDX-License-Identifier: MIT

// Command compare runs Debian's PortSentry 1.2, in each of its modes, and picket on the same
// scans, and prints as tables in Markdown what each saw, how many ports answered before the
// block, and the cost of a probe.
//
// picket runs on the output of "picket import" for PortSentry's own file, and once in all of
// its modes. The package of PortSentry is unpacked and not installed: each process runs in a
// root of its own inside a network namespace, gone with it.
//
// It needs root, nmap, hping3 and nft, and takes some ten minutes.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"picket/internal/lab"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// A bench is the common part of all comparisons.
type bench struct {
	picket     string // the program
	portsentry string // the folder that Debian's package was unpacked into
}

func run() error {
	var b bench
	flag.StringVar(&b.picket, "picket", "bin/picket", "the `program`")
	flag.StringVar(&b.portsentry, "portsentry", "",
		"the `folder` that Debian's package portsentry was unpacked into")
	only := flag.String("only", "", "`labels, reaction or load`: one of the tables")
	flag.Parse()
	if b.portsentry == "" {
		return fmt.Errorf("where is PortSentry? apt-get download portsentry; dpkg -x portsentry_*.deb DIR; " +
			"compare -portsentry DIR")
	}
	for _, p := range []string{"nmap", "hping3", "nft"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: apt-get install nmap hping3 nftables", err)
		}
	}
	version, err := exec.Command(b.picket, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", b.picket, err)
	}
	fmt.Printf("Measured %s, %s, PortSentry 1.2 of Debian, Linux %s.\n", time.Now().Format(time.DateOnly),
		strings.TrimSpace(string(version)), kernel())
	for _, part := range []struct {
		name string
		run  func() error
	}{{"labels", b.labels}, {"reaction", b.reaction}, {"load", b.load}} {
		if cmp.Or(*only, part.name) == part.name {
			if err := part.run(); err != nil {
				return err
			}
		}
	}
	return nil
}

func kernel() string {
	out, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(out))
}

// A sentry watches the target of a lab.
type sentry interface {
	start(l *lab.Lab) error
	labels(source string) []string // its names for a source's packets, each once
	lines() int                    // written so far
	cpu() (time.Duration, error)   // used so far
	stop() error
}

// within runs f against a sentry in a lab of its own.
func within(s sentry, f func(*lab.Lab) error) (err error) {
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer func() {
		if cerr := l.Close(); err == nil {
			err = cerr
		}
	}()
	if err := s.start(l); err != nil {
		return err
	}
	defer func() {
		if serr := s.stop(); err == nil {
			err = serr
		}
	}()
	return f(l)
}

// row prints one row of a table.
func row(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }

func head(cells ...string) {
	fmt.Println()
	row(cells...)
	fmt.Println(strings.Repeat("|---", len(cells)) + "|")
}
