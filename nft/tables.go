// SPDX-License-Identifier: MIT

package nft

import "github.com/google/nftables"

// Tables returns the tables of everybody, by family and name: "inet filter".
func Tables() (names []string, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, explain("open nftables", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, explain("list tables", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
		nftables.TableFamilyARP: "arp", nftables.TableFamilyBridge: "bridge",
		nftables.TableFamilyNetdev: "netdev",
	}
	for _, t := range tables {
		names = append(names, families[t.Family]+" "+t.Name)
	}
	return names, nil
}
