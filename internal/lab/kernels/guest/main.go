// SPDX-License-Identifier: MIT

// Guest is the first and only program of a machine of lab/kernels: it tries picket on that
// machine's kernel, reports each check in a line on the console, and switches the machine
// off.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/lab"
	"picket/internal/lab/kernels"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of a virtual machine, and runs in none else")
		os.Exit(2)
	}
	tell := func(name string, began time.Time, notes string, err error) {
		r := kernels.Report{Check: name, Seconds: time.Since(began).Seconds(), Notes: notes}
		if err != nil {
			r.Error = err.Error()
		}
		line, _ := json.Marshal(r) // strings and a number
		fmt.Printf("\n%s%s\n", kernels.Mark, line)
	}
	began := time.Now()
	err := prepare()
	tell("prepare", began, "", err)
	for _, c := range checks {
		if err != nil {
			break
		}
		began := time.Now()
		notes, checkErr := try(c.run)
		if calls := asked(); checkErr == nil && calls != "" && !c.asks {
			checkErr = fmt.Errorf("modprobe ran %d times:\n%s", strings.Count(calls, "\n")+1, calls)
		}
		tell(c.name, began, notes, checkErr)
	}
	tell("", began, "", nil)
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// modprobes records the kernel's calls of modprobe, a line each.
const modprobes = "/run/modprobes"

// prepare mounts a system's usual file systems, and has the kernel's calls of modprobe
// recorded.
func prepare() error {
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	for _, m := range []struct{ what, where string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := unix.Mount(m.what, m.where, m.what, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	// The lab needs this, picket does not.
	if out, err := exec.Command("modprobe", "veth").CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe: %w: %s", err, out)
	}
	const counter = "#!/bin/sh\necho \"$@\" >> " + modprobes + "\nexec /sbin/modprobe \"$@\"\n"
	if err := os.WriteFile("/run/counter", []byte(counter), 0o755); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/kernel/modprobe", []byte("/run/counter"), 0)
}

// asked returns the calls of modprobe since the last time.
func asked() string {
	b, _ := os.ReadFile(modprobes) // no file before the first call
	os.Remove(modprobes)
	return strings.TrimSpace(string(b))
}

// load loads the modules of the package as systemd does at boot. A module of the list must
// exist; one of modprobe@.service may be built in.
func load() error {
	list, err := listed()
	if err != nil {
		return err
	}
	if out, err := exec.Command("modprobe", append([]string{"-a"}, list...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe: %w: %s", err, out)
	}
	unit, err := os.ReadFile("/usr/lib/systemd/system/picket.service")
	if err != nil {
		return err
	}
	wanted := regexp.MustCompile(`(?m)^Wants=modprobe@(\w+)\.service$`)
	for _, m := range wanted.FindAllStringSubmatch(string(unit), -1) {
		exec.Command("modprobe", "-abq", m[1]).Run() // systemd ignores the result too
	}
	return nil
}

// listed returns the modules of modules-load.d.
func listed() ([]string, error) {
	conf, err := os.ReadFile("/usr/lib/modules-load.d/picket.conf")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(conf)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	return names, nil
}

// try runs a check in a lab of its own.
func try(check func(*lab.Lab) (string, error)) (notes string, err error) {
	l, err := lab.New()
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := l.Close(); err == nil {
			err = closeErr
		}
	}()
	asked()
	return check(l)
}
