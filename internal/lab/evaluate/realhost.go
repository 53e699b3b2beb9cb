// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
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

// A real host: two days of its firewall's log, through picket and the peers that read such a
// log.

const (
	// hostLog is a log that the tests of internal/trial also use, as a path from internal/lab.
	hostLog = "../trial/testdata/host-a.log.gz"

	// hostAddress is the address of the host in the log.
	hostAddress = "192.0.2.2"
)

// A keptOff is how many packets of the log a tool would have kept off.
type keptOff struct {
	who     string
	packets int
}

// A realHost is the result for the log.
type realHost struct {
	packets, unwanted, limit int
	served, door             int // packets to 22, 80 and 443 if these are served
	all                      []keptOff
}

// A logged packet is a line of the log.
type logged struct {
	at     time.Time
	source string
	words  string // from SRC= on
}

var loggedLine = regexp.MustCompile(`^(\S+) .* (SRC=(\S+) DST=\S+ LEN=\d+) (TTL=.*)$`)

// readHostLog reads the log. Its lines lack what is the same in all of them.
func readHostLog(name string) (all []logged, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	s := bufio.NewScanner(z)
	for s.Scan() {
		m := loggedLine.FindStringSubmatch(s.Text())
		if m == nil {
			return nil, fmt.Errorf("read %s: no packet in %q", name, s.Text())
		}
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, logged{at, m[3], m[2] + " TOS=0x00 PREC=0x00 " + m[4]})
	}
	return all, s.Err()
}

// kernelLines writes packets as the kernel logs them, behind a firewall's prefix.
func kernelLines(all []logged, prefix string) []byte {
	var b bytes.Buffer
	for _, l := range all {
		fmt.Fprintf(&b, "%s server kernel: [%d.000000] %s IN=eth0 OUT= "+
			"MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 %s\n",
			l.at.Format(time.Stamp), l.at.Unix()%1e6, prefix, l.words)
	}
	return b.Bytes()
}

// measureHost puts the log through picket, psad and fail2ban.
func measureHost(ctx context.Context, o options, root string, p *progress) (h *realHost, err error) {
	all, err := readHostLog(hostLog)
	if err != nil {
		return nil, err
	}
	h = &realHost{packets: len(all)}
	if err := h.picket(ctx, o.picket); err != nil {
		return nil, err
	}
	peers := map[string]bool{}
	for _, t := range o.tools {
		peers[t] = true
	}
	if !peers["psad"] && !peers["fail2ban"] {
		return h, nil
	}
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	s := &site{Lab: l}
	defer s.close()
	box := &box{root: root}
	if err := box.open(s, map[string]string{}); err != nil {
		return nil, err
	}
	if peers["psad"] {
		if err := h.psad(ctx, box, all); err != nil {
			return nil, err
		}
	}
	if peers["fail2ban"] {
		if err := h.fail2ban(ctx, box, all); err != nil {
			return nil, err
		}
	}
	p.say("a real host's log: %v of %d kept off", h.all, h.packets)
	return h, nil
}

// picket runs picket on its default.
func (h *realHost) picket(ctx context.Context, program string) error {
	for _, open := range []string{"", "tcp/22,tcp/80,tcp/443"} {
		args := []string{"replay", "--json", "--log", "--local", hostAddress}
		if open != "" {
			args = append(args, "--open", open)
		}
		out, err := exec.CommandContext(ctx, program, append(args, hostLog)...).Output()
		if err != nil {
			return fmt.Errorf("picket %s: %w", strings.Join(args, " "), err)
		}
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		var sum struct{ Packets, Dropped, Unwanted, Limit, Served, Door int }
		if err := json.Unmarshal(lines[len(lines)-1], &sum); err != nil {
			return fmt.Errorf("picket replay --json: %w", err)
		}
		if sum.Packets != h.packets {
			return fmt.Errorf("picket read %d packets of %d lines", sum.Packets, h.packets)
		}
		if open != "" {
			h.served, h.door = sum.Served, sum.Door
			continue
		}
		h.unwanted, h.limit = sum.Unwanted, sum.Limit
		h.all = append(h.all, keptOff{"picket on its default", sum.Dropped})
	}
	return nil
}

var psadLevel = regexp.MustCompile(`(?m)^SRC:\s+(\S+), DL: (\d)`)

// psad runs "psad -A", its way to analyze a log: with its default, which forgets after an hour
// (SCAN_TIMEOUT) and blocks for an hour (AUTO_BLOCK_TIMEOUT), and as if it forgot nothing and
// blocked for ever. The log does not show who is blocked.
func (h *realHost) psad(ctx context.Context, b *box, all []logged) error {
	conf, err := psadConf(b.root, hostAddress+"/32")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"etc/psad/psad.conf": conf, "var/log/host.log": ""} {
		name = filepath.Join(b.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text),
			0o644)); err != nil {
			return err
		}
	}
	const always = 1000 * time.Hour
	for _, x := range []struct {
		who           string
		every, memory time.Duration // when it runs it looks every five seconds
	}{
		{"psad (`psad -A`), if it blocks from danger level 2 on; as it is shipped it blocks nobody",
			30 * time.Minute, time.Hour},
		{"psad, if it forgets nothing besides, and blocks for good", 2 * time.Hour, always},
	} {
		kept, until := 0, map[string]time.Time{}
		var lines []logged
		look := all[0].at.Add(x.every)
		for _, l := range all {
			for ; !l.at.Before(look); look = look.Add(x.every) {
				lines = slices.DeleteFunc(lines, func(l logged) bool { return look.Sub(l.at) > x.memory })
				found, err := b.psadAt(ctx, lines, 2)
				if err != nil {
					return err
				}
				for _, source := range found {
					until[source] = look.Add(x.memory)
				}
			}
			if l.at.Before(until[l.source]) {
				kept++
				continue
			}
			lines = append(lines, l)
		}
		if kept == 0 {
			return errNoScan
		}
		h.all = append(h.all, keptOff{x.who, kept})
	}
	return nil
}

// psadAt returns the sources of a log that psad puts at a danger level or above.
func (b *box) psadAt(ctx context.Context, lines []logged, level int) (found []string, err error) {
	if len(lines) == 0 {
		return nil, nil
	}
	if err := os.WriteFile(filepath.Join(b.dir, "var/log/host.log"), kernelLines(lines, "DROP"),
		0o644); err != nil {
		return nil, err
	}
	said, err := b.output(ctx, "/usr/sbin/psad", "-A", "-m", "/var/log/host.log", "--no-ipt-errors", "-c",
		"/etc/psad/psad.conf")
	if err != nil {
		return nil, err
	}
	for _, m := range psadLevel.FindAllStringSubmatch(said, -1) {
		if n, _ := strconv.Atoi(m[2]); n >= level {
			found = append(found, m[1])
		}
	}
	return found, nil
}

var errNoScan = errors.New("psad -A finds no scan in the log")

// jail has the filter and the counter of fail2ban read a log of UFW by the log's time, and
// counts the lines from banned addresses.
const jail = `
import sys
from fail2ban.server.filter import Filter
from fail2ban.server.failmanager import FailManagerEmpty
from fail2ban.server.mytime import MyTime
from fail2ban.server.ticket import FailTicket
retry, find, ban = (int(a) for a in sys.argv[1:4])
f = Filter(None)
f.setUseDns("no")
f.checkFindTime = False
f.addFailRegex(r"^.*\[UFW BLOCK\] IN=\S* OUT=\S* (?:MAC=\S* )?SRC=<HOST> ")
f.failManager.setMaxRetry(retry)
f.failManager.setMaxTime(find)
until, kept, found = {}, 0, 0
for line in sys.stdin:
    at, line = line.split(" ", 1)
    at = int(at)
    MyTime.setTime(at)
    for x in f.processLine(("", "", line.rstrip()), at):
        found += 1
        ip = str(x[1])
        if until.get(ip, 0) > at:
            kept += 1
            continue
        f.failManager.addFailure(FailTicket(ip, at))
        try:
            while True:
                until[str(f.failManager.toBan().getID())] = at + ban
        except FailManagerEmpty:
            pass
print(found, kept)
`

// fail2ban runs the jail with its defaults, and with the strictest settings that an
// administrator might use.
func (h *realHost) fail2ban(ctx context.Context, b *box, all []logged) error {
	lines := bytes.Split(kernelLines(all, "[UFW BLOCK]"), []byte("\n"))
	var input bytes.Buffer
	for i, l := range all {
		fmt.Fprintf(&input, "%d %s\n", l.at.Unix(), lines[i])
	}
	const day = "86400"
	for _, x := range []struct{ who, retry, find, ban string }{
		{"fail2ban on its defaults: 5 lines of UFW in 10 minutes, for 10 minutes", "5", "600", "600"},
		{"fail2ban, if 3 in a day, for a day", "3", day, day},
	} {
		cmd := b.command(ctx, "/usr/bin/python3", "-c", jail, x.retry, x.find, x.ban)
		cmd.Stdin = bytes.NewReader(input.Bytes())
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("fail2ban's filter: %w", err)
		}
		var found, kept int
		if _, err := fmt.Sscan(string(out), &found, &kept); err != nil || found != len(all) {
			return fmt.Errorf("fail2ban's filter finds %q in %d lines", out, len(all))
		}
		h.all = append(h.all, keptOff{x.who, kept})
	}
	return nil
}

// print writes the section of the README.
func (h *realHost) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n**A real host.** What the firewall of a host on the internet logged in two days, %d "+
		"packets, three lines a minute at most\n"+
		"(`internal/trial/testdata/host-a.log.gz`), through picket and through those peers that read such "+
		"lines:\n\n", h.packets)
	b.WriteString("| kept off | packets | of all |\n|---|---|---|\n")
	row := func(who string, n int) {
		fmt.Fprintf(b, "| %s | %d | %.1f %% |\n", who, n, 100*float64(n)/float64(h.packets))
	}
	for _, x := range h.all {
		row(x.who, x.packets)
	}
	row("every source from its second packet on: the limit of all that remembers sources", h.limit)
	row("a firewall that drops by default", h.packets)
	fmt.Fprintf(b, "\nIf the host served 22, 80 and 443, %d of the %d packets there (%.1f %%) would be "+
		"refused at the door.\n",
		h.door, h.served, 100*float64(h.door)/float64(max(1, h.served)))
}
