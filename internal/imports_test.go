// SPDX-License-Identifier: MIT

package internal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// allowed says which of our packages a package may import. What is not named
// may import none, and cmd/picket may be imported by none.
var allowed = map[string][]string{
	"cmd/picket": {"nft", "internal/addresses", "internal/answers", "internal/config",
		"internal/control", "internal/daemon", "internal/demo", "internal/event", "internal/evidence",
		"internal/explain", "internal/hook", "internal/metrics", "internal/notify", "internal/portsentry",
		"internal/probe", "internal/removal", "internal/replay", "internal/report", "internal/show",
		"internal/survey", "internal/top", "internal/trial"},
	"internal/daemon": {"engine", "nflog", "nft", "internal/ahead", "internal/allowed", "internal/behind",
		"internal/beside", "internal/clock", "internal/config", "internal/control", "internal/describe",
		"internal/event", "internal/evidence", "internal/explain", "internal/host", "internal/inline",
		"internal/journal", "internal/ledger", "internal/lookout", "internal/machine",
		"internal/memory", "internal/probe", "internal/rehearsal", "internal/show",
		"internal/state", "internal/systemd", "internal/task", "internal/transit",
		"internal/trap"},
	"internal/ledger": {"engine", "nft", "internal/beside", "internal/control", "internal/event",
		"internal/memory", "internal/state"},
	"internal/beside": {"engine", "internal/config", "internal/event", "internal/history",
		"internal/hook", "internal/hostsdeny", "internal/journal", "internal/queue", "internal/resolve",
		"internal/route", "internal/task"},
	"engine": {"engine/internal/book", "engine/internal/crowd", "internal/probe"},
	"nft": {"nft/internal/elem", "nft/internal/fill", "nft/internal/queue", "nft/internal/watch",
		"internal/modules"},
	"internal/inline": {"internal/modules", "internal/nlmsg", "internal/packet", "internal/probe"},
	"nflog":           {"internal/modules", "internal/nlmsg", "internal/packet", "internal/probe"},
	"internal/packet": {"internal/probe"},
	"internal/behind": {"nft", "internal/host", "internal/probe"},
	"internal/replay": {"internal/gunzip", "internal/packet", "internal/probe"},
	"internal/config": {"engine", "nft", "nflog", "examples", "internal/addresses", "internal/history",
		"internal/hook", "internal/hostsdeny", "internal/portsentry", "internal/probe", "internal/route",
		"internal/origin", "internal/event", "internal/notify"},
	"internal/journal":  {"internal/event", "internal/probe", "internal/queue", "internal/show"},
	"internal/evidence": {"engine", "internal/probe", "internal/show"},
	"internal/history":  {"internal/event", "internal/probe"},
	"internal/hook":     {"internal/event", "internal/queue", "internal/show"},
	"internal/report":   {"internal/event", "internal/gunzip", "internal/journalfile", "internal/show"},
	"internal/notify":   {"internal/event", "internal/show"},
	"internal/allowed": {"internal/addresses", "internal/config", "internal/control", "internal/event",
		"internal/journal", "internal/state"},
	"internal/control": {"internal/addresses", "internal/event"},
	"internal/metrics": {"internal/control"},
	"internal/resolve": {"internal/queue"},
	"internal/origin":  {"internal/show"},
	"internal/systemd": {"internal/show"},
	"internal/removal": {"nft", "internal/allowed", "internal/beside", "internal/config",
		"internal/control", "internal/ledger", "internal/lookout"},
	"internal/lookout": {"engine", "nft", "internal/host", "internal/state"},
	"internal/ahead":   {"nft"},
	"internal/survey": {"nft", "internal/ahead", "internal/config", "internal/host",
		"internal/modules", "internal/show"},
	"internal/portsentry": {"internal/hook", "internal/hostsdeny"},
	"internal/demo":       {"internal/netns"},

	// What is said of probes, and to whom.
	"internal/trial": {"engine", "nft", "internal/config", "internal/describe", "internal/event",
		"internal/packet", "internal/probe", "internal/replay", "internal/show"},
	"internal/top":       {"internal/config", "internal/control", "internal/event", "internal/show"},
	"internal/rehearsal": {"engine", "internal/control", "internal/event", "internal/probe"},
	"internal/describe":  {"engine", "internal/config", "internal/event", "internal/probe"},
	"internal/explain": {"engine", "nft", "internal/config", "internal/control", "internal/describe",
		"internal/event", "internal/evidence", "internal/probe", "internal/show"},
	"internal/answers": {"internal/config", "internal/control", "internal/event", "internal/show"},
	"internal/machine": {"nflog", "nft", "internal/ahead", "internal/behind", "internal/beside",
		"internal/clock", "internal/confine", "internal/host", "internal/inline", "internal/modules",
		"internal/probe"},

	// What the engine remembers.
	"engine/internal/book":  {"internal/probe"},
	"engine/internal/crowd": {"internal/probe"},
	"nft/internal/elem":     {"internal/nlmsg"},
	"nft/internal/queue":    {"internal/modules"},
	"internal/host":         {"internal/nlmsg"},

	// The lab, a module of its own, drives the program from outside.
	"internal/lab":          {"internal/netns"},
	"internal/lab/boot":     {"internal/lab"},
	"internal/lab/compare":  {"internal/lab"},
	"internal/lab/evaluate": {"internal/lab"},

	"internal/lab/kernels/guest": {"internal/lab", "internal/lab/kernels"},
}

// pure is what the engine and its rooms may use of others: nothing with a
// clock to read, a file to open or a goroutine to start. "time" is there for
// durations; TestEngineReadsNoClock holds them to that.
var pure = []string{"cmp", "container/heap", "encoding/binary", "errors", "fmt", "math", "math/bits",
	"net/netip", "slices", "sort", "strconv", "strings", "time", "iter", "maps", "go4.org/netipx"}

// thinkers are the engine and its rooms.
var thinkers = []string{"engine", "engine/internal/book", "engine/internal/crowd", "internal/probe"}

func TestImportsRunOneWay(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	// A room has a line of its own, or its name in that of others: "lab/boot boots".
	onPage := func(room string) bool {
		name := strings.TrimPrefix(room, "internal/")
		return regexp.MustCompile(`(?m)^([^|]*[ /,])?` + name + `\b`).Match(page)
	}
	seen := 0
	for d := json.NewDecoder(packages(t)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		from := strings.TrimPrefix(p.ImportPath, "picket/")
		if !onPage(from) {
			t.Errorf("docs/architecture.md has no line for %s", from)
		}
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, "picket/")
			if ours && !slices.Contains(allowed[from], to) {
				t.Errorf("%s imports %s", from, to)
			}
			if slices.Contains(thinkers, from) && !ours && !slices.Contains(pure, i) {
				t.Errorf("%s imports %s", from, i)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

// packages returns what go list tells about the packages of both modules.
func packages(t *testing.T) io.Reader {
	t.Helper()
	var all bytes.Buffer
	for _, module := range []string{"..", "lab"} {
		out, err := exec.Command("go", "list", "-C", module, "-json=ImportPath,Imports", "./...").Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all.Write(out)
	}
	return &all
}

func TestEngineReadsNoClock(t *testing.T) {
	args := []string{"-nE", `time\.(Now|Since|Until|After|Sleep|Tick|New)|\bgo func|sync\.`, "-r",
		"--include=*.go", "--exclude=*_test.go"}
	for _, p := range thinkers {
		args = append(args, "../"+p)
	}
	out, err := exec.Command("grep", args...).CombinedOutput()
	if code := new(exec.ExitError); err == nil || !errors.As(err, &code) || code.ExitCode() != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}
