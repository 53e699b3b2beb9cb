// SPDX-License-Identifier: MIT

package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"picket/internal/gunzip"
)

// ErrNoLog says that a file holds no line of the kernel's packet log.
var ErrNoLog = errors.New("no packet log line in it (want lines of iptables LOG, nftables log or UFW: " +
	"IN=... SRC=... DST=... PROTO=...)")

// ErrNoTime says that no line of a log has a date.
var ErrNoTime = errors.New("its lines have no date: want those of syslog, \"journalctl -k\" or \"dmesg -T\"")

// maxLine is the longest log line read, in bytes; the kernel's end at 1,024 (LOG_LINE_MAX
// in kernel/printk). A longer one is passed over.
const maxLine = 8 << 10

// Log makes a capture of a firewall's log, plain or gzip. Each line of the kernel's
// packet log (net/netfilter/nf_log_syslog.c) is a packet on a Linux cooked link, cut
// behind its transport header; fields that the line lacks are those of most senders.
// Other lines are passed over. Syslog's classic stamp has no year, so opening the capture
// reads the source once more: the last line is taken to be no later than modified.
func Log(s Source, modified time.Time) Source {
	return Source{Name: s.Name, Open: func() (io.ReadCloser, error) {
		years, err := surveyLog(s.Open)
		if err != nil {
			return nil, err
		}
		in, err := openLog(s.Open)
		if err != nil {
			return nil, err
		}
		l := &logReader{in: in, clock: logClock{year: modified.Year() - years, zone: modified.Location()}}
		l.clock.latest = modified.Add(24 * time.Hour)
		l.out.Write(logHeader)
		return l, nil
	}}
}

// logHeader begins a pcap of nanoseconds on a Linux cooked link.
var logHeader = func() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b23c4d)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, maxPacket)
	return binary.LittleEndian.AppendUint32(b, linkCooked)
}()

// A logLines reads the lines of a log that are the kernel's packet log.
type logLines struct {
	b      *bufio.Reader
	closer io.Closer
}

func openLog(open func() (io.ReadCloser, error)) (*logLines, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	b, err := gunzip.Reader(bufio.NewReaderSize(f, maxLine))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%w gzip: %v", ErrCorrupt, err)
	}
	return &logLines{b, f}, nil
}

// next returns the text before the packet in the next line of the packet log, and the
// packet's words from "IN=" on; io.EOF after the last line.
func (l *logLines) next() (before, words string, err error) {
	for {
		line, err := l.b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = l.b.ReadSlice('\n')
			}
			line = nil
		}
		if i := bytes.Index(line, []byte("IN=")); i >= 0 && bytes.Contains(line[i:], []byte(" OUT=")) &&
			bytes.Contains(line[i:], []byte(" SRC=")) {
			return string(line[:i]), strings.TrimRight(string(line[i:]), "\r\n"), nil
		}
		if err != nil {
			return "", "", err
		}
	}
}

// surveyLog reads a log once and counts the ends of years in it.
func surveyLog(open func() (io.ReadCloser, error)) (years int, err error) {
	l, err := openLog(open)
	if err != nil {
		return 0, err
	}
	defer l.closer.Close()
	clock := logClock{year: 2000, zone: time.UTC} // a leap year: it has every day
	lines, dated := 0, 0
	for {
		before, _, err := l.next()
		if err != nil {
			switch {
			case !errors.Is(err, io.EOF):
				return 0, err
			case lines == 0:
				return 0, ErrNoLog
			case dated == 0:
				return 0, ErrNoTime
			}
			return clock.year - 2000, nil
		}
		lines++
		if _, ok := clock.read(before); ok {
			dated++
		}
	}
}

// A logReader makes a pcap of a log while it is read.
type logReader struct {
	in    *logLines
	clock logClock
	out   bytes.Buffer
}

// Read implements io.Reader.
func (l *logReader) Read(b []byte) (int, error) {
	for l.out.Len() == 0 {
		before, words, err := l.in.next()
		if err != nil {
			return 0, err
		}
		at, ok := l.clock.read(before)
		if !ok {
			continue
		}
		var p logPacket
		frame := p.frame(words)
		if frame == nil {
			continue
		}
		head := binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))
		head = binary.LittleEndian.AppendUint32(head, uint32(at.Nanosecond()))
		head = binary.LittleEndian.AppendUint32(head, uint32(len(frame)))
		head = binary.LittleEndian.AppendUint32(head, uint32(len(frame)))
		l.out.Write(head)
		l.out.Write(frame)
	}
	return l.out.Read(b)
}

// Close implements io.Closer.
func (l *logReader) Close() error { return l.in.closer.Close() }

// A logClock reads the stamps of a log's lines, in order.
type logClock struct {
	year   int
	zone   *time.Location
	latest time.Time // no classic stamp is later than that; zero for no bound
	last   time.Time
}

// read returns the time at the beginning of a line: RFC 3339 as rsyslog and
// "journalctl -o short-iso" write it, syslog's classic "Jan _2 15:04:05" (RFC
// 3164, 4.1.2), or "[Mon Jan _2 15:04:05 2006]" of "dmesg -T".
func (c *logClock) read(line string) (time.Time, bool) {
	if rest, ok := strings.CutPrefix(line, "["); ok {
		stamp, _, _ := strings.Cut(rest, "]")
		t, err := time.ParseInLocation(time.ANSIC, stamp, c.zone)
		return t, err == nil && inPcap(t)
	}
	word, _, _ := strings.Cut(line, " ")
	for _, form := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700"} {
		if t, err := time.Parse(form, word); err == nil {
			return t, inPcap(t)
		}
	}
	if len(line) < len(time.Stamp) {
		return time.Time{}, false
	}
	t, err := time.Parse("2006 "+time.Stamp, "2000 "+line[:len(time.Stamp)])
	if err != nil {
		return t, false
	}
	t = c.dated(t)
	// A step back of half a year or more begins the next year.
	if !c.last.IsZero() && c.last.Sub(t) > 183*24*time.Hour {
		c.year++
		t = c.dated(t)
	}
	if !c.latest.IsZero() && t.After(c.latest) {
		c.year--
		t = c.dated(t)
	}
	c.last = t
	return t, inPcap(t)
}

// dated puts a classic stamp into the present year and zone.
func (c *logClock) dated(t time.Time) time.Time {
	return time.Date(c.year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, c.zone)
}

// inPcap reports whether a pcap can hold a time: its seconds have 32 bits.
func inPcap(t time.Time) bool { return t.Unix() >= 0 && t.Unix() < 1<<32 }

// NamedLog is the log in a file, or for "-" on standard input: [Log] of [Named].
func NamedLog(name string) (Source, error) {
	s, err := Named(name)
	if err != nil {
		return s, err
	}
	modified := time.Now()
	if f, err := s.Open(); err == nil {
		if info, ok := f.(interface{ Stat() (fs.FileInfo, error) }); ok {
			if i, err := info.Stat(); err == nil {
				modified = i.ModTime()
			}
		}
		f.Close()
	}
	return Log(s, modified), nil
}
