//go:build e2e

package netboot_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// An arm64 machine with UEFI, by PXE and, since it goes on to that, by HTTP boot: it loads an
// iPXE that tells the person at its screen that it cannot be vetted. Only as a campaign:
// ARM64_OF_HOSTS=1, with qemu-system-arm and qemu-efi-aarch64 of Debian. ARM64_PCAP names a
// file for what was on the wire.
func TestAnARM64MachineIsToldThatItCannotBeVetted(t *testing.T) {
	const firmware, patience = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", 8 * time.Minute

	if os.Getenv("ARM64_OF_HOSTS") == "" {
		t.Skip("not asked for")
	}

	w := newWire(t)
	w.must("ip", "-n", w.client, "link", "set", "c0", "down")
	w.must("ip", "-n", w.hub, "tuntap", "add", "mode", "tap", "name", "t0")
	w.must("ip", "-n", w.hub, "link", "set", "t0", "master", "br0", "up")

	if file := os.Getenv("ARM64_PCAP"); file != "" {
		dump := exec.CommandContext(t.Context(), "ip", "netns", "exec", w.hub, "tcpdump", "-U", "-i", "t0", "-w", file, "udp port 67 or udp port 68")
		if err := dump.Start(); err != nil {
			t.Fatal(err)
		}
	}

	a := w.start(order{Hosts: vet, Files: "../initramfs/blobs"})
	a.await(t, "ready", soon)

	var screen strings.Builder

	machine := exec.CommandContext(t.Context(), "ip", "netns", "exec", w.hub, "qemu-system-aarch64",
		"-machine", "virt", "-cpu", "cortex-a57", "-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-bios", firmware,
		"-netdev", "tap,id=net0,ifname=t0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net0,romfile=,bootindex=1,mac="+knownMAC)
	machine.Stdout = &screen

	if err := machine.Start(); err != nil {
		t.Fatal(err)
	}

	begun := time.Now()
	step := a.await(t, "script", patience)
	t.Logf("%s to its script: %s %q", time.Since(begun).Round(time.Second), step.Kind, step.Detail)
	time.Sleep(10 * time.Second) // what it says is read by no clock

	_ = machine.Process.Kill()
	_ = machine.Wait()

	if step.Client.Arch != 11 || !strings.Contains(step.Detail, "does not run on arm64") {
		t.Errorf("its script: %+v", step)
	}

	if said := screen.String(); !strings.Contains(said, "does not run on this machine: arm64") {
		t.Errorf("its screen says\n%s", said)
	}
}
