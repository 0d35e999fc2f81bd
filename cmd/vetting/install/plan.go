package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Options say what is installed, and where.
type Options struct {
	// Root is the folder that is the machine's root folder; empty: the machine
	// itself. Into another root things are only written, nothing is started.
	Root string
	// Program is the file of this program.
	Program string
	// Config is the text of the configuration where none is there yet.
	Config string
	// Manual are the manual pages.
	Manual []Manual
	// Start has the appliance started, and at every boot.
	Start bool
}

// Step is one thing that is done to the machine.
type Step struct {
	What string // "write /etc/vetting/vetting.yaml"
	do   func(ctx context.Context) error
}

// Do carries the step out.
func (s Step) Do(ctx context.Context) error {
	if err := s.do(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.What, err)
	}

	return nil
}

// at returns where a path of the machine lies.
func (o *Options) at(path string) string { return filepath.Join(o.Root, path) }

// here reports whether this very machine is meant.
func (o *Options) here() bool { return o.Root == "" || filepath.Clean(o.Root) == "/" }

func (o *Options) has(path string) bool {
	_, err := os.Lstat(o.at(path))

	return err == nil
}

// packaged reports whether the appliance was installed as a package, which has
// brought program, account and unit.
func (o *Options) packaged() bool { return o.has(PackageUnit) && o.has(PackageProgram) }

// Plan returns what is still to be done until the appliance is installed, in
// order. What is done already is not in it.
func Plan(o Options) ([]Step, error) {
	var (
		steps []Step
		err   error
	)

	if !o.packaged() {
		if steps, err = o.files(); err != nil {
			return nil, err
		}
	}

	if o.here() {
		steps = append(steps, o.account()...)
	}

	if !o.has(ConfigPath) {
		steps = append(steps, Step{"write " + ConfigPath, func(context.Context) error { return o.writeConfig() }})
	}

	if o.here() && o.Start {
		steps = append(steps, o.starting(len(steps) > 0)...)
	}

	return steps, nil
}

// files are program, unit, account and manual of an installation by hand.
func (o *Options) files() ([]Step, error) {
	var steps []Step

	same, err := sameContent(o.Program, o.at(ownProgram))
	if err != nil {
		return nil, err
	}

	if !same {
		steps = append(steps, Step{"copy this program to " + ownProgram, func(context.Context) error { return o.copyProgram() }})
	}

	for _, f := range []struct{ path, text string }{{ownAccount, sysusers}, {ownUnit, Unit(ownProgram)}} {
		have, err := os.ReadFile(o.at(f.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading %s: %w", f.path, err)
		}

		if err != nil || string(have) != f.text {
			steps = append(steps, Step{"write " + f.path, func(context.Context) error { return write(o.at(f.path), []byte(f.text), 0o644) }})
		}
	}

	pages, err := o.manual()

	return append(steps, pages...), err
}

// sameContent reports whether two files have the same content; a missing second
// one has not.
func sameContent(a, b string) (bool, error) {
	first, err := os.ReadFile(a)
	if err != nil {
		return false, fmt.Errorf("reading this program: %w", err)
	}

	second, err := os.ReadFile(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("reading the installed program: %w", err)
	}

	return bytes.Equal(first, second), nil
}

func (o *Options) copyProgram() error {
	in, err := os.Open(o.Program)
	if err != nil {
		return err
	}

	return errors.Join(writeFrom(o.at(ownProgram), in, 0o755), in.Close())
}

// writeConfig writes a configuration that the appliance may read and others may
// not: it may hold secrets.
func (o *Options) writeConfig() error {
	if err := write(o.at(ConfigPath), []byte(o.Config), 0o640); err != nil {
		return err
	}

	group, ok := o.group()
	if !ok || os.Geteuid() != 0 {
		return nil // of another root, whose account is made at its first boot
	}

	return os.Chown(o.at(ConfigPath), 0, group)
}

func write(path string, content []byte, mode fs.FileMode) error {
	return writeFrom(path, bytes.NewReader(content), mode)
}

// writeFrom writes a file, whole or not at all.
func writeFrom(path string, content io.Reader, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // folders of the system are for all
		return err
	}

	temp := path + ".new"

	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}

	_, err = io.Copy(file, content)
	// The umask does not count: what mode says is meant.
	if err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}

	return os.Rename(temp, path)
}
