// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/internal/lab"
)

// A picket is picket on the import of PortSentry's file, or on a configuration of its own.
type picket struct {
	bench
	settings
	modes  string // for import; "" takes config
	config string

	host   *lab.Host
	daemon *lab.Daemon
}

func (p *picket) start(l *lab.Lab) (err error) {
	p.host = l.Target
	config := p.config
	if p.modes != "" {
		if config, err = p.imported(l); err != nil {
			return err
		}
	}
	p.daemon, err = lab.Start(l.Target, lab.Options{Binary: p.picket, Config: config})
	return err
}

func (p *picket) imported(l *lab.Lab) (string, error) {
	dir := filepath.Join(l.Dir(), "imported")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "portsentry.conf")
	for name, text := range map[string]string{conf: p.conf(dir),
		filepath.Join(dir, "portsentry.ignore"): "127.0.0.1/32\n0.0.0.0\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.Command(p.picket, "import", "--mode", p.modes, conf)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("picket import: %w", err)
	}
	return string(out), nil
}

// labels returns the techniques in the events of probes and blocks.
func (p *picket) labels(source string) (out []string) {
	technique := regexp.MustCompile(` technique=([^ ]+)`)
	for _, line := range p.daemon.Events() {
		m := technique.FindStringSubmatch(line)
		if m != nil && strings.Contains(line, " source="+source+" ") &&
			!strings.HasPrefix(line, "event=expire") && !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

func (p *picket) lines() int { return len(p.daemon.Events()) }

func (p *picket) cpu() (time.Duration, error) { return used(p.host, filepath.Base(p.picket)) }

func (p *picket) stop() error { return p.daemon.Stop() }

// processes returns the processes of that name in a namespace.
func processes(h *lab.Host, name string) (pids []string, err error) {
	out, err := exec.Command("ip", "netns", "pids", h.Name).Output()
	if err != nil {
		return nil, fmt.Errorf("processes of %s: %w", h.Name, err)
	}
	for pid := range strings.FieldsSeq(string(out)) {
		comm, _ := os.ReadFile("/proc/" + pid + "/comm") // it may be gone
		if strings.TrimSpace(string(comm)) == name {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// used returns the processor time of these processes, with their threads and children, in the
// kernel's ticks of 10 ms.
func used(h *lab.Host, name string) (total time.Duration, err error) {
	pids, err := processes(h, name)
	if err != nil {
		return 0, err
	}
	if len(pids) == 0 {
		return 0, fmt.Errorf("no %s runs", name)
	}
	for _, pid := range pids {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest) // the state is field 3 of proc_pid_stat(5), utime to cstime 14 to 17
		for _, f := range fields[11:15] {
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0, err
			}
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total, nil
}
