package ras

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bougou/go-ipmi/pkg/client"
)

// ErrNoBMC says that the machine has no management controller that answers.
var ErrNoBMC = errors.New("no BMC answers")

// OpenBMC opens the management controller through the kernel's driver. It is
// tried only where the driver made a device of one, since knocking at a BMC that
// is not there takes long.
func OpenBMC(ctx context.Context, root fs.FS) (BMC, error) {
	if _, err := fs.Stat(root, "dev/ipmi0"); err != nil {
		return nil, ErrNoBMC
	}

	c, err := client.NewOpenClient()
	if err != nil {
		return nil, fmt.Errorf("opening the BMC: %w", err)
	}

	if err := c.Connect(ctx); err != nil {
		return nil, errors.Join(ErrNoBMC, fmt.Errorf("opening the BMC: %w", err))
	}

	return inBand{c}, nil
}

type inBand struct{ client *client.Client }

// State asks for the SEL's info (IPMI 2.0 §31.2).
func (b inBand) State(ctx context.Context) (records int, added uint32, err error) {
	info, err := b.client.GetSELInfo(ctx)
	if err != nil {
		return 0, 0, err
	}

	return int(info.Entries), uint32(info.RecentAdditionTime.Unix()), nil //nolint:gosec // 32 bits on the wire
}

// Record asks for one record (§31.5).
func (b inBand) Record(ctx context.Context, id uint16) (raw []byte, next uint16, err error) {
	entry, err := b.client.GetSELEntry(ctx, 0, id)
	if err != nil {
		return nil, 0, err
	}

	return entry.Data, entry.NextRecordID, nil
}
