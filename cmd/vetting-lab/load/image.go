//go:build linux

package load

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"vetting/core"
	"vetting/netboot/httpboot"
)

// Image is the appliance's own boot HTTP server without the appliance, for anybody who
// asks: the appliance hears its own card alone, and over the loopback device nothing does.
type Image struct {
	Address string // to listen on
	Dir     string // with the files, below any folders
}

// Serve answers until ctx ends, and says so on standard output before it begins.
func (i Image) Serve(ctx context.Context) error {
	files := map[string][]byte{}

	err := filepath.WalkDir(i.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}

		files[entry.Name()], err = os.ReadFile(path) //nolint:gosec // a file of the one who measures

		return err
	})
	if err != nil {
		return fmt.Errorf("reading the files to serve: %w", err)
	}

	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", i.Address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}

	server := httpboot.New(httpboot.Config{
		Self: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Files: files, Booter: anybody{}, Witness: anybody{}, Log: slog.New(slog.DiscardHandler),
		Holder: func(addr netip.Addr) (core.BootClient, bool) {
			return core.BootClient{Addr: addr, Kind: core.ClientIPXE}, true
		},
	})

	fmt.Println("serving") //nolint:forbidigo // the word that a benchmark waits for

	return server.Serve(ctx, ln)
}

// anybody may load the image, and nothing else.
type anybody struct{}

// Decide lets the client load.
func (anybody) Decide(core.BootClient) core.BootDecision {
	return core.BootDecision{Action: core.BootVet}
}

// Arm refuses: there is no run.
func (anybody) Arm(context.Context, core.MAC, netip.Addr) (string, error) {
	return "", core.ErrNotFound
}

// Seed refuses: there is no run.
func (anybody) Seed(context.Context, string, netip.Addr, bool) ([]byte, error) {
	return nil, core.ErrNotFound
}

// SeedOf refuses: there is no run.
func (anybody) SeedOf(context.Context, core.MAC, netip.Addr, bool) ([]byte, error) {
	return nil, core.ErrNotFound
}

// Witness forgets.
func (anybody) Witness(core.BootStep) {}
