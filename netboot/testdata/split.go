// Split takes a capture apart into the packets that the fuzz targets and golden
// tests of the boot services start from:
//
//	go run netboot/testdata/split.go CLIENT CAPTURE.pcap
//
// Run it in the repository root. It writes what clients sent to DHCP (the UDP
// payload), TFTP (the same) and HTTP (one request), the ARP messages, the router
// solicitations, and whole frames of DHCP servers, each into the testdata folder
// of the package that reads it, and each kind once per client.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: split CLIENT CAPTURE.pcap")
	}

	capture, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}

	s := splitter{client: os.Args[1], seen: map[string]bool{}, count: map[string]int{}}

	for b := capture[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		s.frame(b[16 : 16+n])
		b = b[16+n:]
	}
}

type splitter struct {
	client string
	seen   map[string]bool
	count  map[string]int
}

func (s *splitter) frame(f []byte) {
	if len(f) < 14 {
		return
	}

	body := f[14:]

	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806:
		s.keep("arp/testdata/frames", fmt.Sprintf("op%d", body[7]), body[:28], body[6:8], body[14:18])
	case 0x0800:
		s.ipv4(f, body)
	case 0x86dd:
		if body[6] == 58 && body[40] == 133 {
			icmp := body[40 : 40+int(binary.BigEndian.Uint16(body[4:]))]
			s.keep("ra/testdata/packets", "solicitation", icmp, icmp[:1])
		}
	}
}

func (s *splitter) ipv4(frame, ip []byte) {
	head := int(ip[0]&15) * 4
	ip = ip[:binary.BigEndian.Uint16(ip[2:])]
	from, to := binary.BigEndian.Uint16(ip[head:]), binary.BigEndian.Uint16(ip[head+2:])

	if ip[9] == 6 && to == 80 {
		if payload := ip[head+int(ip[head+12]>>4)*4:]; bytes.Contains(payload, []byte(" HTTP/1.")) {
			line, _, _ := bytes.Cut(payload, []byte("\r\n"))
			s.keep("httpboot/testdata/requests", string(bytes.ToLower(bytes.Fields(line)[0])), payload, payload)
		}
	}

	if ip[9] != 17 {
		return
	}

	payload := ip[head+8:]

	switch {
	case to == 67:
		s.dhcp("dhcp/testdata/packets", payload, payload)
	case to == 4011 && payload[0] == 1: // some ROMs ask from that port, too
		s.dhcp("dhcp/testdata/4011", payload, payload)
	case from == 67 && s.client[:3] == "dns":
		s.dhcp("rogue/testdata/frames", payload, frame)
	case to == 69:
		s.keep("tftp/testdata/packets", fmt.Sprintf("op%d", payload[1]), payload, payload)
	}
}

var kinds = map[byte]string{1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}

// dhcp keeps one of each type and length, whatever the transaction.
func (s *splitter) dhcp(dir string, payload, b []byte) {
	kind := "bootp"

	for opts := payload[240:]; len(opts) > 2 && opts[0] != 255; opts = opts[2+int(opts[1]):] {
		if opts[0] == 53 {
			kind = kinds[opts[2]]
		}
	}

	s.keep(dir, kind, b, []byte(kind), payload[240:])
}

// keep writes b unless the same was written before.
func (s *splitter) keep(dir, kind string, b []byte, identity ...[]byte) {
	key := dir + kind + string(bytes.Join(identity, nil))
	if s.seen[key] || s.count[dir+kind] >= 6 {
		return
	}

	s.seen[key] = true
	s.count[dir+kind]++

	name := fmt.Sprintf("%s-%s-%d.bin", s.client, kind, s.count[dir+kind])
	dir = filepath.Join("netboot", dir)

	if err := os.MkdirAll(dir, 0o755); err != nil {
		log.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		log.Fatal(err)
	}

	fmt.Println(filepath.Join(dir, name), len(b))
}
