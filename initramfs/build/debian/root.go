package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"vetting/initramfs/build/deb"
)

// ErrForeign means that the machine cannot fetch Debian packages.
var ErrForeign = errors.New("this machine is not Debian or Ubuntu")

// FindKeyring returns the path of the keys of the Debian archive on this machine,
// nothing when it has none. Newer releases call the file .pgp.
func FindKeyring() string {
	for _, name := range []string{
		"/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp",
	} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}

	return ""
}

// Root is an apt root of its own: it shares the host's mirrors, proxy settings
// and credentials, but neither its package lists nor its state.
type Root struct {
	dir string
}

// NewRoot makes or refreshes the root in dir for the suite and its updates, whose
// lists must be signed by a key of the keyring. It does not use the network.
func NewRoot(ctx context.Context, dir, suite, keyring string, mirrors Mirrors) (*Root, error) {
	for _, sub := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
		"var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial", "var/log/apt",
	} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil { //nolint:gosec // apt's sandbox user reads here
			return nil, fmt.Errorf("making apt root: %w", err)
		}
	}

	acquire, err := acquireOptions(ctx)
	if err != nil {
		return nil, err
	}

	root := &Root{dir: dir}
	files := map[string]string{
		"etc/apt/sources.list": sourcesList(keyring, suite, mirrors),
		"apt.conf":             root.conf() + acquire,
		"var/lib/dpkg/status":  "",
	}

	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // no secrets: credentials stay in the host's auth.conf
			return nil, fmt.Errorf("making apt root: %w", err)
		}
	}

	return root, nil
}

func sourcesList(keyring, suite string, m Mirrors) string {
	var list strings.Builder

	for _, s := range []string{suite, suite + "-updates"} {
		fmt.Fprintf(&list, "deb [signed-by=%s] %s %s main\n", keyring, m.Archive, s)
	}

	if m.Security != "" {
		fmt.Fprintf(&list, "deb [signed-by=%s] %s %s-security main\n", keyring, m.Security, suite)
	}

	return list.String()
}

func (r *Root) conf() string {
	return fmt.Sprintf(`Dir "%[1]s";
Dir::State "var/lib/apt";
Dir::State::status "%[1]s/var/lib/dpkg/status";
Dir::Cache "var/cache/apt";
Dir::Etc "etc/apt";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
`, r.dir)
}

// passed are the host's settings that say how its mirrors are reached. Nothing
// that loosens the check of signatures is among them.
var passed = []string{ //nolint:gochecknoglobals // a constant list
	"Acquire::http::", "Acquire::https::", "Acquire::ftp::", "Acquire::ForceIPv", "Acquire::Check-Valid-Until", "Acquire::Check-Date",
}

func acquireOptions(ctx context.Context) (string, error) {
	dump, err := command(ctx, nil, "apt-config", "dump")
	if err != nil {
		return "", err
	}

	var kept strings.Builder

	for line := range strings.Lines(string(dump)) {
		for _, prefix := range passed {
			if strings.HasPrefix(line, prefix) {
				kept.WriteString(line)
			}
		}
	}

	return kept.String(), nil
}

// Update fetches and checks the lists of packages.
func (r *Root) Update(ctx context.Context) error {
	if _, err := r.apt(ctx, "apt-get", "update", "--error-on=any"); err != nil {
		return fmt.Errorf("updating package lists: %w", err)
	}

	return nil
}

// Available returns every version of a package the lists have, the one apt would
// install first. It is empty when there is none.
func (r *Root) Available(ctx context.Context, role, name string) ([]Locked, error) {
	var all []Locked

	for _, args := range [][]string{{"--no-all-versions"}, {"--all-versions"}} {
		paragraphs, err := r.show(ctx, name, args...)
		if err != nil {
			return nil, err
		}

		for _, fields := range paragraphs {
			p := Locked{Role: role, Package: fields["Package"], Version: fields["Version"], SHA256: fields["SHA256"]}
			if p.Package == name && p.check() == nil {
				all = append(all, p)
			}
		}
	}

	return all, nil
}

// Newest returns what apt would install for a wanted package.
func (r *Root) Newest(ctx context.Context, want Want) (Locked, error) {
	name := want.Name

	if want.Follows != "" {
		paragraphs, err := r.show(ctx, want.Name, "--no-all-versions")
		if err != nil {
			return Locked{}, err
		}

		if len(paragraphs) == 0 {
			return Locked{}, fmt.Errorf("choosing package: the mirror has no %s", want.Name)
		}

		if name = dependency(paragraphs[0]["Depends"], want.Follows); name == "" {
			return Locked{}, fmt.Errorf("choosing package: %s depends on nothing called %s…", want.Name, want.Follows)
		}
	}

	all, err := r.Available(ctx, want.Role, name)
	if err != nil {
		return Locked{}, err
	}

	if len(all) == 0 {
		return Locked{}, fmt.Errorf("choosing package: the mirror has no %s", name)
	}

	return all[0], nil
}

func dependency(depends, prefix string) string {
	for dep := range strings.SplitSeq(depends, ",") {
		if name, _, _ := strings.Cut(strings.TrimSpace(dep), " "); strings.HasPrefix(name, prefix) {
			return name
		}
	}

	return ""
}

func (r *Root) show(ctx context.Context, name string, args ...string) (paragraphs []map[string]string, err error) {
	out, err := r.apt(ctx, "apt-cache", append(append([]string{"show"}, args...), name)...)

	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, nil // apt-cache ends with 100 when it knows no such package
	}

	if err != nil {
		return nil, fmt.Errorf("looking up package %s: %w", name, err)
	}

	for text := range strings.SplitSeq(string(out), "\n\n") {
		if fields := deb.ParseControl(text); fields["Package"] != "" {
			paragraphs = append(paragraphs, fields)
		}
	}

	return paragraphs, nil
}

// Download fetches one package into dir and returns the path of the file. apt
// checks it against the signed lists.
func (r *Root) Download(ctx context.Context, p Locked, dir string) (string, error) {
	tmp, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w", p.Package, err)
	}
	defer os.RemoveAll(tmp)

	if _, err := r.aptIn(ctx, tmp, "apt-get", "download", p.Package+"="+p.Version); err != nil {
		return "", fmt.Errorf("downloading %s %s: %w", p.Package, p.Version, err)
	}

	found, err := fs.Glob(os.DirFS(tmp), "*.deb")
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("downloading %s: apt-get left %d files", p.Package, len(found))
	}

	file := filepath.Join(dir, FileName(p))
	if err := os.Rename(filepath.Join(tmp, found[0]), file); err != nil {
		return "", fmt.Errorf("downloading %s: %w", p.Package, err)
	}

	return file, nil
}

// FileName is the name under which a package is cached.
func FileName(p Locked) string {
	return p.Package + "_" + strings.ReplaceAll(p.Version, ":", "%3a") + ".deb"
}

func (r *Root) apt(ctx context.Context, name string, args ...string) ([]byte, error) {
	return r.aptIn(ctx, r.dir, name, args...)
}

func (r *Root) aptIn(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+filepath.Join(r.dir, "apt.conf"))

	return output(cmd)
}

func command(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)

	return output(cmd)
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var complaint bytes.Buffer

	cmd.Stderr = &complaint

	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd.Args[0], err, strings.TrimSpace(complaint.String()))
	}

	return out, nil
}
