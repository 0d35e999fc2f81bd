package stage_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vetting/agent/ras"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core/problem"
	"vetting/core/profile"
)

// criterion is a line of testdata/criteria.tsv.
type criterion struct {
	id, section, text string
	codes             []string
	kind, rule        string
	fails, passes     string
}

func criteria(t *testing.T) (rows []criterion) {
	t.Helper()

	raw, err := os.ReadFile("testdata/criteria.tsv")
	if err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}

		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 7 {
			t.Fatalf("%d columns in %q", len(columns), line)
		}

		kind, rule, _ := strings.Cut(columns[4], " ")
		rows = append(rows, criterion{columns[0], columns[1], columns[2], strings.Fields(columns[3]), kind, rule, columns[5], columns[6]})
	}

	return rows
}

// source is what stands in the Go files of a package's folder, by its functions and by
// its variables and constants.
type source struct {
	functions map[string]bool
	words     map[string][]string // strings, and the codes that constants stand for
	uses      map[string][]string // whatever else is named there
	tables    map[string][]string // words of the files that tests read, by their names
}

// readSource reads the tests of a package, or the rest of it.
func readSource(t *testing.T, folder string, tests bool, constants map[string]string) source {
	t.Helper()

	names, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no package %s: %v", folder, err)
	}

	s := source{map[string]bool{}, map[string][]string{}, map[string][]string{}, map[string][]string{}}

	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}

		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}

		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				s.functions[d.Name.Name] = true
				s.read(d.Name.Name, d, constants)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						for _, n := range v.Names {
							s.read(n.Name, v, constants)
						}
					}
				}
			}
		}
	}

	tables, err := filepath.Glob(filepath.Join("../..", folder, "testdata", "*.tsv"))
	if err != nil {
		t.Fatal(err)
	}

	for _, table := range tables {
		text, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}

		s.tables[filepath.Base(table)] = strings.FieldsFunc(string(text), func(r rune) bool { return r == '\t' || r == '\n' })
	}

	return s
}

// read takes in what a declaration says and names.
func (s source) read(name string, of ast.Node, constants map[string]string) {
	ast.Inspect(of, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				s.words[name] = append(s.words[name], text)
			}
		case *ast.Ident:
			s.uses[name] = append(s.uses[name], n.Name)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				s.words[name] = append(s.words[name], constants[x.Name+"."+n.Sel.Name])
			}
		}

		return true
	})
}

// said is what a function says, with all that it names and the tables that it reads.
func (s source) said(name string) (words []string) {
	seen, left := map[string]bool{}, []string{name}

	for len(left) > 0 {
		next := left[0]
		left = left[1:]

		if seen[next] {
			continue
		}

		seen[next] = true
		words = append(words, s.words[next]...)
		left = append(left, s.uses[next]...)
	}

	for _, word := range words {
		words = append(words, s.tables[filepath.Base(word)]...)
	}

	return words
}

// codeConstants maps "problem.MemoryCoverage" and "worker.Hung" to their codes.
func codeConstants(t *testing.T) map[string]string {
	t.Helper()

	all := map[string]string{}

	for folder, prefix := range map[string]string{"core/problem": "", "agent/worker": "worker/", "agent/ras": "ras/"} {
		names, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}

		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}

			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || len(spec.Values) != 1 {
					return true
				}

				if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}

					all[filepath.Base(folder)+"."+spec.Names[0].Name] = prefix + text
				}

				return true
			})
		}
	}

	return all
}

// ids are the rules that there are, by kind.
func ids(t *testing.T) map[string][]string {
	t.Helper()

	all := map[string][]string{"cpu": stage.CPURules(), "memory": stage.MemoryRules(), "network": stage.NetworkRules(), "burn": stage.BurnRules(), "storage": stage.StorageRules(), "psu": stage.PSURules()}

	for _, r := range profile.Defaults()[0].Rules {
		all["limit"] = append(all["limit"], r.ID)
	}

	classes, err := ras.Classes()
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range classes {
		if c.Code != "-" {
			all["class"] = append(all["class"], c.Code)
		}
	}

	return all
}

// TestCriteria counts the rows of the criteria against the rules: each row has a
// rule, each rule a row, and each code of these stages is in a row; and the tests
// that a row names are there, and speak of its codes.
func TestCriteria(t *testing.T) {
	rows, rules, constants := criteria(t), ids(t), codeConstants(t)
	used, codes, seen := map[string]bool{}, map[string]bool{}, map[string]bool{}
	sources := map[string]source{}

	look := func(folder string, tests bool) source {
		key := folder + strconv.FormatBool(tests)
		if _, known := sources[key]; !known {
			sources[key] = readSource(t, folder, tests, constants)
		}

		return sources[key]
	}

	for _, row := range rows {
		if seen[row.id] {
			t.Errorf("%s is there twice", row.id)
		}

		seen[row.id] = true

		switch known, fixed := rules[row.kind]; {
		case fixed && !slices.Contains(known, row.rule):
			t.Errorf("%s: there is no rule %s %s", row.id, row.kind, row.rule)
		case !fixed && !look(row.kind, false).functions[row.rule]:
			t.Errorf("%s: %s has no function %s", row.id, row.kind, row.rule)
		}

		used[row.kind+" "+row.rule] = true

		for _, code := range row.codes {
			codes[code] = true

			if _, known := problem.Lookup(code); !known {
				t.Errorf("%s: the code %s is not explained", row.id, code)
			}
		}

		if row.fails == row.passes || len(row.codes) == 0 || row.text == "" {
			t.Errorf("%s: %+v", row.id, row)
		}

		checkTest(t, row, row.fails, row.codes, look)
		checkTest(t, row, row.passes, nil, look)
	}

	for kind, known := range rules {
		for _, id := range known {
			if !used[kind+" "+id] {
				t.Errorf("the rule %s %s is of no row", kind, id)
			}
		}
	}

	for _, reason := range worker.Reasons() {
		if reason != worker.Done && reason != worker.Stopped && !codes["worker/"+string(reason)] {
			t.Errorf("the end %s is in no row", reason)
		}
	}

	rooms := []string{"cpustress", "memory", "storage", "network", "burn", "gpu", "psu", "worker", "ras", "kernel", "trace", "sel", "sensor", "smart"}

	for _, e := range problem.All() {
		if room, _, _ := strings.Cut(e.Code, "/"); slices.Contains(rooms, room) && !codes[e.Code] {
			t.Errorf("the code %s is in no row", e.Code)
		}
	}

	t.Logf("%d rows, %d rules, %d codes", len(rows), len(used), len(codes))
}

// checkTest looks that a test is there, and that it itself has the case and speaks of
// the codes.
func checkTest(t *testing.T, row criterion, name string, codes []string, look func(string, bool) source) {
	t.Helper()

	dot := strings.Index(name, ".Test")
	if dot < 0 {
		t.Errorf("%s: %q is no test", row.id, name)

		return
	}

	function, part, has := strings.Cut(name[dot+1:], "/")
	s := look(name[:dot], true)

	if !s.functions[function] {
		t.Errorf("%s: there is no %s", row.id, name)

		return
	}

	words := s.said(function)

	if has && !slices.Contains(words, part) {
		t.Errorf("%s: %s has no case %q", row.id, function, part)
	}

	for _, code := range codes {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, code) }) {
			t.Errorf("%s: %s never speaks of %s", row.id, name, code)
		}
	}
}
