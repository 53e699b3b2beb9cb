// SPDX-License-Identifier: MIT

package portsentry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// TOML returns the whole picket.toml. The modes are those that ran: a protocol
// without one is off. Without modes, 1.2 counts as -tcp and -udp, Debian's start,
// and 2 as stealth, its default.
func (f *File) TOML(modes ...Mode) string {
	w := &writer{File: f, modes: modes}
	if len(modes) == 0 {
		w.modes = []Mode{"stealth"}
		if f.version == 1 {
			w.modes = []Mode{"tcp", "udp"}
		}
	}
	w.head(len(modes) > 0)
	w.protocol("tcp", "TCP")
	w.protocol("udp", "UDP")
	w.others()
	w.ignore()
	w.trap()
	w.run()
	w.route()
	w.hostsDeny()
	w.history()
	w.resolve()
	return w.b.String()
}

type writer struct {
	*File
	modes []Mode
	b     strings.Builder
}

// comment writes comment lines, wrapped at 78 columns.
func (w *writer) comment(format string, a ...any) {
	line := "#"
	for word := range strings.FieldsSeq(fmt.Sprintf(format, a...)) {
		if len(line)+1+len(word) > 78 && line != "#" {
			w.b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	w.b.WriteString(line + "\n")
}

// origin writes a line of the file as it was, in one piece.
func (w *writer) origin(line int, text string) {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		text = strconv.QuoteToASCII(text)
	}
	if len(text) > maxOrigin {
		text = text[:maxOrigin] + "..."
	}
	fmt.Fprintf(&w.b, "# line %d: %s\n", line, text)
}

const maxOrigin = 2000 // bytes of a line in a comment

func (w *writer) section(name string) { fmt.Fprintf(&w.b, "\n[%s]\n", name) }

func (w *writer) key(name, value string) { fmt.Fprintf(&w.b, "%s = %s\n", name, value) }

// str writes a key with a string, and its origin.
func (w *writer) str(name string, s setting) {
	w.origin(s.line, s.key)
	w.key(name, quote(s.value))
}

// get returns a setting, and whether the file has it.
func (w *writer) get(key string) (setting, bool) {
	s, ok := w.settings[key]
	return s, ok
}

func (w *writer) head(told bool) {
	w.comment("Made by picket import from a portsentry.conf of PortSentry %s.",
		map[int]string{1: "1.2", 2: "2"}[w.version])
	w.comment("Read it, then try it: picket check --config FILE; picket run --dry-run --config FILE.")
	if !told {
		names := make([]string, len(w.modes))
		for i, m := range w.modes {
			names[i] = string(m)
		}
		w.comment("Taken to run with %s, the default; if it does not, import again with --mode %s.",
			strings.Join(names, " and "), map[int]string{1: "tcp, stcp, atcp, udp, sudp or audp",
				2: "connect"}[w.version])
	}
	w.comment("PortSentry blocks for ever. picket blocks for 10 minutes, and longer whoever comes again: " +
		"[block], for.")
	if len(w.faults) > 0 {
		w.b.WriteString("#\n")
		w.comment("Not taken over as they stand:")
		for _, x := range w.faults {
			w.origin(x.Line, x.Text)
			w.comment("-> %s", x.Why)
		}
	}
	if w.ignoreLost || w.ignoreGone {
		what := "The line that names the ignore file cannot be read"
		if w.ignoreGone {
			what = "The ignore file could not be read where this was made"
		}
		w.b.WriteString("\n")
		w.comment("%s, and without it a friend could be blocked. "+
			"Nothing is blocked until you have put it right below and taken this away.", what)
		w.key("dry_run", "true")
	}
}

func (w *writer) protocol(name, upper string) {
	w.section(name)
	list, hasList := w.get(upper + "_PORTS")
	modes := modesOf(name, w.modes)
	var on []string
	for _, m := range modes {
		if m == "advanced" || hasList {
			on = append(on, m)
		}
	}
	switch {
	case len(modes) == 0:
		w.comment("No mode names %s: PortSentry did not watch it.", upper)
	case len(on) < len(modes):
		w.comment("There is no %s_PORTS to watch.", upper)
	}
	w.key("modes", quoteList(on))
	w.action(upper, len(on) > 0)
	w.trigger()
	for _, m := range []string{"classic", "stealth"} {
		if hasList && slices.Contains(on, m) {
			w.str(m, list)
		}
	}
	w.advanced(upper, slices.Contains(on, "advanced"))
}

// others: picket's default watches, and blocks for, protocols unknown to
// PortSentry.
func (w *writer) others() {
	w.section("ip")
	w.comment("ICMP and other protocols, which PortSentry does not see; without this picket's own defaults " +
		"hold.")
	w.key("modes", "[]")
}

func (w *writer) action(upper string, watched bool) {
	s, ok := w.get("BLOCK_" + upper)
	value := map[string]string{"0": "log", "1": "block", "2": "run"}[s.value]
	switch {
	case ok:
		w.origin(s.line, s.text())
	case w.version == 1 && watched && !w.lost("BLOCK_"+upper):
		w.comment("no BLOCK_%s, which is 1 in PortSentry 1.2", upper)
		value = "block"
	default:
		value = "log" // PortSentry 2's default; unwatched ports block nobody either
	}
	w.key("action", quote(value))
}

// trigger: PortSentry acts on the Nth probe, on the first for 0 and 1 alike;
// picket's number counts the probes let pass.
func (w *writer) trigger() {
	s, ok := w.get("SCAN_TRIGGER")
	n, _ := strconv.Atoi(s.value) // checked
	switch {
	case !ok && w.lost("SCAN_TRIGGER"):
		return
	case ok:
		w.origin(s.line, s.text())
		w.comment("PortSentry fires on probe %d; here it is how many are let pass.", max(n, 1))
	}
	if n-1 > maxTrigger {
		w.comment("%d at most: picket counts different ports, inside a window of time.", maxTrigger)
	}
	w.key("trigger", strconv.Itoa(min(max(n-1, 0), maxTrigger)))
}

// maxTrigger is engine.MaxTrigger.
const maxTrigger = 31

// lost reports whether the option is in the file and unusable.
func (w *writer) lost(key string) bool {
	for _, x := range w.faults {
		if strings.HasPrefix(x.Text, key) {
			return true
		}
	}
	return false
}

// advanced writes the range and its exclusions, as comments if no process ran in
// that mode: in another mode they do not count.
func (w *writer) advanced(upper string, on bool) {
	if w.version != 1 {
		return
	}
	mark := ""
	if !on {
		mark = "# "
		w.comment("for -a%s, which did not run:", strings.ToLower(upper))
	}
	top := 1024
	if s, ok := w.get("ADVANCED_PORTS_" + upper); ok {
		top, _ = strconv.Atoi(s.value) // checked
		w.origin(s.line, s.text()+", ports below it")
	}
	w.key(mark+"advanced", quote(portRange(1, top-1)))
	if s, ok := w.get("ADVANCED_EXCLUDE_" + upper); ok {
		w.origin(s.line, s.key)
		w.key(mark+"exclude", quote(s.value))
	} else if on {
		w.key("exclude", quote(""))
	}
}

func portRange(from, to int) string {
	if from == to {
		return strconv.Itoa(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

func quoteList(list []string) string {
	q := make([]string, len(list))
	for i, s := range list {
		q[i] = quote(s)
	}
	return "[" + strings.Join(q, ", ") + "]"
}

// quote writes a TOML basic string. Values are printable ASCII (see readLine).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
