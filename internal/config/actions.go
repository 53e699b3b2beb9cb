// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"picket/engine"
	"picket/examples"
	"picket/internal/history"
	"picket/internal/hook"
	"picket/internal/hostsdeny"
	"picket/internal/route"
	"picket/nft"
)

// Run is section [run]: the operator's commands.
type Run struct {
	Command  []string `json:"command"`
	End      []string `json:"end"`
	When     When     `json:"when"`
	Every    bool     `json:"every"`
	Unproven bool     `json:"unproven"`
	Timeout  Duration `json:"timeout"`
	Parallel int      `json:"parallel"`
	Queue    int      `json:"queue"`
}

// Route is section [route]: routes to nowhere.
type Route struct {
	Type     route.Type `json:"type"`
	Table    int        `json:"table"`
	Priority int        `json:"priority"`
	Unproven bool       `json:"unproven"`
}

// HostsDeny is section [hosts_deny]: lines for TCP wrappers.
type HostsDeny struct {
	Line string `json:"line"` // "" for none
	File string `json:"file"`
}

// History is section [history]: files of actions.
type History struct {
	File    string         `json:"file"` // "" for none
	Format  history.Format `json:"format"`
	Blocked string         `json:"blocked"` // "" for none
}

// Resolve is section [resolve]: names of sources.
type Resolve struct {
	Enable  bool     `json:"enable"`
	Confirm bool     `json:"confirm"`
	Timeout Duration `json:"timeout"`
	Keep    Duration `json:"keep"`
}

// readActions reads the sections of the actions beside a block.
func (c *Config) readActions(top *section) {
	c.Run.read(top.section("run"))
	c.Route.read(top.section("route"))
	c.HostsDeny.read(top.section("hosts_deny"))
	c.History.read(top.section("history"))
	c.Resolve.read(top.section("resolve"))
	c.Origin.read(top.section("origin"))
	for name, p := range map[string]*Protocol{"tcp": &c.TCP, "udp": &c.UDP, "ip": &c.IP} {
		if p.Action == engine.Run && len(c.Run.Command) == 0 {
			top.fault(name+".action", `is "run", and there is nothing to run: set run.command`)
		}
	}
}

func (r *Run) read(s *section) {
	s.command("command", &r.Command)
	s.command("end", &r.End)
	choice(s, "when", &r.When, After, Before)
	s.boolean("every", &r.Every)
	s.boolean("unproven", &r.Unproven)
	// A command that asks the network needs seconds. One that takes an hour
	// keeps a place of few for an hour.
	s.duration("timeout", &r.Timeout, "1s", "1h")
	number(s, "parallel", &r.Parallel, 1, 64)
	number(s, "queue", &r.Queue, 1, 65536)
	s.end()
}

// command reads an argument list. A missing program is a warning: the file may
// be for another host, or the program may come later.
func (s *section) command(key string, to *[]string) {
	var argv []string
	if !s.strings(key, &argv) {
		return
	}
	command, err := hook.Parse(argv)
	if err != nil {
		s.fault(key, err.Error())
		return
	}
	if err := command.Check(); err != nil {
		s.warn(key, err.Error()+"; it will fail, and the journal will say so")
	}
	*to = argv
}

func (r *Route) read(s *section) {
	choice(s, "type", &r.Type, route.None, route.Unreachable, route.Blackhole, route.Prohibit)
	number(s, "table", &r.Table, 1, 1<<31-1)
	number(s, "priority", &r.Priority, 1, 32765) // table main's rule has 32766
	s.boolean("unproven", &r.Unproven)
	if err := r.Config().Check(); err != nil {
		s.fault("table", err.Error())
	}
	s.end()
}

// Config returns the configuration of the routing table.
func (r *Route) Config() route.Config {
	return route.Config{Type: r.Type, Table: r.Table, Priority: r.Priority}
}

func (h *HostsDeny) read(s *section) {
	if line, ok := get[string](s, "line", `a line of hosts.deny in quotes, "ALL: $TARGET$"`); ok {
		if err := hostsdeny.CheckFormat(line); err != nil && line != "" {
			s.fault("line", err.Error())
		} else {
			h.Line = line
		}
	}
	s.path1("file", &h.File, "/etc/hosts.deny")
	if h.File == "" {
		s.fault("file", "is empty: want the full path of the file, \"/etc/hosts.deny\"")
	}
	s.end()
}

// path1 reads the full path of a file, or "". Faults show the example.
func (s *section) path1(key string, to *string, example string) {
	v, ok := get[string](s, key, `a full path in quotes`)
	if !ok {
		return
	}
	if v != "" && (!filepath.IsAbs(v) || filepath.Clean(v) != v) {
		s.fault(key, fmt.Sprintf("is %q: want a full path, %q for instance", v, example))
		return
	}
	*to = v
}

func (h *History) read(s *section) {
	s.path1("file", &h.File, "/var/log/picket/history")
	choice(s, "format", &h.Format, history.JSON, history.PortSentry1, history.PortSentry2, history.EVE)
	s.path1("blocked", &h.Blocked, "/var/lib/picket/blocked")
	if h.File != "" && h.File == h.Blocked {
		s.fault("blocked", "is the history file too, and would empty it at each start: want another one")
	}
	s.end()
}

func (r *Resolve) read(s *section) {
	s.boolean("enable", &r.Enable)
	s.boolean("confirm", &r.Confirm)
	s.duration("timeout", &r.Timeout, "100ms", "1m")
	s.duration("keep", &r.Keep, "1s", "1w")
	s.end()
}

// Hooks returns the bounds of a command.
func (r *Run) Hooks() hook.Config {
	return hook.Config{Timeout: time.Duration(r.Timeout), Parallel: r.Parallel, Queue: r.Queue}
}

// preset reads the name of a preset. Its lists take the place of the default ones.
func (p *Protocol) preset(s *section) {
	names := append([]string{""}, examples.Presets()...)
	if i, ok := s.oneOf("preset", names); ok {
		p.Preset = names[i]
	}
	if p.Preset == "" {
		return
	}
	text, err := examples.Preset(p.Preset)
	if err != nil {
		s.fault("preset", err.Error())
		return
	}
	d, faults := parse("preset "+p.Preset, text)
	if len(faults) > 0 {
		s.d.faults = append(s.d.faults, faults...)
		return
	}
	lists := d.top().section(s.name)
	for _, l := range p.lists() {
		*l.to = nil
		lists.ports(l.key, l.to, 1, 65535)
	}
}

// readLists reads the port lists. Beside a preset they add to the preset's.
func (p *Protocol) readLists(s *section, lowest, highest uint16) {
	for _, l := range p.lists() {
		before := *l.to
		s.ports(l.key, l.to, lowest, highest)
		if p.Preset != "" {
			*l.to = Ports(nft.Merge(slices.Concat(before, *l.to)))
		}
	}
}

type list struct {
	key string
	to  *Ports
}

func (p *Protocol) lists() []list {
	return []list{
		{"classic", &p.Classic}, {"stealth", &p.Stealth}, {"advanced", &p.Advanced}, {"exclude", &p.Exclude},
	}
}

// Runnable returns the reasons against a daemon on this configuration, as [Faults];
// replay may use it all the same. Without an ignore list, as on another host, a
// friend would be blocked. Or there is nothing to watch.
func (c *Config) Runnable() error {
	if len(c.unfit) > 0 {
		return c.unfit
	}
	return nil
}
