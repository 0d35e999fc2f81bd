package problem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/problem"
)

func TestEveryEntryIsWhole(t *testing.T) {
	seen := map[string]bool{}
	shape := regexp.MustCompile(`^[a-z]+/[a-z0-9]+(-[a-z0-9]+)*$`)

	for _, e := range problem.All() {
		switch {
		case seen[e.Code]:
			t.Errorf("%s is there twice", e.Code)
		case !shape.MatchString(e.Code):
			t.Errorf("%q is not room/kebab-case", e.Code)
		case e.Title == "" || e.Why == "" || e.Next == "":
			t.Errorf("%s lacks title, why or next", e.Code)
		case !strings.HasSuffix(e.Why, ".") || strings.HasSuffix(e.Title, "."):
			t.Errorf("%s: the title has no full stop, the why has one", e.Code)
		case e.Severity != core.Critical && e.Severity != core.Warning && e.Severity != core.Info:
			t.Errorf("%s has the severity %q", e.Code, e.Severity)
		case strings.Contains(e.Title+e.Why+e.Next, "|"):
			t.Errorf("%s would break the table of the documentation", e.Code)
		}

		seen[e.Code] = true
	}
}

func TestLookup(t *testing.T) {
	if e, ok := problem.Lookup("spec/dimm-missing"); !ok || e.Severity != core.Critical {
		t.Errorf("%+v %v", e, ok)
	}

	if _, ok := problem.Lookup("spec/no-such-thing"); ok {
		t.Error("found what is not there")
	}
}

func TestAFindingNamesItsPart(t *testing.T) {
	part := core.Part{Kind: "dimm", Slot: "DIMM_A2", Model: "EX16G"}

	f := problem.Finding("spec/dimm-missing", "", core.SpecValidate, part, "expected 3, found 2")
	if f.Severity != core.Critical || !strings.Contains(f.Title, "DIMM_A2 EX16G") || !strings.Contains(f.Next, "DIMM_A2") {
		t.Errorf("%+v", f)
	}

	f = problem.Finding("spec/dimm-missing", core.Info, "", core.Part{Kind: "dimm"}, "")
	if f.Severity != core.Info || strings.Contains(f.Next, "{part}") || !strings.Contains(f.Next, "the dimm") {
		t.Errorf("%+v", f)
	}

	f = problem.Finding("never/heard-of", "", "", core.Part{}, "x")
	if f.Code != "never/heard-of" || f.Next == "" || f.Severity == "" || f.Title == "" {
		t.Errorf("%+v", f)
	}
}

func TestMarkdownListsEveryCode(t *testing.T) {
	page := problem.Markdown()

	for _, e := range problem.All() {
		if !strings.Contains(page, "| `"+e.Code+"` |") {
			t.Errorf("%s is not on the page", e.Code)
		}
	}

	if strings.Contains(page, "{part}") {
		t.Error("a placeholder is on the page")
	}
}

// TestEveryCodeInTheSourceIsListed reads the source of all rooms: a code that a
// person may meet must be explained here.
func TestEveryCodeInTheSourceIsListed(t *testing.T) {
	rooms := []string{
		"account", "agent", "appliance", "artifact", "backup", "boot", "burn", "console", "cpustress", "events", "firmware", "hold", "host", "inventory", "kernel", "list",
		"log", "memory", "netboot", "network", "operator", "power", "profile", "ras", "request", "run", "sample", "sel", "sensor", "smart", "spec", "stage", "store",
		"threshold", "token", "trace", "worker",
	}
	shape := regexp.MustCompile(`^(` + strings.Join(rooms, "|") + `)/[a-z0-9]+(-[a-z0-9]+)*$`)
	paths := []string{"agent/gate", "agent/wire", "agent/stage", "agent/probe", "firmware/inventory", "run/utmp"}
	skipped := []string{"store/storetest", "cmd/vetting-lab", "initramfs"}

	err := fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "build" && name == "build" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}

		if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}

		if slices.ContainsFunc(skipped, func(s string) bool { return strings.HasPrefix(name, s+"/") }) {
			return nil
		}

		for _, code := range literals(t, name) {
			if _, ok := problem.Lookup(code); !ok && shape.MatchString(code) && !slices.Contains(paths, code) {
				t.Errorf("%s: the code %q is not listed in core/problem", name, code)
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// literals returns the strings written in a file.
func literals(t *testing.T, name string) (found []string) {
	t.Helper()

	src, err := os.ReadFile(path.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}

	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}

	ast.Inspect(file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}

		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				found = append(found, s)
			}
		}

		return true
	})

	return found
}
