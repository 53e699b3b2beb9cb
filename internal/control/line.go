// SPDX-License-Identifier: MIT

package control

import (
	"encoding/json"
	"strconv"
	"time"
)

// appendJSON appends the block as encoding/json writes it, and a line's end. A list may have
// 260,000 of them: this takes 0.2 µs and leaves no garbage, the package 1.2 µs and 400 bytes.
func (b *Block) appendJSON(to []byte) ([]byte, error) {
	to = appendText(append(to, `{"source":`...), b.Name)
	to = appendText(append(to, `,"response":`...), b.Response)
	to, err := appendTime(append(to, `,"expires":`...), b.Expires)
	if err != nil {
		return nil, err
	}
	to = strconv.AppendInt(append(to, `,"remaining_s":`...), b.Remaining, 10)
	if to, err = appendTime(append(to, `,"since":`...), b.Since); err != nil {
		return nil, err
	}
	to = appendText(append(to, `,"reason":`...), b.Reason)
	if b.Evidence != "" {
		to = appendText(append(to, `,"evidence":`...), b.Evidence)
	}
	to = appendText(append(to, `,"pattern":`...), b.Pattern)
	to = appendText(append(to, `,"technique":`...), b.Technique)
	to = strconv.AppendBool(append(to, `,"proven":`...), b.Proven)
	to = strconv.AppendUint(append(to, `,"drops":`...), b.Drops, 10)
	if b.Known != "" {
		to = appendText(append(to, `,"known":`...), b.Known)
	}
	if b.Country != "" {
		to = appendText(append(to, `,"country":`...), b.Country)
	}
	return append(to, "}\n"...), nil
}

// appendText appends a text in quotes.
func appendText(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string never fails
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

// appendTime appends a time in quotes. A year of five digits has no form in JSON.
func appendTime(to []byte, t time.Time) ([]byte, error) {
	to, err := t.AppendText(append(to, '"'))
	return append(to, '"'), err
}
