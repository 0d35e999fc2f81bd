package depmod

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set is all modules of a kernel: file (relative to /lib/modules/<version>) → info.
type Set map[string]Info

// ErrMissing is wrapped in the error about a module that needs another one which
// the kernel does not have.
type ErrMissing struct{ Module, Needs string }

func (e ErrMissing) Error() string { return e.Module + " needs " + e.Needs + ", which is not there" }

// fileOf returns the file of each module by name.
func (s Set) fileOf() map[string]string {
	files := make(map[string]string, len(s))
	for file, info := range s {
		files[info.Name] = file
	}

	return files
}

// Close adds to the chosen files all that they need: hard dependencies, and soft
// ones as far as the kernel has them. The result is sorted.
func (s Set) Close(chosen []string) ([]string, error) {
	files, aliases := s.fileOf(), s.softAliases()
	in := map[string]bool{}
	queue := slices.Clone(chosen)

	for len(queue) > 0 {
		file := queue[0]
		queue = queue[1:]

		if in[file] {
			continue
		}

		in[file] = true

		for _, dep := range s[file].Depends {
			need, ok := files[dep]
			if !ok {
				return nil, ErrMissing{Module: file, Needs: dep}
			}

			queue = append(queue, need)
		}

		for _, dep := range softNames(s[file].SoftDeps) {
			if need, ok := files[dep]; ok {
				queue = append(queue, need)
			}

			queue = append(queue, aliases[dep]...)
		}
	}

	return slices.Sorted(maps.Keys(in)), nil
}

// softAliases indexes the aliases without patterns, by which soft dependencies
// on an algorithm ("crypto-crc32c") are written.
func (s Set) softAliases() map[string][]string {
	index := map[string][]string{}

	for file, info := range s {
		for _, alias := range info.Aliases {
			if !strings.ContainsAny(alias, "*?[:") {
				index[underscores(alias)] = append(index[underscores(alias)], file)
			}
		}
	}

	return index
}

func softNames(softDeps []string) (names []string) {
	for _, line := range softDeps {
		for word := range strings.FieldsSeq(line) {
			if !strings.HasSuffix(word, ":") {
				names = append(names, underscores(word))
			}
		}
	}

	return names
}

// Tables returns the content of modules.dep, modules.alias and modules.softdep
// for the chosen files, in the forms of modules.dep(5) and kmod: every module
// with its direct and indirect needs, nearest first.
func (s Set) Tables(chosen []string) (map[string][]byte, error) {
	files := s.fileOf()

	var dep, alias, softdep strings.Builder

	for _, file := range chosen {
		needs, err := s.needs(files, file)
		if err != nil {
			return nil, err
		}

		fmt.Fprintf(&dep, "%s:", file)

		for _, need := range needs {
			fmt.Fprintf(&dep, " %s", need)
		}

		dep.WriteByte('\n')

		info := s[file]
		for _, a := range info.Aliases {
			fmt.Fprintf(&alias, "alias %s %s\n", a, info.Name)
		}

		for _, line := range info.SoftDeps {
			fmt.Fprintf(&softdep, "softdep %s %s\n", info.Name, line)
		}
	}

	return map[string][]byte{
		"modules.dep":     []byte(dep.String()),
		"modules.alias":   []byte("# Aliases extracted from modules themselves.\n" + alias.String()),
		"modules.softdep": []byte("# Soft dependencies extracted from modules themselves.\n" + softdep.String()),
	}, nil
}

// needs lists the files a module needs so that the reverse order is one in which
// they load.
func (s Set) needs(files map[string]string, file string) ([]string, error) {
	var (
		order []string
		visit func(file string) error
	)

	state := map[string]bool{} // false while on the way down

	visit = func(file string) error {
		if done, seen := state[file]; seen {
			if !done {
				return fmt.Errorf("ordering modules: %s needs itself", file)
			}

			return nil
		}

		state[file] = false

		for _, dep := range s[file].Depends {
			need, ok := files[dep]
			if !ok {
				return ErrMissing{Module: file, Needs: dep}
			}

			if err := visit(need); err != nil {
				return err
			}
		}

		state[file] = true
		order = append(order, file)

		return nil
	}

	if err := visit(file); err != nil {
		return nil, err
	}

	order = order[:len(order)-1] // not itself
	slices.Reverse(order)

	return order, nil
}

// Order sorts files as modules.order (a list of kernel/….ko) does, so that of two
// drivers for one device the kernel's first choice comes first; files it does
// not name come last.
func Order(files []string, modulesOrder string) []string {
	rank := map[string]int{}

	for line := range strings.Lines(modulesOrder) {
		rank[strings.TrimSpace(line)] = len(rank)
	}

	place := func(file string) int {
		if r, ok := rank[strings.TrimSuffix(file, ".xz")]; ok {
			return r
		}

		return len(rank)
	}

	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}

		return strings.Compare(a, b)
	})

	return sorted
}
