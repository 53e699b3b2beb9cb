// SPDX-License-Identifier: MIT

package kernels

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are this machine's programs for the guest, with their libraries.
var programs = []string{"sh", "cat", "rm", "mount", "ip", "nft", "nmap", "setpriv", "modprobe",
	"ipvsadm"}

// files are this machine's other files for the guest.
var files = []string{"/usr/share/nmap/nmap-services", "/usr/share/nmap/nmap-payloads",
	"/usr/share/nmap/nmap-protocols", "/etc/protocols"}

// modules are the folders of the kernel's package in the image, below
// lib/modules/RELEASE/kernel.
var modules = []string{"net/core", "net/netfilter", "net/ipv4", "net/ipv6", "net/netlink", "net/unix",
	"drivers/net/veth.ko*", "lib", "crypto"}

// An image is a file system to boot into.
type image struct{ root string }

// newImage fills a folder: the guest as init, picket, the modules of the kernel's package, and
// what the programs need.
func newImage(root, deb, guest, picket, units string) (kernel string, _ image, err error) {
	i := image{root}
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "etc", "usr"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return "", i, err
		}
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} { // as in Debian, they lie in usr
		err := os.Mkdir(filepath.Join(root, "usr", dir), 0o755)
		if err = errors.Join(err, os.Symlink("usr/"+dir, filepath.Join(root, dir))); err != nil {
			return "", i, err
		}
	}
	for from, to := range map[string]string{
		guest: "/init", picket: "/usr/bin/picket",
		filepath.Join(units, "picket.modules"): "/usr/lib/modules-load.d/picket.conf",
		filepath.Join(units, "picket.service"): "/usr/lib/systemd/system/picket.service",
	} {
		if err := i.copy(from, to); err != nil {
			return "", i, err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/resolv.conf"), nil, 0o644); err != nil {
		return "", i, err
	}
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", i, err
		}
		if err := i.program(path); err != nil {
			return "", i, err
		}
	}
	for _, path := range files {
		if err := i.copy(path, path); err != nil {
			return "", i, err
		}
	}
	kernel, err = i.unpack(deb)
	return kernel, i, err
}

// copy copies a file of this machine; links are followed.
func (i image) copy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	to = filepath.Join(i.root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// program copies a program and its libraries to the same paths. ldd prints "name => path
// (address)", or "path (address)" for the loader.
func (i image) program(path string) error {
	if err := i.copy(path, path); err != nil {
		return err
	}
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", path, err)
	}
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if !filepath.IsAbs(word) {
				continue
			}
			if _, err := os.Stat(filepath.Join(i.root, word)); err == nil {
				continue
			}
			if err := i.copy(word, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack takes the modules out of a kernel's package, and returns the path of the kernel beside
// the image.
func (i image) unpack(deb string) (kernel string, err error) {
	beside := i.root + "-kernel"
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return "", err
	}
	list := "./boot/vmlinuz-* ./lib/modules/*/modules.*"
	for _, m := range modules {
		list += " ./lib/modules/*/kernel/" + m
	}
	unpack := fmt.Sprintf("set -f; dpkg --fsys-tarfile %q | tar -x -C %q --wildcards %s", deb, beside, list)
	if out, err := exec.Command("sh", "-ec", unpack).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", deb, err, out)
	}
	if err := os.Rename(filepath.Join(beside, "lib/modules"),
		filepath.Join(i.root, "lib/modules")); err != nil {
		return "", err
	}
	release, err := only(filepath.Join(i.root, "lib/modules/*"))
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("depmod", "-b", i.root, filepath.Base(release)).CombinedOutput(); err != nil {
		return "", fmt.Errorf("depmod: %w: %s", err, out)
	}
	return only(filepath.Join(beside, "boot/*"))
}

// only returns the single path that matches a pattern.
func only(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s: found %q, want one", pattern, found)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// write writes the image as an archive for the kernel
// (Documentation/driver-api/early-userspace/buffer-format.rst).
func (i image) write(w io.Writer) error {
	number := 0
	entry := func(name string, mode uint32, size int64) error {
		number++
		header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
		_, err := io.WriteString(w, header+name+strings.Repeat("\x00", 1+pad(len(header)+len(name)+1)))
		return err
	}
	err := filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == i.root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(i.root, path) // it is below, so no error
		if d.IsDir() {
			return entry(name, 0o040000|uint32(info.Mode().Perm()), 0)
		}
		mode, b := 0o100000|uint32(info.Mode().Perm()), []byte(nil)
		if d.Type() == fs.ModeSymlink {
			var target string
			target, err = os.Readlink(path)
			mode, b = 0o120777, []byte(target)
		} else {
			b, err = os.ReadFile(path)
		}
		if err != nil {
			return err
		}
		if err := entry(name, mode, int64(len(b))); err != nil {
			return err
		}
		_, err = w.Write(append(b, make([]byte, pad(len(b)))...))
		return err
	})
	if err != nil {
		return err
	}
	return entry("TRAILER!!!", 0, 0)
}

// pad is the number of bytes missing to a multiple of four.
func pad(n int) int { return -n & 3 }
