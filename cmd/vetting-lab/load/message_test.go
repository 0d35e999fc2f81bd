//go:build linux

package load_test

import (
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/cmd/vetting-lab/load"
)

var mac = net.HardwareAddr{0x52, 0x54, 1, 0, 0, 7}

func TestDiscoverReadsAsAPXEClients(t *testing.T) {
	packet := load.Message(0xabcd, mac, 1)

	got, err := dhcpv4.FromBytes(packet)
	if err != nil {
		t.Fatal(err)
	}

	if got.MessageType() != dhcpv4.MessageTypeDiscover || got.ClientHWAddr.String() != mac.String() || !got.IsBroadcast() ||
		got.ClassIdentifier() != "PXEClient:Arch:00000:UNDI:002001" || len(got.ClientArch()) != 1 {
		t.Errorf("it reads as %s", got.Summary())
	}

	if kind := load.Option(packet, 53); len(kind) != 1 || kind[0] != 1 {
		t.Errorf("the message type is %v", kind)
	}
}

func FuzzOption(f *testing.F) {
	f.Add(load.Message(1, mac, 1), byte(53))
	f.Add(load.Message(1, mac, 1)[:250], byte(97))

	f.Fuzz(func(_ *testing.T, packet []byte, code byte) {
		if len(packet) >= 240 {
			load.Option(packet, code)
		}
	})
}
