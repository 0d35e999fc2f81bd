package operator

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const answer = `{"runs":[{"host":"pass","verdict":"pass"},{"host":"\u0004fail\u001b[31m","verdict":"fail"},{"host":"c","verdict":""}]}`

// pseudoTerminal is a terminal, and the person at it.
func pseudoTerminal(t *testing.T) (person, screen *os.File) {
	t.Helper()

	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = person.Close() })

	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}

	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}

	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = screen.Close() })

	return person, screen
}

// onScreen is what a command that lists runs writes to a terminal.
func onScreen(t *testing.T, args ...string) string {
	t.Helper()

	person, screen := pseudoTerminal(t)
	listRuns(t, screen, args...)

	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}

	text, _ := io.ReadAll(person) // an error is how a terminal ends

	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func listRuns(t *testing.T, out io.Writer, args ...string) {
	t.Helper()

	root, cmd := &cobra.Command{Use: "vetting"}, &cobra.Command{Use: "list"}
	root.PersistentFlags().Bool(NoColour, false, "")
	root.AddCommand(cmd)

	format := outputFlags(cmd, nil)
	cmd.RunE = func(*cobra.Command, []string) error {
		page := format.printer(out, sheet{list: "runs", columns: "verdict host", name: "host"})
		if err := page.show([]byte(answer)); err != nil {
			return err
		}

		return page.close()
	}

	root.SetArgs(append([]string{"list"}, args...))

	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
}

// A terminal shows how things stand in colours, too; columns stand as without them, and
// what a host says of itself colours nothing.
func TestTablesAreColouredForPeopleAlone(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")

	var plain bytes.Buffer

	listRuns(t, &plain)

	if want := "VERDICT  HOST\npass     pass\nfail     ?fail?[31m\n         c\n"; plain.String() != want {
		t.Errorf("a file has %q, want %q", plain.String(), want)
	}

	const off = "\x1b[0m"

	if got, want := onScreen(t), off+"VERDICT"+off+"  HOST\n\x1b[32mpass"+off+"     pass\n\x1b[31mfail"+off+"     ?fail?[31m\n"+off+off+"         c\n"; got != want {
		t.Errorf("a terminal has %q, want %q", got, want)
	}

	if got := onScreen(t, "--no-color"); got != plain.String() {
		t.Errorf("with --no-color %q", got)
	}

	if got := onScreen(t, "-o", "csv"); strings.ContainsAny(got, "\x1b\x04") {
		t.Errorf("CSV is coloured: %q", got)
	}

	t.Setenv("NO_COLOR", "1")

	if got := onScreen(t); got != plain.String() {
		t.Errorf("with NO_COLOR %q", got)
	}
}
