// SPDX-License-Identifier: MIT

package resolve

import "strings"

// Clean returns a host name in lower case and without its final dot; ok is false if
// it is none by RFC 952 and RFC 1123, section 2.1: at most 253 bytes, labels of 1
// to 63 letters, digits and hyphens, with no hyphen first or last. The last label is
// not all digits: a name must not read like an IPv4 address (RFC 1123, 2.1), which
// would put somebody else's address into a log line. Unlike DNS itself it allows no
// underscore.
func Clean(name string) (host string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return "", false
	}
	name = strings.ToLower(name)
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return "", false
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return "", false
	}
	return name, true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
