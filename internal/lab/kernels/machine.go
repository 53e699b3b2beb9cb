// SPDX-License-Identifier: MIT

package kernels

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// A Report is the guest's result of one check.
type Report struct {
	Check   string  // its name; "" ends the list
	Error   string  // "" is success
	Seconds float64 // it took
	Notes   string  // what the check measured
}

// Mark begins a report, in JSON, on the console, which the kernel writes to too.
const Mark = "picket-guest: "

// errNotDone: the machine ended before its guest.
var errNotDone = errors.New("the machine ended before its last check")

// boot boots a kernel with an image and passes on the reports as they come. It returns the
// other output of the machine.
func boot(ctx context.Context, kernel, initrd string, report func(Report)) (said string, err error) {
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "2",
		"-m", "768", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-net", "none",
		"-kernel", kernel, "-initrd", initrd,
		"-append", "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init")
	cmd.WaitDelay = 5 * time.Second
	console, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return "", err
	}
	done := false
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	var rest strings.Builder
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), Mark)
		var r Report
		if !ok || json.Unmarshal([]byte(text), &r) != nil {
			rest.WriteString(lines.Text() + "\n")
			continue
		}
		if done = r.Check == ""; !done {
			report(r)
		}
	}
	err = cmd.Wait()
	if err == nil && !done {
		err = errNotDone
	}
	return rest.String() + complaints.String(), errors.Join(err, lines.Err())
}
