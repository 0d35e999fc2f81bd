package netboot

import (
	"context"
	"net/netip"

	"vetting/core"
	"vetting/netboot/httpboot"
)

// Booter decides what a machine may have (core/engine). Safe for concurrent use.
type Booter interface {
	// Decide answers at once, from memory. Every boot service asks it at every
	// step, so that what DHCP offers, TFTP and HTTP serve.
	Decide(client core.BootClient) core.BootDecision
	// Arm mints a fresh one-time boot token for the run that waits for mac,
	// bound to the leased address, and returns the nonce of its seed archive.
	// It is called when a boot script is fetched, and voids the one before.
	Arm(ctx context.Context, mac core.MAC, addr netip.Addr) (nonce string, err error)
	// Seed returns the content of the seed file for nonce. ErrNotFound, ErrRefused
	// (wrong address), ErrExpired (claimed, too old), ErrTooOften (asked more than 8 times).
	// head asks whether it is there, and does not count.
	Seed(ctx context.Context, nonce string, addr netip.Addr, head bool) ([]byte, error)
	// SeedOf is the same for the run that waits for mac, armed on the spot.
	SeedOf(ctx context.Context, mac core.MAC, addr netip.Addr, head bool) ([]byte, error)
}

// Overlays keeps the archives that operators add to the image (initramfs/overlay, by
// way of cmd). Safe for concurrent use.
type Overlays = httpboot.Overlays

// Leases keeps leases over a restart (store, by way of cmd).
type Leases interface {
	Leases(ctx context.Context) ([]core.Lease, error)
	// SaveLeases returns when the leases are on stable storage.
	SaveLeases(ctx context.Context, leases []core.Lease) error
}

// Witness takes down what was seen of a boot. It never blocks.
type Witness interface {
	Witness(step core.BootStep)
}
