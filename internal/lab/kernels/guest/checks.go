// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/lab"
)

// patience is the limit for quick things: the machine may be emulated, on a busy host.
const patience = time.Minute

// checks are the tests, in order.
var checks = []struct {
	name string
	run  func(*lab.Lab) (notes string, err error)
	asks bool // the kernel may run modprobe
}{
	{"cold start", coldStart, false},
	{"default scan", defaultScan, false},
	{"trigger 0", triggerZero, false},
	{"classic trap", classicTrap, false},
	{"flush", flush, false},
	{"adopt an include", adopt, false},
	{"SIGKILL", sigkill, false},
	{"unprivileged", unprivileged, false},
	{"taken group", takenGroup, false},
	{"remove", remove, false},
	{"flowtable", flowtable, true},
	{"virtual services", virtualServices, true},
	{"inline verdict", inlineVerdict, true},
	{"inline without its modules", inlineWithout, true},
	{"missing module", missingModule, true},
}

// start starts picket on the target.
func start(l *lab.Lab, o lab.Options) (*lab.Daemon, error) {
	o.Binary, o.Ready = "/usr/bin/picket", patience
	return lab.Start(l.Target, o)
}

// coldStart: with the modules loaded at boot, a start runs no modprobe.
func coldStart(l *lab.Lab) (string, error) {
	if err := load(); err != nil {
		return "", err
	}
	// A socket of a protocol without a module shows that calls are counted.
	if _, err := unix.Socket(unix.AF_ECONET, unix.SOCK_DGRAM, 0); err == nil || asked() == "" {
		return "", fmt.Errorf("no call of modprobe was counted for a socket of AF_ECONET: %v", err)
	}
	began := time.Now()
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if _, err := blockedByScan(l, d, lab.Source4(1)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%.1f s to the first answer", took.Seconds()), d.Stop()
}

// scan is nmap's SYN scan of ports 1 to 1000, from one of the attacker's addresses. It returns
// the number of answers.
func scan(l *lab.Lab, from netip.Addr) (answers int, err error) {
	if from.Is6() {
		return scanOf(l, from, l.Target.V6)
	}
	return scanOf(l, from, l.Target.V4)
}

// scanOf is scan, of any address.
func scanOf(l *lab.Lab, from, to netip.Addr) (answers int, err error) {
	family := []string{}
	if from.Is6() {
		family = []string{"-6"}
	}
	args := append(family, "-n", "-Pn", "-sS", "-T4", "--max-retries", "0", "--min-rate", "500", "-oX", "-",
		"-S", from.String(), "-e", l.Attacker.Dev, "-p1-1000", to.String())
	out, err := l.Attacker.Run("nmap", args...)
	if err != nil {
		return 0, err
	}
	// nmap lists ports one by one until a state has too many.
	answers = strings.Count(out, `<state state="closed"`) + strings.Count(out, `<state state="open"`)
	rest := regexp.MustCompile(`<extraports state="(?:closed|open)" count="(\d+)"`)
	for _, group := range rest.FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(group[1])
		if err != nil {
			return 0, fmt.Errorf("nmap: %w: %s", err, out)
		}
		answers += n
	}
	return answers, nil
}

// blockedByScan scans from each source, one after the other, and waits for each block.
func blockedByScan(l *lab.Lab, d *lab.Daemon, sources ...netip.Addr) (notes string, err error) {
	for _, from := range sources {
		answers, err := scan(l, from)
		if err != nil {
			return "", err
		}
		if _, err := d.WaitBlock(from, patience); err != nil {
			return "", err
		}
		notes += fmt.Sprintf("%d of 1000 answered to %s; ", answers, from)
	}
	return notes, nil
}

// defaultScan: on the embedded default a scan is blocked, and others are served.
func defaultScan(l *lab.Lab) (string, error) {
	web, err := l.Target.Listen("tcp", 80)
	if err != nil {
		return "", err
	}
	defer web.Close()
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	notes, err := blockedByScan(l, d, lab.Source4(1), lab.Source6(1))
	if err != nil {
		return "", err
	}
	to := netip.AddrPortFrom(l.Target.V4, 80)
	if l.Attacker.Reaches(lab.Source4(1), to, time.Second) ||
		!l.Attacker.Reaches(lab.Source4(2), to, patience) {
		return "", errors.New("the scanner is served, or somebody else is not")
	}
	return notes, d.Stop()
}

// triggerZero: the kernel holds a source from its first probe on.
func triggerZero(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{Config: "[tcp]\ntrigger = 0\n"})
	if err != nil {
		return "", err
	}
	notes := ""
	for _, from := range []netip.Addr{lab.Source4(1), lab.Source6(1)} {
		answers, err := scan(l, from)
		if err != nil {
			return "", err
		}
		if answers > 1 {
			return "", fmt.Errorf("%d ports answered to %s, want at most 1", answers, from)
		}
		if _, err := d.WaitBlock(from, patience); err != nil {
			return "", err
		}
		notes += fmt.Sprintf("%d of 1000 answered to %s; ", answers, from)
	}
	return notes, d.Stop()
}

// classicTrap: a trap port accepts, and its peer is blocked after it has closed.
func classicTrap(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{Config: "[tcp]\nmodes = [\"classic\"]\ntrigger = 0\nclassic = \"7\"\n"})
	if err != nil {
		return "", err
	}
	for from, to := range map[netip.Addr]netip.Addr{lab.Source4(1): l.Target.V4,
		lab.Source6(1): l.Target.V6} {
		if !l.Attacker.Reaches(from, netip.AddrPortFrom(to, 7), patience) {
			return "", fmt.Errorf("the trap does not accept %s", from)
		}
		if err := waitProven(d, from); err != nil {
			return "", err
		}
	}
	return "", d.Stop()
}

// waitProven waits for a block of a source that has proven its address. A fence may come first:
// while the beginning of a connection is unknown, it proves nothing.
func waitProven(d *lab.Daemon, source netip.Addr) error {
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		list, err := d.Blocks()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(b lab.Block) bool { return b.Proven && b.Covers(source) }) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("no proven block of %s in %+v", source, list)
		}
	}
}

// inKernel waits until a source is in one of the sets that the kernel drops: blocked or dark.
func inKernel(l *lab.Lab, source netip.Addr) error {
	var said string
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		said = ""
		for _, set := range []string{"blocked4", "dark4"} {
			out, err := l.Target.Run("nft", "list", "set", "inet", "picket", set)
			if err == nil && strings.Contains(out, " "+source.String()+" ") {
				return nil
			}
			said += fmt.Sprintf("%s: %v\n%s", set, err, out)
		}
	}
	return fmt.Errorf("%s is in neither set:\n%s", source, said)
}

// flush: after a flush of the ruleset the table comes back with its blocks.
func flush(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	if _, err := blockedByScan(l, d, lab.Source4(1)); err != nil {
		return "", err
	}
	if _, err := l.Target.Run("nft", "flush", "ruleset"); err != nil {
		return "", err
	}
	began := time.Now()
	if err := inKernel(l, lab.Source4(1)); err != nil {
		return "", err
	}
	notes := fmt.Sprintf("back after %.2f s", time.Since(began).Seconds())
	if _, err := blockedByScan(l, d, lab.Source4(2)); err != nil {
		return "", err
	}
	return notes, d.Stop()
}

// chains returns the rules of picket's table, with their handles.
func chains(l *lab.Lab) (string, error) {
	out, err := l.Target.Run("nft", "-a", "-s", "list", "table", "inet", "picket")
	_, rules, _ := strings.Cut(out, "\tchain ")
	if err == nil && rules == "" {
		err = fmt.Errorf("no chain in %s", out)
	}
	return rules, err
}

// adopt: the table of an include is not changed.
func adopt(l *lab.Lab) (string, error) {
	text, err := l.Target.Run("/usr/bin/picket", "ruleset")
	if err != nil {
		return "", err
	}
	if err := l.Target.NFT(text); err != nil {
		return "", err
	}
	before, err := chains(l)
	if err != nil {
		return "", err
	}
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	after, err := chains(l)
	if err != nil {
		return "", err
	}
	if before != after {
		return "", fmt.Errorf("the rules changed; before:\n%s\nafter:\n%s", before, after)
	}
	notes, err := blockedByScan(l, d, lab.Source4(1))
	if err != nil {
		return "", err
	}
	return notes, d.Stop()
}

// sigkill: blocks outlive the daemon, and the next daemon knows them.
func sigkill(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	if _, err := blockedByScan(l, d, lab.Source4(1)); err != nil {
		return "", err
	}
	d.Kill()
	if answers, err := scan(l, lab.Source4(1)); err != nil || answers > 0 {
		return "", fmt.Errorf("with picket killed %d ports answered, %v", answers, err)
	}
	if d, err = start(l, lab.Options{}); err != nil {
		return "", err
	}
	if _, err := d.WaitBlock(lab.Source4(1), patience); err != nil {
		return "", err
	}
	return "", d.Stop()
}

// nobody is a user without rights of its own.
const nobody = 65534

// unprivileged: a start and a scan need CAP_NET_ADMIN only.
func unprivileged(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{User: nobody})
	if err != nil {
		return "", err
	}
	notes, err := blockedByScan(l, d, lab.Source4(1))
	if err != nil {
		return "", err
	}
	return notes, d.Stop()
}

// takenGroup: the error names the program that holds the group, for a user as well.
func takenGroup(l *lab.Lab) (string, error) {
	first, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	_, err = start(l, lab.Options{User: nobody})
	if !errors.Is(err, lab.ErrEnded) || !strings.Contains(err.Error(), "process ") {
		return "", fmt.Errorf("a second picket says %v; want the process of the first", err)
	}
	return strings.TrimSpace(err.Error()), first.Stop()
}

// remove: nothing is left.
func remove(l *lab.Lab) (string, error) {
	d, err := start(l, lab.Options{})
	if err != nil {
		return "", err
	}
	if err := d.Stop(); err != nil {
		return "", err
	}
	if out, err := d.Cmd("remove"); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	out, err := l.Target.Run("nft", "list", "ruleset")
	if err == nil && out != "" {
		err = fmt.Errorf("left over:\n%s", out)
	}
	return "", err
}

// inlineConfig lets the inline verdict judge what the door would refuse.
const inlineConfig = "[inline]\nports = \"open\"\n[door]\nraw = \"log\"\n"

// inlineVerdict: the kernel's own expression queues SYNs to services, and all SYNs of a scan
// are turned away.
func inlineVerdict(l *lab.Lab) (string, error) { return turnedAway(l, "(nft_queue)") }

// turnedAway is inlineVerdict with the expression that status must name.
func turnedAway(l *lab.Lab, by string) (string, error) {
	web, err := l.Target.Listen("tcp", 80)
	if err != nil {
		return "", err
	}
	defer web.Close()
	d, err := start(l, lab.Options{Config: inlineConfig, User: nobody})
	if err != nil {
		return "", err
	}
	line, status := "; 0 turned away", ""
	// On an emulated machine a SYN may time out before its verdict.
	for i := 5; i < 10 && strings.Contains(line, "; 0 turned away"); i++ {
		for _, from := range []netip.Addr{lab.Source4(i), lab.Source6(i)} {
			if _, err := scan(l, from); err != nil {
				return "", err
			}
		}
		if status, err = d.Cmd("status"); err != nil {
			return "", err
		}
		line = regexp.MustCompile(`(?m)^ *inline .*`).FindString(status)
	}
	if !strings.Contains(line, by) || strings.Contains(line, "; 0 turned away") {
		return "", fmt.Errorf("want %s, and SYNs turned away:\n%s", by, status)
	}
	to := netip.AddrPortFrom(l.Target.V4, 80)
	if !l.Attacker.Reaches(lab.Source4(2), to, patience) {
		return "", errors.New("a client is not served")
	}
	return strings.TrimSpace(line), d.Stop()
}

// inlineWithout: without the expression of nf_tables, that of iptables is used. Without the
// queue, only the inline verdict is lost, and status says so.
func inlineWithout(l *lab.Lab) (string, error) {
	if err := lose("nft_queue"); err != nil {
		return "", err
	}
	// The kernel does not load modules of iptables for the family inet
	// (net/netfilter/x_tables.c, xt_prefix).
	if out, err := exec.Command("modprobe", "xt_NFQUEUE").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	notes, err := turnedAway(l, "(xt_NFQUEUE)")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("modprobe", "-r", "xt_NFQUEUE").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	if err := lose("nfnetlink_queue"); err != nil {
		return "", err
	}
	d, err := start(l, lab.Options{Config: inlineConfig})
	if err != nil {
		return "", err
	}
	if _, err := blockedByScan(l, d, lab.Source4(3)); err != nil {
		return "", err
	}
	status, err := d.Cmd("status")
	if err != nil || !strings.Contains(status, "off, every SYN to a service passes at once: ") ||
		!strings.Contains(status, "nfnetlink_queue") {
		return "", fmt.Errorf("want the missing module: %v\n%s", err, status)
	}
	return notes, d.Stop()
}

// lose unloads and deletes a module.
func lose(module string) error {
	// A namespace holds its modules for a moment after its end.
	for limit := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		out, err := exec.Command("modprobe", "-r", module).CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	files, err := filepath.Glob("/lib/modules/*/kernel/net/netfilter/" + module + ".ko*")
	if err != nil || len(files) != 1 {
		return fmt.Errorf("the files of %s are %q", module, files)
	}
	return os.Remove(files[0])
}

// missingModule: the error names a missing module. This is the last check: the module cannot
// come back.
func missingModule(l *lab.Lab) (string, error) {
	const module = "nft_fib_inet"
	if err := lose(module); err != nil {
		return "", err
	}
	_, err := start(l, lab.Options{})
	if !errors.Is(err, lab.ErrEnded) || !strings.Contains(err.Error(), "these modules: "+module+";") {
		return "", fmt.Errorf("without %s picket says %v; want its name", module, err)
	}
	return strings.TrimSpace(err.Error()), nil
}
