// SPDX-License-Identifier: MIT

package answers

import "regexp"

// Errors of cobra about flags, and what they are in plain words. They are compiled only for an error.
var misuses = [...]struct{ of, in string }{
	{`^if any flags in the group \[([\w-]+) ([\w-]+)\] are set none .*$`, "--$1 and --$2 do not go together"},
	{`^invalid argument (".*") for "(--[\w-]+)" flag: strconv\.ParseBool: .*$`, "$2: $1: want true or false"},
	{`^invalid argument (".*") for "(--[\w-]+)" flag: strconv\.ParseInt: .*$`, "$2: $1: want a whole number"},
}

// Misuse returns the text of an error, in plain words if it is one of cobra's about a flag.
func Misuse(err error) string {
	text := err.Error()
	for _, m := range misuses {
		text = regexp.MustCompile(m.of).ReplaceAllString(text, m.in)
	}
	return text
}
