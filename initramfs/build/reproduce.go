package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vetting/initramfs/manifest"
)

// checkReproducible brings the image up to date, builds it once more from nothing
// but the packages, and compares the two.
func (b *builder) checkReproducible(ctx context.Context) error {
	if err := b.build(ctx); err != nil {
		return err
	}

	dir, err := os.MkdirTemp(b.cache, "twice-")
	if err != nil {
		return fmt.Errorf("checking that builds repeat: %w", err)
	}
	defer os.RemoveAll(dir)

	b.say("building once more from nothing")

	again := *b
	again.out, again.force, again.quiet = dir, true, true

	if err := again.build(ctx); err != nil {
		return err
	}

	was, err := describe(b.out)
	if err != nil {
		return err
	}

	now, err := describe(dir)
	if err != nil {
		return err
	}

	for i := range was.Blobs {
		if was.Blobs[i] != now.Blobs[i] {
			return fmt.Errorf("building twice gave two results: %s was %s, then %s",
				was.Blobs[i].Name, was.Blobs[i].SHA256, now.Blobs[i].SHA256)
		}
	}

	if was.ID != now.ID {
		return fmt.Errorf("building twice gave two image ids: %s, then %s", was.ID, now.ID)
	}

	b.say("both builds are identical, image %s", now.ID)

	return nil
}

func describe(dir string) (manifest.Description, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifest.DescriptionName)) //nolint:gosec // just written
	if err != nil {
		return manifest.Description{}, fmt.Errorf("checking that builds repeat: %w", err)
	}

	return manifest.DecodeDescription(data)
}
