package rogue

import (
	"context"
	"net"
	"time"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

// Parse is parse.
func Parse(b []byte, from net.HardwareAddr) (Offer, bool) { return parse(b, from) }

// SearchOn is Search on a given socket.
func (s *Searcher) SearchOn(ctx context.Context, conn net.PacketConn, self core.MAC, listen time.Duration) ([]Offer, error) {
	card, err := net.ParseMAC(string(self))
	if err != nil {
		return nil, err
	}

	return s.search(ctx, conn, s.mac, card, listen, message.ClassLook)
}

// ClaimOn is Claim on a given socket, in the name of a made-up MAC.
func (s *Searcher) ClaimOn(ctx context.Context, conn net.PacketConn, self, made net.HardwareAddr, listen time.Duration) ([]Offer, error) {
	s.mac = made

	return s.search(ctx, conn, s.mac, self, listen, message.ClassAppliance)
}

// ReclaimOn is Reclaim on a given socket.
func (s *Searcher) ReclaimOn(ctx context.Context, conn net.PacketConn, self net.HardwareAddr, listen time.Duration) ([]Offer, error) {
	return s.search(ctx, conn, s.first(), self, listen, message.ClassAppliance)
}

// Made is the made-up MAC.
func (s *Searcher) Made() net.HardwareAddr { return s.mac }

// Question is what an appliance with this card asks others that is about to serve.
func Question(made, card net.HardwareAddr) ([]byte, error) {
	return discover(made, dress{class: message.ClassAppliance, card: card})
}

// WatchOn is Watch on a given socket.
func WatchOn(ctx context.Context, conn net.PacketConn, self core.MAC, seen func(Offer)) error {
	return watch(ctx, conn, self, seen)
}
