// SPDX-License-Identifier: MIT

package show

import (
	"fmt"
	"time"
)

// Stamp writes a time in the local zone.
func Stamp(t time.Time) string { return t.Local().Format(time.DateTime) }

// Seconds writes a length of time to the second, a negative one as 0.
func Seconds(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// Stretch writes a length of time as exactly as it matters.
func Stretch(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Microsecond).String()
	case d < 48*time.Hour:
		return d.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// Ago writes the age of something in its largest unit: "3h ago".
func Ago(d time.Duration) string {
	for _, u := range [...]struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.of {
			return fmt.Sprintf("%d%s ago", d/u.of, u.name)
		}
	}
	return fmt.Sprintf("%ds ago", max(0, d/time.Second))
}
