// SPDX-License-Identifier: MIT

// Command performance writes the results of benchmarks into docs/performance.md, between two
// marks. It reads the output of "make bench".
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	from = "<!-- figures -->\n"
	to   = "<!-- end of figures -->\n"
)

func main() {
	page := flag.String("page", "", "the page")
	flag.Parse()
	if err := write(*page, os.Stdin, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

// write replaces the text between the marks of a page.
func write(page string, in io.Reader, now time.Time) error {
	rows, machine, err := parse(in)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 || len(rows) == 0 {
		return fmt.Errorf("%s: no marks, or no figures", page)
	}
	var table strings.Builder
	fmt.Fprintf(&table,
		"Measured on %s, %s.\n\n| what | unit | here | compared | ratio |\n|---|---|---|---|---|\n",
		now.Format("2 January 2006"), machine)
	for _, r := range rows {
		compared, ratio := "", ""
		if r.compared > 0 {
			compared, ratio = number(r.compared), number(r.here/r.compared)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", r.name, r.unit, number(r.here), compared, ratio)
	}
	return os.WriteFile(page, []byte(before+from+table.String()+to+after), 0o644)
}

// A row is one figure of a benchmark.
type row struct {
	name, unit     string
	here, compared float64
}

// parse reads what "go test -bench" prints: a name, how often it ran, and pairs of a value
// and its unit.
func parse(in io.Reader) (rows []row, machine string, err error) {
	for s := bufio.NewScanner(in); s.Scan(); err = s.Err() {
		f := strings.Fields(s.Text())
		if cpu, ok := strings.CutPrefix(s.Text(), "cpu: "); ok {
			machine = cpu
		}
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // without the number of processors
		}
		values := map[string]float64{}
		var units []string
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", s.Text(), err)
			}
			values[f[i+1]] = v
			units = append(units, f[i+1])
		}
		for _, unit := range units {
			other := strings.HasPrefix(unit, "compared-") || strings.HasPrefix(unit, "ratio")
			if !other && (values[unit] != 0 || len(units) == 1) {
				rows = append(rows, row{strings.ReplaceAll(name, "_", " "), unit, values[unit],
					values["compared-"+unit]})
			}
		}
	}
	return rows, machine, err
}

// number formats a value with three significant digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
