// SPDX-License-Identifier: MIT

// Evaluate measures picket beside its peers and prints the table of the README:
// which scans are detected, how they are named, after how many packets, and
// which innocents are blocked or accused.
//
//	go -C internal/lab run ./evaluate -picket bin/picket -readme README.md
//
// It does four things. Each tool (picket on its default configuration, and
// Debian's portsentry, psad, scanlogd and fail2ban) gets a lab of its own, in
// which the same real scanners and the same ordinary clients come by. What the
// clients did there is captured, copied with other addresses, ports, sequence
// numbers and times to more than a million packets, and run through `picket
// replay`; so is a real scan whose packets are spread to the pace of nmap's -T1
// and -T0. Probes are forged in the name of those a host cannot do without. And
// what the firewall of a real host logged goes through picket, psad and fail2ban.
//
// It refuses to print a figure that it did not measure: what was not run is "-".
//
// It needs root, network, apt-get for the peers (they are unpacked into a
// folder, not installed) and the tools that `make evaluate` installs. What it
// makes is gone when it ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

// options are the command line.
type options struct {
	picket  string
	readme  string
	tools   []string
	copies  int
	keep    string
	command string
	cost    bool
}

func run() int {
	var o options
	var tools string
	flag.StringVar(&o.picket, "picket", "bin/picket", "the `program` to measure")
	flag.StringVar(&o.readme, "readme", "", "`file` whose table, between its markers, is to be renewed")
	flag.StringVar(&tools, "tools", "picket,portsentry,psad,scanlogd,fail2ban", "`names` of those to run")
	flag.IntVar(&o.copies, "copies", 0, "how `many` times ordinary life is copied; 0 for as many as make "+
		"1,000,000 packets")
	flag.StringVar(&o.keep, "keep", "", "`folder` to leave the captures in, to reproduce a fault")
	flag.BoolVar(&o.cost, "cost", false, "measure only what each takes of the processor, for \"make bench\"")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "evaluate: unexpected argument %q\n", flag.Arg(0))
		return 2
	}
	o.tools = strings.Split(tools, ",")
	o.command = "make evaluate"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := evaluate(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "evaluate: %v\n", err)
		return 1
	}
	return 0
}

// evaluate runs everything and prints the table. Its error also says when the
// table shows that picket blocked an innocent or missed a scan.
func evaluate(ctx context.Context, o options) (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("network namespaces need root: %w", os.ErrPermission)
	}
	if o.picket, err = filepath.Abs(o.picket); err != nil {
		return err
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "picket-evaluate-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	p := newProgress(os.Stderr)
	root := filepath.Join(dir, "packages")
	defer os.RemoveAll(root)
	packages := lifePackages
	if slices.ContainsFunc(o.tools, func(t string) bool { return t != "picket" }) {
		packages = slices.Concat(packages, peerPackages)
	}
	if o.cost {
		packages = peerPackages
	}
	p.say("fetch the programs of ordinary life, and the peers, from Debian")
	if err := fetchPackages(ctx, root, packages); err != nil {
		return err
	}
	if o.cost {
		return cost(ctx, o, dir, root, p, os.Stdout)
	}
	r := &report{began: time.Now(), command: o.command, results: map[string]*result{}}
	if err := runTools(ctx, o, dir, root, p, r); err != nil {
		return err
	}
	if live := r.results["picket"]; live != nil {
		if err := captureTime(ctx, o, dir, live, p, r); err != nil {
			return err
		}
	}
	if r.host, err = measureHost(ctx, o, root, p); err != nil {
		return fmt.Errorf("a real host: %w", err)
	}
	r.took = time.Since(r.began)
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.readme != "" {
		if err := r.renew(o.readme); err != nil {
			return err
		}
		p.say("renewed the table in %s", o.readme)
	}
	return r.verdict()
}

// runTools measures every tool in a lab of its own, side by side. One that
// fails ends them all.
func runTools(ctx context.Context, o options, dir, root string, p *progress, r *report) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	var tools []tool
	for _, name := range o.tools {
		t, ok := toolNamed(name, o.picket, root)
		if !ok {
			return fmt.Errorf("no tool is called %q", name)
		}
		tools = append(tools, t)
	}
	for i, t := range tools {
		name := o.tools[i]
		res := &result{tool: name}
		r.results[name] = res
		r.order = append(r.order, name)
		wg.Go(func() {
			if err := measure(ctx, t, dir, root, p, res); err != nil {
				fail(fmt.Errorf("%s: %w", name, err)) // only the first one counts
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// A progress says what is being done, with the time since the start.
type progress struct {
	mu    sync.Mutex
	out   *os.File
	began time.Time
}

func newProgress(out *os.File) *progress { return &progress{out: out, began: time.Now()} }

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Since(p.began).Round(time.Second)
	fmt.Fprintf(p.out, "%02d:%02d %s\n", int(at.Minutes()), int(at.Seconds())%60,
		fmt.Sprintf(format, args...))
}
