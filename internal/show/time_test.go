// SPDX-License-Identifier: MIT

package show

import (
	"testing"
	"time"
)

func TestLengthsOfTime(t *testing.T) {
	for _, test := range []struct {
		write func(time.Duration) string
		d     time.Duration
		want  string
	}{
		{Stretch, 0, "0s"},
		{Stretch, 331456 * time.Nanosecond, "331µs"},
		{Stretch, 26502*time.Hour + 14*time.Minute, "1104.3 days"},
		{Stretch, 90*time.Minute + 1234567, "1h30m0.001s"},
		{Seconds, -time.Second, "0s"},
		{Seconds, 61*time.Second + 600*time.Millisecond, "1m2s"},
		{Ago, -time.Second, "0s ago"},
		{Ago, 59 * time.Second, "59s ago"},
		{Ago, 119 * time.Minute, "1h ago"},
		{Ago, 49 * time.Hour, "2d ago"},
	} {
		if got := test.write(test.d); got != test.want {
			t.Errorf("%v is written %q, want %q", test.d, got, test.want)
		}
	}
}

func TestStampIsLocal(t *testing.T) {
	at := time.Date(2026, 11, 29, 20, 15, 1, 5e8, time.Local)
	if got := Stamp(at.UTC()); got != "2026-11-29 20:15:01" {
		t.Error(got)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "",
		"GET / \"x\"\r\n\x1b\xff\u00e4": `GET / \"x\"\r\n\x1b\xff\u00e4`} {
		if got := Quote([]byte(in)); got != want {
			t.Errorf("%q is quoted %q, want %q", in, got, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, test := range []struct {
		country string
		asn     uint32
		network string
		want    string
	}{
		{"NL", 64496, "Example Networks", "NL AS64496 Example Networks"}, {"", 64496, "", "AS64496"},
		{"NL", 0, "unnumbered", "NL"}, {"", 0, "", ""},
	} {
		if got := Origin(test.country, test.asn, test.network); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
