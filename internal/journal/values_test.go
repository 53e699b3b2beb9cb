// SPDX-License-Identifier: MIT

package journal

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/event"
	"picket/internal/show"
)

// hostile has every kind of character that JSON or a terminal treats specially.
const hostile = "a\nMESSAGE=x\x00\x1b[2J\x7f\u0085\u2028\u202e\u2069\ufffd\xff\xc3 <&>\"\\ é😀"

// set gives a field of an event a value other than zero.
func set(t *testing.T, f reflect.Value, text string) {
	t.Helper()
	switch x := f.Addr().Interface().(type) {
	case *string:
		*x = text
	case *[]string:
		*x = []string{text, "", "tcp/22"}
	case *bool:
		*x = true
	case *uint16:
		*x = 65535
	case *uint32:
		*x = 1<<32 - 1
	case *uint64:
		*x = 1 << 53 // what JSON has as it is
	case *event.Seconds:
		*x = event.Seconds(time.Hour + time.Millisecond)
	case *time.Time:
		*x = time.Date(2026, 2, 3, 4, 5, 6, 70_000, time.FixedZone("", -5400))
	case *netip.Addr:
		*x = netip.MustParseAddr("fe80::1%" + strings.ReplaceAll(text, "\x00", ""))
	default:
		t.Fatalf("this test does not know %T: teach it, and values", x)
	}
}

// TestEveryField: every field of an event is in the journal under its JSON key,
// with the text that the JSON form has, whatever else the event says.
func TestEveryField(t *testing.T) {
	for _, text := range []string{"192.0.2.9", hostile} {
		var full event.Event
		same(t, full)
		for i, field := range reflect.VisibleFields(reflect.TypeFor[event.Event]()) {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if key == "" || key == "-" {
				t.Fatalf("%s has no JSON key", field.Name)
			}
			var alone event.Event
			set(t, reflect.ValueOf(&alone).Elem().Field(i), text)
			same(t, alone)
			alone.Source = "192.0.2.9" // a notice does not say whether its source is proven
			same(t, alone)
			if name := "PICKET_" + strings.ToUpper(key); Fields(alone)[name] == "" {
				t.Errorf("%s is not in the journal: there is no %s", field.Name, name)
			}
			set(t, reflect.ValueOf(&full).Elem().Field(i), text)
		}
		same(t, full)
	}
	same(t, event.Event{For: -1, Ports: []string{""}})
	same(t, event.Event{For: 1, Ports: []string{}})
}

// same compares both forms of an event with its JSON form.
func same(t *testing.T, e event.Event) {
	t.Helper()
	want := throughJSON(t, e)
	if got, want := Line(e), lineOf(want); got != want {
		t.Fatalf("line\n got %q\nwant %q", got, want)
	}
	fields := map[string]string{}
	for k, v := range want {
		fields["PICKET_"+strings.ToUpper(k)] = v
	}
	if got := Fields(e); !maps.Equal(got, fields) {
		t.Fatalf("fields\n got %q\nwant %q", got, fields)
	}
}

// throughJSON returns the keys and values of the event's JSON form, as text, without
// empty ones.
func throughJSON(t *testing.T, e event.Event) map[string]string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, value := range raw {
		switch v := value.(type) {
		case string:
			if v != "" {
				out[key] = show.Clean(v)
			}
		case float64:
			out[key] = strconv.FormatInt(int64(v), 10)
		case []any:
			items := make([]string, len(v))
			for i := range v {
				items[i] = show.Clean(fmt.Sprint(v[i]))
			}
			out[key] = strings.Join(items, " ")
		default:
			out[key] = fmt.Sprint(v)
		}
	}
	if e.Source == "" {
		delete(out, "proven")
	}
	return out
}

// lineOf orders values as a line does: the subject, then by name, the long ones last;
// the time is left out.
func lineOf(values map[string]string) string {
	first := strings.Fields("event source destination protocol port mode technique pattern action for_s " +
		"probes ports_seen")
	last := []string{"reason", "evidence", "config"}
	middle := slices.DeleteFunc(slices.Sorted(maps.Keys(values)), func(k string) bool {
		return slices.Contains(first, k) || slices.Contains(last, k) || k == "time"
	})
	var words []string
	for _, k := range slices.Concat(first, middle, last) {
		v, ok := values[k]
		if !ok {
			continue
		}
		if v == "" || strings.ContainsAny(v, " \"=") {
			v = strconv.Quote(v)
		}
		words = append(words, k+"="+v)
	}
	return strings.Join(words, " ")
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{0: "0th", 1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th",
		12: "12th", 13: "13th", 21: "21st", 101: "101st", 111: "111th", 1013: "1013th"} {
		if got := show.Ordinal(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
