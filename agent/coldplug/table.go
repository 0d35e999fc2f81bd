package coldplug

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxLine bounds a line of a table; modules.dep has the longest, about 1 kB.
const maxLine = 64 << 10

// Tables are what depmod knows about the modules of one kernel. The zero value
// knows none.
type Tables struct {
	files   map[string]string   // module name → file, relative to the folder
	needs   map[string][]string // file → files to load before it
	aliases map[string][]alias  // by the letters before the first : * ? or [
	pre     map[string][]string // module name → names it would like before it
	post    map[string][]string // … and after it
}

type alias struct{ pattern, module string }

// ReadTables reads modules.dep, modules.alias and modules.softdep in the folder
// dir of root.
func ReadTables(root fs.FS, dir string) (*Tables, error) {
	t := &Tables{
		files: map[string]string{}, needs: map[string][]string{}, aliases: map[string][]alias{},
		pre: map[string][]string{}, post: map[string][]string{},
	}

	for name, parse := range map[string]func(string){"modules.dep": t.addDep, "modules.alias": t.addAlias, "modules.softdep": t.addSoft} {
		if err := readTable(root, path.Join(dir, name), parse); err != nil {
			return nil, err
		}
	}

	return t, nil
}

func readTable(root fs.FS, name string, parse func(line string)) error {
	file, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("reading module table: %w", err)
	}

	defer file.Close() //nolint:errcheck // opened for reading

	return scan(file, name, parse)
}

func scan(r io.Reader, name string, parse func(line string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)

	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			parse(line)
		}
	}

	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading module table %s: %w", name, err)
	}

	return nil
}

// addDep: "kernel/a.ko.xz: kernel/b.ko.xz kernel/c.ko.xz".
func (t *Tables) addDep(line string) {
	file, needs, ok := strings.Cut(line, ":")
	if !ok || !fs.ValidPath(file) {
		return
	}

	t.files[moduleName(file)] = file

	for need := range strings.FieldsSeq(needs) {
		if fs.ValidPath(need) {
			t.needs[file] = append(t.needs[file], need)
		}
	}
}

// addAlias: "alias pci:v00008086d*sv*sd*bc*sc*i* e1000e".
func (t *Tables) addAlias(line string) {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "alias" {
		return
	}

	key := bucket(fields[1])
	t.aliases[key] = append(t.aliases[key], alias{pattern: fields[1], module: underscores(fields[2])})
}

// addSoft: "softdep name pre: a b post: c".
func (t *Tables) addSoft(line string) {
	fields := strings.Fields(line)
	if len(fields) < 3 || fields[0] != "softdep" {
		return
	}

	module, into := underscores(fields[1]), map[string][]string(nil)

	for _, field := range fields[2:] {
		switch {
		case field == "pre:":
			into = t.pre
		case field == "post:":
			into = t.post
		case into != nil:
			into[module] = append(into[module], field) // a module or an alias: Load finds out
		}
	}
}

// Modules returns the names of the modules for a modalias, each once.
func (t *Tables) Modules(modalias string) (names []string) {
	for _, key := range []string{bucket(modalias), ""} {
		for _, a := range t.aliases[key] {
			if !slices.Contains(names, a.module) && Match(a.pattern, modalias) {
				names = append(names, a.module)
			}
		}
	}

	return names
}

// Len returns how many modules there are.
func (t *Tables) Len() int { return len(t.files) }

// bucket is the part of a pattern that can be compared as it is.
func bucket(pattern string) string {
	if end := strings.IndexAny(pattern, ":*?["); end >= 0 {
		return pattern[:end]
	}

	return pattern
}

// moduleName is the kernel's name of the module in a file.
func moduleName(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")

	return underscores(base)
}

func underscores(name string) string { return strings.ReplaceAll(name, "-", "_") }
