// SPDX-License-Identifier: MIT

package config

// Trap is section [trap]: how connections to classic ports are answered.
type Trap struct {
	Port        uint16   `json:"port"` // 0 for any free one
	Banner      string   `json:"banner"`
	Connections int      `json:"connections"`
	Time        Duration `json:"time"`
	Bytes       int      `json:"bytes"`
}

func (t *Trap) read(s *section) {
	number(s, "port", &t.Port, 0, 65535)
	s.text("banner", &t.Banner, 1024)
	number(s, "connections", &t.Connections, 1, 4096)
	s.duration("time", &t.Time, "100ms", "1m")
	number(s, "bytes", &t.Bytes, 0, 4096)
	s.end()
}
