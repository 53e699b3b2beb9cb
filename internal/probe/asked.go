// SPDX-License-Identifier: MIT

package probe

// Asks returns what the request for a port that nobody serves here says of its source. A
// port is bait, or sought, if scanners ask for it far oftener than clients do by mistake;
// see weighs for the rates.
//
// A common service says nothing, the zero Observation: visitors in good faith ask for
// hardly anything else. The lists follow IANA's registry and the programs' own manuals:
// what a client, a monitoring system or a neighbour may look for. They are generous,
// since a port outside them says little.
func Asks(p *Probe, neighbour bool) Observation {
	switch SectionOf(p.Protocol) {
	case SectionTCP:
		return asksTCP(p, neighbour)
	case SectionUDP:
		return asksUDP(p, neighbour)
	}
	return AsksProtocol
}

func asksTCP(p *Probe, neighbour bool) Observation {
	switch p.Port {
	case 23, 2323, 23231, 60023, 37215, 52869: // Mirai and its children: mirai/bot/scanner.c; Huawei, Realtek
		return AsksBait
	// Android's debugger, TR-069, MikroTik, Docker, memcached: nobody offers them to the world
	case 5555, 7547, 8728, 2375, 11211:
		if neighbour {
			return AsksSought
		}
		return AsksBait
	case 445:
		if neighbour {
			return 0
		}
		return AsksSought
	case 1433, 2376, 3389, 8291, 5900, 5901, 5902, 5903, 1080, 3128, 8118, 6379, 27017, 5060, 5061, 1723:
		return AsksSought
	}
	switch {
	case commonTCP(p.Port):
		return 0
	case p.Port >= 32768 && neighbour:
		return 0 // a device tells a program that has ended of its events: UPnP Device Architecture 1.1, 4
	case p.SourcePort == 20 && p.Port >= 1024:
		return 0 // FTP's data
	case p.Port >= 32768: // ip_local_port_range
		return AsksHigh
	}
	return AsksOther
}

// commonTCP reports whether a port is that of a service that clients and
// monitoring systems ask for.
func commonTCP(port uint16) bool {
	switch port {
	case 20, 21, 22, 25, 43, 53, 79, 80, 88, 110, 111, 113, 119, 135, 139, 143, 179, 194, 389, 427, 443,
		444, 464, 465, 500, 512, 513, 514, 515, 543, 544, 548, 554, 563, 587, 593, 623, 631, 636, 646, 749,
		853, 873, 989, 990, 992, 993, 995:
		return true
	case 222, 2022, 2200, 2222, 8022, 22222, 10022: // an administrator's other port for SSH
		return true
	// the web, by hand or by mistake
	case 81, 82, 591, 3000, 3001, 4200, 4443, 5000, 5001, 5173, 7001, 7080, 7443, 8000, 8001, 8006, 8008,
		8009, 8080, 8081, 8082, 8088, 8090, 8181, 8443, 8444, 8800, 8880, 8888, 9000, 9001, 9080, 9090,
		9091, 9443, 10000, 10443:
		return true
	case 1194, 1352, 1414, 1521, 1720, 1883, 2049, 2181, 2379, 2380, 2404, 2947, 3260, 3268, 3269, 3306,
		3478, 3493, 3690, 4369, 4505, 4506, 5044, 5222, 5223, 5269, 5280, 5349, 5353, 5357, 5358, 5432,
		5433, 5601, 5666, 5667, 5671, 5672, 5938, 5984, 5985, 5986, 6000, 6432, 6443, 6514, 6556, 6667,
		6697, 8086, 8089, 8123, 8125, 8140, 8161, 8200, 8300, 8301, 8500, 8883, 9042, 9092, 9093, 9100,
		9104, 9115, 9187, 9200, 9229, 9300, 9418, 9999, 10050, 10051, 10250, 11434, 12489, 15672, 19999,
		20048, 24007, 25565, 32400, 33060, 50000, 61613, 61616:
		return true // servers of the machine room, and what looks after them
	case 4190, 4662, 6346, 6881, 6882, 6883, 6884, 6885, 6886, 6887, 6888, 6889, 8333, 9333, 27015, 27036,
		30303, 51413:
		return true // sieve, peers, games, coins
	}
	return port >= 9100 && port < 9500 // what Prometheus asks: its wiki, "Default port allocations"
}

func asksUDP(p *Probe, neighbour bool) Observation {
	switch p.Port {
	case 17, 19, 623, 5632, 11211, 53413: // reflectors, IPMI, Netis
		return AsksBait
	case 5060, 5061:
		return AsksSought
	case 1900, 3702, 5353, 5355, 137, 138: // their groups do not leave the link
		if !neighbour {
			return AsksSought
		}
		return 0
	case 53, 67, 68, 69, 88, 111, 123, 161, 162, 389, 427, 443, 464, 500, 514, 520, 521, 546, 547, 631,
		853, 1194, 1434, 1701, 1812, 1813, 2049, 3478, 3479, 4500, 4789, 5004, 5005, 5349, 5351, 5683,
		6343, 6881, 8125, 10001, 27015, 27036, 30303, 34197, 41641, 51413, 51820, 64738, 7, 9:
		return 0
	}
	if p.Port >= 10000 && MadeOf(p) == 0 || p.Port >= 32768 {
		return 0 // the streams of a call begin at 10000, or 16384
	}
	if p.Port >= 1024 {
		return AsksHigh
	}
	return AsksOther
}
