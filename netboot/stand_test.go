package netboot_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot"
)

// says has a machine say something to another DHCP server, which we overhear.
func says(t *testing.T, s *netboot.Server, kind dhcpv4.MessageType, change ...dhcpv4.Modifier) {
	t.Helper()

	m, err := dhcpv4.New(append(change, dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}))...)
	if err != nil {
		t.Fatal(err)
	}

	if answer := s.AnswerDHCP(m.ToBytes(), time.Now()); answer != nil {
		t.Fatalf("%s is answered", kind)
	}
}

// Where we only listen, another server names the lowest rung for all machines. What a machine
// is sent by that name is what it would be offered.
func TestByAnothersNameEachMachineIsSentItsOwnProgram(t *testing.T) {
	const tftpEFI, httpEFI, tftpBIOS = "snponly.efi", "http://10.77.0.1/boot/snponly.efi", "undionly.kpxe"

	addr := netip.MustParseAddr("10.77.0.50")

	for name, c := range map[string]struct {
		kind   string // as kinds names it
		asks   string
		rung   core.Loader
		action core.BootAction
		home   core.Home
		want   string // file; empty: it is not found
	}{
		"the lowest rung":                    {"PXE on architecture 7", tftpEFI, core.LoaderSNPOnly, core.BootVet, "", "snponly.efi"},
		"drivers of its own":                 {"PXE on architecture 7", tftpEFI, core.LoaderIPXE, core.BootVet, "", "ipxe.efi"},
		"Secure Boot":                        {"PXE on architecture 7", tftpEFI, core.LoaderShim, core.BootVet, "", "shimx64.efi"},
		"Secure Boot by HTTP":                {"HTTP boot on architecture 16", httpEFI, core.LoaderShim, core.BootVet, "", "shimx64.efi"},
		"the shim asked for itself":          {"PXE on architecture 7", "shimx64.efi", core.LoaderSNPOnly, core.BootVet, "", "shimx64.efi"},
		"another rung asked for itself":      {"PXE on architecture 7", "ipxe.efi", core.LoaderShim, core.BootVet, "", "ipxe.efi"},
		"arm64":                              {"PXE on architecture 11", tftpEFI, core.LoaderSNPOnly, core.BootVet, "", "ipxe-arm64.efi"},
		"BIOS":                               {"PXE on architecture 0", tftpBIOS, core.LoaderIPXE, core.BootVet, "", "ipxe.pxe"},
		"BIOS on a rung that it has not":     {"PXE on architecture 0", tftpBIOS, core.LoaderShim, core.BootVet, "", "undionly.kpxe"},
		"an iPXE that runs":                  {"iPXE without HTTP on architecture 7", tftpEFI, core.LoaderShim, core.BootVet, "", "snponly.efi"},
		"no run waits":                       {"PXE on architecture 7", tftpEFI, core.LoaderShim, core.BootLocal, core.HomeMissing, ""},
		"no run waits, home by a program":    {"PXE on architecture 7", tftpEFI, core.LoaderShim, core.BootLocal, core.HomeExit, "shimx64.efi"},
		"no run waits, home by HTTP":         {"HTTP boot on architecture 16", httpEFI, core.LoaderSNPOnly, core.BootLocal, core.HomeMissing, ""},
		"RISC-V, for which there is nothing": {"PXE on architecture 27", tftpEFI, core.LoaderSNPOnly, core.BootVet, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := server(t, map[core.MAC]core.BootAction{contractMAC: c.action}, func(cfg *netboot.Config) { cfg.Mode = netboot.ModeOff })
			w.loader, w.home = c.rung, c.home

			if err := s.Settle(); err != nil {
				t.Fatal(err)
			}

			says(t, s, dhcpv4.MessageTypeDiscover, kinds()[c.kind]...)
			says(t, s, dhcpv4.MessageTypeRequest, append(kinds()[c.kind], dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(addr.AsSlice())))...)

			// What it is on may change any time; what it asks for in this boot does not.
			w.loader = core.LoaderIPXE

			got, found := fetch(t, s, addr, c.asks)
			if want := bytes.Repeat([]byte(c.want+" "), 100); found != (c.want != "") || found && !bytes.Equal(got, want) {
				t.Errorf("it is sent %.20q (%t), want %q", got, found, c.want)
			}
		})
	}
}

// The image as one program stands for another, too, and is armed as it is sent.
func TestTheImageAsOneProgramStandsForAnother(t *testing.T) {
	addr := netip.MustParseAddr("10.77.0.50")

	for kind, asks := range map[string]string{"PXE on architecture 7": "snponly.efi", "HTTP boot on architecture 16": "http://10.77.0.1/boot/snponly.efi"} {
		s, w := server(t, map[core.MAC]core.BootAction{contractMAC: core.BootVet}, func(cfg *netboot.Config) { cfg.Mode = netboot.ModeOff })
		w.loader = core.LoaderUKI

		if err := s.Settle(); err != nil {
			t.Fatal(err)
		}

		says(t, s, dhcpv4.MessageTypeDiscover, kinds()[kind]...)
		says(t, s, dhcpv4.MessageTypeRequest, append(kinds()[kind], dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(addr.AsSlice())))...)

		if got, found := fetch(t, s, addr, asks); !found || !bytes.HasPrefix(got, []byte("MZ")) || !bytes.Contains(got, []byte("vmlinuz vmlinuz")) {
			t.Errorf("%s is sent %d bytes (%t)", kind, len(got), found)
		}
	}
}
