// SPDX-License-Identifier: MIT

package portsentry

func (w *writer) ignore() {
	w.section("ignore")
	w.comment("This host's own addresses, its gateways and its resolvers are found by picket itself.")
	s, ok := w.get("IGNORE_FILE")
	if !ok {
		w.key("files", "[]")
		return
	}
	if w.version == 1 {
		w.comment("Debian's start script writes this file anew from portsentry.ignore.static at each start " +
			"of " +
			"PortSentry; without PortSentry name that one.")
	}
	w.origin(s.line, s.key)
	if w.ignoreGone {
		w.comment("files = %s", quoteList([]string{s.value}))
		w.key("files", "[]")
		return
	}
	w.key("files", quoteList([]string{s.value}))
}

func (w *writer) trap() {
	s, ok := w.get("PORT_BANNER")
	if !ok {
		return
	}
	w.section("trap")
	w.comment("Sent in classic mode, as by PortSentry.")
	w.str("banner", s)
}

func (w *writer) run() {
	s, ok := w.get("KILL_RUN_CMD")
	if !ok {
		return
	}
	argv, _ := runCommand(s.value) // checked
	w.section("run")
	w.origin(s.line, s.text())
	if argv[0] == "/bin/sh" && len(argv) > 2 && argv[1] == "-c" && argv[len(argv)-1] == "$MODE$" {
		w.comment("It needs a shell; what was found is passed to it as $1, $2 and $3, and is never read as " +
			"shell text.")
	}
	w.comment("$MODE$ is classic, stealth or advanced here; $PROTOCOL$ says tcp or udp.")
	w.key("command", quoteList(argv))
	when := "after"
	if first, ok := w.get("KILL_RUN_CMD_FIRST"); ok {
		w.origin(first.line, first.text())
		if first.value == "1" {
			when = "before"
		}
	}
	w.key("when", quote(when))
	w.unproven()
}

func (w *writer) route() {
	s, ok := w.get("KILL_ROUTE")
	if !ok {
		return
	}
	b, _ := killRoute(s.value) // checked
	w.section("route")
	w.origin(s.line, s.text())
	if b.note != "" {
		w.comment("It %s.", b.note)
	}
	if b.route == "" {
		w.comment("A blocked source goes into picket's set, by picket itself; no route is needed.")
	} else {
		w.comment("Beside picket's set, which drops what comes in; a route stops our answers only, " +
			"so you may well leave it out.")
	}
	w.key("type", quote(b.route))
	if b.route != "" {
		w.unproven()
	}
}

// unproven has an action done for every source, as PortSentry does.
func (w *writer) unproven() {
	w.comment("As PortSentry does, for sources too whose address may be forged. Without this line a source " +
		"must have " +
		"shown that its address is real.")
	w.key("unproven", "true")
}

func (w *writer) hostsDeny() {
	s, ok := w.get("KILL_HOSTS_DENY")
	if !ok {
		return
	}
	w.section("hosts_deny")
	w.str("line", s)
}

func (w *writer) history() {
	history, hasHistory := w.get("HISTORY_FILE")
	blocked, hasBlocked := w.get("BLOCKED_FILE")
	if !hasHistory && !hasBlocked {
		return
	}
	w.section("history")
	if hasHistory {
		w.str("file", history)
		w.comment(`PortSentry's line, for the filters that know it; "json" is the other form.`)
		w.key("format", quote(map[int]string{1: "portsentry-1", 2: "portsentry-2"}[w.version]))
	}
	if hasBlocked {
		w.comment("%s; emptied at each start, as by PortSentry 1.2, and never read: what is blocked stands "+
			"in the kernel's set.",
			map[int]string{1: "One file for all modes, without PortSentry's ending of the mode",
				2: "Lines of text, where PortSentry 2 writes bytes"}[w.version])
		w.str("blocked", blocked)
	}
}

func (w *writer) resolve() {
	s, ok := w.get("RESOLVE_HOST")
	if !ok {
		return
	}
	w.section("resolve")
	w.origin(s.line, s.text())
	w.key("enable", map[bool]string{true: "true", false: "false"}[s.value == "1"])
}
