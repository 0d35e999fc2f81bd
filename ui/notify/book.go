package notify

import (
	"context"
	"errors"
	"fmt"

	"vetting/core"
)

// Book keeps cursor and outcomes in the ledger: it is both a Cursor and an
// Outcomes. Safe for concurrent use.
type Book struct{ Ledger core.Ledger }

const cursorKey = "notify-cursor"

// Cursor implements Cursor.
func (b Book) Cursor(ctx context.Context) (seq uint64, err error) {
	err = b.Ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableSetting, cursorKey, &seq) })
	if !errors.Is(err, core.ErrNotFound) {
		return seq, err
	}

	// An update without an event tells where the ledger ends.
	seq, err = b.Ledger.Update(ctx, func(core.Txn) error { return nil })
	if err != nil {
		return 0, fmt.Errorf("finding the end of the ledger: %w", err)
	}

	return seq, b.Advance(ctx, seq)
}

// Advance implements Cursor.
func (b Book) Advance(ctx context.Context, seq uint64) error {
	_, err := b.Ledger.Update(ctx, func(tx core.Txn) error { return tx.Put(core.TableSetting, cursorKey, seq) })

	return err
}

// Delivered implements Outcomes. The outcome of a test replaces that of the test
// before.
func (b Book) Delivered(ctx context.Context, outcome core.Delivery) error {
	_, err := b.Ledger.Update(ctx, func(tx core.Txn) error {
		return tx.Put(core.TableDelivery, core.DeliveryKey(outcome.Event, outcome.Target), outcome)
	})

	return err
}
