package debian

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Want is a package the image is made of. The release's own name for a kernel
// changes with each update, so a kernel is wanted by the package that follows it.
type Want struct {
	Role string
	// Name of the package, or, with Follows set, of the one whose dependency
	// beginning with Follows is meant.
	Name    string
	Follows string
}

// Locked is a package fixed by the lock file.
type Locked struct {
	Role    string `json:"role"`
	Package string `json:"package"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the .deb
}

// Lock is the lock file: which packages the image was last tested with.
type Lock struct {
	Suite    string   `json:"suite"`
	Packages []Locked `json:"packages"`
}

var (
	sha256Form  = regexp.MustCompile(`^[0-9a-f]{64}$`)           //nolint:gochecknoglobals // a compiled constant
	packageForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]+$`)   //nolint:gochecknoglobals // a compiled constant, Debian Policy 5.6.1
	versionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]*$`) //nolint:gochecknoglobals // a compiled constant, Debian Policy 5.6.12
	suiteForm   = regexp.MustCompile(`^[a-z]+$`)                 //nolint:gochecknoglobals // a compiled constant
)

// DecodeLock reads a lock file. Its words end up on command lines and in file
// names, so each must have the form Debian Policy gives it.
func DecodeLock(data []byte) (l Lock, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()

	if err := dec.Decode(&l); err != nil {
		return Lock{}, fmt.Errorf("reading lock file: %w", err)
	}

	if !suiteForm.MatchString(l.Suite) {
		return Lock{}, fmt.Errorf("reading lock file: %q is not the name of a suite", l.Suite)
	}

	for _, p := range l.Packages {
		if err := p.check(); err != nil {
			return Lock{}, fmt.Errorf("reading lock file: %w", err)
		}
	}

	return l, nil
}

func (p Locked) check() error {
	switch {
	case p.Role == "":
		return fmt.Errorf("%s has no role", p.Package)
	case !packageForm.MatchString(p.Package):
		return fmt.Errorf("%q is not the name of a package", p.Package)
	case !versionForm.MatchString(p.Version):
		return fmt.Errorf("%s has the version %q", p.Package, p.Version)
	case !sha256Form.MatchString(p.SHA256):
		return fmt.Errorf("%s has the SHA-256 %q", p.Package, p.SHA256)
	}

	return nil
}

// Encode returns the lock file, sorted by role.
func (l Lock) Encode() ([]byte, error) {
	slices.SortFunc(l.Packages, func(a, b Locked) int { return strings.Compare(a.Role, b.Role) })

	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding lock file: %w", err)
	}

	return append(data, '\n'), nil
}

// Of returns the package locked for a role.
func (l Lock) Of(role string) (Locked, bool) {
	for _, p := range l.Packages {
		if p.Role == role {
			return p, true
		}
	}

	return Locked{}, false
}

// Diff says, a line each, how the packages now differ from the lock. It is empty
// when they do not.
func (l Lock) Diff(now []Locked) (lines []string) {
	for _, p := range now {
		was, ok := l.Of(p.Role)

		switch {
		case !ok:
			lines = append(lines, fmt.Sprintf("%s: not locked → %s %s (%s)", p.Role, p.Package, p.Version, p.SHA256))
		case was != p:
			lines = append(lines,
				fmt.Sprintf("%s: %s %s (%s)", p.Role, was.Package, was.Version, was.SHA256),
				fmt.Sprintf("%s  → %s %s (%s)", strings.Repeat(" ", len(p.Role)), p.Package, p.Version, p.SHA256))
		}
	}

	return lines
}

// Decide settles which package a role gets: the locked one when it can be had,
// else the newest. held says whether the lock was kept.
func Decide(lock Lock, role string, available []Locked, newest Locked) (use Locked, held bool) {
	was, ok := lock.Of(role)
	if ok && slices.Contains(available, was) {
		return was, true
	}

	return newest, false
}
