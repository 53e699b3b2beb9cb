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
FWM  00000001 rr
TCP  nonsense rr
`
	if got := fmt.Sprint(ipvs([]byte(list))); got != "[192.0.2.7/32 2001:db8::7/128]" {
		t.Errorf("got %s", got)
	}
}
