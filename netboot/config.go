package netboot

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/dhcp"
	"vetting/netboot/httpboot"
	"vetting/netboot/nic"
)

// Range is a span of addresses, both ends included.
type Range = dhcp.Range

// DefaultPool is all of a network but its lowest ten addresses.
func DefaultPool(prefix netip.Prefix) Range { return dhcp.DefaultPool(prefix) }

// Network is a network behind a relay agent.
type Network = dhcp.Network

// Mode says what we do about DHCP.
type Mode = dhcp.Mode

// The modes.
const (
	ModeDHCP  = dhcp.Authoritative // we are the DHCP server of a network of our own
	ModeProxy = dhcp.Proxy         // beside another server, which gives the addresses
	ModeOff   = dhcp.Listen        // DHCP answers nobody
)

// ParseMode reads the name of a mode.
func ParseMode(text string) (Mode, error) { return dhcp.ParseMode(text) }

// Config is what the boot services need to know.
type Config struct {
	Mode       Mode
	Interface  string                  // the dedicated network card
	Prefix     netip.Prefix            // our address on it and the length, 10.77.0.1/24
	Pool       Range                   // addresses for machines; zero: all of the network but the lowest ten
	LeaseTime  time.Duration           // 12 h by default
	Relayed    []Network               // networks whose relay agents are answered
	Reserved   map[core.MAC]netip.Addr // addresses set apart
	DNS, NTP   []netip.Addr            // servers of names and of time that machines are told of
	OwnNetwork bool                    // --i-own-this-network: serve though the default route leads through the card
	NoRouter   bool                    // do not answer router solicitations

	// Files of the live image by name: vmlinuz, base.cpio.zst, modules.cpio,
	// optional agent.cpio, and the loaders that core/ladder names; others are
	// served as well. They must not be changed any more.
	Files   map[string][]byte
	Stub    []byte   // systemd's EFI stub (linuxx64.efi.stub)
	ImageID string   // SHA-256 of the image's manifest, for the agent to compare
	Cmdline []string // kernel arguments; DefaultCmdline when nil. Never secret

	// SearchTime is how long to listen for other DHCP servers, and for another
	// machine with our address, before serving; 6 s by default, in which a server
	// that checks for 3 s what it offers answers. Below 0: do not search.
	SearchTime time.Duration

	Overlays Overlays // nil: there are none

	Booter  Booter
	Leases  Leases
	Witness Witness
	Log     *slog.Logger
}

const defaultSearch = 6 * time.Second

// DefaultCmdline returns the kernel arguments of the live image. Debian's kernel
// would hide corrected memory errors (ras=cec_disable) and clear all memory at
// allocation (init_on_alloc=0); what production runs with is left as it is.
func DefaultCmdline() []string {
	return []string{
		"console=tty0", "console=ttyS0,115200n8", "ras=cec_disable", "init_on_alloc=0", "mce=bootlog",
		"panic=30", "log_buf_len=4M", "nmi_watchdog=1", "efi_pstore.pstore_disable=0",
	}
}

// ValidateNetwork returns all that is wrong with what concerns the network alone,
// joined.
func (c *Config) ValidateNetwork() error {
	c.fill()

	return c.dhcp().Validate()
}

// Validate returns all that is wrong with the configuration, joined.
func (c *Config) Validate() error {
	errs := []error{c.ValidateNetwork()}

	if c.Interface == "" || len(c.Interface) > 15 || strings.ContainsAny(c.Interface, "/ \t\n") {
		errs = append(errs, fmt.Errorf("interface %q: want the name of a network card", c.Interface))
	}

	errs = append(errs, c.validateImage())

	for name := range c.Files {
		if name == dhcp.NoBoot || name == ladder.FileUKI || strings.ContainsAny(name, "/ ") || name == "" {
			errs = append(errs, fmt.Errorf("file %q: this name cannot be served", name))
		}
	}

	for _, arg := range append(slices.Clone(c.Cmdline), c.ImageID) {
		if strings.ContainsFunc(arg, forbidden) {
			errs = append(errs, fmt.Errorf("kernel argument %q: only letters, digits and -_.:,=/@+%% are allowed", arg))
		}
	}

	return errors.Join(errs...)
}

// validateImage looks for what may be offered to a machine.
func (c *Config) validateImage() error {
	var lacking []string

	for _, name := range []string{
		httpboot.Kernel, httpboot.Base, ladder.FileUNDI, ladder.FilePXE, ladder.FileSNPOnly, ladder.FileIPXE, ladder.FileARM64, ladder.FileShim, ladder.FileGRUB,
	} {
		if len(c.Files[name]) == 0 {
			lacking = append(lacking, name)
		}
	}

	if len(c.Stub) == 0 {
		lacking = append(lacking, "the EFI stub")
	}

	if len(lacking) == 0 {
		return nil
	}

	return core.NewProblem(core.ErrNotFound, "netboot/no-image", "the boot image lacks "+strings.Join(lacking, ", ")+"; build it with `make image build`")
}

func forbidden(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:,=/@+%", r)
}

// fill puts in the defaults.
func (c *Config) fill() {
	if c.Pool == (Range{}) && c.Prefix.Addr().Is4() {
		c.Pool = dhcp.DefaultPool(c.Prefix)
	}

	if c.Cmdline == nil {
		c.Cmdline = DefaultCmdline()
	}

	if c.SearchTime == 0 {
		c.SearchTime = defaultSearch
	}

	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) dhcp() *dhcp.Config {
	return &dhcp.Config{
		Mode: c.Mode, Interface: c.Interface, Prefix: c.Prefix, Pool: c.Pool, LeaseTime: c.LeaseTime,
		Relayed: c.Relayed, Reserved: c.Reserved, DNS: c.DNS, NTP: c.NTP,
		Booter: c.Booter, Leases: c.Leases, Witness: c.Witness, Log: c.Log,
	}
}

// arguments are the kernel arguments with the image's name.
func (c *Config) arguments() []string {
	if c.ImageID == "" {
		return c.Cmdline
	}

	return append(slices.Clone(c.Cmdline), "vetting.image="+c.ImageID)
}

// settled returns the machine for which an address is set apart, if it has the address
// by the kernel's table of neighbours.
func (c *Config) settled(addr netip.Addr) (core.MAC, bool) {
	for mac, own := range c.Reserved {
		if own == addr {
			there, known := nic.Neighbour(c.Interface, addr)

			return mac, known && there == mac
		}
	}

	return "", false
}
