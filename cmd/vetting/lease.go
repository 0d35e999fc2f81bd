package main

import (
	"context"

	"vetting/core"
)

// leases keeps the DHCP server's leases in the ledger.
type leases struct{ ledger core.Ledger }

// Leases returns every binding.
func (l leases) Leases(ctx context.Context) ([]core.Lease, error) {
	var all []core.Lease

	err := l.ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableLease, core.Query{}, func(_ string, decode func(any) error) error {
			var lease core.Lease
			if err := decode(&lease); err != nil {
				return err
			}

			all = append(all, lease)

			return nil
		})
	})

	return all, err
}

// SaveLeases returns when the leases are on stable storage.
func (l leases) SaveLeases(ctx context.Context, some []core.Lease) error {
	_, err := l.ledger.Update(ctx, func(txn core.Txn) error {
		for _, lease := range some {
			if err := txn.Put(core.TableLease, string(lease.MAC), lease); err != nil {
				return err
			}
		}

		return nil
	})

	return err
}
