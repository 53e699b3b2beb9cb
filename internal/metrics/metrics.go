// SPDX-License-Identifier: MIT

// Package metrics makes Prometheus metrics of the daemon's status, by the
// conventions of https://prometheus.io/docs/practices/naming/. It asks for the
// status at each scrape and keeps nothing.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"picket/internal/control"
)

// A metric is one family: its name behind "picket_", and its samples from a status.
type metric struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	samples func(s *control.Status, add func(value float64, labels ...string))
}

func family(name, help string, kind prometheus.ValueType,
	samples func(*control.Status, func(float64, ...string)), labels ...string) metric {
	return metric{prometheus.NewDesc("picket_"+name, help, labels, nil), kind, samples}
}

func gauge(name, help string, value func(*control.Status) float64) metric {
	return family(name, help, prometheus.GaugeValue,
		func(s *control.Status, add func(float64, ...string)) { add(value(s)) })
}

func counter(name, help string, value func(*control.Status) float64) metric {
	return family(name, help, prometheus.CounterValue,
		func(s *control.Status, add func(float64, ...string)) { add(value(s)) })
}

// counts returns the samples of a table of counts, labelled by its keys.
func counts(table func(*control.Status) map[string]uint64) func(*control.Status, func(float64, ...string)) {
	return func(s *control.Status, add func(float64, ...string)) {
		for name, n := range table(s) {
			add(float64(n), name)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var up = prometheus.NewDesc("picket_up", "1 if the daemon answers.", nil, nil)

var metrics = []metric{
	family("build_info", "The running version and kernel.", prometheus.GaugeValue,
		func(s *control.Status, add func(float64, ...string)) { add(1, s.Version, s.Kernel) }, "version",
		"kernel"),
	gauge("uptime_seconds", "Age of the daemon's run.",
		func(s *control.Status) float64 { return float64(s.Uptime) }),
	gauge("dry_run", "1 if nobody is blocked.", func(s *control.Status) float64 { return truth(s.DryRun) }),
	gauge("flood", "1 in a flood of new sources.",
		func(s *control.Status) float64 { return truth(s.Flooding) }),
	counter("probes_total", "Judged probes.",
		func(s *control.Status) float64 { return float64(s.Probes) }),
	counter("probes_lost_total", "Mirrored probes lost before judgement.",
		func(s *control.Status) float64 { return float64(s.Lost) }),
	counter("packets_unreadable_total", "Mirrored packets without a probe.",
		func(s *control.Status) float64 { return float64(s.Garbage) }),
	family("decisions_total", "Probes by the reason of the decision.", prometheus.CounterValue,
		counts(func(s *control.Status) map[string]uint64 { return s.Reasons }), "reason"),
	family("known_probes_total", "Probes of the operator's lists of known sources.", prometheus.CounterValue,
		counts(func(s *control.Status) map[string]uint64 { return s.Known }), "list"),
	gauge("sources", "Remembered sources.",
		func(s *control.Status) float64 { return float64(s.Sources) }),
	counter("sources_forgotten_total", "Sources forgotten to make room.",
		func(s *control.Status) float64 { return float64(s.Evicted) }),
	gauge("inline_up", "1 if SYNs in doubt wait for a verdict.",
		func(s *control.Status) float64 { return truth(s.Inline != nil && s.Inline.Off == "") }),
	family("inline_syns_total", "SYNs to services that waited for a verdict, by its outcome.",
		prometheus.CounterValue,
		func(s *control.Status, add func(float64, ...string)) {
			if i := s.Inline; i != nil {
				add(float64(i.Let-i.Aged), "let")
				add(float64(i.Aged), "unjudged")
				add(float64(i.Refused), "refused")
			}
		}, "verdict"),
	gauge("blocked_sources", "Responses in force.",
		func(s *control.Status) float64 { return float64(s.Blocks) }),
	family("kernel_limits_total",
		"Packets too many to be mirrored (unlogged_), and times that a set was full (full_), by counter.",
		prometheus.CounterValue,
		func(s *control.Status, add func(float64, ...string)) {
			for name, n := range s.Rules {
				if control.Limit(name) {
					add(float64(n), name)
				}
			}
		}, "counter"),
	counter("events_untold_total", "Events left out to spare the journal.",
		func(s *control.Status) float64 { return float64(s.Untold) }),
	family("reaction_seconds", "Time of the last responses, from the probe to the kernel's acknowledgement.",
		prometheus.GaugeValue,
		func(s *control.Status, add func(float64, ...string)) {
			if s.Reaction.Count > 0 {
				add(float64(s.Reaction.P50)/1e6, "50")
				add(float64(s.Reaction.P99)/1e6, "99")
			}
		}, "percentile"),
}

// A Collector makes metrics of a status. Any goroutine may use it.
type Collector struct {
	Status func() (*control.Status, error) // asks the daemon
}

// Describe implements [prometheus.Collector].
func (c Collector) Describe(to chan<- *prometheus.Desc) {
	to <- up
	for _, m := range metrics {
		to <- m.desc
	}
}

// Collect implements [prometheus.Collector]. If the daemon does not answer, picket_up
// is 0 and the only metric.
func (c Collector) Collect(to chan<- prometheus.Metric) {
	s, err := c.Status()
	if err != nil {
		to <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 0)
		return
	}
	to <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 1)
	for _, m := range metrics {
		m.samples(s, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		})
	}
}

func (c Collector) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}

// Write writes all metrics as text, for a file of node_exporter's textfile
// collector.
func (c Collector) Write(out io.Writer) error {
	// Without the right to ask, nothing is known of the daemon: 0 would say that it is down.
	s, err := c.Status()
	if errors.Is(err, control.ErrPermission) {
		return err
	}
	once := Collector{func() (*control.Status, error) { return s, err }}
	families, err := once.registry().Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(out, f); err != nil {
			return err
		}
	}
	return nil
}

// Handler serves the metrics at /metrics.
func (c Collector) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.registry(),
		promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "picket's metrics are at /metrics\n")
	})
	return mux
}

// Serve serves them at an address until ctx ends.
func (c Collector) Serve(ctx context.Context, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	const patience = 10 * time.Second
	server := &http.Server{
		Handler: c.Handler(), ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
