// SPDX-License-Identifier: MIT

package portsentry

import (
	"slices"
	"strings"

	"picket/internal/hook"
)

// A block is the meaning of a KILL_ROUTE: a route of a type, or the set.
type block struct {
	route string // "unreachable", "blackhole", "prohibit", or "" for the set alone
	note  string // the difference
}

// killRoute recognises a KILL_ROUTE by its program, or says why it does not.
func killRoute(command string) (b block, why string) {
	switch {
	case !strings.Contains(command, "$TARGET$"):
		return block{}, "there is no $TARGET$ in it, so PortSentry skips it"
	case command == "true", strings.HasPrefix(command, "/bin/true"),
		strings.HasPrefix(command, "/usr/bin/true"):
		return block{note: "did nothing"}, ""
	}
	found := false
	for _, part := range parts(command) {
		words := slices.DeleteFunc(strings.Fields(strings.ReplaceAll(part, "'", " ")),
			func(w string) bool { return w == "sudo" })
		if len(words) == 0 {
			return block{}, notKnown
		}
		program := words[0][strings.LastIndex(words[0], "/")+1:]
		one, ok := known(program, words[1:])
		switch {
		case !ok && harmless(program, words):
		case !ok || found && one != b:
			return block{}, notKnown
		default:
			found, b = true, one
		}
	}
	if !found {
		return block{}, notKnown
	}
	if b.note == "" && (strings.Contains(command, "$PORT$") || strings.Contains(command, "dport")) {
		b.note = "blocked the source from one port; picket blocks it from the host"
	}
	return b, ""
}

const notKnown = "not a command that picket knows: a blocked source goes into picket's set anyway; " +
	"what this did besides can be a [run] command"

// parts splits a shell line at && and ; and |, outside single quotes.
func parts(command string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '\'':
			quoted = !quoted
		case !quoted && (c == '&' || c == ';' || c == '|'):
			if i > from {
				out = append(out, strings.TrimSpace(command[from:i]))
			}
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(command[from:]); rest != "" {
		out = append(out, rest)
	}
	return out
}

// known recognises one command of a line.
func known(program string, args []string) (block, bool) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(args,
			func(a string) bool { return slices.Contains(words, strings.Trim(a, "{},")) })
	}
	target := slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "$TARGET$") })
	set := func(note string) (block, bool) { return block{note: note}, target }
	switch program {
	case "route":
		if !has("add") {
			return block{}, false
		}
		switch {
		case has("reject", "-reject"):
			return block{route: "unreachable"}, target
		case has("blackhole", "-blackhole"):
			return block{route: "blackhole"}, target
		}
		return block{route: "blackhole", note: "sent the answers to a dead host; a blackhole needs none"},
			target && len(args) >= 3
	case "ip":
		if !has("route", "ro", "r") || !has("add", "replace", "a") {
			return block{}, false
		}
		for _, t := range []string{"unreachable", "blackhole", "prohibit"} {
			if has(t) {
				return block{route: t}, target
			}
		}
		return block{route: "blackhole", note: "sent the answers to a dead host; a blackhole needs none"},
			target && has("via", "dev")
	case "iptables", "ip6tables", "iptables-nft", "iptables-legacy":
		switch {
		case has("DROP"):
			return set("")
		case has("REJECT"):
			return set("answered with an error, where picket drops in silence")
		}
	case "ipfwadm", "ipchains", "ipfw":
		if has("deny", "DENY", "drop", "REJECT", "reject", "unreach") {
			return set("")
		}
	case "nft", "nftables":
		if has("add", "insert") && (has("drop", "reject") || has("element")) {
			return set("")
		}
	case "echo", "printf": // 'block in ... from $TARGET$/32 to any' | ipf -f -
		if has("block") && has("from") {
			return set("")
		}
	case "ipset":
		if has("add", "-A") {
			return set("")
		}
	case "ufw":
		if has("deny", "reject") {
			return set("")
		}
	case "firewall-cmd":
		if has("drop", "reject", "--zone=drop", "--zone=block") ||
			strings.Contains(strings.Join(args, " "), "-source=") {
			return set("")
		}
	}
	return block{}, false
}

// harmless reports whether a part of a known line blocks nothing by itself: the
// filter behind echo, or a rule that logs.
func harmless(program string, words []string) bool {
	switch program {
	case "ipf", "pfctl":
		return slices.Contains(words, "-f")
	case "iptables", "ip6tables":
		return slices.Contains(words, "LOG")
	case "true":
		return true
	}
	return false
}

// runCommand makes a shell line an argument list, without a shell where it can.
// Where it cannot, the shell gets source, port and mode as $1, $2 and $3: no value
// is ever read as shell text.
func runCommand(line string) (argv []string, why string) {
	argv, simple := split(line)
	if !simple {
		script := line
		quoted := false
		for i := range len(line) {
			if line[i] == '\'' {
				quoted = !quoted
			}
			if quoted && line[i] == '$' {
				return nil, "a $ in single quotes and a shell's signs beside it: put the line into a " +
					"script and name the script"
			}
		}
		for token, arg := range map[string]string{"$TARGET$": "${1}", "$PORT$": "${2}", "$MODE$": "${3}"} {
			script = strings.ReplaceAll(script, token, arg)
		}
		argv = []string{"/bin/sh", "-c", script, "sh", "$TARGET$", "$PORT$", "$MODE$"}
	} else if len(argv) > 0 && !strings.HasPrefix(argv[0], "/") {
		argv = append([]string{"/usr/bin/env"}, argv...)
	}
	c, err := hook.Parse(argv)
	switch {
	case err != nil:
		return nil, err.Error()
	case c.IsZero():
		return nil, "there is no command in it"
	}
	return argv, ""
}

// split splits a line as sh(1) does; simple is false if there is more in it than
// words, single quotes and backslashes.
func split(line string) (argv []string, simple bool) {
	line = strings.TrimSpace(line)
	plain := line
	for _, token := range []string{"$TARGET$", "$PORT$", "$MODE$"} {
		plain = strings.ReplaceAll(plain, token, "")
	}
	var word strings.Builder
	started, quoted := false, false
	for i := 0; i < len(plain); i++ {
		switch c := plain[i]; {
		case c == '\'':
			quoted = !quoted
		case !quoted && strings.IndexByte("|&;<>()`*?[]~{}!$", c) >= 0, !quoted && c == '#' &&
			(i == 0 || plain[i-1] == ' '):
			return nil, false
		}
	}
	if quoted {
		return nil, false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			quoted, started = !quoted, true
		case c == '\\' && !quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			started = true
		case c == ' ' && !quoted:
			if started {
				argv = append(argv, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		argv = append(argv, word.String())
	}
	if len(argv) > 0 && strings.Contains(argv[0], "=") {
		return nil, false // VARIABLE=value command
	}
	return argv, true
}
