// SPDX-License-Identifier: MIT

package host

import (
	"fmt"
	"testing"
)

func TestIPVS(t *testing.T) {
	const list = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000207:0050 rr
  -> CB007109:0050      Masq    1      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0007]:0035 rr
TCP  C0000207:01BB rr
TCP  C0000208:0000 rr persistent 360
TCP  C0000209:0015 rr
SCTP C0000209:0050 rr
FWM  00000001 rr
TCP  nonsense rr
TCP  C0000207:10000 rr
TCP  C00002:0050 rr
`
	const want = "{[192.0.2.7/32 192.0.2.8/32 192.0.2.9/32 2001:db8::7/128] " +
		"map[6:[192.0.2.7:80 192.0.2.7:443 192.0.2.8:0 192.0.2.9:21] 17:[[2001:db8::7]:53] " +
		"132:[192.0.2.9:80]] [192.0.2.7/32 2001:db8::7/128]}"
	if got := fmt.Sprint(ipvs([]byte(list))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestBlank: addresses of kube-proxy's interface are found without IPVS, and without their
// services.
func TestBlank(t *testing.T) {
	inNetns(t, "link add kube-ipvs0 type veth peer kube1\naddr add 192.0.2.7/32 dev kube-ipvs0\n"+
		"addr add 2001:db8::7/128 dev kube-ipvs0\nlink set kube-ipvs0 up\n")
	if got, want := fmt.Sprint(Virtuals()), "{[192.0.2.7/32 2001:db8::7/128] map[] []}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
