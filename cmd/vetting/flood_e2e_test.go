//go:build e2e && linux

package main_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/mdlayher/packet"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
	"vetting/netboot/hostiletest"
)

// TestAMachineComesToItsHelloUnderAFlood: from power-on to its agent's first stage, and on to
// a pass, while another station sends the appliance ten thousand hostile packets a second. It
// is part of the campaign flood of make endure.
func TestAMachineComesToItsHelloUnderAFlood(t *testing.T) {
	const rate = 10_000

	if os.Getenv("FLOOD_SECONDS") == "" {
		t.Skip("not asked for")
	}

	rack := openRack(t)

	station, err := rack.Station("rival", netip.MustParsePrefix("10.77.0.250/24"))
	if err != nil {
		t.Fatal(err)
	}

	var to net.HardwareAddr

	if err := rack.Appliance.Station.Do(func() error {
		card, err := net.InterfaceByName(lab.NIC)
		if err == nil {
			to = card.HardwareAddr
		}

		return err
	}); err != nil {
		t.Fatal(err)
	}

	var conn *packet.Conn

	if err := station.Do(func() error {
		card, err := net.InterfaceByName(lab.NIC)
		if err == nil {
			conn, err = packet.Listen(card, packet.Raw, 0x88b5, nil) // hears nothing
		}

		return err
	}); err != nil {
		t.Fatal(err)
	}

	packets, err := hostiletest.Packets("../../netboot/dhcp/testdata/packets/*-discover-*.bin")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	begun := time.Now()
	sent := hostiletest.New(1, packets, to).Aim().Flood(ctx, conn, rate)

	s := plug(t, rack, lab.Sample(lab.BIOS, 77))
	s.ctx = ctx // the flood takes a processor
	s.register(core.PowerManual)
	id := s.vetShort("the flood is what is tested")

	run := s.await(id, func(run route.Run) bool { return run.State == core.State(core.InventoryCheck) || run.State.Over() })
	t.Logf("%s from power-on to the first stage; %d hostile packets, %.0f a second", time.Since(begun).Round(time.Second), sent.Load(),
		float64(sent.Load())/time.Since(begun).Seconds())

	s.mustPass(run.ID)
	cancel()
}
