// SPDX-License-Identifier: MIT

package portsentry

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"picket/internal/hostsdeny"
)

// check checks the values. It removes an unusable setting, and keeps the good
// items of a port list.
func (f *File) check() {
	for _, key := range []string{"TCP_PORTS", "UDP_PORTS", "ADVANCED_EXCLUDE_TCP", "ADVANCED_EXCLUDE_UDP"} {
		if s, ok := f.settings[key]; ok {
			s.value = f.ports(s)
			f.set(s, s.value != "")
		}
	}
	for _, key := range []string{"ADVANCED_PORTS_TCP", "ADVANCED_PORTS_UDP"} {
		if s, ok := f.settings[key]; ok {
			n, err := strconv.Atoi(s.value)
			if err != nil || n < 2 || n > 65536 {
				f.fault(s.line, s.text(), "not a number from 2 to 65536; 1024 is taken, PortSentry's default")
			}
			f.set(s, err == nil && n >= 2 && n <= 65536)
		}
	}
	f.oneOf("BLOCK_TCP", "0, 1 and 2; probes will be logged only", "0", "1", "2")
	f.oneOf("BLOCK_UDP", "0, 1 and 2; probes will be logged only", "0", "1", "2")
	f.oneOf("RESOLVE_HOST", "0 and 1; names will not be looked up", "0", "1")
	f.oneOf("KILL_RUN_CMD_FIRST", "0 and 1; the command will come after the block", "0", "1")
	if s, ok := f.settings["SCAN_TRIGGER"]; ok {
		n, err := strconv.Atoi(s.value)
		if err != nil || n < 0 || n > 1_000_000 {
			f.fault(s.line, s.text(), "not a number of probes; picket's own default is taken")
			f.set(s, false)
		}
	}
	if s, ok := f.settings["KILL_HOSTS_DENY"]; ok {
		why := ""
		if err := hostsdeny.CheckFormat(s.value); err != nil {
			why = err.Error()
		} else if strings.Contains(s.value, "$PORT$") || strings.Contains(s.value, "$MODE$") {
			why = "picket's line of a source stands as long as its block, whatever ports follow: leave " +
				"$PORT$ and $MODE$ out"
		}
		if why != "" {
			f.fault(s.line, s.text(), why)
			f.set(s, false)
		}
	}
	if s, ok := f.settings["PORT_BANNER"]; ok && len(s.value) > maxBanner {
		f.fault(s.line, fmt.Sprintf("%.40s...", s.text()),
			fmt.Sprintf("longer than %d bytes; none will be sent", maxBanner))
		f.set(s, false)
	}
	f.paths()
	f.checkCommands()
}

// maxBanner is the most bytes of trap.banner; PortSentry's lines end there.
const maxBanner = 1024

// paths wants full paths: PortSentry's meaning of others depends on its start.
func (f *File) paths() {
	for _, key := range []string{"HISTORY_FILE", "BLOCKED_FILE"} {
		if s, ok := f.settings[key]; ok && (!filepath.IsAbs(s.value) || filepath.Clean(s.value) != s.value) {
			f.fault(s.line, s.text(), "not a full path; there will be no such file")
			f.set(s, false)
		}
	}
	if b, ok := f.settings["BLOCKED_FILE"]; ok && b.value == f.settings["HISTORY_FILE"].value {
		f.fault(b.line, b.text(), "the history file too, which is not emptied at start; there will be no "+
			"file of blocked hosts")
		f.set(b, false)
	}
}

func (f *File) checkCommands() {
	if s, ok := f.settings["KILL_ROUTE"]; ok {
		if _, why := killRoute(s.value); why != "" {
			f.fault(s.line, s.text(), why)
			f.set(s, false)
		}
	}
	s, ok := f.settings["KILL_RUN_CMD"]
	if ok {
		if _, why := runCommand(s.value); why != "" {
			f.fault(s.line, s.text(), why)
			f.set(s, false)
			ok = false
		}
	}
	for _, key := range []string{"BLOCK_TCP", "BLOCK_UDP"} {
		if b := f.settings[key]; b.value == "2" && !ok {
			f.fault(b.line, b.text(), "there is no KILL_RUN_CMD to run; probes will be logged only")
			b.value = "0"
			f.set(b, true)
		}
	}
}

// set keeps a setting or removes it.
func (f *File) set(s setting, keep bool) {
	if keep {
		f.settings[s.key] = s
	} else {
		delete(f.settings, s.key)
	}
}

func (f *File) oneOf(key, there string, values ...string) {
	s, ok := f.settings[key]
	if !ok {
		return
	}
	for _, v := range values {
		if s.value == v {
			return
		}
	}
	f.fault(s.line, s.text(), "there are "+there)
	s.value = "0"
	f.set(s, true)
}

// ports returns the good items of a port list.
func (f *File) ports(s setting) string {
	var good []string
	for i, item := range strings.Split(s.value, ",") {
		item = strings.TrimSpace(item)
		a, b, isRange := strings.Cut(item, "-")
		if !isRange {
			b = a
		}
		from, why := port(a)
		to, why2 := port(b)
		switch {
		case item == "":
			f.fault(s.line, s.text(), fmt.Sprintf("item %d of the list is empty; the others are taken", i+1))
			continue
		case why != "" || why2 != "":
			f.fault(s.line, s.key, fmt.Sprintf("item %d, %.40q: %s; the others are taken", i+1, item,
				why+strings.TrimPrefix(why2, why)))
			continue
		case from > to:
			f.fault(s.line, s.key, fmt.Sprintf("item %d, %q: the range ends before it begins; the others "+
				"are taken", i+1, item))
			continue
		case isRange && f.version == 1:
			f.fault(s.line, s.key, fmt.Sprintf("item %d, %q: PortSentry 1.2 knows no ranges and watched %d "+
				"only; the range is taken", i+1, item, from))
		}
		good = append(good, item)
	}
	return strings.Join(good, ",")
}

// port reads a port number, digits only.
func port(s string) (n int, why string) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, "not a port number"
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		return 0, "ports are 1 to 65535"
	}
	return n, ""
}
