// SPDX-License-Identifier: MIT

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// trackingFiles is the directory of connection tracking's settings and counts.
const trackingFiles = "/proc/sys/net/netfilter"

// Tracking returns an error if connection tracking is nearly full: the kernel then
// drops new connections, and earlier flows may not be known. Without connection
// tracking there is no error. It reads the calling thread's network namespace.
func Tracking() error { return tracking(trackingFiles) }

func tracking(dir string) error {
	number := func(name string) int {
		b, _ := os.ReadFile(filepath.Join(dir, name)) // without the file nothing is tracked
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	n, most := number("nf_conntrack_count"), number("nf_conntrack_max")
	if most == 0 || n < most/20*19 {
		return nil
	}
	return fmt.Errorf("%d of %d entries are in use: new connections are dropped, and peers with one may not "+
		"be spared; "+
		"raise net.netfilter.nf_conntrack_max (sysctl), or look with \"conntrack -S\" for who fills it", n,
		most)
}
