package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect" //nolint:depguard // the page lists the keys of the struct that the file is read into
	"regexp"
	"slices"
	"strings"
	"testing"

	"vetting/core/problem"
	"vetting/core/route"
)

var update = flag.Bool("update", false, "rewrite the pages under docs")

// The reference pages are made from what the program itself uses, and cannot
// drift: go test ./cmd/vetting -run TestReferencePages -update.
func TestReferencePages(t *testing.T) {
	for name, page := range map[string]string{
		"troubleshooting.md": troublePage(),
		"reason-codes.md":    problem.Markdown(),
		"configuration.md":   configurationPage(t),
		"api.md":             apiPage(),
		"licences.md":        licencePage(t),
		"cli.md":             commandPage(t),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("..", "..", "docs", name)

			if *update {
				if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
					t.Fatal(err)
				}
			}

			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}

			if string(have) != page {
				t.Errorf("docs/%s is not what the program says; go test ./cmd/vetting -run TestReferencePages -update", name)
			}

			checkTables(t, page)
		})
	}
}

// checkTables looks that every row has as many cells as the head of its table.
func checkTables(t *testing.T, page string) {
	t.Helper()

	cells := 0

	for line := range strings.Lines(page) {
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if n > 0 && cells > 0 && n != cells {
			t.Errorf("a row with %d bars in a table of %d: %s", n, cells, line)
		}

		cells = n
	}
}

func TestEveryKeyIsExplained(t *testing.T) {
	explained := map[string]bool{}
	for _, s := range slices.Concat(settings(), lists()) {
		explained[s.key] = true
	}

	known := map[string]bool{}

	for _, key := range keys(reflect.TypeFor[Config](), nil) {
		path := strings.Join(key, ".")
		known[path] = true

		if !explained[path] && !hasKeysBelow(path) {
			t.Errorf("%s is explained nowhere: settings() or lists() in setting.go", path)
		}
	}

	for key := range explained {
		if !known[key] {
			t.Errorf("%s is explained, but there is no such key", key)
		}
	}
}

// hasKeysBelow reports whether a path is that of a group.
func hasKeysBelow(path string) bool {
	return slices.ContainsFunc(keys(reflect.TypeFor[Config](), nil), func(key []string) bool {
		return strings.HasPrefix(strings.Join(key, "."), path+".")
	})
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func configurationPage(t *testing.T) string {
	t.Helper()

	defaults := Defaults()
	page := &strings.Builder{}

	page.WriteString("# Configuration\n\nMade from `cmd/vetting/config.go` and `setting.go`; do not edit.\n\n" +
		"Precedence: flag, environment, file, what was set in the console, default. Unknown keys, repeated keys and unknown `VETTING_` variables are errors.\n" +
		"`vetting config init` prints a commented file, `vetting config check FILE` names every fault with its line,\n" +
		"`vetting config schema` describes it to editors, which then complete its keys (`# yaml-language-server: $schema=vetting.schema.json`),\n" +
		"`vetting config show --origin` says where each value comes from, a file with its line. Durations are written like `90s`, `15m`, `1h30m` or `30d`.\n\n" +
		"The file is read again at SIGHUP and by `vetting reload`. What it says of `" + strings.Join(reloadables(), "`, `") + "` counts at once,\n" +
		"for the runs that start from then on; other keys wait for a restart, and the console names them. A file with a fault changes nothing.\n\n" +
		"What administrators set in the console stands in the ledger and counts for keys of which neither flag, environment nor file says anything; the file is\n" +
		"never written. Secrets that are typed there lie in `DATA_DIR/secrets`, outside of the ledger. When what was set there does not fit with the file any\n" +
		"more, none of it counts, no machine is answered, and the console says why; logs, files, samples, deleted hosts and backups are all kept then.\n" +
		"Where any key of `netboot` or `traffic` was set there and the boot services cannot start, the console stays open and says why.\n\n" +
		"A secret is a text in quotes, or better `{file: PATH}` or `{env: NAME}`; a path that is not absolute is looked for in\n" +
		"`$CREDENTIALS_DIRECTORY`, where systemd's `LoadCredential=NAME:PATH` puts it. Secrets are shown nowhere.\n\n" +
		"| Key | Default | Flag | Meaning |\n|---|---|---|---|\n")

	for _, s := range settings() {
		name, value := "", s.value(&defaults)
		if s.flag != "" {
			name = "`--" + s.flag + "`"
		}

		if value == `""` {
			value = ""
		}

		if value != "" {
			value = "`" + value + "`"
		}

		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", s.key, value, name, cell(s.doc))
	}

	page.WriteString("\nThe environment variable of a key above is `VETTING_` and the key in capitals with `_` for dots:\n" +
		"`" + settings()[1].key + "` is `" + settings()[1].env() + "`. Keys with several values, in the file only (`*` is a name that you choose):\n\n" +
		"| Key | Meaning |\n|---|---|\n")

	for _, s := range lists() {
		fmt.Fprintf(page, "| `%s` | %s |\n", s.key, cell(s.doc))
	}

	text, err := example()
	if err != nil {
		t.Fatal(err)
	}

	page.WriteString("\n## The whole file with its defaults\n\n```yaml\n" + text + "```\n")

	return page.String()
}

func apiPage() string {
	page := &strings.Builder{}

	page.WriteString("# Operator API\n\nMade from `core/route`; do not edit. The full description with every field is the appliance's own\n" +
		"`/api/openapi.yaml`. `vetting api` lists the calls and makes them by name: `vetting api hosts.list`.\n\n" +
		"A program shows `Authorization: Bearer vet_…`; `vetting token create --scope read|operate|admin` makes a token.\n" +
		"Errors are `{\"error\": {\"code\", \"message\", \"details\"}}`; the codes are in [reason-codes.md](reason-codes.md).\n\n" +
		"Each POST takes the header `" + route.IdempotencyKey + "`, a word that the caller chooses anew for each order: sent again within a day, with the same body,\n" +
		"it is carried out no second time, also where the appliance was restarted in between, and the first answer comes again, with `Idempotency-Replayed: true`.\n" +
		"422 means another order under the same key; 409 that it is being carried out, or that it was and its answer, which holds a secret, is not kept.\n\n" +
		"Hosts, model classes and the firmware baseline are answered with an `ETag` of what people set of them. A write that sends it back as `" + route.IfMatch + "` goes through\n" +
		"only on that state, and is answered 412 when somebody has written meanwhile; `If-None-Match: *` makes only what is not there yet.\n")

	table := route.Table()
	slices.SortStableFunc(table, func(a, b route.Route) int { return cmp.Compare(a.Tag, b.Tag) })

	tag := ""
	for _, r := range table {
		if r.Tag != tag {
			tag = r.Tag
			fmt.Fprintf(page, "\n## %s\n\n| Name | Call | Scope | What it does | Query | Errors |\n|---|---|---|---|---|---|\n", tag)
		}

		var query, faults []string
		for _, q := range r.Query {
			query = append(query, "`"+q.Name+"`")
		}

		for _, a := range r.Answers()[1:] {
			faults = append(faults, fmt.Sprint(a.Status))
		}

		fmt.Fprintf(page, "| `%s` | `%s %s` | %s | %s | %s | %s |\n",
			r.Name, r.Method, r.Path, r.Scope, cell(r.Summary), strings.Join(query, ", "), strings.Join(faults, ", "))
	}

	return page.String()
}

// Every relative link in every page leads somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	root := filepath.Join("..", "..")
	pages := 0

	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && strings.HasPrefix(d.Name(), ".") || d.Name() == "build":
			return skip(d)
		case d.Name() == "beside": // copies, whose links count from where the originals lie
			return skip(d)
		case filepath.Ext(path) != ".md":
			return nil
		}

		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}

		pages++

		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(found[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}

			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, target)
			}
		}

		return nil
	})
	if err != nil || pages < 5 {
		t.Errorf("looked at %d pages (%v)", pages, err)
	}
}

// skip leaves a folder out, with all that is in it.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}

	return nil
}

// carried is a Go module that is linked into one of our programs.
type carried struct {
	path, version, text string
	in                  []string
}

// modules lists the Go modules of our programs, with their licences.
func modules(t *testing.T) []carried {
	t.Helper()

	all := map[string]*carried{}

	for _, program := range []string{"vetting", "vetting-agent"} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}", "vetting/cmd/"+program)
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")

		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}

		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}

			m := all[words[0]]
			if m == nil {
				m = &carried{path: words[0], version: words[1], text: licenceIn(t, words[2])}
				all[words[0]] = m
			}

			if !slices.Contains(m.in, program) {
				m.in = append(m.in, program)
			}
		}
	}

	list := make([]carried, 0, len(all))
	for _, m := range all {
		list = append(list, *m)
	}

	slices.SortFunc(list, func(a, b carried) int { return cmp.Compare(a.path, b.path) })

	return list
}

func licenceIn(t *testing.T, dir string) string {
	t.Helper()

	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}

	var all strings.Builder

	for _, f := range files {
		name := strings.ToUpper(f.Name())
		if f.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}

		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}

		all.Write(text)
	}

	return all.String()
}

func licencePage(t *testing.T) string {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("..", "..", "initramfs", "build", "lock.json"))
	if err != nil {
		t.Fatal(err)
	}

	var lock struct {
		Suite    string
		Packages []struct{ Role, Package, Version, SHA256 string }
	}

	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}

	page := &strings.Builder{}

	page.WriteString("# Licences\n\nMade from `initramfs/build/lock.json` and `go.mod`; do not edit. The product itself is under Apache-2.0, see `LICENSE`.\n" +
		"`vetting licenses` prints every notice in full, with what this binary really carries: where a mirror no longer had a locked package, a newer one.\n\n" +
		"## Debian packages\n\nUnmodified, under their own licences, beside our programs and not linked into them. The corresponding source is Debian's:\n" +
		"`apt-get source PACKAGE=VERSION`, or https://snapshot.debian.org/binary/PACKAGE/ for ever.\n\n" +
		"| Package | Version | Part | Licence | SHA-256 of the package |\n|---|---|---|---|---|\n")

	for _, p := range lock.Packages {
		licence, known := map[string]string{
			"grub": "of the signature; GRUB's own is in the next line", "grub-licence": "GPL-3.0 and others", "ipxe": "GPL-2.0 and others",
			"isolinux": "GPL-2.0 and others", "kernel": "GPL-2.0 and others", "shim": "BSD-2-Clause and others", "systemd-boot": "LGPL-2.1 and others", "syslinux": "GPL-2.0 and others", "systemd-stub": "LGPL-2.1 and others",
		}[p.Role]
		if !known {
			t.Errorf("%s has no licence here; look at it, and name it", p.Package)
		}

		fmt.Fprintf(page, "| `%s` | `%s` (%s) | %s | %s, see the text | `%s` |\n", p.Package, p.Version, lock.Suite, p.Role, licence, p.SHA256)
	}

	page.WriteString("\n## Go modules\n\nThe corresponding source is the module: `go mod download MODULE@VERSION`. The boot image also carries commands of u-root\n" +
		"and what they are made of, which `vetting licenses` lists.\n\n| Module | Version | In | Licence |\n|---|---|---|---|\n")

	for _, m := range modules(t) {
		fmt.Fprintf(page, "| `%s` | `%s` | %s | %s |\n", m.path, m.version, strings.Join(m.in, ", "), licenceName(m.text))
	}

	page.WriteString("\n## Tables\n\nThe makers of network ports (`ui/oui/table.gz`) are those of the IEEE's public listing, as Debian's package `ieee-data` 20240722 has it.\n" +
		"The IEEE asserts no copyright in it and does not restrict its distribution.\n")

	return page.String()
}

// Nothing that is linked into our programs may be under a licence that would have
// them under it, too.
func TestNoGPLIsLinkedIn(t *testing.T) {
	for _, m := range modules(t) {
		switch name := licenceName(m.text); {
		case strings.Contains(name, "GPL"):
			t.Errorf("%s is under the GPL", m.path)
		case name == "see the text":
			t.Errorf("%s has a licence that licenceName does not know; look at it, and teach it", m.path)
		}
	}
}
