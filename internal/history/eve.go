// SPDX-License-Identifier: MIT

package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// An eveAlert is Suricata's alert record (its userguide, "EVE JSON Format",
// event_type alert), with the fields that picket can fill.
type eveAlert struct {
	Timestamp string   `json:"timestamp"`
	Type      string   `json:"event_type"`
	Interface string   `json:"in_iface,omitempty"`
	Source    string   `json:"src_ip"`
	Port      uint16   `json:"src_port,omitempty"`
	Dest      string   `json:"dest_ip,omitempty"`
	DestPort  uint16   `json:"dest_port,omitempty"`
	Protocol  string   `json:"proto,omitempty"`
	Alert     eveCause `json:"alert"`
	Host      string   `json:"host,omitempty"`
}

// An eveCause is the alert object in it.
type eveCause struct {
	Action    string              `json:"action"` // "blocked" or "allowed"
	Generator int                 `json:"gid"`
	ID        int                 `json:"signature_id"`
	Revision  int                 `json:"rev"`
	Signature string              `json:"signature"`
	Category  string              `json:"category"`
	Severity  int                 `json:"severity"`
	Metadata  map[string][]string `json:"metadata,omitempty"`
}

// eveGenerator is the number of picket's signatures; Suricata's own have 1, its
// decoders others.
const eveGenerator = 7425

// eveSignatures numbers picket's alerts; 0 is any other probe.
var eveSignatures = []string{"probe", "portscan", "sweep", "slowscan", "distributed", "decoy", "flood",
	"backscatter"}

// appendEVE writes a record as a Suricata alert. Category and severity are those
// of attempted-recon in Suricata's classification.config; a proven source has the
// highest severity. The time is UTC: CrowdSec's parser takes any for it.
func appendEVE(b []byte, r Record) ([]byte, error) {
	e := &r.Event
	id := 0
	for i, name := range eveSignatures {
		if name == e.Pattern {
			id = i
		}
	}
	a := eveAlert{
		Timestamp: e.Time.UTC().Format("2006-01-02T15:04:05.000000-0700"), Type: "alert",
		Interface: e.Interface,
		Source:    r.Address.String(), Port: e.SourcePort, DestPort: e.Port,
		Protocol: strings.ToUpper(e.Protocol), Host: r.Name,
		Alert: eveCause{
			Action: "allowed", Generator: eveGenerator, ID: id, Revision: 1,
			Category: "Attempted Information Leak", Severity: 2,
			Signature: fmt.Sprintf("picket %s %s", eveSignatures[id], cmp.Or(e.Technique, "unknown")),
			Metadata:  map[string][]string{"reason": {cmp.Or(e.Evidence, e.Reason)}},
		},
	}
	if e.Destination.IsValid() {
		a.Dest = e.Destination.String()
	}
	if e.Event == "block" {
		a.Alert.Action = "blocked"
	}
	if e.Proven {
		a.Alert.Severity = 1
	}
	if e.Tool != "" {
		a.Alert.Metadata["tool"] = []string{e.Tool}
	}
	line, err := json.Marshal(a)
	if err != nil {
		return b, fmt.Errorf("write history: %w", err)
	}
	return append(append(b, line...), '\n'), nil
}
