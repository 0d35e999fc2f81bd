//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// ListenForMagic switches guests on when a magic packet for their MAC comes from
// the station, as a network card on standby power does. It listens until ctx
// ends, and so do the machines it has switched on. A machine that does not start
// is told to log.
func (s *Segment) ListenForMagic(ctx context.Context, station *Station, log *slog.Logger, guests ...*Guest) error {
	wake := map[*Guest][]byte{}

	for _, guest := range guests {
		mac, err := net.ParseMAC(guest.MAC)
		if err != nil {
			return fmt.Errorf("listening for magic packets: %w", err)
		}

		// AMD publication 20213: six 0xff, and the address sixteen times.
		wake[guest] = append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
	}

	var mu sync.Mutex // one start at a time: a magic packet comes several times

	return s.watch(ctx, "p-"+station.role, func(frame Frame) {
		mu.Lock()
		defer mu.Unlock()

		for guest, magic := range wake {
			if guest.On() || !bytes.Contains(frame.Data, magic) {
				continue
			}

			if _, err := guest.PowerOn(ctx); err != nil {
				log.Error("machine does not start", slog.String("host", guest.Name), slog.Any("err", err))
			}
		}
	})
}
