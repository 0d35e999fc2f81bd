package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// writers are the functions of what runs on a host under test that open something for
// writing, and what it is. The first is the only one that may be handed a disk. To add
// one, say what it opens and why that can never be a block device.
var writers = map[string]string{
	"agent/blockdev openWrite":     "disks, behind core/diskguard",
	"agent/custom fenceOff":        "procfs",
	"agent/gpu firmware":           "a parameter of the kernel's, in sysfs",
	"agent/gpu start":              "procfs",
	"agent/hold openTerminal":      "a pseudo terminal",
	"agent/disk open":              "how many of its own questions disks have refused, in its folder",
	"agent/hold peer":              "a pseudo terminal",
	"agent/hostmode SetBootNext":   "a variable of the firmware",
	"agent/hostmode writeWhole":    "the installed agent's key",
	"agent/initd OpenConsoles":     "a console",
	"agent/initd StartSelf":        "the agent's last words, in its folder",
	"agent/initd oneShell":         "a terminal of the list of consoles",
	"agent/initd prepare":          "procfs",
	"agent/initd rescue":           "that a terminal offers a shell, in the agent's folder",
	"agent/ipmi Do":                "the BMC's device",
	"agent/network keepApart":      "procfs",
	"agent/machines write":         "golden files of tests",
	"agent/probe askTPM":           "the TPM's device",
	"agent/ras listen":             "sysfs",
	"agent/ras openTracer":         "tracefs",
	"agent/ras write":              "what is kept between stages, in the agent's folder",
	"agent keep":                   "what is kept between boots of the agent, in its folder",
	"agent save":                   "the session, in the agent's folder",
	"agent/worker yieldToAll":      "procfs",
	"cmd/vetting-agent calm":       "procfs",
	"cmd/vetting-agent keepKernel": "sysfs",
	"cmd/vetting-agent save":       "a recording, where its caller wants it",
	"cmd/vetting-agent writeSys":   "sysfs",
	"agent/kit OpenDesk":           "a terminal of the list of consoles",
	"agent/kit openJournal":        "a log on the data partition of the kit's own stick",
	"cmd/vetting-agent keepJob":    "what the field kit's menu has begun, in the agent's folder",
}

// openers open files; the value is where their flags stand, -1 where they always write.
var openers = map[string]int{
	"os.OpenFile": 1, "os.Create": -1, "os.WriteFile": -1, "os.CreateTemp": -1, "os.OpenInRoot": 9, "os.CopyFS": -1,
	"unix.Open": 1, "unix.Openat": 2, "unix.Openat2": -1, "unix.Creat": -1,
	"syscall.Open": 1, "syscall.Openat": 2, "syscall.Creat": -1,
}

// harmless are flags that let nothing be written.
var harmless = []string{"O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECT", "O_EXCL", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH", "O_NOCTTY"}

// unkind are names that change a disk without opening it so. Only agent/blockdev says
// them.
var unkind = []string{
	"BLKDISCARD", "BLKSECDISCARD", "BLKZEROOUT", "BLKPG", "BLKRRPART", "SYS_OPEN", "SYS_OPENAT", "SYS_OPENAT2", "SYS_CREAT",
	"SYS_PWRITE64", "SYS_PWRITEV", "SYS_IO_URING_SETUP", "SYS_IO_SUBMIT", "Pwrite", "Pwritev", "Mount",
}

// doorKeys are functions of ours that let a disk be changed. Only agent/blockdev calls them.
var doorKeys = []string{"disk.Erasable"}

// askers are the packages that speak to drivers by ioctl themselves, and of what. Only
// the first two speak to disks: agent/disk asks questions alone, which its own tests hold,
// and agent/blockdev is behind the gates.
var askers = map[string]string{
	"agent/blockdev": "disks, behind core/diskguard",
	"agent/disk":     "disks, questions alone",
	"agent/ipmi":     "the BMC's device",
	"agent/probe":    "ports",
	"agent/wake":     "ports",
}

// TestDisksAreOpenedForWritingInOnePlace reads the code that runs on hosts: nobody but
// agent/blockdev opens anything for writing that is not on the list above.
func TestDisksAreOpenedForWritingInOnePlace(t *testing.T) {
	seen := map[string]bool{}

	for _, fault := range openings(t, os.DirFS("../.."), seen) {
		t.Error(fault)
	}

	for name := range writers {
		if !seen[name] {
			t.Errorf("%s opens nothing any more; strike it", name)
		}
	}
}

// openings names the places that open for writing and are not on the list.
func openings(t *testing.T, root fs.FS, seen map[string]bool) (faults []string) {
	t.Helper()

	for _, folder := range []string{"agent", "firmware", "cmd/vetting-agent"} {
		err := fs.WalkDir(root, folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}

			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}

			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
			if err != nil {
				return err
			}

			faults = append(faults, openingsOf(name, file, seen)...)

			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	return faults
}

func openingsOf(name string, file *ast.File, seen map[string]bool) (faults []string) {
	flags := constants(file)

	for _, decl := range file.Decls {
		where := path.Dir(name) + " " + declared(decl)

		ast.Inspect(decl, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}

			pkg, ok := x.X.(*ast.Ident)
			if !ok {
				return true
			}

			at, opens := openers[pkg.Name+"."+x.Sel.Name]

			switch {
			case slices.Contains(doorKeys, pkg.Name+"."+x.Sel.Name) && path.Dir(name) != "agent/blockdev":
				faults = append(faults, fmt.Sprintf("%s says %s.%s: only agent/blockdev may change a disk", where, pkg.Name, x.Sel.Name))
			case x.Sel.Name == "SYS_IOCTL" && askers[path.Dir(name)] == "":
				faults = append(faults, fmt.Sprintf("%s speaks to a driver: put its package on the list with what it speaks to", where))
			case slices.Contains(unkind, x.Sel.Name) && (pkg.Name == "unix" || pkg.Name == "syscall"):
				mounts := x.Sel.Name == "Mount" && slices.Contains([]string{"agent/initd", "agent/custom"}, path.Dir(name)) ||
					where == "agent/kit Mount" || // the stick that the boot loader named, and no other
					where == "agent/network enter" // sysfs, in a namespace of its own
				if path.Dir(name) != "agent/blockdev" && !mounts {
					faults = append(faults, fmt.Sprintf("%s says %s: only agent/blockdev may change a disk", where, x.Sel.Name))
				}
			case opens && !reads(decl, x, at, flags):
				seen[where] = true

				if writers[where] == "" {
					faults = append(faults, fmt.Sprintf("%s opens for writing by %s.%s: a disk is opened by agent/blockdev; else put it on the list with what it opens", where, pkg.Name, x.Sel.Name))
				}
			}

			return true
		})
	}

	return faults
}

// declared names a function, or the first of other things.
func declared(decl ast.Decl) string {
	if f, ok := decl.(*ast.FuncDecl); ok {
		return f.Name.Name
	}

	return "(no function)"
}

// constants are the expressions of a file's constants, by name; wherever they stand.
func constants(file *ast.File) map[string]ast.Expr {
	found := map[string]ast.Expr{}

	ast.Inspect(file, func(n ast.Node) bool {
		if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, spec := range g.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
					for i, id := range v.Names {
						found[id.Name] = v.Values[i]
					}
				}
			}
		}

		return true
	})

	return found
}

// reads reports whether every use of an opener in a declaration is a call whose flags
// are known and let nothing be written.
func reads(decl ast.Decl, opener *ast.SelectorExpr, at int, flags map[string]ast.Expr) (only bool) {
	if at < 0 {
		return false
	}

	ast.Inspect(decl, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && call.Fun == opener {
			only = at >= len(call.Args) || mild(call.Args[at], flags, 0)
		}

		return true
	})

	return only
}

// mild reports whether an expression of flags is made of harmless ones.
func mild(e ast.Expr, flags map[string]ast.Expr, depth int) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return e.Op == token.OR && mild(e.X, flags, depth) && mild(e.Y, flags, depth)
	case *ast.ParenExpr:
		return mild(e.X, flags, depth)
	case *ast.SelectorExpr:
		return slices.Contains(harmless, e.Sel.Name)
	case *ast.Ident:
		return depth < 4 && flags[e.Name] != nil && mild(flags[e.Name], flags, depth+1)
	default:
		return false
	}
}

// The test sees an opening wherever and however it is written.
func TestAnOpeningForWritingIsSeen(t *testing.T) {
	for body, want := range map[string]bool{
		`os.OpenFile("/dev/sda", os.O_RDWR, 0)`:                            true,
		`os.OpenFile("/dev/sda", os.O_RDONLY|os.O_WRONLY, 0)`:              true,
		`os.OpenFile("/dev/sda", os.O_RDONLY|unix.O_CLOEXEC, 0)`:           false,
		`os.OpenFile("/dev/sda", mode, 0)`:                                 true,
		`os.OpenFile("/dev/sda", 2, 0)`:                                    true,
		`os.Create("/dev/sda")`:                                            true,
		`os.Open("/dev/sda")`:                                              false,
		`const f = unix.O_RDONLY; unix.Open("/dev/sda", f|unix.O_EXCL, 0)`: false,
		`const f = unix.O_RDWR; unix.Open("/dev/sda", f|unix.O_EXCL, 0)`:   true,
		`open := os.OpenFile; open("/dev/sda", 0, 0)`:                      true,
		`unix.Pwrite(3, nil, 0)`:                                           true,
		`unix.Syscall(unix.SYS_IOCTL, 3, unix.BLKDISCARD, 0)`:              true,
		`unix.Syscall(unix.SYS_IOCTL, 3, 0xc0484e41, 0)`:                   true,
		`disk.Erasable(file, time.Hour)`:                                   true,
		`send := disk.Erasable; send(file, time.Hour)`:                     true,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {\n"+strings.ReplaceAll(body, "; ", "\n")+"\n}\n", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}

		if got := len(openingsOf("agent/other/x.go", file, map[string]bool{})) > 0; got != want {
			t.Errorf("%s: seen %v", body, got)
		}
	}
}
