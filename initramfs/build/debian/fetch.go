package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Mode says how strictly the lock file is held.
type Mode int

// The modes.
const (
	Prefer Mode = iota // the locked version, else the newest with a loud diff
	Strict             // the locked version or an error
	Renew              // the newest; the caller writes a new lock
)

// Fetcher gets the wanted packages into a cache folder.
type Fetcher struct {
	Cache string // a folder of ours, made when it is missing
	Lock  Lock
	Wants []Want
	Mode  Mode
	// Mirror overrides the machine's own sources; the security mirror is then
	// left out.
	Mirror string
	// Etc is a view of the machine's /etc/apt.
	Etc fs.FS
	// Keyring holds the keys of the Debian archive; see FindKeyring.
	Keyring string
	// Say tells a person what goes on; it must not be nil.
	Say func(format string, args ...any)
}

// Fetched is a package that lies in the cache with the right SHA-256.
type Fetched struct {
	Locked

	File string
}

// Fetch returns the wanted packages in the order of Wants. When the cache holds
// all that the lock names, neither apt nor the network is touched.
func (f *Fetcher) Fetch(ctx context.Context) ([]Fetched, error) {
	if err := os.MkdirAll(f.debs(), 0o755); err != nil { //nolint:gosec // public packages
		return nil, fmt.Errorf("making package cache: %w", err)
	}

	if f.Mode != Renew {
		if all, ok := f.cached(f.Lock); ok {
			return all, nil
		}
	}

	if f.Mode == Prefer {
		if all, ok := f.cached(f.stand()); ok {
			f.shout(all, "these stood in for them last time")

			return all, nil
		}
	}

	chosen, root, err := f.choose(ctx)
	if err != nil {
		return nil, err
	}

	all := make([]Fetched, 0, len(chosen))

	for _, p := range chosen {
		got, err := f.get(ctx, root, p)
		if err != nil {
			return nil, err
		}

		all = append(all, got)
	}

	if f.Mode == Prefer && len(f.Lock.Diff(chosen)) > 0 {
		f.shout(all, "the mirror has dropped the locked versions; these newer ones, signed by the archive, stand in")

		return all, f.remember(chosen)
	}

	return all, nil
}

func (f *Fetcher) debs() string { return filepath.Join(f.Cache, "debs") }

// cached returns the packages of a lock if every one of them is in the cache.
func (f *Fetcher) cached(lock Lock) (all []Fetched, ok bool) {
	for _, want := range f.Wants {
		p, ok := lock.Of(want.Role)
		if !ok {
			return nil, false
		}

		file := filepath.Join(f.debs(), FileName(p))
		if sum, err := fileSum(file); err != nil || sum != p.SHA256 {
			return nil, false
		}

		all = append(all, Fetched{Locked: p, File: file})
	}

	return all, true
}

// choose asks the mirror which packages can be had and decides between them.
func (f *Fetcher) choose(ctx context.Context) (chosen []Locked, root *Root, err error) {
	root, err = f.root(ctx)
	if err != nil {
		return nil, nil, err
	}

	f.Say("asking the mirror for the package lists of %s", f.Lock.Suite)

	if err := root.Update(ctx); err != nil {
		return nil, nil, err
	}

	for _, want := range f.Wants {
		newest, err := root.Newest(ctx, want)
		if err != nil {
			return nil, nil, err
		}

		var available []Locked

		if was, ok := f.Lock.Of(want.Role); ok && f.Mode != Renew {
			if available, err = root.Available(ctx, want.Role, was.Package); err != nil {
				return nil, nil, err
			}
		}

		use, _ := Decide(f.Lock, want.Role, available, newest)
		chosen = append(chosen, use)
	}

	if diff := f.Lock.Diff(chosen); f.Mode == Strict && len(diff) > 0 {
		return nil, nil, fmt.Errorf("the mirror no longer has what the lock file names, and LOCK=strict forbids anything else:\n  %s",
			strings.Join(diff, "\n  "))
	}

	return chosen, root, nil
}

func (f *Fetcher) root(ctx context.Context) (*Root, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("%w: the boot image is made of Debian packages, which are fetched and checked with apt-get; build it on Debian or Ubuntu, "+
			"or copy the built folder initramfs/blobs from there (the Go programs compile anywhere)", ErrForeign)
	}

	mirrors := Mirrors{Archive: strings.TrimSuffix(f.Mirror, "/")}

	if f.Mirror == "" {
		sources, err := ReadSources(f.Etc)
		if err != nil {
			return nil, err
		}

		mirrors = FindMirrors(sources)
	}

	if mirrors.Archive == "" {
		return nil, errors.New("choosing mirror: no enabled entry in /etc/apt names a Debian archive; " +
			"add one, or say MIRROR=<address of a Debian mirror>")
	}

	if mirrors.Security == "" {
		f.Say("this machine has no mirror for Debian's security updates; going without")
	}

	if f.Keyring == "" {
		return nil, errors.New("looking for the keys of the Debian archive: there are none; install the package debian-archive-keyring")
	}

	return NewRoot(ctx, filepath.Join(f.Cache, "apt"), f.Lock.Suite, f.Keyring, mirrors)
}

func (f *Fetcher) get(ctx context.Context, root *Root, p Locked) (Fetched, error) {
	file := filepath.Join(f.debs(), FileName(p))
	if sum, err := fileSum(file); err == nil && sum == p.SHA256 {
		return Fetched{Locked: p, File: file}, nil
	}

	f.Say("downloading %s %s", p.Package, p.Version)

	file, err := root.Download(ctx, p, f.debs())
	if err != nil {
		return Fetched{}, err
	}

	sum, err := fileSum(file)
	if err != nil {
		return Fetched{}, err
	}

	if sum != p.SHA256 {
		return Fetched{}, fmt.Errorf("checking %s: it has the SHA-256 %s, but %s was expected", file, sum, p.SHA256)
	}

	return Fetched{Locked: p, File: file}, nil
}

func fileSum(name string) (string, error) {
	file, err := os.Open(name) //nolint:gosec // a file of our cache
	if err != nil {
		return "", fmt.Errorf("hashing package: %w", err)
	}
	defer file.Close()

	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("hashing package: %w", err)
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}

// standFile names the note of which packages stood in for a lock that could not
// be met, so that the next build needs no network either.
func (f *Fetcher) standFile() string {
	var note strings.Builder
	for _, p := range f.Lock.Packages {
		note.WriteString(p.Role + " " + p.SHA256 + "\n")
	}

	text := note.String()

	sum := sha256.Sum256([]byte(text))

	return filepath.Join(f.Cache, "stand-in-"+hex.EncodeToString(sum[:8])+".json")
}

func (f *Fetcher) stand() Lock {
	data, err := os.ReadFile(f.standFile())
	if err != nil {
		return Lock{}
	}

	lock, err := DecodeLock(data)
	if err != nil {
		return Lock{}
	}

	return lock
}

func (f *Fetcher) remember(chosen []Locked) error {
	data, err := Lock{Suite: f.Lock.Suite, Packages: chosen}.Encode()
	if err != nil {
		return err
	}

	if err := os.WriteFile(f.standFile(), data, fs.FileMode(0o600)); err != nil {
		return fmt.Errorf("noting stand-in packages: %w", err)
	}

	return nil
}

func (f *Fetcher) shout(all []Fetched, why string) {
	now := make([]Locked, len(all))
	for i, p := range all {
		now[i] = p.Locked
	}

	f.Say("**** THE BOOT IMAGE DIFFERS FROM THE LOCK FILE: %s", why)

	for _, line := range f.Lock.Diff(now) {
		f.Say("****   %s", line)
	}

	f.Say("**** LOCK=strict refuses this; -update-lock accepts it")
}
