package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vetting/cmd/vetting/install"
)

// exposed is how much of the machine the unit may leave open, of 10.
const exposed = 2.0

func TestTheUnitIsTight(t *testing.T) {
	t.Parallel()

	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}

	// The name counts: it must end with .service.
	path := filepath.Join(t.TempDir(), "vetting.service")
	if err := os.WriteFile(path, []byte(install.Unit("/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}

	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", path).CombinedOutput()

	found := regexp.MustCompile(`Overall exposure level for vetting.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no level: %v\n%s", err, out)
	}

	if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > exposed {
		t.Errorf("the unit is exposed at %s of 10, and may be at %.1f\n%s", found[1], exposed, out)
	}

	out, err = exec.CommandContext(t.Context(), "systemd-analyze", "verify", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "vetting.service") {
			t.Errorf("%s (%v)", line, err)
		}
	}
}

// everything below a folder, with mode and content.
func everything(t *testing.T, root string) map[string]string {
	t.Helper()

	all := map[string]string{}

	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}

		text, err := os.ReadFile(path)
		at, _ := d.Info()
		all[strings.TrimPrefix(path, root)] = at.Mode().String() + " " + string(text)

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return all
}

func carryOut(t *testing.T, steps []install.Step, err error) (said []string) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}

	for _, s := range steps {
		if err := s.Do(t.Context()); err != nil {
			t.Fatal(err)
		}

		said = append(said, s.What)
	}

	return said
}

func TestInstallingAgainChangesNothingAndUninstallingKeepsTheData(t *testing.T) {
	t.Parallel()

	root, program := t.TempDir(), filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("a program"), 0o700); err != nil {
		t.Fatal(err)
	}

	o := install.Options{Root: root, Program: program, Config: "version: 1\n", Start: true}

	steps, err := install.Plan(o)
	if said := carryOut(t, steps, err); len(said) != 4 {
		t.Errorf("done: %q", said)
	}

	have := everything(t, root)
	for path, want := range map[string]string{
		"/usr/local/bin/vetting":              "-rwxr-xr-x a program",
		"/etc/vetting/vetting.yaml":           "-rw-r----- version: 1\n",
		"/etc/systemd/system/vetting.service": "-rw-r--r-- " + install.Unit("/usr/local/bin/vetting"),
		"/etc/sysusers.d/vetting.conf":        "-rw-r--r-- " + install.Sysusers(),
	} {
		if have[path] != want {
			t.Errorf("%s: %.60q", path, have[path])
		}
	}

	if len(have) != 4 {
		t.Errorf("%d files", len(have))
	}

	// Again, with another configuration in mind: the operator's own stays.
	o.Config = "version: 2\n"

	steps, err = install.Plan(o)
	if said := carryOut(t, steps, err); len(said) != 0 {
		t.Errorf("done again: %q", said)
	}

	// A newer program takes the place of the old one, and a unit that was changed is mended.
	unit := filepath.Join(root, "/etc/systemd/system/vetting.service")
	if os.WriteFile(program, []byte("a newer program"), 0o600) != nil || os.WriteFile(unit, []byte("[Unit]\n"), 0o600) != nil {
		t.Fatal("not written")
	}

	steps, err = install.Plan(o)
	carryOut(t, steps, err)

	if now := everything(t, root); now["/usr/local/bin/vetting"] != "-rwxr-xr-x a newer program" ||
		now["/etc/vetting/vetting.yaml"] != have["/etc/vetting/vetting.yaml"] || now["/etc/systemd/system/vetting.service"] != have["/etc/systemd/system/vetting.service"] {
		t.Errorf("after an upgrade: %.200q", now)
	}

	data := filepath.Join(root, "var/lib/vetting/store/ledger/MANIFEST")
	if os.MkdirAll(filepath.Dir(data), 0o700) != nil || os.WriteFile(data, []byte("kept"), 0o600) != nil {
		t.Fatal("not written")
	}

	steps, err = install.Removal(install.Options{Root: root})
	carryOut(t, steps, err)

	if left := everything(t, root); len(left) != 2 || left["/var/lib/vetting/store/ledger/MANIFEST"] == "" || left["/etc/vetting/vetting.yaml"] == "" {
		t.Errorf("left: %.200q", left)
	}
}

// What a package has brought is the package's to change.
func TestAPackageIsLeftAlone(t *testing.T) {
	t.Parallel()

	root, program := t.TempDir(), filepath.Join(t.TempDir(), "program")

	for path, text := range map[string]string{
		program: "a program", filepath.Join(root, install.PackageProgram): "of the package", filepath.Join(root, install.PackageUnit): "its unit",
	} {
		if os.MkdirAll(filepath.Dir(path), 0o700) != nil || os.WriteFile(path, []byte(text), 0o600) != nil {
			t.Fatal("not written")
		}
	}

	steps, err := install.Plan(install.Options{Root: root, Program: program, Config: "version: 1\n"})
	if said := carryOut(t, steps, err); len(said) != 1 || said[0] != "write /etc/vetting/vetting.yaml" {
		t.Errorf("done: %q", said)
	}

	if _, err := install.Removal(install.Options{Root: root}); err == nil || !strings.Contains(err.Error(), "apt-get remove vetting") {
		t.Errorf("removed: %v", err)
	}
}
