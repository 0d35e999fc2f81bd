package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The folders of manual pages: of a package, and of what a person installs by hand.
const (
	PackageManual = "/usr/share/man"
	ownManual     = "/usr/local/share/man"
)

// Manual is a manual page.
type Manual struct {
	Name string // "vetting-run.1"; what follows the last dot is its section
	Text string
}

// Path is where it lies in a folder of manual pages: "man1/vetting-run.1".
func (m Manual) Path() string { return filepath.Join("man"+filepath.Ext(m.Name)[1:], m.Name) }

// manual writes the pages, where they are others than those that are there.
func (o *Options) manual() ([]Step, error) {
	same := true

	for _, page := range o.Manual {
		have, err := os.ReadFile(o.at(filepath.Join(ownManual, page.Path())))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}

		same = same && err == nil && string(have) == page.Text
	}

	if same {
		return nil, nil
	}

	return []Step{{"write the manual pages to " + ownManual, func(context.Context) error {
		for _, page := range o.Manual {
			if err := write(o.at(filepath.Join(ownManual, page.Path())), []byte(page.Text), 0o644); err != nil {
				return err
			}
		}

		return nil
	}}}, nil
}

// noManual removes the pages.
func (o *Options) noManual() ([]Step, error) {
	var all []string

	for _, pattern := range []string{"man1/vetting.1", "man1/vetting-*.1", "man5/vetting.yaml.5"} {
		found, err := filepath.Glob(o.at(filepath.Join(ownManual, pattern)))
		if err != nil {
			return nil, err
		}

		all = append(all, found...)
	}

	if len(all) == 0 {
		return nil, nil
	}

	return []Step{{"remove the manual pages from " + ownManual, func(context.Context) (err error) {
		for _, path := range all {
			err = errors.Join(err, os.Remove(path))
		}

		return err
	}}}, nil
}
