package trial

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // a person asked for a virtual machine; the appliance itself starts no programs
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vetting/core"
)

// Firmware is what a machine starts with.
type Firmware string

// The kinds of firmware that can be tried.
const (
	BIOS   Firmware = "bios"        // SeaBIOS with the iPXE option ROM of QEMU's card
	UEFI   Firmware = "uefi"        // OVMF, by PXE
	HTTP   Firmware = "uefi-http"   // OVMF whose set-up allows network boot over HTTP only
	Secure Firmware = "uefi-secure" // OVMF with Secure Boot on and Microsoft's keys
)

// Firmwares lists them, from the plainest.
func Firmwares() []Firmware { return []Firmware{BIOS, UEFI, HTTP, Secure} }

// QEMU is the program that plays machines, of the Debian package qemu-system-x86.
const QEMU = "qemu-system-x86_64"

// Where the packages of distributions put OVMF: the code, and the variables of a new
// board, with Secure Boot off and on.
const (
	OVMFCode       = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	OVMFVars       = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	OVMFSecureCode = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"
	OVMFSecureVars = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
)

// Missing says what a trial with this firmware lacks on this machine and how to install
// it; nil: nothing.
func (f Firmware) Missing() error { return f.missing(exec.LookPath, os.Stat) }

func (f Firmware) missing(look func(string) (string, error), stat func(string) (os.FileInfo, error)) error {
	var lacking, packages []string

	if _, err := look(QEMU); err != nil {
		lacking, packages = append(lacking, QEMU), append(packages, "qemu-system-x86")
	}

	there := func(name string) bool {
		_, err := stat(name)

		return err == nil
	}

	if f == BIOS && !slices.ContainsFunc(roms(), there) {
		lacking, packages = append(lacking, "the boot ROM of QEMU's network card"), append(packages, "ipxe-qemu")
	}

	if code, vars := f.files(); f != BIOS && (!there(code) || !there(vars)) {
		lacking, packages = append(lacking, code+" and "+vars), append(packages, "ovmf")
	}

	if len(lacking) == 0 {
		return nil
	}

	return core.NewProblem(core.ErrNotFound, "netboot/trial-missing", fmt.Sprintf(
		"To play a machine with the firmware %s, this one lacks %s. On Debian and Ubuntu run: sudo apt-get install --no-install-recommends %s",
		f, strings.Join(lacking, " and "), strings.Join(packages, " ")))
}

// roms are the places where distributions put the ROM of QEMU's network card.
func roms() []string {
	return []string{"/usr/lib/ipxe/qemu/efi-virtio.rom", "/usr/share/qemu/efi-virtio.rom", "/usr/share/ipxe/qemu/efi-virtio.rom"}
}

// files are the firmware's code and the variables of a new board.
func (f Firmware) files() (code, vars string) {
	if f == Secure {
		return OVMFSecureCode, OVMFSecureVars
	}

	return OVMFCode, OVMFVars
}

// Accelerator is QEMU's: KVM where the processor can virtualise, and TCG elsewhere. A
// /dev/kvm that opens says nothing (KVM-PVM cannot run a stock kernel).
func Accelerator() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil && (strings.Contains(string(info), " vmx") || strings.Contains(string(info), " svm")) {
		if file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
			_ = file.Close() //nolint:errcheck // nothing was written

			return "kvm"
		}
	}

	return "tcg,thread=multi"
}

// Machine is a virtual machine that boots from the network and from nothing else.
type Machine struct {
	Firmware Firmware
	MAC      core.MAC
	UUID     string // of its SMBIOS
	MiB      int    // memory
	Dir      string // for its firmware's variables; must be there
}

// arguments is QEMU's command line.
func (m *Machine) arguments() []string {
	board, card := "q35,graphics=off", "virtio-net-pci,netdev=net0,bootindex=1,mac="+string(m.MAC)
	if m.Firmware != BIOS {
		card += ",romfile=" // the firmware's own network stack boots from it
	}

	if m.Firmware == Secure {
		board += ",smm=on"
	}

	args := []string{
		"-name", "vetting-trial", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot",
		"-machine", board, "-accel", Accelerator(), "-cpu", "max", "-smp", "2", "-m", fmt.Sprint(m.MiB),
		"-boot", "menu=off,strict=on", "-device", "virtio-rng-pci", "-serial", "stdio", "-monitor", "none",
		"-smbios", "type=1,manufacturer=Vetting,product=Trial,serial=TRIAL,uuid=" + m.UUID,
		"-netdev", "tap,id=net0,ifname=" + tap + ",script=no,downscript=no", "-device", card,
	}

	if m.Firmware == BIOS {
		return args
	}

	code, _ := m.Firmware.files()
	args = append(args,
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+code,
		"-drive", "if=pflash,unit=1,format=raw,file="+m.variables(),
		// As in most machines' set-up, network boot is IPv4 only.
		"-fw_cfg", "name=opt/org.tianocore/IPv6Support,string=n")

	switch m.Firmware { //nolint:exhaustive // of the others nothing more is to be said
	case Secure:
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	case HTTP:
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}

	return args
}

func (m *Machine) variables() string { return filepath.Join(m.Dir, "vars-"+string(m.Firmware)+".fd") }

// Guest is a machine that was switched on.
type Guest struct {
	Started time.Time
	done    chan struct{}
	cmd     *exec.Cmd
	err     error // read after done
	screen  screen
}

// Start switches a machine on at the segment. It is switched off by Stop or the end of
// ctx, and dies with this process.
func (s *Segment) Start(ctx context.Context, m *Machine) (*Guest, error) {
	if m.Firmware != BIOS {
		_, vars := m.Firmware.files()

		fresh, err := os.ReadFile(vars) //nolint:gosec // a file of the firmware's package
		if err == nil {
			err = os.WriteFile(m.variables(), fresh, 0o600)
		}

		if err != nil {
			return nil, fmt.Errorf("giving the machine its firmware: %w", err)
		}
	}

	g := &Guest{done: make(chan struct{}), cmd: exec.CommandContext(ctx, QEMU, m.arguments()...)} //nolint:gosec // our own command line
	g.cmd.Stdout, g.cmd.Stderr = &g.screen, &g.screen
	// The signal follows the thread of the segment, which lives as long.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}

	err := s.inside(func() error {
		g.Started = time.Now()

		return g.cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", QEMU, err)
	}

	go func() {
		g.err = g.cmd.Wait()
		close(g.done)
	}()

	return g, nil
}

// Done is closed when the machine is off.
func (g *Guest) Done() <-chan struct{} { return g.done }

// Stop pulls the plug and returns when the machine is off.
func (g *Guest) Stop() {
	_ = g.cmd.Process.Kill() //nolint:errcheck // it is off already, which is as good
	<-g.done
}

// Err says why the machine went off by itself; nil: it switched itself off, or is on.
func (g *Guest) Err() error {
	select {
	case <-g.done:
		if err := g.err; err != nil {
			return fmt.Errorf("%s ended: %w", QEMU, err)
		}

		return nil
	default:
		return nil
	}
}

// Screen is the last n lines of the serial console that hold anything, as plain text.
func (g *Guest) Screen(n int) []string { return g.screen.tail(n) }

// screen keeps the end of what a serial console says. Safe for concurrent use.
type screen struct {
	mu   sync.Mutex // guards text
	text []byte
}

// Write takes everything.
func (s *screen) Write(p []byte) (int, error) {
	const most = 64 << 10

	s.mu.Lock()
	defer s.mu.Unlock()

	s.text = append(s.text, p...)
	s.text = s.text[max(0, len(s.text)-most):]

	return len(p), nil
}

// control matches terminal escape sequences and the bytes that draw nothing.
var control = regexp.MustCompile(`\x1b\[[0-9;?=]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\xff]`) //nolint:gochecknoglobals // a constant in all but syntax

func (s *screen) tail(n int) (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for line := range bytes.Lines(s.text) {
		if plain := strings.TrimSpace(string(control.ReplaceAll(line, nil))); plain != "" {
			lines = append(lines, plain)
		}
	}

	return lines[max(0, len(lines)-n):]
}
