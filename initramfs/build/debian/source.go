// Package debian gets packages of a Debian release onto a Debian or Ubuntu build
// host: through the mirrors the host already uses, in an apt root of its own, with
// the archive's signatures checked, held to a lock file.
package debian

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Source is one entry of the machine's apt sources (sources.list(5)).
type Source struct {
	Types    []string // "deb", "deb-src"
	URIs     []string
	Suites   []string
	SignedBy string // path of a keyring, an embedded key, or nothing
	Disabled bool
}

// ReadSources reads /etc/apt/sources.list and sources.list.d below root, a view
// of /etc/apt. Files apt would not read are left out.
func ReadSources(root fs.FS) ([]Source, error) {
	names, err := fs.Glob(root, "sources.list.d/*")
	if err != nil {
		return nil, err
	}

	var all []Source

	for _, name := range append([]string{"sources.list"}, names...) {
		parse := map[string]func(io.Reader) ([]Source, error){".list": ParseList, ".sources": ParseDeb822}[path.Ext(name)]
		if parse == nil {
			continue
		}

		found, err := readFile(root, name, parse)
		if err != nil {
			return nil, err
		}

		all = append(all, found...)
	}

	return all, nil
}

func readFile(root fs.FS, name string, parse func(io.Reader) ([]Source, error)) ([]Source, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil && name == "sources.list" {
		return nil, nil // modern systems have only the folder
	}

	if err != nil {
		return nil, fmt.Errorf("reading apt sources: %w", err)
	}

	found, err := parse(strings.NewReader(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading apt sources in %s: %w", name, err)
	}

	return found, nil
}

// ParseList reads the one-line form: deb [option=value …] uri suite component….
func ParseList(r io.Reader) ([]Source, error) {
	var all []Source

	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")

		if kind != "deb" && kind != "deb-src" {
			continue
		}

		src := Source{Types: []string{kind}}
		rest = strings.TrimSpace(rest)

		if strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				return nil, fmt.Errorf("the options in %q have no end", line)
			}

			src.SignedBy = option(options, "signed-by")
			rest = after
		}

		fields := strings.Fields(rest)
		if len(fields) < 2 {
			return nil, fmt.Errorf("%q has no address and suite", line)
		}

		src.URIs, src.Suites = fields[:1], fields[1:2]
		all = append(all, src)
	}

	return all, lines.Err()
}

func option(options, name string) string {
	for field := range strings.FieldsSeq(options) {
		if key, value, ok := strings.Cut(field, "="); ok && strings.EqualFold(key, name) {
			return value
		}
	}

	return ""
}

// ParseDeb822 reads the form of .sources files: paragraphs of "Field: value".
func ParseDeb822(r io.Reader) ([]Source, error) {
	var (
		all    []Source
		fields = map[string]string{}
		last   string
	)

	flush := func() {
		if fields["uris"] != "" {
			all = append(all, fromFields(fields))
		}

		fields, last = map[string]string{}, ""
	}

	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()

		switch {
		case strings.HasPrefix(line, "#"): // comments may stand inside a paragraph
		case strings.TrimSpace(line) == "":
			flush()
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			fields[last] += "\n" + strings.TrimSpace(line)
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("%q is not a field", line)
			}

			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}

	flush()

	return all, lines.Err()
}

func fromFields(fields map[string]string) Source {
	return Source{
		Types:    strings.Fields(fields["types"]),
		URIs:     strings.Fields(fields["uris"]),
		Suites:   strings.Fields(fields["suites"]),
		SignedBy: strings.TrimSpace(fields["signed-by"]),
		Disabled: slices.Contains([]string{"no", "false", "without", "off", "disable"}, strings.ToLower(fields["enabled"])),
	}
}

// Mirrors are the addresses from which this machine gets Debian.
type Mirrors struct {
	Archive  string // suites like "trixie" and "trixie-updates"
	Security string // suite "trixie-security"; empty when the machine has none
}

// debianSuites are the names by which an entry without a keyring of its own is
// known to mean Debian; its signatures are checked in any case.
var debianSuites = []string{ //nolint:gochecknoglobals // a constant list
	"bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// FindMirrors picks the addresses of the Debian archive among the machine's
// sources: entries that name the Debian archive keyring, or that name none and
// have a Debian suite. Zero values mean that there is none.
func FindMirrors(sources []Source) (m Mirrors) {
	for _, src := range sources {
		if src.Disabled || !slices.Contains(src.Types, "deb") {
			continue
		}

		for _, suite := range src.Suites {
			if !isDebian(src, suite) {
				continue
			}

			for _, uri := range src.URIs {
				m.take(uri, suite)
			}
		}
	}

	return m
}

func (m *Mirrors) take(uri, suite string) {
	if !usable(uri) {
		return
	}

	slot := &m.Archive
	if strings.HasSuffix(suite, "-security") || strings.HasSuffix(suite, "/updates") {
		slot = &m.Security
	}

	if *slot == "" {
		*slot = strings.TrimSuffix(uri, "/")
	}
}

// usable leaves out media that hold one release only.
func usable(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")

	return ok && scheme != "cdrom"
}

func isDebian(src Source, suite string) bool {
	if src.SignedBy != "" {
		return slices.ContainsFunc(strings.FieldsFunc(src.SignedBy, func(c rune) bool { return c == ',' || c == ' ' }),
			func(key string) bool { return strings.HasPrefix(path.Base(key), "debian-archive-") })
	}

	name, _, _ := strings.Cut(suite, "/")
	name, _, _ = strings.Cut(name, "-")

	return slices.Contains(debianSuites, name)
}
