package rogue

import (
	"context"
	"net"
	"time"

	"vetting/core"
)

// Parse is parse.
func Parse(b []byte, from net.HardwareAddr) (Offer, bool) { return parse(b, from) }

// SearchOn is Search on a given socket.
func (s *Searcher) SearchOn(ctx context.Context, conn net.PacketConn, self core.MAC, listen time.Duration) ([]Offer, error) {
	return s.search(ctx, conn, self, listen)
}

// WatchOn is Watch on a given socket.
func WatchOn(ctx context.Context, conn net.PacketConn, self core.MAC, seen func(Offer)) error {
	return watch(ctx, conn, self, seen)
}
