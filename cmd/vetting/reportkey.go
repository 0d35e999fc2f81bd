package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vetting/core"
	sealing "vetting/ui/report/seal"
)

// reportSecret is the file with the private half of the key that signs reports. Like
// the other secrets it is no part of the ledger; the public halves are.
const reportSecret = "report.secret"

// reportKeys is the setting with all public keys that reports were ever signed with,
// the oldest first.
const reportKeys = "report_keys"

// keyring signs reports. Safe for concurrent use.
type keyring struct {
	path   string
	ledger core.Ledger
	now    func() time.Time

	mu     sync.Mutex // guards secret, and is held while it is replaced
	secret []byte
}

// openKeyring loads the key in dir, or draws one at the first start. A key that the
// ledger does not know yet is written down as the one that signs now.
func openKeyring(ctx context.Context, dir string, ledger core.Ledger, now func() time.Time) (*keyring, error) {
	k := &keyring{path: filepath.Join(dir, reportSecret), ledger: ledger, now: now}

	secret, err := os.ReadFile(k.path)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err = k.draw(ctx, "")

		return k, err
	case err != nil:
		return nil, fmt.Errorf("loading the key of reports: %w", err)
	case len(secret) != ed25519.SeedSize:
		return nil, fmt.Errorf("loading %s: it has %d bytes instead of %d; remove it to have another key drawn, reports of before stay good",
			k.path, len(secret), ed25519.SeedSize)
	}

	k.secret = secret
	_, err = k.record(ctx, sealing.NewKey(secret).Public(), "")

	return k, err
}

// Key is the one that signs now.
func (k *keyring) Key() sealing.Key {
	k.mu.Lock()
	defer k.mu.Unlock()

	return sealing.NewKey(k.secret)
}

// Keys lists all keys, the newest first.
func (k *keyring) Keys(ctx context.Context) (keys []core.ReportKey, err error) {
	err = k.ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableSetting, reportKeys, &keys) })
	slices.Reverse(keys)

	return keys, err
}

// Rotate draws another key and lets it sign from now on.
func (k *keyring) Rotate(ctx context.Context, who string) (core.ReportKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()

	return k.draw(ctx, who)
}

// draw draws a key and keeps it. k.mu is held, unless nobody knows k yet. The secret
// is on the disk before the ledger names it: should the appliance die between, the
// next start writes it down.
func (k *keyring) draw(ctx context.Context, who string) (made core.ReportKey, err error) {
	secret := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return made, fmt.Errorf("drawing a key for reports: %w", err)
	}

	if err := writeSecret(k.path, secret); err != nil {
		return made, err
	}

	if made, err = k.record(ctx, sealing.NewKey(secret).Public(), who); err != nil {
		return made, errors.Join(err, k.keep())
	}

	k.secret = secret

	return made, nil
}

// keep puts the secret that signs back on the disk.
func (k *keyring) keep() error {
	if k.secret == nil {
		return os.Remove(k.path)
	}

	return writeSecret(k.path, k.secret)
}

// record writes public down as the key that signs now, by the wish of who; empty: of
// nobody.
func (k *keyring) record(ctx context.Context, public ed25519.PublicKey, who string) (made core.ReportKey, err error) {
	_, err = k.ledger.Update(ctx, func(txn core.Txn) error {
		var keys []core.ReportKey

		if err := txn.Get(core.TableSetting, reportKeys, &keys); err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		at, last := k.now().UTC().Truncate(time.Second), len(keys)-1
		if last >= 0 && keys[last].ID == core.KeyID(public) {
			made = keys[last]

			return nil
		}

		if last >= 0 {
			keys[last].Until = at
		}

		made = core.ReportKey{ID: core.KeyID(public), Public: public, Fingerprint: core.KeyFingerprint(public), Since: at, By: who}

		if err := txn.Put(core.TableSetting, reportKeys, append(keys, made)); err != nil {
			return err
		}

		return core.WriteAudit(txn, core.Audit{
			Time: at, Who: cmp.Or(who, "local"), Action: "report-key.create", Object: "report-key/" + made.ID,
			Text: "had reports signed with the key " + made.Fingerprint, After: core.Digest(made),
		})
	})

	return made, err
}
