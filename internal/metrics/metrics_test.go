// SPDX-License-Identifier: MIT

package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"picket/internal/control"
)

var status = &control.Status{
	Version: "1.0", Kernel: "6.18", Uptime: 60, Probes: 4711, Lost: 3, Sources: 12, Blocks: 2,
	Reasons:  map[string]uint64{"above the trigger": 2, "not above the trigger": 40},
	Known:    map[string]uint64{"censys": 7},
	Rules:    map[string]uint64{"unlogged_stealth": 5, "full_sight": 0, "trapped": 8},
	Reaction: control.Reaction{Count: 2, P50: 250, P99: 900},
}

func text(t *testing.T, c Collector) string {
	t.Helper()
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	got := text(t, Collector{func() (*control.Status, error) { return status, nil }})
	for _, want := range []string{
		"picket_up 1\n", "picket_probes_total 4711\n", `picket_decisions_total{reason="above the trigger"} 2`,
		`picket_kernel_limits_total{counter="unlogged_stealth"} 5`,
		`picket_kernel_limits_total{counter="full_sight"} 0`, `picket_known_probes_total{list="censys"} 7`,
		`picket_reaction_seconds{percentile="99"} 0.0009`, `picket_build_info{kernel="6.18",version="1.0"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "trapped") {
		t.Errorf("what is no limit is one:\n%s", got)
	}
}

func TestNoRightToAsk(t *testing.T) {
	var b strings.Builder
	err := Collector{func() (*control.Status, error) { return nil, control.ErrPermission }}.Write(&b)
	if !errors.Is(err, control.ErrPermission) || b.Len() > 0 {
		t.Errorf("%v, and %q", err, b.String())
	}
}

func TestDaemonIsDown(t *testing.T) {
	got := text(t, Collector{func() (*control.Status, error) { return nil, errors.New("not running") }})
	if want := "picket_up 0\n"; !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}

func TestHandler(t *testing.T) {
	h := Collector{func() (*control.Status, error) { return status, nil }}.Handler()
	for path, want := range map[string]string{"/metrics": "picket_blocked_sources 2\n", "/": "/metrics",
		"/x": "404"} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		if body, _ := io.ReadAll(r.Result().Body); !strings.Contains(string(body), want) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// TestPromtool: Prometheus's own tool finds no fault.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool is missing: run \"make test\", which installs it")
	}
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(text(t, Collector{func() (*control.Status, error) { return status, nil }}))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.Command("promtool", "check", "rules",
		"../../examples/prometheus/rules.yml").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.Command("promtool", "check", "config", "--syntax-only",
		"../../examples/prometheus/scrape.yml").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Metrics are served until that is to end, and an address that is taken is told.
func TestServe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	c := Collector{func() (*control.Status, error) { return status, nil }}
	if err := c.Serve(t.Context(), address); err == nil || !strings.Contains(err.Error(),
		"metrics.listen: ") {
		t.Error(err)
	}
	taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx, address) }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || !strings.Contains(string(b), "picket_up 1") {
				t.Errorf("%v: %s", err, b)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
