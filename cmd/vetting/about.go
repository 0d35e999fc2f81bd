package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"vetting/core"
	"vetting/core/report"
	"vetting/initramfs"
)

// applianceID is the setting that names this appliance for the life of its ledger.
const applianceID = "appliance_id"

// describe says who this appliance is and which software it serves.
func describe(ctx context.Context, ledger core.Ledger, image *initramfs.Image) (report.Appliance, error) {
	about := report.Appliance{
		Version: version(), ImageID: image.ID, KernelVersion: image.KernelVersion,
		KernelSHA256: sum(image.Kernel), InitrdSHA256: sum(image.Join()),
	}

	var err error
	if about.Name, err = os.Hostname(); err != nil {
		return about, fmt.Errorf("reading the host name: %w", err)
	}

	if about.BinarySHA256, err = sumOfProgram(); err != nil {
		return about, err
	}

	about.ID, err = identify(ctx, ledger)

	return about, err
}

func identify(ctx context.Context, ledger core.Ledger) (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(rand.Reader, raw); err != nil {
		return "", fmt.Errorf("drawing the appliance's id: %w", err)
	}

	var id string

	_, err := ledger.Update(ctx, func(txn core.Txn) error {
		err := txn.Get(core.TableSetting, applianceID, &id)
		if !errors.Is(err, core.ErrNotFound) {
			return err
		}

		id = hex.EncodeToString(raw)

		return txn.Put(core.TableSetting, applianceID, id)
	})

	return id, err
}

func sum(data []byte) string {
	if len(data) == 0 {
		return "" // there is none
	}

	digest := sha256.Sum256(data)

	return hex.EncodeToString(digest[:])
}

func sumOfProgram() (string, error) {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("opening this program: %w", err)
	}

	digest := sha256.New()
	_, err = io.Copy(digest, program)

	if err = errors.Join(err, program.Close()); err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}

	return hex.EncodeToString(digest.Sum(nil)), nil
}
