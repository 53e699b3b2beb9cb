// SPDX-License-Identifier: MIT

package control

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A block's line is that of encoding/json: with each field set, alone and with the others, and
// with each text that it writes in another way.
func TestBlockLine(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 123456000, time.FixedZone("", -5400))
	values := map[reflect.Kind][]any{
		reflect.Bool: {true}, reflect.Int64: {int64(-1 << 63), int64(86400)}, reflect.Uint64: {^uint64(0)},
		reflect.Struct: {at, at.UTC(), at.Truncate(time.Second), at.Local(), time.Unix(1<<40, 0)},
		reflect.String: {"192.0.2.9", "a \"b\"\\c/", "a\x00\x1f\x7f\n", "<&>", "héllo 日本\u2028",
			"\xff\xed\xa0\x80"},
	}
	fields := reflect.VisibleFields(reflect.TypeFor[Block]())
	var all Block
	compare := func(b *Block) {
		t.Helper()
		want, failed := json.Marshal(b)
		got, err := b.appendJSON([]byte("before"))
		if (err == nil) != (failed == nil) || err == nil && string(got) != "before"+string(want)+"\n" {
			t.Errorf("%+v: %v\n%q, want %v\n%q", b, err, got, failed, want)
		}
	}
	compare(&all)
	for _, f := range fields {
		if f.Tag.Get("json") == "-" {
			continue
		}
		list := values[f.Type.Kind()]
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() || list == nil {
			t.Fatalf("no value for the field %s", f.Name)
		}
		for _, v := range list {
			var one Block
			reflect.ValueOf(&one).Elem().FieldByIndex(f.Index).Set(reflect.ValueOf(v).Convert(f.Type))
			compare(&one)
		}
		reflect.ValueOf(&all).Elem().FieldByIndex(f.Index).Set(reflect.ValueOf(list[0]).Convert(f.Type))
		compare(&all)
	}
}

// FuzzText: a text in quotes is that of encoding/json.
func FuzzText(f *testing.F) {
	f.Add("above the trigger")
	f.Add("a\"\\<&>\x00\x7f\u2028\xff日")
	f.Fuzz(func(t *testing.T, s string) {
		var want strings.Builder
		if err := json.NewEncoder(&want).Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := string(appendText(nil, s)) + "\n"; got != want.String() {
			t.Errorf("%q is %s, want %s", s, got, &want)
		}
	})
}

func BenchmarkBlockLine(b *testing.B) {
	now := time.Now()
	block := Block{
		Name: "192.0.2.9", Response: "block", Expires: now.Add(time.Hour), Remaining: 3600, Since: now,
		Reason: "above the trigger", Evidence: "26 different ports, 25 let pass", Pattern: "portscan",
		Technique: "syn", Proven: true, Drops: 4711,
	}
	b.Run("append", func(b *testing.B) {
		var line []byte
		for b.Loop() {
			line, _ = block.appendJSON(line[:0])
		}
	})
	b.Run("json", func(b *testing.B) {
		var out strings.Builder
		e := json.NewEncoder(&out)
		for b.Loop() {
			out.Reset()
			_ = e.Encode(&block)
		}
	})
}
