package canned

import (
	"bytes"
	"context"
	"crypto/ed25519"

	"vetting/core"
	"vetting/ui/report/seal"
)

// Keys is ui.ReportKeys with the same keys for ever.
type Keys struct{}

// Key is of ui.ReportKeys.
func (Keys) Key() seal.Key { return seal.NewKey(bytes.Repeat([]byte{7}, ed25519.SeedSize)) }

// Keys is of ui.ReportKeys.
func (k Keys) Keys(context.Context) ([]core.ReportKey, error) {
	old := reportKey(seal.NewKey(bytes.Repeat([]byte{6}, ed25519.SeedSize)))
	old.Since, old.Until = Now().AddDate(-1, 0, 0), Now().AddDate(0, -1, 0)

	is := reportKey(k.Key())
	is.Since, is.By = old.Until, "anna"

	return []core.ReportKey{is, old}, nil
}

// Rotate is of ui.ReportKeys.
func (k Keys) Rotate(_ context.Context, who string) (core.ReportKey, error) {
	key := reportKey(k.Key())
	key.Since, key.By = Now(), who

	return key, nil
}

func reportKey(key seal.Key) core.ReportKey {
	public := key.Public()

	return core.ReportKey{ID: core.KeyID(public), Public: public, Fingerprint: core.KeyFingerprint(public)}
}
