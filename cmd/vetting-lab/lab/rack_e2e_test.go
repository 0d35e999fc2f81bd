//go:build e2e && linux

package lab_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

// The lab's own machinery, without an appliance: dnsmasq hands a BIOS machine a
// script that sends it to its own disk, and a UEFI machine an answer to that end.
func TestMachineObeysAScriptAndBootsItsDisk(t *testing.T) {
	t.Run("BIOS", func(t *testing.T) { bootsDisk(t, lab.BIOS, "the script ran", lab.LocalDiskBanner) })
	t.Run("UEFI", func(t *testing.T) { bootsDisk(t, lab.UEFI, "Start PXE over IPv4", lab.LocalDiskBanner) })
}

func bootsDisk(t *testing.T, firmware lab.Firmware, milestones ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	segment, err := lab.OpenSegment()
	if err != nil {
		t.Skip(err)
	}

	defer func() {
		if err := segment.Close(); err != nil {
			t.Error(err)
		}
	}()

	station, err := segment.Station("peer", netip.MustParsePrefix("10.77.0.1/24"))
	if err != nil {
		t.Fatal(err)
	}

	root := t.TempDir()
	script := "#!ipxe\necho the script ran\nexit\n"

	if err := os.WriteFile(filepath.Join(root, "script.ipxe"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}

	peer, err := station.Dnsmasq(ctx, nil, "--dhcp-range=10.77.0.100,10.77.0.200,1h", "--no-ping",
		"--dhcp-leasefile="+filepath.Join(root, "leases"), "--enable-tftp", "--tftp-root="+root, "--dhcp-match=set:uefi,option:client-arch,7",
		"--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient", "--dhcp-boot=tag:http,http://10.77.0.1/no",
		"--dhcp-boot=tag:!uefi,tag:!http,script.ipxe", "--dhcp-boot=tag:uefi,there-is-no-such-file")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Stop()

	guest, err := segment.Guest(lab.Machine{
		Name: "probe", Firmware: firmware, MAC: "52:54:00:00:00:01",
		Disks: []lab.Disk{{Bus: lab.SATA, Serial: "S1", Bytes: 64 << 20}, {Bus: lab.NVMe, Serial: "N1", Bytes: 64 << 20}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer guest.PowerOff()

	run, err := guest.PowerOn(ctx)
	if err != nil {
		t.Fatal(err)
	}

	for _, milestone := range milestones {
		at, err := run.Output.Await(ctx, milestone)
		if err != nil {
			t.Fatal(err)
		}

		t.Logf("%6.2f s %s", at.Sub(run.Started).Seconds(), milestone)
	}

	guest.PowerOff()

	if err := guest.Untouched(); err != nil {
		t.Error(err)
	}
}
