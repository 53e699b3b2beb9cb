// SPDX-License-Identifier: MIT

// Package lab builds small networks of real hosts for a real picket: network namespaces
// joined by veth pairs, with real listeners in them. It is a Go module of its own, so that
// the product's go.mod holds only the program's needs.
//
//	l, err := lab.New()
//	if err != nil {
//		return err
//	}
//	defer l.Close()
//	d, err := lab.Start(l.Target, lab.Options{Binary: "bin/picket"})
//	...
//	out, err := l.Attacker.Run("nmap", "-n", "-Pn", "-sS", "-p1-100", l.Target.V4.String())
//	b, err := d.WaitBlock(l.Attacker.V4, 3*time.Second)
//
// It touches nothing of the machine but its own: the names of its namespaces carry the
// process id and a counter, so that runs side by side do not collide, and the addresses are
// for documentation (RFC 5737, RFC 3849). All of it vanishes with the process, at any end: a
// small child waits for the end of its pipe and then cleans up.
//
// It needs root and iproute2; [Start] needs nftables' nft too.
package lab
