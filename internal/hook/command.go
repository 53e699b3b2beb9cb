// SPDX-License-Identifier: MIT

package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"picket/internal/event"
	"regexp"
	"strconv"
	"strings"
)

// Bounds of a command, far below the kernel's.
const (
	maxArgs = 64
	maxArg  = 4096 // bytes
)

// A Command is a program and its arguments, with tokens for an event's values. The
// zero Command is none; see [Parse].
type Command struct {
	argv []string
}

// tokenNames are the tokens of arguments. unset stands for a missing value, so that
// arguments keep their places.
const (
	tokenNames = "$TARGET$ $PORT$ $MODE$ $PROTOCOL$ $PATTERN$"
	unset      = "-"
)

var token = regexp.MustCompile(`\$[A-Z_]+\$`) // compiled once, never changed

// Parse checks a command. The program must be an absolute path: no PATH decides
// what runs. An unknown token is an error: it would be passed on unnoticed. An
// empty list is the zero Command.
func Parse(argv []string) (Command, error) {
	if len(argv) == 0 {
		return Command{}, nil
	}
	if len(argv) > maxArgs {
		return Command{}, fmt.Errorf("command %q: more than %d arguments; put them into a script", argv[0],
			maxArgs)
	}
	if !filepath.IsAbs(argv[0]) || token.MatchString(argv[0]) {
		return Command{}, fmt.Errorf("command %q: the program must be a full path, /usr/bin/... for instance",
			argv[0])
	}
	for i, a := range argv {
		if len(a) > maxArg || strings.ContainsRune(a, 0) {
			return Command{}, fmt.Errorf("command %q, argument %d: longer than %d bytes, "+
				"or a zero byte in it", argv[0], i, maxArg)
		}
		for _, t := range token.FindAllString(a, -1) {
			if !strings.Contains(tokenNames, t) {
				return Command{}, fmt.Errorf("command %q, argument %d: unknown token %s; there are %s",
					argv[0], i, t, tokenNames)
			}
		}
	}
	return Command{append([]string(nil), argv...)}, nil
}

// IsZero reports whether there is no command.
func (c Command) IsZero() bool { return len(c.argv) == 0 }

// Check returns why the program cannot run, or nil: it is missing, or not
// executable. The commands of a script are not checked.
func (c Command) Check() error {
	if c.IsZero() {
		return nil
	}
	if _, err := exec.LookPath(c.argv[0]); err != nil {
		return fmt.Errorf("command %q: %w", c.argv[0], errors.Unwrap(err))
	}
	return nil
}

// Argv returns the arguments for an event. A token is replaced anywhere, its value
// is never searched for tokens, and an argument stays one argument.
func (c Command) Argv(e event.Event) []string {
	or := func(s string) string {
		if s == "" {
			return unset
		}
		return s
	}
	r := strings.NewReplacer(
		"$TARGET$", or(e.Source), "$PORT$", strconv.Itoa(int(e.Port)), "$MODE$", or(e.Mode),
		"$PROTOCOL$", or(e.Protocol), "$PATTERN$", or(e.Pattern))
	argv := make([]string, len(c.argv))
	for i, a := range c.argv {
		argv[i] = a
		if i > 0 {
			argv[i] = r.Replace(a)
		}
	}
	return argv
}

// environ returns the environment of a hook: the event's keys as PICKET_*, lists
// with commas, and of ours only what every program needs. systemd's sockets and
// watchdog are for picket alone.
func environ(ev []byte) ([]string, error) {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	var keys map[string]any
	d := json.NewDecoder(strings.NewReader(string(ev)))
	d.UseNumber()
	if err := d.Decode(&keys); err != nil {
		return nil, err
	}
	for k, v := range keys {
		s := fmt.Sprint(v)
		if list, ok := v.([]any); ok {
			parts := make([]string, len(list))
			for i, x := range list {
				parts[i] = fmt.Sprint(x)
			}
			s = strings.Join(parts, ",")
		}
		env = append(env, event.Name(k)+"="+strings.ReplaceAll(s, "\x00", ""))
	}
	return env, nil
}
