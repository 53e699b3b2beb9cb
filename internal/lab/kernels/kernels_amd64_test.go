// SPDX-License-Identifier: MIT

package kernels

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// packages are the names of the kernels to boot: one, unless "make kernels" names them all in
// PICKET_KERNELS.
func packages() []string {
	if names := strings.Fields(os.Getenv("PICKET_KERNELS")); len(names) > 0 {
		return names
	}
	return []string{"linux-image-cloud-amd64"}
}

// limit bounds one machine. It takes some two minutes on an idle host.
const limit = 10 * time.Minute

// TestKernels: picket works on Debian's own kernels.
func TestKernels(t *testing.T) {
	dir := t.TempDir()
	guest, picket := filepath.Join(dir, "guest"), filepath.Join(dir, "picket")
	build(t, guest, "..", "./kernels/guest")
	build(t, picket, "../../..", "./cmd/picket")
	for _, name := range packages() {
		t.Run(name, func(t *testing.T) {
			deb, err := fetch(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(t.TempDir(), "root")
			kernel, i, err := newImage(root, deb, guest, picket, "../../../units")
			if err != nil {
				t.Fatal(err)
			}
			initrd := i.root + ".cpio"
			if err := store(i, initrd); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			said, err := boot(ctx, kernel, initrd, func(r Report) {
				t.Logf("%s: %s, %.1f s: %s", filepath.Base(kernel), r.Check, r.Seconds, r.Notes)
				if r.Error != "" {
					t.Errorf("%s: %s", r.Check, r.Error)
				}
			})
			t.Logf("%s: the machine was on for %.0f s", filepath.Base(kernel), time.Since(began).Seconds())
			if err != nil || t.Failed() {
				t.Errorf("%v; the machine said:\n%s", err, said)
			}
		})
	}
}

// build builds one of our programs, for a machine without libraries.
func build(t *testing.T, path, module, name string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-C", module, "-buildvcs=false", "-o", path, name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
}

// store writes an image to a file.
func store(i image, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(i.write(w), w.Flush(), f.Close())
}

// fetch downloads the kernel for the name of a package, or of a metapackage for the newest. A
// file in bin/kernels is not downloaded again. Missing or old lists are renewed.
func fetch(ctx context.Context, name string) (deb string, err error) {
	dir, err := filepath.Abs("../../../bin/kernels")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if deb, err = download(ctx, dir, name); err == nil {
		return deb, nil
	}
	if out, err := exec.CommandContext(ctx, "apt-get", "update", "-qq").CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get update: %w: %s", err, out)
	}
	return download(ctx, dir, name)
}

func download(ctx context.Context, dir, name string) (deb string, err error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", name).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache knows no package %s: %w", name, err)
	}
	if m := regexp.MustCompile(`(?m)^ +Depends: (linux-image-\S+)$`).FindSubmatch(out); m != nil {
		name = string(m[1])
	}
	pattern := filepath.Join(dir, name+"_*.deb")
	if deb, err = only(pattern); err == nil {
		return deb, nil
	}
	cmd := exec.CommandContext(ctx, "apt-get", "download", "-qq", name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get download %s: %w: %s", name, err, out)
	}
	return only(pattern)
}
